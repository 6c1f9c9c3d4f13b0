/** Steps of walks that are sent early, that fail, that are sent again: what they carry, and what is counted. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Redis } from 'ioredis';
import { Driver } from '../../src/drive/driver.ts';
import type { Slice } from '../../src/plan/plan.ts';
import { UNKNOWN_CURSOR } from '../../src/plan/walks.ts';
import { processProvider } from '../../src/servers/process.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { orderedSlice, sliceOf, type TestOp } from '../support/slice.ts';

const plan = {
  labels: [{ family: 'h', command: 'hscan' }],
  connections: Array.from({ length: 3 }, () => ({ db: 0 })),
};

let server: RunningServer;
before(async () => {
  server = await processProvider.start('process:redis-server', {});
  const client = new Redis(server.address.port);
  await client.hset('h', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f:${i}`, i])));
  client.disconnect();
});
after(() => server[Symbol.asyncDispose]());

const begin: TestOp = { args: ['hscan', 'h', '0'], walk: 0 };
const step = (op: Partial<TestOp> = {}): TestOp => ({ args: ['hscan', 'h', UNKNOWN_CURSOR], walk: 0, ...op });

/** The cursors that were sent last. */
const cursorsOf = ({ walks, offset, bytes }: Slice) =>
  Array.from(walks!.op, (op, i) => {
    const start = offset[op]! + walks!.at[i]!;
    return walks!.at[i] === 0 ? 0n : BigInt(Buffer.from(bytes.subarray(start, start + 20)).toString());
  });

const FOLLOWED_BY_US = 1000;
/** Each op is sent when the one before is answered. */
const oneByOne = (ops: TestOp[]) =>
  orderedSlice(ops, Object.fromEntries(ops.slice(1).map((_, i) => [i + 1, [[i, FOLLOWED_BY_US]]])));

/** A machine that stands still for longer than an op is held breaks the order, and says so: then once more. */
async function runOneByOne(driver: Driver, slice: Slice) {
  let record = await driver.run(slice);
  for (let again = 0; record.outOfOrder > 0 && again < 5; again++) record = await driver.run(slice);
  return record;
}

for (const [workers, pacing] of [
  [1, 'split'],
  [2, 'split'],
  [2, 'nap'],
] as const) {
  test(`${workers} thread(s), ${pacing}: a step on any connection carries the last reply's cursor; a slice goes on where the last one was`, async () => {
    await using driver = await Driver.open(server.address, plan, { client: 'raw', workers, pacing });
    const first = oneByOne([begin, step({ connection: 1 }), step({ connection: 2 }), step({ connection: 1 })]);
    assert.deepEqual((await runOneByOne(driver, first)).walks, { steps: 3, ahead: 0, ended: 0 });
    const cursors = cursorsOf(first);
    assert.equal(new Set(cursors).size, 4, `${cursors}`);
    const second = oneByOne([step(), step({ connection: 2 })]);
    await runOneByOne(driver, second);
    assert.equal(new Set([...cursors, ...cursorsOf(second)]).size, 6);
    // From its beginning once more: the same way.
    await runOneByOne(driver, first);
    assert.deepEqual(cursorsOf(first), cursors);
  });
}

test('a step does not wait for the reply before it: it asks for the same once more, and is counted', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf([begin, step(), step(), step()]);
  assert.deepEqual((await driver.run(slice)).walks, { steps: 3, ahead: 3, ended: 0 });
  assert.deepEqual(cursorsOf(slice), [0n, 0n, 0n, 0n]);
});

test('an error, or a reply of another kind, leaves the walk where it is', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = oneByOne([
    begin,
    step({ args: ['hscan', 'h', UNKNOWN_CURSOR, 'COUNT', '0'] }),
    step({ args: ['echo', UNKNOWN_CURSOR] }),
    step(),
    step(),
  ]);
  const { errors, walks } = await runOneByOne(driver, slice);
  assert.deepEqual([errors, walks], [{ ERR: 1 }, { steps: 4, ahead: 0, ended: 0 }]);
  const [, refused, echoed, next, last] = cursorsOf(slice);
  assert.ok(refused! > 0n && refused === echoed && refused === next && next !== last);
});

test('a walk that is over begins anew', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const all = step({ args: ['hscan', 'h', UNKNOWN_CURSOR, 'COUNT', '5000'] });
  const slice = oneByOne([begin, all, all, all]);
  assert.deepEqual((await runOneByOne(driver, slice)).walks, { steps: 3, ahead: 0, ended: 3 });
  const [, ...cursors] = cursorsOf(slice);
  assert.ok(cursors[0]! > 0n);
  assert.deepEqual(cursors.slice(1), [0n, 0n]);
});

test('steps that were lost with their connection are not waited for', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf([
    begin,
    { args: ['quit'] },
    step(),
    step(),
    step({ connection: 1, atUs: 400_000 }),
    step({ connection: 1, atUs: 800_000 }),
  ]);
  const { lost, walks } = await driver.run(slice);
  // Both that were sent together with QUIT.
  assert.deepEqual([lost, walks!.ahead], [2, 2]);
});
