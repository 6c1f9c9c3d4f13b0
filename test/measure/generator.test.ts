/** How well the generator did its part, from op times and thread figures whose answer is known. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadFolder } from '../../src/measure/folder.ts';
import { assessGenerator, type ThreadHealth } from '../../src/measure/generator.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { hostLoss, readHostCounters } from '../../src/measure/host.ts';
import { JitterProbe } from '../../src/measure/jitter-probe.ts';
import { OpStatus } from '../../src/measure/latency-log.ts';
import { rehearse, writeRehearsal } from '../support/rehearsal.ts';
import { sliceOf } from '../support/slice.ts';
import { temporaryFolder } from '../support/temporary.ts';

function thread(changes: Partial<ThreadHealth> = {}): ThreadHealth {
  return {
    eventLoopDelayUs: { p99: 10, max: 20 },
    gcPauses: { count: 1, totalMs: 2, maxMs: 2 },
    cpuUs: 250_000,
    probe: undefined,
    priority: 'realtime',
    ...changes,
  };
}

const slice = sliceOf(
  [0, 1000, 2000, 3000].map((atUs) => ({ args: ['GET', 'k'], atUs })),
  4000,
);
const times = {
  sentUs: Float64Array.of(10, 1010, 5010, Number.NaN),
  repliedUs: Float64Array.of(20, 1020, 5020, Number.NaN),
  status: Uint8Array.of(OpStatus.replied, OpStatus.replied, OpStatus.lost, OpStatus.unsent),
};

test('lag is our own: an op that waited for its connection to stand again was not late', () => {
  const cpu = { usedUs: 1e6, seconds: 2 };
  const late = assessGenerator(slice, times, [thread()], cpu);
  assert.equal(late.lagUs.max, 3010);
  const outages = [{ connection: 0, fromUs: 1500, untilUs: 5000 }];
  assert.equal(assessGenerator(slice, { ...times, outages }, [thread()], cpu).lagUs.max, 10);
  assert.equal(late.plannedRate, 1000);
  assert.equal(Math.round(late.achievedRate), Math.round(3 / 0.00501));
  assert.deepEqual([late.cpuCores, late.threadCores], [0.5, [0.125]]);
});

test('threads together: the worst loop, the sum of pauses, all probes, and real-time only if all had it', () => {
  const probeOf = (...us: number[]) => {
    const histogram = LatencyHistogram.empty();
    for (const value of us) histogram.record(value);
    return histogram.encode();
  };
  const health = assessGenerator(
    slice,
    times,
    [
      thread({ probe: probeOf(50, 60) }),
      thread({ probe: probeOf(900), eventLoopDelayUs: { p99: 5, max: 99 }, priority: 'normal' }),
    ],
    { usedUs: 1, seconds: 1 },
  );
  assert.equal(health.eventLoopDelayUs.max, 99);
  assert.deepEqual(health.gcPauses, { count: 2, totalMs: 4, maxMs: 2 });
  assert.equal(health.probeUs!.count, 3);
  assert.equal(health.probeUs!.p50, 60);
  assert.equal(health.priority, 'normal');
  const unknown = assessGenerator(slice, times, [thread(), thread({ priority: undefined })], { usedUs: 1, seconds: 1 });
  assert.equal(unknown.priority, undefined);
});

test('what the host took is a share of all time, and a throttling that grew', () => {
  const before = { stolenTicks: 10, ticks: 1000, throttledMs: 5 };
  assert.deepEqual(hostLoss(before, { stolenTicks: 14, ticks: 1400, throttledMs: 25 }), {
    stealShare: 0.01,
    throttledMs: 20,
  });
  const now = readHostCounters();
  assert.ok(now.stolenTicks >= 0 && now.ticks >= now.stolenTicks && now.throttledMs >= 0);
  assert.deepEqual(hostLoss(now, now), { stealShare: 0, throttledMs: 0 });
});

test('the jitter probe tells how late it was woken', async () => {
  await using probe = new JitterProbe();
  let seen = await probe.take();
  while (seen.max === 0) seen = await probe.take();
  assert.ok(seen.p50 <= seen.p99 && seen.p99 <= seen.p999 && seen.p999 <= seen.max);
  probe.begin();
});

test('all that is known of a slice and its host survives the folder', async () => {
  const synthetic = rehearse(() => ({}));
  const { rehearsal } = synthetic;
  const quantiles = { p50: 1, p99: 2, p999: 3, max: 4 };
  Object.assign(rehearsal.settings, { priority: 'realtime', pacing: 'nap', protocol: 3 });
  rehearsal.floor = { ops: 9, responseUs: quantiles, lagUs: quantiles, keepsDoubleRate: true };
  rehearsal.capacity = { baseline: 1, candidate: 2, generator: 3 };
  const { baseline } = rehearsal.rounds[0]!.arms;
  baseline.serverPriority = 'realtime';
  Object.assign(baseline.slices[0]!, {
    ...{ client: 'ioredis', heldByCap: 1, outOfOrder: 2, scriptsResent: 3, connectionLost: '1 of 2 connections lost' },
    outages: { count: 1, longestMs: 2, totalMs: 2 },
    host: { jitterUs: quantiles, stealShare: 0.1, throttledMs: 5 },
  });
  Object.assign(baseline.slices[0]!.generator, {
    ...{ threadCores: [0.1], priority: 'normal', probeUs: { count: 5, ...quantiles } },
  });
  const path = await writeRehearsal(join(temporaryFolder(), 'r'), synthetic, { budget: '' });
  assert.deepEqual((await loadFolder(path)).rehearsal, rehearsal);
});
