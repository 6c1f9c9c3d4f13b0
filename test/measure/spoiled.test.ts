/** What spoils a slice is the generator's or the host's doing, never the server's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SliceResult } from '../../src/measure/rehearsal.ts';
import { spoiledBy } from '../../src/measure/spoiled.ts';
import { rehearse } from '../support/rehearsal.ts';

const ordinary = rehearse(() => ({})).rehearsal.rounds[0]!.arms.candidate.slices[0]!;
const generator = (change: Partial<SliceResult['generator']>) => ({
  ...ordinary,
  generator: { ...ordinary.generator, ...change },
});
const host = (change: Partial<NonNullable<SliceResult['host']>>) => ({
  ...ordinary,
  host: { jitterUs: { p50: 1, p99: 1, p999: 1, max: 1 }, stealShare: 0, throttledMs: 0, ...change },
});

test('a slice in which nothing went wrong', () => {
  assert.equal(spoiledBy(ordinary), undefined);
  assert.equal(spoiledBy(host({})), undefined);
});

test('a standstill of more than a hundredth of the slice', () => {
  assert.equal(spoiledBy(generator({ eventLoopDelayUs: { p99: 100, max: 29_000 } })), undefined);
  const frozen = { eventLoopDelayUs: { p99: 100, max: 45_000 } };
  assert.equal(spoiledBy(generator(frozen)), 'the generator stood still for 45 ms of 3.0 s');
  assert.match(
    spoiledBy(generator({ ...frozen, gcPauses: { count: 1, totalMs: 40, maxMs: 40 } }))!,
    /, for garbage collection$/,
  );
});

test('a generator that is busy with the replies after a stall of the server is not to blame', () => {
  const busy = generator({ eventLoopDelayUs: { p99: 100, max: 45_000 } });
  const stall = { startUs: 0, durationUs: 400_000, waitUs: 400_000, lagUs: 20 };
  assert.equal(spoiledBy({ ...busy, stalls: [stall] }), undefined);
  assert.notEqual(spoiledBy({ ...busy, stalls: [{ ...stall, lagUs: 390_000 }] }), undefined);
  assert.notEqual(spoiledBy({ ...busy, stalls: [{ ...stall, waitUs: 6000 }] }), undefined);
});

test('a CPU limit and a hypervisor that take the processor away', () => {
  assert.equal(spoiledBy(host({ throttledMs: 20, stealShare: 0.02 })), undefined);
  assert.equal(spoiledBy(host({ throttledMs: 100 })), 'a CPU limit stopped us for 100 ms of 3.0 s');
  assert.equal(spoiledBy(host({ stealShare: 0.08 })), 'the hypervisor gave 8 % of the processor to others');
});
