/** Time lines: each op in its bin, waits that cross bins, ops that count for nothing, and the file they are kept in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { OpStatus, type OpTimes, summarize } from '../../src/measure/latency-log.ts';
import { readTimeline, timelineOf, writeTimeline } from '../../src/measure/timeline.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

interface Done extends Partial<TestOp> {
  atUs: number;
  lagUs?: number;
  serviceUs?: number;
  status?: number;
}

function record(ops: Done[], durationUs: number) {
  const sorted = ops.toSorted((a, b) => a.atUs - b.atUs);
  const slice = sliceOf(
    sorted.map((op) => ({ args: ['GET', 'k'], ...op })),
    durationUs,
  );
  const sentUs = sorted.map(({ atUs, lagUs = 0, status }) => (status === OpStatus.unsent ? Number.NaN : atUs + lagUs));
  const times: OpTimes = {
    sentUs: Float64Array.from(sentUs),
    repliedUs: Float64Array.from(sorted, ({ serviceUs = 100, status = OpStatus.replied }, op) =>
      status > OpStatus.sent ? sentUs[op]! + serviceUs : Number.NaN,
    ),
    status: Uint8Array.from(sorted, ({ status = OpStatus.replied }) => status),
  };
  return { slice, times, timeline: timelineOf(slice, times) };
}

test('an op counts as sent, as answered and as due in the bins of those times', () => {
  const { timeline } = record([{ atUs: 90_000, lagUs: 20_000, serviceUs: 150_000 }, { atUs: 1_950_000 }], 3e6);
  assert.equal(timeline.binUs, 100_000);
  assert.equal(timeline.sent.length, 30);
  assert.deepEqual([timeline.sent.indexOf(1), timeline.answered.indexOf(1)], [1, 2]);
  assert.deepEqual(
    [timeline.p50Us[0], timeline.p99Us[0], timeline.maxUs[0], timeline.maxUs[1]],
    [170_000, 170_000, 170_000, null],
  );
  assert.equal(timeline.maxUs[19], 100);
});

test('a stall shows as waiting that grows until it is over', () => {
  const ops = Array.from({ length: 30 }, (_, i) => ({ atUs: i * 100_000 + 50_000 }));
  const stalled = ops.map((op, i) => (i >= 10 && i < 14 ? { ...op, serviceUs: 1_460_000 - op.atUs } : op));
  const { timeline } = record(stalled, 3e6);
  assert.deepEqual(timeline.waitUs.slice(9, 15), [0, 50_000, 150_000, 250_000, 350_000, 0]);
  assert.deepEqual(timeline.answered.slice(9, 15), [1, 0, 0, 0, 0, 5]);
});

test('errors are answers without latency; what got no reply waits to the end; blocking ops do not wait', () => {
  const { timeline } = record(
    [
      { atUs: 0, status: OpStatus.error },
      { atUs: 2_850_000, status: OpStatus.sent },
      { atUs: 100_000, connection: 1, blocking: true, status: OpStatus.sent },
      { atUs: 200_000, connection: 1, status: OpStatus.sent },
    ],
    3e6,
  );
  assert.deepEqual([timeline.answered[0], timeline.maxUs[0]], [1, null]);
  assert.deepEqual(timeline.waitUs.slice(27), [0, 50_000, 150_000]);
  assert.equal(Math.max(...timeline.waitUs.slice(0, 28)), 0);
});

test('short and long slices get as many bins as a picture needs', () => {
  for (const [durationUs, binUs] of [
    [200_000, 10_000],
    [1e6, 50_000],
    [3e6, 100_000],
    [30e6, 100_000],
    [600e6, 2_000_000],
  ]) {
    const { timeline } = record([{ atUs: 0 }], durationUs!);
    assert.equal(timeline.binUs, binUs, `${durationUs}`);
    assert.ok(timeline.sent.length >= 20 && timeline.sent.length <= 300);
  }
});

const arbitraryOps = fc.array(
  fc.record({
    atUs: fc.integer({ min: 0, max: 2_999_999 }),
    lagUs: fc.integer({ min: 0, max: 50_000 }),
    serviceUs: fc.integer({ min: 1, max: 900_000 }),
    status: fc.constantFrom(...Object.values(OpStatus)),
    connection: fc.integer({ min: 0, max: 2 }),
    blocking: fc.boolean(),
  }),
  { minLength: 1, maxLength: 60 },
);

test('the longest response of all bins is the histogram’s, and each op is sent once', () => {
  fc.assert(
    fc.property(arbitraryOps, (ops) => {
      const { slice, times, timeline } = record(ops, 3e6);
      const [histograms] = summarize(slice, times, [{ family: 'f', command: 'get' }]);
      const longest = histograms?.response ?? LatencyHistogram.empty();
      assert.equal(Math.max(0, ...timeline.maxUs.map(Number)), longest.max);
      const sent = times.sentUs.filter((us) => us < 3e6).length;
      assert.equal(
        timeline.sent.reduce((sum, n) => sum + n, 0),
        sent,
      );
    }),
  );
});

test('the file gives back what was written, and a damaged one is refused', () => {
  const { timeline } = record([{ atUs: 90_000 }, { atUs: 1_000_000 }], 3e6);
  assert.deepEqual(readTimeline(writeTimeline(timeline)), timeline);
  for (const text of ['', '{}', writeTimeline({ ...timeline, sent: [] }), writeTimeline(timeline).slice(0, -9)]) {
    assert.throws(() => readTimeline(text), { code: 'E_TIMELINE' });
  }
});
