/** Ops that have to follow others on other connections: they leave when those are over, and the wait is not the generator's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Driver } from '../../src/drive/driver.ts';
import { leavableUs } from '../../src/measure/latency-log.ts';
import { startServer } from '../../src/servers/index.ts';
import { startFakeServer } from '../support/fake-server.ts';
import { orderedSlice, type TestOp } from '../support/slice.ts';

const plan = {
  labels: [{ family: 'f', command: 'c' }],
  connections: Array.from({ length: 4 }, () => ({ db: 0 })),
};

const ping = (connection: number, atUs = 0): TestOp => ({ args: ['GET', 'k'], connection, atUs });

for (const workers of [1, 2]) {
  test(`${workers} thread(s): an op leaves when those that it follows are answered, and so do those behind it`, async () => {
    await using server = await startFakeServer({ delayMs: 40 });
    await using driver = await Driver.open({ host: '127.0.0.1', port: server.port, tls: false }, plan, {
      ...{ client: 'raw', workers },
    });
    const slice = orderedSlice([ping(0), ping(1), ping(2), ping(2), ping(3)], {
      1: [[0, 0]],
      2: [
        [0, 0],
        [1, 10_000],
      ],
    });
    // A machine that stands still for longer than an op is held breaks the order, and says so: then once more.
    let record = await driver.run(slice);
    for (let again = 0; record.outOfOrder > 0 && again < 5; again++) record = await driver.run(slice);
    const { sentUs, repliedUs, outOfOrder } = record;
    assert.ok(sentUs[1]! >= repliedUs[0]!);
    assert.ok(sentUs[2]! >= repliedUs[1]! + 10_000);
    assert.ok(sentUs[3]! >= sentUs[2]!);
    if (workers === 1) assert.ok(sentUs[4]! < repliedUs[0]!, 'others do not wait');
    assert.equal(outOfOrder, 0);
    // The wait is no lag of the generator.
    assert.equal(leavableUs(0, slice, record), 0);
    assert.equal(leavableUs(1, slice, record), repliedUs[0]);
    assert.equal(leavableUs(2, slice, record), repliedUs[1]! + 10_000);
  });
}

test('who is not answered in time is followed all the same, and that is counted', async () => {
  await using server = await startFakeServer({ delayMs: 1500 });
  await using driver = await Driver.open({ host: '127.0.0.1', port: server.port, tls: false }, plan, {
    ...{ client: 'raw', workers: 1, graceMs: 10_000 },
  });
  const { sentUs, repliedUs, outOfOrder, replied } = await driver.run(
    orderedSlice([ping(0), ping(1)], { 1: [[0, 0]] }),
  );
  assert.ok(sentUs[1]! < repliedUs[0]!);
  assert.deepEqual([outOfOrder, replied], [1, 2]);
});

test('a blocking op is followed when it waits, a lost connection by nothing', async () => {
  await using server = await startServer('process:redis-server', {});
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const blocked = await driver.run(
    orderedSlice(
      [
        { args: ['BLPOP', 'q', '0'], connection: 0, blocking: true },
        { args: ['RPUSH', 'q', 'x'], connection: 1 },
      ],
      { 1: [[0, 0]] },
    ),
  );
  assert.deepEqual([blocked.replied, blocked.outOfOrder], [2, 0]);
  const lost = await driver.run(orderedSlice([{ args: ['QUIT'], connection: 0 }, ping(0), ping(1)], { 2: [[1, 0]] }));
  assert.deepEqual([lost.replied, lost.outOfOrder], [2, 0]);
});
