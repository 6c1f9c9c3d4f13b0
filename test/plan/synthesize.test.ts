/** Model + seed → bytes: the same everywhere, faithful to the mix, and what a real server accepts. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { buildHalves, buildModel } from '../../src/model/build.ts';
import { fidelityOf } from '../../src/plan/fidelity/fidelity.ts';
import { monitorLines } from '../../src/plan/monitor-log.ts';
import { OpFlag } from '../../src/plan/plan.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { startServer } from '../../src/servers/index.ts';
import { tokenizeAll } from '../support/capture.ts';
import { type Line, modelOf, sequence } from '../support/workload.ts';

const captures = join(import.meta.dirname, '../../captures');
const options = { seed: '1', epochSeconds: 1_800_000_000 };
const textOf = (synthesis: Synthesis, seconds: number) => [
  ...monitorLines(synthesis.plan, synthesis.slice(0, 0, seconds), options.epochSeconds),
];

for (const name of ['sessions', 'queue', 'mixed']) {
  test(`${name}: same seed, same bytes; another seed, others`, async () => {
    const { model } = await buildModel(join(captures, `${name}.monitor.gz`));
    const digest = (seed: string, round: number) =>
      createHash('sha256')
        .update(new Synthesis(model, { ...options, seed }).slice(round, 0, 2).bytes)
        .digest('hex');
    assert.equal(digest('1', 0), digest('1', 0));
    assert.notEqual(digest('1', 0), digest('2', 0));
    assert.notEqual(digest('1', 0), digest('1', 1));
  });

  test(`${name}: the mix is the capture's, the arrays are consistent`, async () => {
    const path = join(captures, `${name}.monitor.gz`);
    const { model } = await buildModel(path);
    const halves = await buildHalves([path], model);
    for (const row of fidelityOf(model, halves)) assert.notEqual(row.outcome, 'missed', JSON.stringify(row));
    const synthesis = new Synthesis(model, { ...options, rate: 5000 });
    const slice = synthesis.slice(0, 0, 4);
    assert.ok(Math.abs(slice.count - 20_000) < 1500, `${slice.count} ops of 20,000`);
    for (let i = 1; i < slice.count; i++) {
      assert.ok(slice.intendedUs[i]! >= slice.intendedUs[i - 1]!);
      assert.ok(slice.offset[i]! > slice.offset[i - 1]!);
    }
    assert.equal(slice.offset[slice.count], slice.bytes.length);
    assert.ok(slice.intendedUs[slice.count - 1]! < slice.durationUs);
    // What is printed as a MONITOR log is read back as the same commands.
    const lines = textOf(synthesis, 0.5);
    const { ops, tokenizer } = tokenizeAll([Buffer.from(`${lines.join('\n')}\n`)]);
    assert.equal(tokenizer.rejects.size, 0);
    assert.equal(ops.length, lines.length);
  });
}

test('what is replayed is accepted by a real server but for the errors that the capture has too', async () => {
  await using server = await startServer('process:redis-server', {});
  for (const name of ['sessions', 'queue', 'mixed']) {
    const { model } = await buildModel(join(captures, `${name}.monitor.gz`));
    const synthesis = new Synthesis(model, { ...options, epochSeconds: Math.floor(Date.now() / 1000) });
    const client = new Redis({ host: server.address.host, port: server.address.port, retryStrategy: () => null });
    await client.flushall();
    for (const { body, kind } of synthesis.plan.scripts)
      if (kind === 'script') await client.call('SCRIPT', 'LOAD', Buffer.from(body));
    const send = async (db: number, args: Buffer[]) => {
      await client.select(db);
      return client.call(args[0]!.toString(), ...args.slice(1)).catch((error: Error) => error);
    };
    for (const { db, chunks } of synthesis.plan.preload.databases) {
      for (const args of [...chunks()].flatMap((bytes) => [...commandsOf(bytes)]))
        assert.ok(!((await send(db, args)) instanceof Error), args.slice(0, 3).join(' '));
    }
    const slice = synthesis.slice(0, 0, 2);
    let errors = 0;
    for (let i = 0; i < slice.count; i++) {
      if (slice.flags[i]! & OpFlag.blocking) continue;
      const [args] = commandsOf(slice.bytes.subarray(slice.offset[i]!, slice.offset[i + 1]!));
      const reply = await send(synthesis.plan.connections[slice.connection[i]!]!.db, args!);
      if (reply instanceof Error) errors++;
    }
    // The mixed capture holds deliberate type errors, about two in a thousand.
    assert.ok(errors <= slice.count * 0.01, `${name}: ${errors} errors in ${slice.count} ops`);
    client.disconnect();
  }
});

test('what a client missed is gone for all until one makes it', async () => {
  const lines: Line[] = [];
  for (let i = 0; i < 200; i++) {
    const atUs = 1_700_000_000e6 + i * 50_000;
    // What one connection misses, it or the other fills.
    const [client, other] = i % 2 === 0 ? ['10.0.0.1:1', '10.0.0.2:2'] : ['10.0.0.2:2', '10.0.0.1:1'];
    lines.push({ atUs, client, args: ['get', `page:${i}`] });
    lines.push({ atUs: atUs + 9000, client: i % 8 === 0 ? client : other, args: ['set', `page:${i}`, 'v'] });
    lines.push({ atUs: atUs + 20_000, client, args: ['get', `page:${i}`] });
    lines.push({ atUs: atUs + 30_000, client: other, args: ['get', `page:${i}`] });
  }
  const hitRatio = (ops: [string, string][]) => {
    const made = new Set<string>();
    let [reads, hits] = [0, 0];
    for (const [command, key] of ops) {
      if (command === 'set') made.add(key);
      else reads++;
      if (command === 'get' && made.has(key)) hits++;
    }
    return hits / reads;
  };
  const synthesis = new Synthesis(await modelOf(lines), options);
  assert.equal(synthesis.plan.preload.keys, 0);
  const replayed = hitRatio(
    textOf(synthesis, 9).map((line) => {
      const [, command, key] = /"(get|set)" "(.*?)"/.exec(line)!;
      return [command!, key!];
    }),
  );
  assert.ok(Math.abs(replayed - 2 / 3) <= 0.05, `${replayed} found, two of three captured`);
});

test('unknown scripts are replayed as what they did, and that is said', async () => {
  const lines: Line[] = [];
  for (let i = 0; i < 40; i++) {
    lines.push({ atUs: 1_700_000_000e6 + i * 5000, args: ['evalsha', 'f'.repeat(40), '1', `k:${i}`] });
    lines.push({ atUs: 1_700_000_000e6 + i * 5000 + 100, client: 'lua', args: ['hget', `k:${i}`, 'field'] });
    lines.push({ atUs: 1_700_000_000e6 + i * 5000 + 200, client: 'lua', args: ['hset', `k:${i}`, 'field', 'x'] });
  }
  const synthesis = new Synthesis(await modelOf(lines), options);
  assert.deepEqual(
    synthesis.caveats.map((caveat) => caveat.id),
    ['scripts-unknown'],
  );
  const text = textOf(synthesis, 2).join('\n');
  assert.match(text, /"hget" "k:\d+" "field"/);
  assert.doesNotMatch(text, /evalsha/);
});

test('administration is left out and listed', async () => {
  const synthesis = new Synthesis(
    await modelOf(sequence([['get', 'a'], ['keys', '*'], ['get', 'b'], ['shutdown']])),
    options,
  );
  assert.deepEqual(
    synthesis.caveats.map((caveat) => [caveat.id, caveat.numbers]),
    [['commands-left-out', { keys: 1, shutdown: 1 }]],
  );
  assert.doesNotMatch(textOf(synthesis, 5).join('\n'), /keys|shutdown/);
});

test('expiries that do not follow the workload are said', async () => {
  const model = await modelOf(sequence(Array.from({ length: 50 }, (_, i) => ['set', `k:${i}`, 'v', 'EX', '60'])));
  const captured = Synthesis.capturedRate(model);
  const idsAt = (rate: number) => new Synthesis(model, { ...options, rate }).caveats.map(({ id }) => id);
  assert.deepEqual(idsAt(captured), []);
  assert.deepEqual(idsAt(4 * captured), ['expiries-real-time']);
});

/** Arguments of each command in some RESP bytes. */
function commandsOf(bytes: Uint8Array): Buffer[][] {
  const buffer = Buffer.from(bytes);
  const commands: Buffer[][] = [];
  let at = 0;
  const number = () => {
    const end = buffer.indexOf('\r\n', at);
    const value = Number(buffer.toString('latin1', at + 1, end));
    at = end + 2;
    return value;
  };
  while (at < buffer.length) {
    commands.push(
      Array.from({ length: number() }, () => {
        const length = number();
        const argument = buffer.subarray(at, at + length);
        at += length + 2;
        return argument;
      }),
    );
  }
  return commands;
}
