/** Captures replayed exactly on real servers: they execute what the captured server executed, scripts' commands included. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { buildModel } from '../../src/model/build.ts';
import { treatmentOf } from '../../src/model/replayable.ts';
import { capturedRateOf, type KEYS, openWorkload } from '../../src/plan/mode.ts';
import type { Plan, Slice } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import type { Workload } from '../../src/plan/workload.ts';
import { startServer } from '../../src/servers/index.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { readAll, tokenizeAll } from '../support/capture.ts';
import { root } from '../support/cli.ts';

const captureOf = (name: string) => join(root, `captures/${name}.monitor.gz`);

async function replayOf(name: string, { seconds, keys }: { seconds?: number; keys?: (typeof KEYS)[number] } = {}) {
  const source = captureOf(name);
  const { model, captured } = await buildModel(source, { keepKeys: true });
  const length = seconds ?? model.source.spanSeconds;
  const workload = await openWorkload({
    ...{ mode: 'exact' as const, keys, source, seed: '1', epochSeconds: Math.floor(Date.now() / 1000) },
    ...{ model, captured },
    ...{ rate: capturedRateOf('exact', model), seconds: length, replica: false },
  });
  // The last op is at the very end.
  return { model, workload, slice: workload.slice(0, 0, length + 0.001) };
}

/** Connected, scripts and preload on the server. */
async function prepare({ address }: RunningServer, { plan }: Workload): Promise<Driver> {
  const driver = await Driver.open(address, plan, { client: 'raw', workers: 1 });
  assert.deepEqual(await driver.load(plan.scripts), {});
  assert.deepEqual((await driver.preload(plan.preload)).errors, {});
  return driver;
}

/** Commands that a rehearsal replays, and how often the server has executed each. */
async function executed(server: RunningServer): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const [name, fields] of Object.entries(await server.info('commandstats'))) {
    const command = name.replace('cmdstat_', '').replace(/\|.*/, '');
    if (treatmentOf(command) !== 'replay') continue;
    counts.set(command, (counts.get(command) ?? 0) + Number(/calls=(\d+)/.exec(fields)![1]));
  }
  return counts;
}

/** Jensen–Shannon divergence, base 2. */
function divergence(a: Map<string, number>, b: Map<string, number>): number {
  const sum = (counts: Map<string, number>) => [...counts.values()].reduce((x, y) => x + y, 0);
  let js = 0;
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const p = (a.get(name) ?? 0) / sum(a);
    const q = (b.get(name) ?? 0) / sum(b);
    if (p > 0) js += (p * Math.log2((2 * p) / (p + q))) / 2;
    if (q > 0) js += (q * Math.log2((2 * q) / (p + q))) / 2;
  }
  return js;
}

const CASES = [
  { name: 'queue', product: 'redis', keys: undefined, errors: {} },
  { name: 'queue', product: 'valkey', keys: 'anonymised', errors: {} },
  { name: 'mixed', product: 'redis', keys: 'anonymised', errors: { NOSCRIPT: 1, WRONGTYPE: 32 } },
  { name: 'mixed', product: 'valkey', keys: undefined, errors: { NOSCRIPT: 1, WRONGTYPE: 32 } },
] as const;

// Nothing is timed: two at once take half as long.
suite('as often as it was captured', { concurrency: 2 }, () => {
  for (const { name, product, keys, errors } of CASES) {
    test(`${name} on ${product}, keys ${keys ?? 'real'}: the server executes what the capture shows`, async (t) => {
      const captured = new Map<string, number>();
      for (const { args } of (await readAll(captureOf(name))).ops) {
        const command = args[0]!.toString('latin1').toLowerCase();
        if (treatmentOf(command) === 'replay') captured.set(command, (captured.get(command) ?? 0) + 1);
      }
      const { model, workload, slice } = await replayOf(name, keys ? { keys } : {});
      await using server = await startServer(`process:${product}-server`, {});
      await using driver = await prepare(server, workload);
      const [before, hitsBefore] = [await executed(server), await server.info('stats')];
      const record = await driver.run(slice);
      const hitsAfter = await server.info('stats');
      const made = new Map(
        [...(await executed(server))].map(([command, n]) => [command, n - (before.get(command) ?? 0)]),
      );
      let total = 0;
      let differences = 0;
      for (const command of new Set([...captured.keys(), ...made.keys()])) {
        total += captured.get(command) ?? 0;
        differences += Math.abs((captured.get(command) ?? 0) - (made.get(command) ?? 0));
      }
      const js = divergence(captured, made);
      const summary = `${differences} of ${total} commands differ, divergence ${js.toExponential(1)}`;
      t.diagnostic(summary);
      assert.ok(differences <= 0.005 * total, summary);
      assert.ok(js <= 0.005, summary);
      // As in the capture's own commandstats.
      assert.deepEqual(record.errors, errors);
      assert.equal(record.lost + record.unsent, 0);
      // Both servers counted, this one and the captured one.
      const [found, missed] = ['keyspace_hits', 'keyspace_misses'].map(
        (counter) => Number(hitsAfter[counter]) - Number(hitsBefore[counter]),
      );
      const { hits, misses } = model.lookups!;
      const ratios = [found! / (found! + missed!), hits / (hits + misses)] as const;
      assert.ok(Math.abs(ratios[0] - ratios[1]) <= 0.01, `hit ratio ${ratios[0]}, captured ${ratios[1]}`);
      // The subscriber of the capture hears all that is published.
      assert.equal(record.messages?.received, captured.get('publish'));
    });
  }
});

test('a server that is watched shows the ops of each connection in their order, transactions in one piece', async () => {
  for (const name of ['queue', 'mixed']) {
    const { workload, slice } = await replayOf(name, { seconds: 2 });
    await using server = await startServer('process:redis-server', {});
    await using driver = await prepare(server, workload);
    const lines = await watch(server, () => driver.run(slice));
    const seen = new Map<string, string[]>();
    for (const { client, text } of lines) seen.set(client, [...(seen.get(client) ?? []), text]);
    const waits = (sequence: string[]) => /^(bzpopmin|xread) /.test(sequence[0]!);
    const shown = [...seen.values()];
    const asked = planned(workload.plan, slice);
    const digests = (sequences: string[][]) => sequences.map((sequence) => sequence.join('\n')).sort();
    assert.deepEqual(
      digests(shown.filter((sequence) => !waits(sequence))),
      digests(asked.filter((sequence) => !waits(sequence))),
    );
    // Behind a command that still waits for data nothing is shown.
    for (const sequence of shown.filter(waits))
      assert.ok(asked.some((whole) => sequence.every((text, i) => text === whole[i])));
    for (const [exec, { client, text }] of lines.entries()) {
      if (text !== 'exec') continue;
      // Queued commands are shown when EXEC runs them, MULTI when it came: others may stand right behind it only.
      let before = exec - 1;
      while (lines[before]?.client === client && lines[before]!.text !== 'multi') before--;
      assert.equal(lines.slice(0, before + 1).findLast((line) => line.client === client)?.text, 'multi');
    }
  }
});

/** What MONITOR shows of clients' commands while `work` is done. */
async function watch({ address }: RunningServer, work: () => Promise<unknown>) {
  const monitor = connect(address.port!, address.host);
  const chunks: Buffer[] = [];
  monitor.write('MONITOR\r\n');
  await once(monitor, 'data');
  monitor.on('data', (chunk) => chunks.push(chunk));
  await work();
  // Lines leave in order: when this one is here, all are.
  const last = connect(address.port!, address.host);
  last.write('ECHO the-end\r\n');
  while (!chunks.at(-1)?.includes('the-end')) await once(monitor, 'data');
  for (const socket of [monitor, last]) socket.destroy();
  return tokenizeAll(chunks).ops.flatMap(({ client, kind, args }) => {
    const text = textOf(args);
    return kind === 'command' && treatmentOf(text.split(' ', 1)[0]!) === 'replay' ? [{ client, text }] : [];
  });
}

const textOf = (args: Uint8Array[]) =>
  args
    .map((arg, i) => (i === 0 ? Buffer.from(arg).toString().toLowerCase() : Buffer.from(arg).toString('latin1')))
    .join(' ');

/** Ops of each connection that has any. */
function planned({ connections }: Plan, slice: Slice): string[][] {
  const sequences: string[][] = connections.map(() => []);
  for (let op = 0; op < slice.count; op++)
    sequences[slice.connection[op]!]!.push(textOf(readCommand(slice.bytes, slice.offset[op]!)));
  return sequences.filter((sequence) => sequence.length > 0);
}
