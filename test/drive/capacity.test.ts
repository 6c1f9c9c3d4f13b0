/** Where a server or the generator falls behind: the search, the slices that it asks with, and the server that does nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atRate, keptUp, searchCapacity } from '../../src/drive/capacity/capacity.ts';
import { measureFloor } from '../../src/drive/capacity/floor.ts';
import { startNullServer } from '../../src/drive/capacity/null-server.ts';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver } from '../../src/drive/driver.ts';
import { OpStatus } from '../../src/measure/latency-log.ts';
import { sliceOf } from '../support/slice.ts';

const plan = { labels: [{ family: 'k', command: 'get' }], connections: [{ db: 0 }, { db: 3 }] };
const gets = (count: number, seconds: number) =>
  sliceOf(
    Array.from({ length: count }, (_, i) => ({
      args: i % 2 === 0 ? ['GET', 'k'] : ['SET', 'k', 'v'.repeat(i)],
      atUs: (i / count) * seconds * 1e6,
      connection: i % 2,
    })),
    seconds * 1e6,
  );

test('the search ends within a fifth below the limit, and is not misled by one hiccup', async () => {
  for (const limit of [12_000, 70_000, 333_333]) {
    const hiccups = new Set([20_000]);
    const found = await searchCapacity(10_000, async (rate) => !hiccups.delete(rate) && rate <= limit);
    assert.ok(found <= limit && found > limit / 1.2, `${found} of ${limit}`);
  }
  assert.equal(await searchCapacity(10_000, async () => false), 0);
  assert.ok((await searchCapacity(10_000, async () => true)) < 1e7, 'a server without a limit ends it too');
});

test('a slice at another rate is the same ops, closer together', () => {
  const slice = {
    ...gets(1000, 1),
    order: { from: new Uint32Array(1001), after: new Uint32Array(1), delayUs: Uint32Array.of(400) },
  };
  const faster = atRate(slice, 4000, 10);
  assert.equal(faster.count, 1000);
  assert.equal(faster.durationUs, 250_000);
  assert.equal(faster.intendedUs[500], slice.intendedUs[500]! / 4);
  assert.equal(faster.order!.delayUs[0], 100);
  const shorter = atRate(slice, 1000, 0.1);
  assert.equal(shorter.count, 100);
  assert.equal(shorter.durationUs, 100_000);
  assert.deepEqual([...shorter.intendedUs], [...slice.intendedUs.subarray(0, 100)]);
});

test('ops that are answered after the slice is over were not kept up with', () => {
  const times = (late: number) => ({
    sentUs: new Float64Array(100),
    status: new Uint8Array(100).fill(OpStatus.replied),
    repliedUs: Float64Array.from({ length: 100 }, (_, op) => (op < late ? 2e6 : 1000)),
  });
  assert.equal(keptUp({ count: 100, durationUs: 1e6 }, times(3)), true);
  assert.equal(keptUp({ count: 100, durationUs: 1e6 }, times(4)), false);
});

for (const client of Object.keys(CLIENTS) as ClientName[]) {
  test(`${client}: the server that does nothing answers every op, and takes its leave`, async () => {
    await using server = await startNullServer('normal');
    await using driver = await Driver.open(server.address, plan, { client, workers: 1 });
    const slice = gets(10_000, 0.01);
    const record = await driver.run(slice);
    assert.equal(record.replied, 10_000);
    assert.equal(record.connectionLost, undefined);
    assert.ok(record.repliedUs.every((repliedUs, op) => repliedUs >= record.sentUs[op]!));
  });
}

test('the floor is measured over a second of the slice at most', async () => {
  const floor = await measureFloor(plan, gets(3000, 3), { client: 'raw', workers: 1 });
  assert.equal(floor.ops, 1000);
  assert.ok(floor.responseUs.p50 > 0 && floor.responseUs.p50 <= floor.responseUs.max);
  assert.equal(typeof floor.keepsDoubleRate, 'boolean');
});
