/** Shards of a plan: together they send what one machine would, and each knows which part is its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { openWorkload } from '../../src/plan/mode.ts';
import type { Slice } from '../../src/plan/plan.ts';
import { digestOf, parseShard, ShardedWorkload, shardFromEnvironment } from '../../src/plan/shard.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';

const capture = join(import.meta.dirname, '../../captures/queue.monitor.gz');
const { model, captured } = await buildModel(capture, { keepKeys: true });

test('the number counts from 1, as it is said', () => {
  assert.deepEqual(parseShard('1/3'), { number: 1, count: 3 });
  assert.deepEqual(parseShard('12/12'), { number: 12, count: 12 });
  for (const text of ['0/3', '4/3', '1', '1/0', 'a/b', '1/3/2', '-1/3', '1.5/3', '']) {
    assert.throws(() => parseShard(text), { code: 'E_SHARD', message: /no part of a whole/ }, text);
  }
});

test('schedulers count from where they like', () => {
  const shardOf = (environment: Record<string, string>) => shardFromEnvironment(environment)?.shard;
  assert.equal(shardOf({}), undefined);
  assert.deepEqual(shardOf({ JOB_COMPLETION_INDEX: '0', JOB_COMPLETIONS: '3' }), { number: 1, count: 3 });
  assert.deepEqual(shardOf({ AWS_BATCH_JOB_ARRAY_INDEX: '2', AWS_BATCH_JOB_ARRAY_SIZE: '3' }), { number: 3, count: 3 });
  const slurm = { SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_STEP: '5', SLURM_ARRAY_TASK_COUNT: '4' };
  assert.deepEqual(shardOf({ SLURM_ARRAY_TASK_ID: '20', ...slurm }), { number: 3, count: 4 });
  assert.deepEqual(shardOf({ SLURM_ARRAY_TASK_ID: '1', SLURM_ARRAY_TASK_COUNT: '2' }), { number: 2, count: 2 });
  for (const environment of [
    { JOB_COMPLETION_INDEX: '0' },
    { JOB_COMPLETION_INDEX: '3', JOB_COMPLETIONS: '3' },
    { JOB_COMPLETION_INDEX: 'x', JOB_COMPLETIONS: '3' },
    { SLURM_ARRAY_TASK_ID: '22', ...slurm },
  ]) {
    assert.throws(() => shardOf(environment), { code: 'E_SHARD', message: /does not tell of how many/ });
  }
});

/** Ops per connection of the whole, as text. */
function opsOf(slice: Slice, connectionOf: (connection: number) => number): Map<number, string[]> {
  const ops = new Map<number, string[]>();
  for (let op = 0; op < slice.count; op++) {
    const connection = connectionOf(slice.connection[op]!);
    const bytes = Buffer.from(slice.bytes.subarray(slice.offset[op], slice.offset[op + 1])).toString('latin1');
    const own = ops.get(connection) ?? [];
    ops.set(connection, own);
    own.push(`${slice.intendedUs[op]} ${slice.label[op]} ${slice.flags[op]} ${bytes}`);
  }
  return ops;
}

for (const mode of ['modelled', 'exact'] as const) {
  test(`${mode}: the shards together send what one machine would, connection by connection`, async () => {
    const request = {
      ...{ mode, keys: undefined, source: capture, seed: '1', epochSeconds: 1_800_000_000, replica: false },
      ...{ model, captured },
      ...{ rate: Synthesis.capturedRate(model), seconds: 3 },
    };
    const whole = await openWorkload(request);
    const count = 3;
    const shards = await Promise.all(
      [1, 2, 3].map(async (number) => new ShardedWorkload(await openWorkload(request), { number, count })),
    );
    // Windows are asked for in order, as a round does.
    for (const [from, seconds] of [
      [0, 1],
      [1, 2],
    ] as const) {
      const slice = whole.slice(0, from, seconds);
      const parts = shards.map((shard) => shard.slice(0, from, seconds));
      const together = new Map(parts.flatMap((part, i) => [...opsOf(part, (connection) => connection * count + i)]));
      assert.deepEqual(
        together,
        opsOf(slice, (connection) => connection),
      );
      assert.ok(parts.every(({ count: ops, seed }) => ops > 0 && seed === slice.seed));
      const ties = parts.reduce((sum, { order }) => sum + (order?.after.length ?? 0), 0);
      assert.ok(ties <= (slice.order?.after.length ?? 0));
      for (const { order, count: ops } of parts) {
        if (!order) continue;
        assert.equal(order.from.length, ops + 1);
        for (let op = 0; op < ops; op++)
          for (let tie = order.from[op]!; tie < order.from[op + 1]!; tie++) assert.ok(order.after[tie]! < op);
      }
    }
    assert.deepEqual(
      shards.map(({ plan }) => plan.preload.commands),
      [whole.plan.preload.commands, 0, 0],
    );
    const connections = shards.reduce((sum, { plan }) => sum + plan.connections.length, 0);
    assert.equal(connections, whole.plan.connections.length);
    const [caveat] = shards[1]!.sliceCaveats();
    assert.match(caveat!.message, /times an op follows one that another shard sends/);
  });
}

test('ties within a shard are kept, ties to others are counted', () => {
  const op = (connection: number) => connection;
  const connection = Uint16Array.from([0, 1, 2, 3, 1, 0].map(op));
  const slice: Slice = {
    ...{ seed: 's', durationUs: 1e6, count: 6, intendedUs: new Float64Array(6), connection, label: new Uint16Array(6) },
    ...{ flags: new Uint8Array(6), offset: new Uint32Array(7), bytes: new Uint8Array(0) },
    // 4 follows 1 and 3 and 0; 5 follows 2 and 4.
    order: {
      from: Uint32Array.from([0, 0, 0, 0, 0, 3, 5]),
      after: Uint32Array.from([1, 3, 0, 2, 4]),
      delayUs: Uint32Array.from([10, 20, 30, 40, 50]),
    },
  };
  const plan = {
    ...{ seed: 's', rate: 1, labels: [], scripts: [], connections: Array.from({ length: 4 }, () => ({ db: 0 })) },
    preload: { commands: 0, keys: 0, logicalBytes: 0, databases: [] },
  };
  const whole = { plan, caveats: [], slice: () => slice };
  const [odd, even] = [1, 2].map((number) => new ShardedWorkload(whole, { number, count: 2 }));
  const [first, second] = [odd!.slice(0, 0, 1), even!.slice(0, 0, 1)];
  assert.deepEqual([...first.order!.from], [0, 0, 0, 1]);
  assert.deepEqual([[...first.order!.after], [...first.order!.delayUs]], [[1], [40]]);
  assert.deepEqual([...second.order!.from], [0, 0, 0, 2]);
  assert.deepEqual(
    [[...second.order!.after], [...second.order!.delayUs]],
    [
      [0, 1],
      [10, 20],
    ],
  );
  assert.deepEqual(odd!.sliceCaveats()[0]!.numbers, { count: 1 });
  assert.deepEqual(even!.sliceCaveats()[0]!.numbers, { count: 1 });
  assert.throws(() => new ShardedWorkload(whole, { number: 1, count: 5 }), {
    code: 'E_SHARD',
    message: /4 connections/,
  });
});

test('one fingerprint for parts of one plan, another for any other', () => {
  const digest = (seed: string, epochSeconds: number) =>
    digestOf(new Synthesis(model, { seed, epochSeconds }).plan, { mode: 'modelled', epochSeconds });
  assert.equal(digest('1', 5), digest('1', 5));
  assert.notEqual(digest('1', 5), digest('1', 6));
  assert.notEqual(digest('1', 5), digest('2', 5));
});
