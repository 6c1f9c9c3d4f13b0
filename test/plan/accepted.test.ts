/** Calls with options, consumer groups and times of all kinds, captured without what came before → planned ones that real servers accept. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { buildModel } from '../../src/model/build.ts';
import type { Model } from '../../src/model/model.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { ArgumentDisguise } from '../../src/plan/exact/disguise.ts';
import { ExactWorkload } from '../../src/plan/exact/exact.ts';
import { remodel } from '../../src/plan/fidelity/fidelity.ts';
import { OpFlag } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import type { Workload } from '../../src/plan/workload.ts';
import { startServer } from '../../src/servers/index.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, monitorLine } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const SECONDS = 12;
const MAX_WAITS = 8;
const FIELDS = ['type', 'user', 'page', 'amount', 'currency', 'channel', 'session', 'agent'];

/** Calls in turn, 2 ms apart. What they are to find was made long before: groups, streams, the members of ranges. */
const calls: ((nowMs: number, random: () => number) => string[])[] = [
  (_, random) => [
    ...['XADD', `events:${Math.floor(random() * 3)}`, 'MAXLEN', '~', '1000', '*'],
    ...FIELDS.flatMap((field) => [field, `v${Math.floor(random() * 1000)}`]),
  ],
  (_, random) => [
    'XADD',
    `orders:${Math.floor(random() * 4)}`,
    '*',
    'id',
    `${Math.floor(random() * 1e6)}`,
    'is',
    'new',
  ],
  () => ['XREADGROUP', 'GROUP', 'workers', 'w1', 'COUNT', '10', 'STREAMS', 'orders:1', '>'],
  () => [
    ...['XREADGROUP', 'GROUP', 'workers', 'w2', 'COUNT', '5', 'BLOCK', '1', 'STREAMS'],
    ...['orders:0', 'orders:1', 'orders:2', 'orders:3', '>', '>', '>', '>'],
  ],
  (nowMs) => ['XACK', 'orders:1', 'workers', `${nowMs - 3}-0`, `${nowMs - 2}-0`],
  () => ['XPENDING', 'orders:2', 'workers', '-', '+', '10'],
  () => ['XAUTOCLAIM', 'orders:3', 'workers', 'w9', '60000', '0-0', 'COUNT', '25'],
  (nowMs) => ['XRANGE', 'events:1', `(${nowMs - 2000}-0`, '+', 'COUNT', '20'],
  (_, random) => ['SET', `page:${Math.floor(random() * 200)}`, 'x', 'EX', '60'],
  (_, random) => ['SET', `page:${Math.floor(random() * 200)}`, 'x', 'PX', '1500'],
  (nowMs, random) => ['SET', `otp:${Math.floor(random() * 200)}`, '1', 'PXAT', `${nowMs + 120_000}`],
  (_, random) => ['GETEX', `page:${Math.floor(random() * 200)}`, 'EX', '60'],
  (nowMs, random) => [
    'ZADD',
    'due',
    `${(nowMs / 1000 + random() * 300).toFixed(6)}`,
    `job${Math.floor(random() * 1e6)}`,
  ],
  (_, random) => ['ZADD', 'top', 'GT', 'CH', `${Math.floor(random() * 1e6)}`, `user${Math.floor(random() * 500)}`],
  (_, random) => ['ZADD', 'top', `${Math.floor(random() * 1e6)}`, `user${Math.floor(random() * 500)}`, '7', 'nobody'],
  (nowMs) => ['ZRANGEBYSCORE', 'due', '-inf', `(${(nowMs / 1000).toFixed(6)}`, 'LIMIT', '0', '10'],
  (nowMs, random) => [
    'ZADD',
    `line:${Math.floor(random() * 9)}`,
    `${nowMs * 1000 + 7}`,
    `p${Math.floor(random() * 1e6)}`,
  ],
  (nowMs) => ['ZRANGEBYSCORE', 'line:3', `(${(nowMs - 60_000) * 1000}`, '+inf', 'WITHSCORES', 'LIMIT', '0', '20'],
  () => ['ZRANGEBYSCORE', 'line:3', '0', '+inf', 'LIMIT', '0', '20', 'WITHSCORES'],
  (nowMs) => ['ZREMRANGEBYSCORE', 'line:4', '0', `${(nowMs - 3000) * 1000}`],
  () => ['BLPOP', ...Array.from({ length: 17 }, (_, i) => `queue:${10 + i}`), '0.001'],
  () => ['HSET', 'wide', ...Array.from({ length: 12 }, (_, i) => [`field${i}`, 'value']).flat()],
];

function lines(): Line[] {
  const random = mulberry32(21);
  return Array.from({ length: SECONDS * 500 }, (_, i): Line => {
    const atUs = START_US + i * 2000;
    const number = i % calls.length;
    return { atUs, client: `10.0.0.1:${1000 + number}`, args: calls[number]!(Math.floor(atUs / 1000), random) };
  });
}

const opsOf = (slice: ReturnType<Workload['slice']>) =>
  Array.from({ length: slice.count }, (_, i) => ({
    args: readCommand(slice.bytes, slice.offset[i]!).map((bytes) => Buffer.from(bytes).toString('latin1')),
    blocks: (slice.flags[i]! & OpFlag.blocking) !== 0,
  }));

/** Distinct errors of the server, preload and all. */
async function errorsOf(workload: Workload, seconds: number, server: string): Promise<string[]> {
  await using started = await startServer(`process:${server}`, {});
  const { host, port } = started.address;
  const client = new Redis({ host, port, retryStrategy: () => null });
  const errors = new Set<string>();
  const send = async ([command, ...args]: string[]) => {
    const reply = await client.callBuffer(command!, ...args.map((arg) => Buffer.from(arg, 'latin1'))).catch(String);
    if (typeof reply === 'string') errors.add(`${command} ${args.slice(0, 6).join(' ')}: ${reply}`);
  };
  for (const bytes of workload.plan.preload.databases.flatMap(({ chunks }) => [...chunks()])) {
    for (let at = 0; at < bytes.length; ) {
      const command = readCommand(bytes, at);
      const last = command.at(-1)!;
      at = last.byteOffset - bytes.byteOffset + last.length + 2;
      await send(command.map((part) => Buffer.from(part).toString('latin1')));
    }
  }
  // A server looks ten times a second at who has waited long enough.
  let waits = MAX_WAITS;
  const ops = opsOf(workload.slice(0, 0, seconds)).filter(({ blocks }) => !blocks || waits-- > 0);
  await Promise.all(ops.map(({ args }) => send(args)));
  client.disconnect();
  return [...errors];
}

const capture = temporaryFile('capture.log', `OK\n${lines().map(monitorLine).join('')}`);
const { model, captured } = await buildModel(capture, { keepKeys: true });
const epochSeconds = Math.floor(Date.now() / 1000);
const request = { capture, model, captured: captured!, seed: '1', epochSeconds, seconds: SECONDS - 1 };

for (const server of ['redis-server', 'valkey-server']) {
  test(`${server} accepts all of it, modelled`, async () => {
    assert.deepEqual(await errorsOf(new Synthesis(model, { seed: '1', epochSeconds }), SECONDS, server), []);
  });

  test(`${server} accepts all of it, as captured`, async () => {
    assert.deepEqual(await errorsOf(await ExactWorkload.read(request), SECONDS - 1, server), []);
  });
}

test('groups have disguised names where all have', async () => {
  const workload = await ExactWorkload.read({ ...request, disguise: new ArgumentDisguise('secret', model) });
  assert.deepEqual(await errorsOf(workload, SECONDS - 1, 'redis-server'), []);
});

test('options stay with what they are about', async () => {
  const ops = opsOf(new Synthesis(model, { seed: '1', epochSeconds }).slice(0, 0, SECONDS)).map(({ args }) => args);
  const of = (command: string, prefix: string) =>
    ops.filter(([name, key]) => name === command && key!.startsWith(prefix));
  const expiries = new Set(of('set', 'page:').map((args) => args.slice(3).join(' ')));
  assert.deepEqual([...expiries].sort(), ['EX 60', 'PX 1500']);
  for (const args of of('xadd', 'events:')) {
    assert.deepEqual(args.slice(2, 6), ['MAXLEN', '~', '1000', '*']);
    assert.deepEqual(
      args.slice(6).filter((_, i) => i % 2 === 0),
      FIELDS,
    );
  }
  for (const args of of('hset', 'wide')) assert.equal(new Set(args.filter((_, i) => i >= 2 && i % 2 === 0)).size, 12);
  const now = of('zadd', 'line:').map(([, , score]) => Number(score) / 1e6 - epochSeconds);
  assert.ok(now.every((seconds) => seconds >= -0.1 && seconds <= SECONDS));
  const due = of('zadd', 'due').map(([, , score]) => Number(score) - epochSeconds);
  assert.ok(due.every((seconds) => seconds >= -0.1 && seconds <= SECONDS + 300));
  for (const args of of('zrangebyscore', 'due')) assert.match(args[3]!, /^\(\d{10}\.\d{6}$/);
});

test('they are found again in what is synthesized', () => {
  const formsOf = ({ shapes }: Model) =>
    [...new Set(shapes.map(({ command, form }) => `${command} ${form ?? ''}`))].sort();
  assert.deepEqual(formsOf(remodel(model)), formsOf(model));
});
