/** A modelled workload on a real server: it does what the captured one did, inside scripts too. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { buildModel } from '../../src/model/build.ts';
import { divergenceOf } from '../../src/model/fit/clients.ts';
import type { Model } from '../../src/model/model.ts';
import { treatmentOf } from '../../src/model/replayable.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { startServer } from '../../src/servers/index.ts';
import type { RunningServer } from '../../src/servers/server.ts';

const captures = join(import.meta.dirname, '../../captures');

/** Calls by command, subcommands under their command. */
async function callsOf(server: RunningServer): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  for (const [name, fields] of Object.entries(await server.info('commandstats'))) {
    const command = name.replace('cmdstat_', '').split('|')[0]!;
    calls.set(command, (calls.get(command) ?? 0) + Number(/calls=(\d+)/.exec(fields)![1]));
  }
  return calls;
}

/** Commands that a rehearsal replays, scripts' own included. */
function executed(model: Model): Map<string, number> {
  const calls = new Map(Object.entries(model.commands).map(([name, { count }]) => [name, count]));
  for (const [name, count] of Object.entries(model.scriptCommands)) calls.set(name, (calls.get(name) ?? 0) + count);
  for (const name of calls.keys()) if (treatmentOf(name) !== 'replay') calls.delete(name);
  return calls;
}

async function replay(capture: string, seconds: number) {
  const { model } = await buildModel(join(captures, capture));
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: Math.floor(Date.now() / 1000) });
  await using server = await startServer('process:redis-server', {});
  await using driver = await Driver.open(server.address, synthesis.plan, { client: 'raw', workers: 1 });
  assert.deepEqual(await driver.load(synthesis.plan.scripts), {});
  assert.deepEqual((await driver.preload(synthesis.plan.preload)).errors, {});
  const [before, statsBefore] = [await callsOf(server), await server.info('stats')];
  const record = await driver.run(synthesis.slice(0, 0, seconds));
  const [after, statsAfter] = [await callsOf(server), await server.info('stats')];
  const calls = new Map(
    [...executed(model).keys()].map((name) => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)]),
  );
  const delta = (name: string) => Number(statsAfter[name]) - Number(statsBefore[name]);
  const hits = delta('keyspace_hits');
  return { model, record, calls, hitRatio: hits / (hits + delta('keyspace_misses')) };
}

// Nothing is timed: both at once.
suite('modelled on a real server', { concurrency: 2 }, () => {
  test('a queue of jobs: scripts execute the commands that they executed, without errors', async () => {
    const { model, record, calls } = await replay('queue.monitor.gz', 14);
    assert.ok(divergenceOf(calls, executed(model)) <= 0.02, JSON.stringify([...calls]));
    assert.deepEqual(record.errors, {});
  });

  test('sessions: reads find what they found', async () => {
    const { model, record, calls, hitRatio } = await replay('sessions.monitor.gz', 10);
    assert.ok(divergenceOf(calls, executed(model)) <= 0.005);
    // The server counted 11,999 hits and 54 misses while the capture was taken.
    assert.ok(Math.abs(hitRatio - 11_999 / 12_053) <= 0.01, `hit ratio ${hitRatio}`);
    assert.deepEqual(record.errors, {});
  });

  test('a web shop: caches miss, locks are released and carts are found as often as they were', async () => {
    const { model, record, calls, hitRatio } = await replay('mixed.monitor.gz', 13);
    assert.ok(divergenceOf(calls, executed(model)) <= 0.005);
    // The server counted 6,120 hits and 1,932 misses while the capture was taken.
    assert.ok(Math.abs(hitRatio - 6_120 / 8_052) <= 0.01, `hit ratio ${hitRatio}`);
    // Releasing a lock deletes it: as often as captured, for the script is told the token that SET stored.
    const deleted = model.scriptCommands.del!;
    const done = calls.get('del')! - model.commands.del!.count;
    assert.ok(Math.abs(done - deleted) <= 0.1 * deleted, `${done} of ${deleted} locks released`);
    assert.deepEqual(Object.keys(record.errors), ['WRONGTYPE']);
  });
});
