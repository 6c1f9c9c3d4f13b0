/** The memory protocol on real servers: what it says is there is there, and only servers that we started are touched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canDefragment, measureMemory, settledSample } from '../../src/drive/memory-protocol.ts';
import { heldBytes } from '../../src/measure/process-memory.ts';
import { ARMS, COURSE_PHASES } from '../../src/measure/rehearsal.ts';
import type { Preload } from '../../src/plan/plan.ts';
import { creation } from '../../src/plan/preload/contents.ts';
import { Sampler, stream } from '../../src/plan/random.ts';
import { RespWriter } from '../../src/plan/resp.ts';
import { startServer } from '../../src/servers/index.ts';

/** 600 keys in two databases, a third of them with an expiry of one second. */
function preloadOf(): Preload {
  const databases = [0, 3].map((db) => {
    const writer = new RespWriter();
    let commands = 0;
    for (let i = 0; i < 300; i++) {
      const type = (['string', 'hash', 'zset'] as const)[i % 3]!;
      const contents = {
        type,
        valueBytes: new Sampler([[100 + i, 1]], 100),
        ttlSeconds: i % 3 === 0 ? new Sampler([[1, 1]], 1) : undefined,
        elements: new Map<string, boolean>(),
      };
      for (const command of creation(`key:${i}`, contents, stream('values', db, i))) {
        writer.begin(command.length);
        for (const argument of command) writer.text(argument);
        commands++;
      }
    }
    return { db, commands, chunks: () => [writer.view()] };
  });
  return { commands: 0, keys: 600, logicalBytes: 1, databases };
}

test('both servers go through all phases with the same data, none of it lost', async () => {
  const courses = await measureMemory({
    specs: { baseline: 'process:redis-server', candidate: 'process:valkey-server' },
    limits: {},
    plan: { preload: preloadOf(), seed: '1' },
    ...{ round: 0, order: ['candidate', 'baseline'], rate: 500, saveSeconds: 0.3, idleSeconds: 0.05, leastBytes: 0 },
    signal: new AbortController().signal,
    onStage: () => {},
  });
  for (const arm of ARMS) {
    const { phases, plannedKeys, errors, save, idleRss, churnRss, copies } = courses[arm];
    assert.deepEqual(Object.keys(phases), [...COURSE_PHASES]);
    assert.deepEqual(errors, {});
    assert.equal(copies, 1);
    for (const phase of COURSE_PHASES) {
      assert.equal(phases[phase]!.keys, plannedKeys[phase], `${arm} ${phase}`);
      assert.equal(phases[phase]!.logicalBytes, courses.baseline.phases[phase]!.logicalBytes);
      assert.ok(phases[phase]!.rssBytes > 0);
    }
    assert.equal(phases.fill!.keys, 600);
    assert.equal(phases.churn!.logicalBytes, phases.fill!.logicalBytes);
    assert.equal(phases.delete!.keys, 300);
    assert.ok(phases.refill!.logicalBytes > phases.fill!.logicalBytes);
    assert.ok(idleRss.length > 0);
    assert.ok(
      churnRss.length > 2 &&
        churnRss.every(({ writtenBytes }, i) => i === 0 || writtenBytes > churnRss[i - 1]!.writtenBytes),
    );
    assert.ok(save!.forkUs > 0 && save!.rssPeakBytes > 0 && save!.seconds > 0);
    if (process.platform === 'linux') assert.ok(save!.processPeakBytes! > 0);
  }
});

test('trying active defragmentation leaves the setting as it was', async () => {
  await using server = await startServer('process:redis-server');
  const before = (await server.config())!.activedefrag;
  assert.equal(typeof (await canDefragment(server)), 'boolean');
  assert.equal((await server.config())!.activedefrag, before);
  const sample = await settledSample(server, 7);
  assert.equal(sample.logicalBytes, 7);
  assert.ok(sample.rssBytes > 2 ** 20 && sample.datasetBytes! > 0);
});

test('memory of a process is read where the system has it, and of none is not', async () => {
  if (process.platform === 'linux') {
    const bytes = await heldBytes(process.pid);
    assert.ok(bytes !== undefined && Math.abs(bytes / process.memoryUsage.rss() - 1) < 0.5, String(bytes));
  }
  assert.equal(await heldBytes(2 ** 31 - 1), undefined);
});
