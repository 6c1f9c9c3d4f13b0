/** The accounting of slices on a real server: every op is somewhere, whatever happens to the server or the run. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver, type SliceProgress, type SliceRecord } from '../../src/drive/driver.ts';
import type { CutoverError } from '../../src/errors.ts';
import { OpStatus, readLatencyLog, summarize, writeLatencyLog } from '../../src/measure/latency-log.ts';
import type { Slice } from '../../src/plan/plan.ts';
import { processProvider } from '../../src/servers/process.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { startProxy } from '../support/proxy.ts';
import { startForeignServer } from '../support/servers.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

const LABELS = [
  { family: 'n:{id}', command: 'incr' },
  { family: 'list', command: 'lpush' },
  { family: 'queue', command: 'blpop' },
];
const CONNECTIONS = 8;
const plan = { labels: LABELS, connections: Array.from({ length: CONNECTIONS }, (_, i) => ({ db: i % 2 })) };

let server: RunningServer;
before(async () => {
  server = await processProvider.start('process:redis-server', {});
});
after(() => server[Symbol.asyncDispose]());

/** INCRs at an even rate, connections in turn. */
function increments(count: number, seconds: number): Slice {
  return sliceOf(
    Array.from({ length: count }, (_, i) => ({
      args: ['INCR', `n:${i % 10}`],
      atUs: (i / count) * seconds * 1e6,
      connection: i % CONNECTIONS,
    })),
    seconds * 1e6,
  );
}

function assertAccounted(record: SliceRecord, slice: Slice): void {
  const errors = Object.values(record.errors).reduce((sum, count) => sum + count, 0);
  assert.equal(record.planned, slice.count);
  assert.equal(
    record.replied + errors + record.lost + record.blocked + record.unsent,
    slice.count,
    JSON.stringify(record.errors),
  );
}

for (const client of Object.keys(CLIENTS) as ClientName[]) {
  test(`${client}: errors are counted by their first word and by label, over two threads`, async () => {
    await using driver = await Driver.open(server.address, plan, { client, workers: 2 });
    const ops: TestOp[] = Array.from({ length: 200 }, (_, i) => ({
      args: i % 4 === 3 ? ['LPUSH', `s:${client}`, 'x'] : ['INCR', `n:${client}:${i % 10}`],
      atUs: 20_000 + i * 100,
      connection: i % CONNECTIONS,
      label: i % 4 === 3 ? 1 : 0,
    }));
    const slice = sliceOf([
      { args: ['SET', `s:${client}`, 'x'], connection: 0 },
      { args: ['SET', `s:${client}`, 'x'], connection: 1 },
      { args: ['NOSUCHCOMMAND'], connection: 1 },
      ...ops,
    ]);
    const record = await driver.run(slice);
    assertAccounted(record, slice);
    assert.deepEqual(record.errors, { ERR: 1, WRONGTYPE: 50 });
    assert.deepEqual(record.errorsByLabel, { 'n:{id} incr': { ERR: 1 }, 'list lpush': { WRONGTYPE: 50 } });
    assert.equal(record.replied, 152);
    assert.equal(record.connectionLost, undefined);
    assert.ok(record.sentUs.every((sentUs, op) => sentUs >= slice.intendedUs[op]!));
    assert.ok(record.repliedUs.every((repliedUs, op) => repliedUs >= record.sentUs[op]!));
    const [incr, ...others] = summarize(slice, record, LABELS);
    assert.equal(incr!.response.count, 152);
    assert.equal(incr!.lag.count, 153);
    assert.equal(others[0]!.response.count, 0);
    assert.equal(readLatencyLog(writeLatencyLog([incr!], record))[0]!.response.count, 152);
  });
}

test('a second slice uses the connections again, and databases are kept apart', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf([
    { args: ['SET', 'twice', 'x'], connection: 0 },
    { args: ['GET', 'twice'], connection: 1 },
  ]);
  const connected = async () => Number((await server.info('stats')).total_connections_received);
  await driver.run(slice);
  const before = await connected();
  const record = await driver.run(slice);
  assert.ok((await connected()) - before <= 1, 'at most the connection of INFO is new');
  assert.equal(record.replied, 2);
});

test('load and preload fill the databases and count refusals', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const script = Buffer.from("return redis.call('GET', KEYS[1])");
  const library = Buffer.from("#!lua name=lib\nredis.register_function('f', function() return 1 end)");
  assert.deepEqual(
    await driver.load([
      { kind: 'script', body: script },
      { kind: 'library', body: library },
      { kind: 'library', body: library },
      { kind: 'script', body: Buffer.from('not lua') },
    ]),
    { ERR: 1 },
  );
  const commands = Array.from({ length: 20_000 }, (_, i) => ({ args: ['SET', `p:${i}`, 'v'.repeat(50)] }));
  const databases = [
    { db: 5, commands: commands.length, chunks: () => [sliceOf(commands).bytes] },
    { db: 6, commands: 2, chunks: () => [sliceOf([{ args: ['SET', 'p', 'v'] }, { args: ['LPUSH', 'p', 'v'] }]).bytes] },
    { db: 7, commands: 0, chunks: () => [] },
  ];
  const loaded = await driver.preload({ commands: 20_002, keys: 20_001, logicalBytes: 1, databases });
  assert.deepEqual(loaded.errors, { WRONGTYPE: 1 });
  assert.match((await server.info('keyspace')).db5!, /^keys=20000,/);
  assert.match((await server.info('keyspace')).db6!, /^keys=1,/);
  await assert.rejects(
    driver.preload({ commands: 0, keys: 0, logicalBytes: 0, databases }, { signal: AbortSignal.abort() }),
    {
      name: 'AbortError',
    },
  );
});

test('blocking ops that still wait are blocked, not lost, and the next slice starts clean', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf([
    { args: ['BLPOP', 'empty', '0'], connection: 0, label: 2, blocking: true },
    { args: ['INCR', 'n'], connection: 0 },
    { args: ['INCR', 'n'], connection: 1 },
  ]);
  const record = await driver.run(slice);
  assertAccounted(record, slice);
  assert.deepEqual([record.blocked, record.replied, record.lost], [2, 1, 0]);
  assert.ok(record.seconds < 2, 'nobody waits for a blocking op: the grace period alone is 2 s');
  const next = await driver.run(
    sliceOf([
      { args: ['RPUSH', 'empty', 'x'], connection: 0 },
      { args: ['LLEN', 'empty'], connection: 0 },
    ]),
  );
  assert.equal(next.replied, 2);
  assert.equal((await server.info('clients')).blocked_clients, '0');
});

for (const pacing of ['split', 'nap'] as const) {
  test(`${pacing}: what is due behind a blocking op that waits is blocked though it could not leave, what is not due is unsent`, async () => {
    const options = { client: 'raw', workers: 1, pacing, inFlightCap: 1 } as const;
    await using driver = await Driver.open(server.address, plan, options);
    const slice = sliceOf([
      { args: ['BLPOP', 'never filled', '0'], label: 2, blocking: true },
      { args: ['INCR', 'n'] },
      { args: ['INCR', 'n'], atUs: 1000 },
    ]);
    const record = await driver.run(slice);
    assert.deepEqual([record.blocked, record.unsent, record.replied, record.heldByCap], [3, 0, 0, 2]);
    const later = sliceOf([
      { args: ['BLPOP', 'never filled', '0'], label: 2, blocking: true },
      { args: ['INCR', 'n'] },
      { args: ['INCR', 'n'], atUs: 60e6 },
    ]);
    const stopped = await driver.run(later, { signal: AbortSignal.timeout(300) });
    assert.deepEqual([stopped.blocked, stopped.unsent, stopped.replied], [2, 1, 0]);
  });
}

test('an op without a reply is lost after the grace period', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1, graceMs: 50 });
  const slice = sliceOf([{ args: ['BLPOP', 'never', '0'] }, { args: ['GET', 'x'], connection: 1 }]);
  const record = await driver.run(slice);
  assertAccounted(record, slice);
  assert.deepEqual([record.lost, record.replied], [1, 1]);
});

test('an aborted slice gives what was measured until then', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 2 });
  const slice = increments(20_000, 100);
  const abort = new AbortController();
  const progress: SliceProgress[] = [];
  const onProgress = (step: SliceProgress) => {
    progress.push(step);
    abort.abort();
  };
  const record = await driver.run(slice, { signal: abort.signal, onProgress });
  assertAccounted(record, slice);
  assert.ok(record.replied > 0 && record.unsent > 0);
  assert.ok(progress[0]!.planned === 20_000 && progress[0]!.sent >= progress[0]!.answered && progress[0]!.sent > 0);
  assert.equal(record.connectionLost, undefined);

  const never = await driver.run(slice, { signal: AbortSignal.abort() });
  assertAccounted(never, slice);
  assert.equal(never.unsent, slice.count);
  assert.equal((await driver.run(increments(100, 0.1))).replied, 100);
});

for (const client of Object.keys(CLIENTS) as ClientName[]) {
  test(`${client}: a server killed in mid-slice leaves a record that adds up, and the next slice says it is gone`, async () => {
    await using victim = await processProvider.start('process:redis-server', {});
    await using driver = await Driver.open(victim.address, plan, { client, workers: 2, graceMs: 100 });
    const slice = increments(1000, 1);
    let killed = false;
    const record = await driver.run(slice, {
      onProgress: () => {
        if (!killed) process.kill(victim.identity.pid!, 'SIGKILL');
        killed = true;
      },
    });
    assertAccounted(record, slice);
    assert.ok(record.replied > 0 && record.unsent > 0);
    assert.match(record.connectionLost!, /^8 of 8 connections lost: /);
    assert.equal(record.outages.length, 8);
    assert.ok(record.outages.every(({ fromUs, untilUs }) => fromUs > 0 && untilUs > 1e6));
    const next = await driver.run(increments(10, 0.01));
    assert.equal(next.unsent, 10);
    assert.match(next.connectionLost!, /ECONNREFUSED/);
  });
}

test('a connection that the server closes is opened again, and what was due meanwhile follows', async () => {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf([
    { args: ['CLIENT', 'NO-EVICT', 'on'], connection: 0 },
    { args: ['QUIT'], connection: 0 },
    // Some of them while it is down, however long this machine takes to hear of it.
    ...Array.from({ length: 60 }, (_, i) => ({ args: ['INCR', 'n'], atUs: i * 5000, connection: 0 })),
  ]);
  const record = await driver.run(slice);
  assertAccounted(record, slice);
  assert.deepEqual([record.replied + record.lost, record.unsent], [62, 0]);
  assert.match(record.connectionLost!, /^1 of 8 connections lost/);
  const [outage] = record.outages;
  assert.equal(outage!.connection, 0);
  assert.ok(outage!.untilUs >= outage!.fromUs + 50_000, 'a client waits before it tries again');
  const { fromUs, untilUs } = outage!;
  const held = [...slice.intendedUs.keys()].filter((op) => {
    const dueUs = slice.intendedUs[op]!;
    return dueUs > fromUs && dueUs < untilUs - 10_000;
  });
  assert.ok(held.length > 0);
  for (const op of held) {
    assert.ok(record.sentUs[op]! >= untilUs);
    assert.equal(record.status[op], OpStatus.replied);
  }
  assert.ok(summarize(slice, record, LABELS)[0]!.lag.max < record.sentUs[held[0]!]! - slice.intendedUs[held[0]!]!);
  assert.equal((await driver.run(increments(80, 0.01))).replied, 80);
});

test('user, password and a unix socket are used; a wrong password is refused without being shown', async () => {
  using foreign = await startForeignServer('redis', '--requirepass', 'hunter2');
  const address = { host: '', port: 0, path: foreign.socket, username: 'default', password: 'hunter2' };
  for (const client of Object.keys(CLIENTS) as ClientName[]) {
    await using driver = await Driver.open(address, plan, { client, workers: 2 });
    assert.equal((await driver.run(increments(80, 0.01))).replied, 80);
    assert.deepEqual(await driver.load([{ kind: 'script', body: Buffer.from('return 1') }]), {});
  }
  await assert.rejects(
    Driver.open({ ...address, password: 'swordfish' }, plan, { client: 'raw', workers: 2 }),
    (error: CutoverError) => {
      assert.equal(error.code, 'E_CONNECT');
      assert.ok(error.suggestions[0]);
      assert.match(error.message, /AUTH with the error WRONGPASS/);
      assert.doesNotMatch(`${error.stack}`, /swordfish/);
      return true;
    },
  );
});

test('through the proxy the injected delays and errors are what is measured', async () => {
  await using proxy = await startProxy({
    target: server.address,
    delayShare: 0.02,
    delayMs: 60,
    errorShare: 0.05,
    errorText: 'INJECTED on purpose',
  });
  await using driver = await Driver.open({ host: '127.0.0.1', port: proxy.port }, plan, {
    client: 'raw',
    workers: 1,
  });
  const slice = increments(400, 1);
  const record = await driver.run(slice);
  assertAccounted(record, slice);
  assert.deepEqual(record.errors, { INJECTED: 20 });
  const { response } = summarize(slice, record, LABELS)[0]!;
  assert.ok(response.quantile(0.5) < 60_000);
  assert.ok(response.quantile(0.985) >= 60_000);
});
