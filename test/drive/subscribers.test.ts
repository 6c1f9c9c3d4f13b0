/** Subscribers beside the load, on real servers: every message is counted, and none is taken for a reply. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENTS, type ClientName } from '../../src/drive/clients/index.ts';
import { Driver } from '../../src/drive/driver.ts';
import { Subscribers } from '../../src/drive/thread/subscribers.ts';
import type { Subscription } from '../../src/plan/plan.ts';
import { startServer } from '../../src/servers/index.ts';
import { processProvider } from '../../src/servers/process.ts';
import { nameOf, onFrames } from '../support/frames.ts';
import { freePorts, startForeignServer } from '../support/servers.ts';
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

test('that the last PING is refused is no refused subscription', async () => {
  using foreign = await startForeignServer('redis');
  foreign.cli('ACL', 'SETUSER', 'listener', 'on', '>secret', '~*', '&*', '+@all');
  const address = { host: '127.0.0.1', port: foreign.port, username: 'listener', password: 'secret' };
  await using driver = await Driver.open(address, plan, { client: 'raw', workers: 1 });
  const revoke: TestOp = { args: ['ACL', 'SETUSER', 'listener', '-ping'], connection: 1, atUs: 2000 };
  const slice = { ...sliceOf([...publications(20), revoke]), subscriptions: to([0, 'channel', 'news']) };
  const record = await driver.run(slice);
  assert.deepEqual(record.errors, {});
  assert.deepEqual(record.messages, { subscribers: 1, received: 10, refused: 0, interrupted: 0 });
});

test('a confirmation that comes late is no answer to the last PING: what comes behind it is heard', async () => {
  using foreign = await startForeignServer('redis');
  await using relay = await startHoldingRelay(foreign.port);
  const subscribers = new Subscribers({ host: '127.0.0.1', port: relay.port }, () => true);
  await subscribers.listen(to([0, 'channel', 'news']));
  relay.cut();
  // Subscribed again, which it has not heard yet.
  const numsub = () => foreign.cli('PUBSUB', 'NUMSUB', 'news').trim();
  while (/1$/.test(numsub()));
  while (!/1$/.test(numsub())) await sleep(10);
  foreign.cli('PUBLISH', 'news', 'heard in the end');
  assert.deepEqual(await subscribers.leave(), { subscribers: 1, received: 1, refused: 0, interrupted: 1 });
});

test('subscribers of a cluster that is down fail no slice', async () => {
  const [port] = (await freePorts(1)) as [number];
  const subscribers = new Subscribers({ host: '127.0.0.1', port, cluster: { reach: {} } }, () => true);
  await subscribers.listen(to([0, 'shard', 'a'], [1, 'channel', 'b']));
  assert.deepEqual(await subscribers.leave(), { subscribers: 2, received: 0, refused: 0, interrupted: 0 });
});

/**
 * Between subscribers and a server. What the server says to a connection after the first `cut` and its PONG is held back
 * until a PING comes, and then comes in pieces.
 */
async function startHoldingRelay(target: number): Promise<AsyncDisposable & { port: number; cut(): void }> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const relay = createServer((client) => {
    const holds = cuts > 0;
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}));
    const held: Buffer[] = [];
    let pings = 0;
    const command = (frame: Buffer) => {
      if (nameOf(frame) === 'PING') pings++;
      upstream.write(frame);
      if (pings === 2) void release();
    };
    const release = async () => {
      while (!client.destroyed) {
        const frame = held.shift();
        if (frame) client.write(frame);
        await sleep(50);
      }
    };
    let replies = 0;
    const reply = (frame: Buffer) => {
      if (holds && replies++ > 0) held.push(frame);
      else client.write(frame);
    };
    onFrames(client, command, () => {});
    onFrames(upstream, reply, () => {});
    client.on('close', () => upstream.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const cut = () => {
    cuts++;
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    port: (relay.address() as AddressInfo).port,
    cut,
    [Symbol.asyncDispose]: async () => {
      cut();
      relay.close();
      await once(relay, 'close');
    },
  };
}

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
