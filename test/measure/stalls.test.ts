/** Stalls of a slice whose times are written down: where they begin, how long they are, and whose they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpStatus, type OpTimes } from '../../src/measure/latency-log.ts';
import { findStalls, MAX_STALLS } from '../../src/measure/stalls.ts';
import { sliceOf } from '../support/slice.ts';

interface Timed {
  atUs: number;
  /** How late it left. Default 0. */
  lagUs?: number;
  /** Reply − send; absent: none came. */
  serviceUs?: number;
  connection?: number;
  blocking?: boolean;
  status?: number;
}

function stallsOf(ops: Timed[]) {
  const slice = sliceOf(
    ops.map(({ atUs, connection = 0, blocking = false }) => ({ args: ['PING'], atUs, connection, blocking })),
  );
  const times: OpTimes = {
    sentUs: Float64Array.from(ops, ({ atUs, lagUs = 0 }) => atUs + lagUs),
    repliedUs: Float64Array.from(ops, ({ atUs, lagUs = 0, serviceUs }) => atUs + lagUs + (serviceUs ?? Number.NaN)),
    status: Uint8Array.from(
      ops,
      ({ serviceUs, status }) => status ?? (serviceUs === undefined ? OpStatus.sent : OpStatus.replied),
    ),
  };
  return findStalls(slice, times);
}

/** A request a millisecond, each answered in 100 µs, but for a server that stands still from 20 to 70 ms. */
const standstill = (from = 20_000, to = 70_000) =>
  Array.from({ length: 100 }, (_, i) => {
    const atUs = i * 1000;
    return { atUs, serviceUs: atUs >= from && atUs < to ? to - atUs : 100 };
  });

test('a standstill is one stall, from the first request that waits to the replies', () => {
  assert.deepEqual(stallsOf(standstill()), [{ startUs: 20_000, durationUs: 50_000, waitUs: 50_000, lagUs: 0 }]);
});

test('requests answered within 2 ms are no stall; those above are, on any connection', () => {
  assert.deepEqual(stallsOf([{ atUs: 0, serviceUs: 2000 }]), []);
  assert.deepEqual(stallsOf([{ atUs: 0, serviceUs: 2001 }]), [
    { startUs: 0, durationUs: 2001, waitUs: 2001, lagUs: 0 },
  ]);
  const two = stallsOf([
    { atUs: 0, serviceUs: 6000, connection: 0 },
    { atUs: 3000, serviceUs: 6000, connection: 1 },
  ]);
  assert.deepEqual(two, [{ startUs: 0, durationUs: 9000, waitUs: 6000, lagUs: 0 }]);
});

test('with answers in between they are two', () => {
  const two = stallsOf([
    ...standstill(10_000, 20_000),
    ...standstill(10_000, 20_000).map((op) => ({ ...op, atUs: op.atUs + 100_000 })),
  ]);
  assert.deepEqual(
    two.map(({ startUs, durationUs }) => [startUs, durationUs]),
    [
      [10_000, 10_000],
      [110_000, 10_000],
    ],
  );
});

test('where the generator stood still too its lag says so', () => {
  // One request in flight when everything stops for 30 ms; those due meanwhile leave at the end.
  const frozen = Array.from({ length: 60 }, (_, i) => {
    const atUs = i * 1000;
    if (atUs === 10_000) return { atUs, serviceUs: 30_000 };
    return atUs > 10_000 && atUs < 40_000 ? { atUs, lagUs: 40_000 - atUs, serviceUs: 100 } : { atUs, serviceUs: 100 };
  });
  assert.deepEqual(stallsOf(frozen), [{ startUs: 10_000, durationUs: 30_000, waitUs: 30_000, lagUs: 29_000 }]);
});

test('blocking requests, those behind them, lost and unsent ones are no stalls; error replies are', () => {
  assert.deepEqual(
    stallsOf([
      { atUs: 0, serviceUs: 50_000, blocking: true },
      { atUs: 10, serviceUs: 49_000 },
      { atUs: 20, connection: 1 },
      { atUs: 30, connection: 2, status: OpStatus.unsent },
      { atUs: 60_000, serviceUs: 100 },
    ]),
    [],
  );
  assert.equal(stallsOf([{ atUs: 0, serviceUs: 9000, status: OpStatus.error }]).length, 1);
});

test('of too many the longest are kept, in order of time', () => {
  const many = Array.from({ length: MAX_STALLS + 50 }, (_, i) => ({ atUs: i * 20_000, serviceUs: 3000 + i }));
  const stalls = stallsOf(many);
  assert.equal(stalls.length, MAX_STALLS);
  assert.equal(stalls[0]!.waitUs, 3050);
  assert.deepEqual(
    stalls,
    stalls.toSorted((a, b) => a.startUs - b.startUs),
  );
});
