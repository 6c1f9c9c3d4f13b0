/** A sender thread that writes to sockets which another thread reads from: big values, full buffers, and order. */
import assert from 'node:assert/strict';
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

test('the in-flight cap lets ops go as replies come, one by one', async () => {
  await using server = await processProvider.start('process:redis-server', {});
  const options = { client: 'raw', workers: 1, pacing: 'split', inFlightCap: 1 } as const;
  await using driver = await Driver.open(server.address, plan, options);
  const slice = sliceOf(Array.from({ length: 500 }, (_, i) => ({ args: ['RPUSH', 'l', `${i}`], connection: i % 2 })));
  const record = await driver.run(slice);
  assert.equal(record.replied, 500);
  for (let op = 2; op < 500; op++) assert.ok(record.sentUs[op]! >= record.repliedUs[op - 2]!, `op ${op}`);
});
