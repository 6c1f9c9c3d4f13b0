/** Subscribers beside the load, on real servers: every message is counted, and none is taken for a reply. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver } from '../../src/drive/driver.ts';
import type { Subscription } from '../../src/plan/plan.ts';
import { startServer } from '../../src/servers/index.ts';
import { processProvider } from '../../src/servers/process.ts';
import { startForeignServer } from '../support/servers.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

const plan = {
  labels: [
    { family: '(none)', command: 'publish' },
    { family: '(none)', command: 'exec' },
  ],
  connections: Array.from({ length: 4 }, () => ({ db: 0 })),
};
const publications = (count: number, channel = 'news'): TestOp[] =>
  Array.from({ length: count }, (_, i) => ({
    args: i % 2 === 0 ? ['PUBLISH', channel, `text ${i}`] : ['GET', 'nothing'],
    atUs: i * 100,
    connection: i % 4,
  }));
const to = (
  ...subscriptions: (readonly [subscriber: number, kind: Subscription['kind'], name: string])[]
): Subscription[] => subscriptions.map(([subscriber, kind, name]) => ({ subscriber, kind, name }));

for (const client of Object.keys(CLIENTS) as ClientName[]) {
  for (const protocol of [2, 3] as const) {
    test(`${client}, RESP${protocol}: messages go to channels and patterns, and replies stay with their ops`, async () => {
      await using server = await processProvider.start('process:redis-server', {});
      await using driver = await Driver.open(server.address, plan, { client, protocol, workers: 2 });
      const subscriptions = to(
        ...([
          [0, 'channel', 'news'],
          [0, 'channel', 'never'],
          [1, 'channel', 'news'],
          [1, 'pattern', 'ne*'],
          [2, 'pattern', 'x*'],
        ] as const),
      );
      const record = await driver.run({ ...sliceOf(publications(200)), subscriptions });
      // 100 publications, each to two channels and a pattern.
      assert.deepEqual(record.messages, { subscribers: 3, received: 300, refused: 0, interrupted: 0 });
      assert.deepEqual([record.replied, record.lost, record.errors], [200, 0, {}]);
      assert.equal(record.status.filter((status) => status === 3).length, 100, 'the GETs, and only they, are nil');

      // The next slice has other listeners, and between slices there are none.
      // The server learns of a closed connection when it comes round to it.
      while (/[1-9]/.test((await server.info('stats')).pubsub_channels!));
      const next = await driver.run({ ...sliceOf(publications(200)), subscriptions: subscriptions.slice(0, 2) });
      assert.deepEqual(next.messages, { subscribers: 1, received: 100, refused: 0, interrupted: 0 });
      const silent = await driver.run(sliceOf(publications(20)));
      assert.equal(silent.messages, undefined);
    });
  }
}

test('subscribers of a thread that has nothing to send hear what the other threads publish', async () => {
  await using server = await processProvider.start('process:redis-server', {});
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 2 });
  const ops = Array.from({ length: 20 }, (_, i) => ({ args: ['PUBLISH', 'news', `${i}`], atUs: i * 10_000 }));
  const subscriptions = to([0, 'channel', 'news'], [1, 'channel', 'news']);
  const record = await driver.run({ ...sliceOf(ops), subscriptions });
  assert.deepEqual(record.messages, { subscribers: 2, received: 40, refused: 0, interrupted: 0 });
});

test('a subscription that is refused is counted, and takes no other with it', async () => {
  using foreign = await startForeignServer('redis');
  foreign.cli('ACL', 'SETUSER', 'listener', 'on', '>secret', '~*', '+@all', 'resetchannels', '&news');
  const address = { host: '127.0.0.1', port: foreign.port, username: 'listener', password: 'secret' };
  await using driver = await Driver.open(address, plan, { client: 'raw', workers: 1 });
  const subscriptions = to([0, 'channel', 'forbidden'], [0, 'channel', 'news']);
  const record = await driver.run({ ...sliceOf(publications(20)), subscriptions });
  assert.deepEqual(record.messages, { subscribers: 1, received: 10, refused: 1, interrupted: 0 });
});

test('a subscriber that is cut off comes back by itself, and the cut is counted', async () => {
  await using server = await processProvider.start('process:valkey-server', {});
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const slice = sliceOf(
    [
      { args: ['CLIENT', 'KILL', 'TYPE', 'pubsub'] },
      { args: ['PUBLISH', 'news', 'to nobody'], atUs: 1000 },
      { args: ['PUBLISH', 'news', 'heard'], atUs: 600_000 },
    ],
    7e5,
  );
  const record = await driver.run({ ...slice, subscriptions: to([0, 'channel', 'news']) });
  assert.deepEqual(record.messages, { subscribers: 1, received: 1, refused: 0, interrupted: 1 });
});

test('in a cluster, shard channels are listened to where they are', async () => {
  await using cluster = await startServer('process:valkey-server', { primaries: 3 });
  await using driver = await Driver.open(cluster.address, plan, { client: 'raw', workers: 2 });
  const channels = ['a', 'b', 'c', 'd', 'e', 'f'];
  const slice = sliceOf(channels.map((channel, i) => ({ args: ['SPUBLISH', channel, 'x'], connection: i % 4 })));
  const subscriptions = to(...channels.map((name, i) => [i % 2, 'shard', name] as const));
  const record = await driver.run({ ...slice, subscriptions });
  assert.deepEqual([record.messages!.received, record.messages!.refused], [6, 0]);
});

for (const client of Object.keys(CLIENTS) as ClientName[]) {
  test(`${client}: a transaction that a watched key stops is counted as aborted`, async () => {
    await using server = await processProvider.start('process:redis-server', {});
    await using driver = await Driver.open(server.address, plan, { client, workers: 1 });
    const transaction = (connection: number, atUs: number): TestOp[] => [
      { args: ['WATCH', 'w'], connection, atUs },
      { args: ['MULTI'], connection, atUs: atUs + 40_000 },
      { args: ['INCR', 'w'], connection, atUs: atUs + 40_000 },
      { args: ['EXEC'], connection, label: 1, atUs: atUs + 40_000 },
    ];
    const [first, second] = [transaction(0, 0), transaction(1, 20_000)];
    const record = await driver.run(
      sliceOf(
        [...first, ...second, ...transaction(2, 100_000)].sort((a, b) => a.atUs! - b.atUs!),
        2e5,
      ),
    );
    assert.deepEqual(record.transactions, { committed: 2, aborted: 1 });
    assert.equal(record.replied, 12, 'an abort is an answer, no error');
  });
}
