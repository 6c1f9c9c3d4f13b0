/** Shards against a server whose truth is known: together they measure what one generator does, at the agreed time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { assertAhead, defaultStart, ShardSchedule } from '../../src/drive/shard-schedule.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { type LabelledHistograms, summarize } from '../../src/measure/latency-log.ts';
import { ShardedWorkload } from '../../src/plan/shard.ts';
import type { Workload } from '../../src/plan/workload.ts';
import { startFakeServer } from '../support/fake-server.ts';
import { sliceOf } from '../support/slice.ts';

const CONNECTIONS = 12;
const COMMANDS = ['GET', 'SET', 'DEL'];
const DELAY_MS = 5;
const ops = Array.from({ length: 1200 }, (_, i) => ({
  args: [COMMANDS[i % 3]!, `k${i}`],
  atUs: i * 500,
  connection: (i * 7) % CONNECTIONS,
  label: i % 3,
}));
const whole: Workload = {
  plan: {
    ...{ seed: '1', rate: 2000, scripts: [], labels: COMMANDS.map((command) => ({ family: 'k', command })) },
    connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
    preload: { commands: 0, keys: 0, logicalBytes: 0, databases: [] },
  },
  caveats: [],
  slice: () => sliceOf(ops, 600_000),
};

async function measure(workload: Workload, port: number, startAtMs: number) {
  await using driver = await Driver.open({ host: '127.0.0.1', port }, workload.plan, { client: 'raw', workers: 1 });
  const slice = workload.slice(0, 0, 1);
  const record = await driver.run(slice, { startAtMs });
  return { record, entries: summarize(slice, record, workload.plan.labels) };
}

/** Per label how many latencies there are, and which the shortest is. */
const figuresOf = (logs: LabelledHistograms[][]) =>
  COMMANDS.map((command) => {
    const service = LatencyHistogram.empty();
    for (const entries of logs) for (const entry of entries) if (entry.command === command) service.add(entry.service);
    return { command, count: service.count, min: service.min };
  });

test('the same ops, counts and labels, and the server’s truth', async () => {
  await using server = await startFakeServer({ delayMs: DELAY_MS });
  const startAtMs = Date.now() + 1500;
  const shards = [1, 2, 3].map((number) => new ShardedWorkload(whole, { number, count: 3 }));
  const parts = await Promise.all(shards.map((shard) => measure(shard, server.port, startAtMs)));
  const one = await measure(whole, server.port, 0);
  const sum = (of: 'planned' | 'replied' | 'lost' | 'unsent') =>
    parts.reduce((total, { record }) => total + record[of], 0);
  assert.deepEqual([sum('planned'), sum('replied'), sum('lost'), sum('unsent')], [ops.length, ops.length, 0, 0]);
  const [together, alone] = [figuresOf(parts.map(({ entries }) => entries)), figuresOf([one.entries])];
  for (const [i, { command, count, min }] of together.entries()) {
    assert.deepEqual({ command, count }, { command: alone[i]!.command, count: alone[i]!.count });
    // Whoever sent it, no reply can come before it left the server.
    for (const us of [min, alone[i]!.min]) assert.ok(us >= DELAY_MS * 1000 * 0.999, `${us} µs`);
  }
  for (const { record } of parts) assert.ok(record.startedAtMs >= startAtMs);
});

test('a schedule is the same for all, by the clock of the baseline', async () => {
  const timing = { startAtMs: Date.now() + 300, gapSeconds: 2, slicePairs: 2, sliceSeconds: 3, warmupSeconds: 1 };
  const preload = { commands: 40_000, logicalBytes: 10e6 };
  const at = (aheadMs: number) => ({
    info: async () => ({ server_time_usec: String(Math.round((Date.now() + aheadMs) * 1000)) }),
  });
  const { signal } = new AbortController();
  const [right, slow] = [0, 5000].map(() => new ShardSchedule({ ...timing, preload }));
  await right!.begin(0, at(0), signal);
  assert.ok(Date.now() >= timing.startAtMs - 50);
  // A machine five seconds behind the baseline: by its own clock everything is five seconds sooner, so this is late.
  await assert.rejects(slow!.begin(0, at(5000), signal), { code: 'E_SHARD_LATE' });
  assert.ok(Math.abs(slow!.clockOffsetMs - 5000) < 1000);
  // Two gaps and twice (two seconds of commands, one of bytes), then the warm-ups, then the slices.
  const startOf = (round: number, step: number) => (right!.startOf(round, step) - right!.startOf(0, 0)) / 1000;
  assert.deepEqual(
    [0, 1, 2, 3, 5].map((step) => startOf(0, step)),
    [0, 3, 6, 11, 21],
  );
  assert.equal(startOf(1, 0), right!.laterSeconds(1));
  assert.ok(right!.laterSeconds(1) >= 8 + 26 + 2);
  assert.equal(right!.lateness(0, 2, right!.startOf(0, 2) + 90), undefined);
  assert.match(right!.lateness(0, 2, right!.startOf(0, 2) + 600)!, /600 ms late: a longer --shard-gap/);
  const untold = new ShardSchedule({ ...timing, startAtMs: Date.now() + 50, preload });
  await untold.begin(0, { info: async () => ({}) }, signal);
  assert.equal(untold.clockOffsetMs, 0);
  assert.deepEqual(
    untold.caveats().map(({ id }) => id),
    ['shard-clock'],
  );
  assert.deepEqual(slow!.caveats(), []);
});

test('without a start, shards begin at the full minute that leaves time to get ready', () => {
  const minute = Date.UTC(2026, 10, 23, 14, 5);
  assert.equal(defaultStart(minute), minute + 60_000);
  assert.equal(defaultStart(minute + 39_000), minute + 60_000);
  assert.equal(defaultStart(minute + 41_000), minute + 120_000);
  assert.throws(() => assertAhead(minute, minute + 1500), { code: 'E_SHARD_LATE', message: /1\.5 s ago/ });
  assertAhead(minute, minute);
});
