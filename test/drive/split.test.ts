/** A sender thread that writes to sockets which another thread reads from: big values, full buffers, and order. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { Driver } from '../../src/drive/driver.ts';
import { processProvider } from '../../src/servers/process.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

const plan = {
  labels: [{ family: 'k', command: 'set' }],
  connections: [{ db: 0 }, { db: 0 }],
};

test('what the kernel does not take at once follows when it does, and nothing gets in between', async () => {
  await using server = await processProvider.start('process:redis-server', {});
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1, pacing: 'split' });
  // More than a socket's buffers hold, on one connection, while small commands go on the other.
  const big = 'x'.repeat(3 << 20);
  const ops: TestOp[] = Array.from({ length: 60 }, (_, i) => ({
    args: i % 3 === 0 ? ['APPEND', 'big', big] : i % 3 === 1 ? ['RPUSH', 'list', `${i}`] : ['RPUSH', 'other', `${i}`],
    atUs: i * 500,
    connection: i % 3 === 2 ? 1 : 0,
  }));
  const record = await driver.run(sliceOf(ops, 50_000));
  assert.deepEqual([record.replied, record.errors, record.connectionLost], [60, {}, undefined]);
  const { host, port } = server.address;
  const redis = new Redis({ host, port });
  const numbers = (rest: number) => ops.flatMap((_, i) => (i % 3 === rest ? [`${i}`] : []));
  assert.equal(await redis.strlen('big'), 20 * big.length);
  assert.deepEqual(await redis.lrange('list', 0, -1), numbers(1));
  assert.deepEqual(await redis.lrange('other', 0, -1), numbers(2));
  redis.disconnect();
});

test('a script that is sent again waits until a big command has left as a whole', async () => {
  await using server = await processProvider.start('process:redis-server', {});
  const body = Buffer.from("return redis.call('INCR', KEYS[1])");
  const sha1 = createHash('sha1').update(body).digest('hex');
  const scripts = [{ kind: 'script' as const, body }];
  const options = { client: 'raw', workers: 1, pacing: 'split' } as const;
  await using driver = await Driver.open(server.address, { ...plan, scripts }, options);
  const big = 'x'.repeat(6 << 20);
  // The server has never heard of the script: every call is answered with NOSCRIPT while big values are on their way.
  const ops: TestOp[] = Array.from({ length: 24 }, (_, i) => ({
    args: i % 2 === 0 ? ['EVALSHA', sha1, '1', 'n'] : ['APPEND', 'big', big],
    atUs: i * 300,
  }));
  const record = await driver.run(sliceOf(ops, 50_000));
  assert.deepEqual([record.replied, record.errors, record.connectionLost], [24, {}, undefined]);
  assert.ok(record.scriptsResent > 0);
  const { host, port } = server.address;
  const redis = new Redis({ host, port });
  assert.equal(await redis.get('n'), '12');
  assert.equal(await redis.strlen('big'), 12 * big.length);
  redis.disconnect();
});

test('a server that reads nothing for a while costs it, not the generator, and its death writes nowhere else', async () => {
  const server = await processProvider.start('process:redis-server', {});
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1, graceMs: 300 });
  const big = 'x'.repeat(1 << 20);
  const ops: TestOp[] = Array.from({ length: 100 }, (_, i) => ({ args: ['SET', 'big', big], atUs: i * 1000 }));
  const slice = sliceOf(ops, 100_000);
  process.kill(server.identity.pid!, 'SIGSTOP');
  const running = driver.run(slice);
  await new Promise((resolve) => setTimeout(resolve, 400));
  process.kill(server.identity.pid!, 'SIGKILL');
  const record = await running;
  // Far more than the kernel's buffers hold was due, and all of it was sent or queued on time.
  const lags = ops.map((_, op) => record.sentUs[op]! - slice.intendedUs[op]!);
  assert.ok(Math.max(...lags) < 200_000, `${Math.max(...lags)}`);
  assert.deepEqual([record.replied, record.lost, record.unsent], [0, 100, 0]);
  await server[Symbol.asyncDispose]();
});

test('the in-flight cap lets ops go as replies come, one by one', async () => {
  await using server = await processProvider.start('process:redis-server', {});
  const options = { client: 'raw', workers: 1, pacing: 'split', inFlightCap: 1 } as const;
  await using driver = await Driver.open(server.address, plan, options);
  const slice = sliceOf(Array.from({ length: 500 }, (_, i) => ({ args: ['RPUSH', 'l', `${i}`], connection: i % 2 })));
  const record = await driver.run(slice);
  assert.equal(record.replied, 500);
  for (let op = 2; op < 500; op++) assert.ok(record.sentUs[op]! >= record.repliedUs[op - 2]!, `op ${op}`);
});
