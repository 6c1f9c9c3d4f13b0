/** A plan on real clusters of three primaries: every op finds its node, redirections are followed, nothing is lost count of. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { serverCounts } from '../../src/capture/server-counts.ts';
import { clusterCaveats } from '../../src/drive/cluster/cluster.ts';
import { Driver } from '../../src/drive/driver.ts';
import { encodeCommands } from '../../src/drive/resp-command.ts';
import { memorySample } from '../../src/measure/server-memory.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { keySlot } from '../../src/plan/slots.ts';
import { UNKNOWN_CURSOR } from '../../src/plan/walks.ts';
import { type ClusterSlots, readSlots } from '../../src/servers/cluster.ts';
import { assertEmpty, startServer } from '../../src/servers/index.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { imageOf, noContainers, PRODUCTS, type Product } from '../support/servers.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

const clusters = {} as Record<Product, RunningServer>;
before(async () => {
  await Promise.all(
    PRODUCTS.map(async (product) => {
      clusters[product] = await startServer(`process:${product}-server`, { primaries: 3 });
    }),
  );
});
after(() => Promise.all(Object.values(clusters).map((cluster) => cluster[Symbol.asyncDispose]())));

const plan = (connections: number) => ({
  labels: [{ family: 'f', command: 'c' }],
  connections: Array.from({ length: connections }, () => ({ db: 0 })),
});

async function drive(cluster: RunningServer, ops: TestOp[], { connections = 1, during = async () => {} } = {}) {
  await using driver = await Driver.open(cluster.address, plan(connections), { client: 'raw', workers: 1 });
  const running = driver.run(sliceOf(ops));
  await during();
  return await running;
}

/** Runs `use` with one connection per node, in the order of `slots.nodes`. */
async function onNodes(cluster: RunningServer, use: (nodes: Redis[], slots: ClusterSlots) => Promise<void>) {
  const slots = await readSlots(cluster.address);
  const nodes = slots.nodes.map(({ host, port }) => new Redis({ host, port, retryStrategy: () => null }));
  try {
    await use(nodes, slots);
  } finally {
    for (const node of nodes) node.disconnect();
  }
}

for (const product of PRODUCTS) {
  describe(product, () => {
    test('ops of all slots are answered by the node that serves them', async () => {
      const cluster = clusters[product];
      const setsOf = async () => serverCounts(await cluster.info('commandstats')).calls.set ?? 0;
      const before = await setsOf();
      const {
        planned,
        replied,
        errors,
        cluster: counts,
      } = await drive(
        cluster,
        Array.from({ length: 3000 }, (_, i) => ({
          args: ['SET', `spread:${i}`, `${i}`],
          connection: i % 10,
          atUs: i * 20,
        })),
        { connections: 10 },
      );
      assert.deepEqual([planned, replied, errors], [3000, 3000, {}]);
      assert.deepEqual(counts, { moved: 0, asked: 0, crossSlot: 0 });
      assert.equal((await setsOf()) - before, 3000);
      await onNodes(cluster, async (nodes) => {
        for (const node of nodes) assert.ok((await node.dbsize()) > 500);
      });
      await assert.rejects(assertEmpty(cluster), { code: 'E_SERVER_NOT_EMPTY', message: /: 3000 keys in db0/ });
    });

    test('walks of a key and of the keyspace come to their end: the one where the key is, the other on one node', async () => {
      const cluster = clusters[product];
      const fields = Array.from({ length: 600 }, (_, i) => [`f:${i}`, 'x']).flat();
      const fill = await drive(cluster, [
        { args: ['HSET', 'walked', ...fields] },
        ...Array.from({ length: 600 }, (_, i) => ({ args: ['SET', `walked:${i}`, 'x'] })),
      ]);
      assert.deepEqual(fill.errors, {});
      const steps = (walk: number, command: string[]): TestOp[] =>
        Array.from({ length: 40 }, (_, i) => ({
          args: [...command, i === 0 ? '0' : UNKNOWN_CURSOR, 'COUNT', '50'],
          ...{ walk, connection: walk, atUs: i * 10_000 },
        }));
      const hscan = steps(0, ['HSCAN', 'walked']);
      const scan = steps(1, ['SCAN']);
      const ops = hscan.flatMap((op, i) => [op, scan[i]!]);
      const { errors, walks } = await drive(cluster, ops, { connections: 2 });
      assert.deepEqual(errors, {});
      assert.equal(walks!.steps, 2 * 39);
      // 12 and 4 steps at the most, on a machine that answers in time.
      assert.ok(walks!.ended >= 1 && (walks!.ended >= 4 || walks!.ahead > 0), JSON.stringify(walks));
    });

    test('slots of keys are those of the server', async () => {
      await onNodes(clusters[product], async ([node]) => {
        const keys = fc.sample(
          fc.oneof(
            fc.uint8Array({ maxLength: 30 }),
            fc.string().map((text) => Buffer.from(text)),
          ),
          200,
        );
        keys.push(...['{}a', '{a', 'a}{b}', '{a}{b}', '{{a}}'].map((text) => Buffer.from(text)));
        const answers = await Promise.all(keys.map((key) => node!.call('CLUSTER', ['KEYSLOT', Buffer.from(key)])));
        assert.deepEqual(
          keys.map((key) => keySlot(key)),
          answers,
        );
      });
    });

    test('figures of the nodes are added up', async () => {
      const cluster = clusters[product];
      const { usedBytes, memFragmentationRatio } = memorySample(await cluster.info('memory'), 0);
      await onNodes(cluster, async (nodes) => {
        const used = await Promise.all(
          nodes.map(async (node) => Number(/used_memory:(\d+)/.exec(await node.info())![1])),
        );
        const sum = used.reduce((a, b) => a + b);
        assert.ok(Math.abs(usedBytes - sum) < sum / 4, `${usedBytes} of ${used}`);
        assert.ok(usedBytes > 2 * Math.max(...used));
      });
      assert.ok(memFragmentationRatio > 0 && memFragmentationRatio < 60);
      assert.equal(cluster.identity.primaries, 3);
    });

    test('a transaction goes to one node; keys of several slots are counted and refused by the server', async () => {
      const tagged = (name: string) => `{tx}:${name}`;
      const {
        replied,
        errors,
        cluster: counts,
      } = await drive(
        clusters[product],
        [
          ['WATCH', tagged('a')],
          ['MULTI'],
          ['SET', tagged('a'), '1'],
          ['LPUSH', tagged('b'), '1'],
          ['EXEC'],
          ['MULTI'],
          ['PING'],
          ['DISCARD'],
          ['MSET', 'foo', '1', 'bar', '2'],
          ['MGET', '{x}1', '{x}2', '{x}3'],
          ['SUBSTR', 'foo', '0', '1'],
          ['EVAL', 'return #KEYS', '2', 'foo', 'bar'],
        ].map((args) => ({ args })),
      );
      assert.deepEqual(counts, { moved: 0, asked: 0, crossSlot: 2 });
      assert.deepEqual([replied, errors], [10, { CROSSSLOT: 2 }]);
      assert.deepEqual(clusterCaveats([{ planned: 12, cluster: counts! }])[0]?.numbers, { crossSlot: 2, planned: 12 });
      assert.deepEqual(clusterCaveats([{ planned: 12 }]), []);
    });

    test('scripts, functions and the preload are where ops will look for them', async () => {
      const cluster = clusters[product];
      const body = Buffer.from("return redis.call('get', KEYS[1])");
      const library = Buffer.from("#!lua name=lib\nredis.register_function('f', function(k) return k[1] end)");
      const scripts: Plan['scripts'] = [
        { kind: 'script', body },
        { kind: 'library', body: library },
      ];
      await using driver = await Driver.open(cluster.address, { ...plan(3), scripts }, { client: 'raw', workers: 1 });
      const loaded = await driver.load(scripts);
      assert.deepEqual(loaded, {});
      const commands = Array.from({ length: 300 }, (_, i) => ['SET', `loaded:${i}`, 'x']);
      const { errors } = await driver.preload({
        ...{ commands: 300, keys: 300, logicalBytes: 0 },
        databases: [{ db: 0, commands: 300, chunks: () => [encodeCommands(commands)] }],
      });
      assert.deepEqual(errors, {});
      let sha = '';
      await onNodes(cluster, async (nodes) => {
        sha = String(await nodes[0]!.script('LOAD', body));
        const found = await Promise.all(nodes.map((node) => node.keys('loaded:*')));
        assert.equal(found.flat().length, 300);
        assert.ok(found.every(({ length }) => length > 50));
      });
      const record = await driver.run(
        sliceOf(
          Array.from({ length: 300 }, (_, i) => ({
            args: i % 2 ? ['EVALSHA', sha, '1', `loaded:${i}`] : ['FCALL', 'f', '1', `loaded:${i}`],
            connection: i % 3,
          })),
        ),
      );
      assert.deepEqual([record.replied, record.errors, record.cluster?.moved], [300, {}, 0]);
      // A node that has forgotten a script is sent its source, like any server.
      await onNodes(cluster, async (nodes) => {
        for (const node of nodes) await node.script('FLUSH');
      });
      const forgotten = await driver.run(
        sliceOf(
          Array.from({ length: 30 }, (_, i) => ({ args: ['EVALSHA', sha, '1', `loaded:${i}`], connection: i % 3 })),
        ),
      );
      assert.deepEqual([forgotten.replied, forgotten.errors], [30, {}]);
      assert.ok(forgotten.scriptsResent >= 3);
    });

    test('a slot that moves while it is used: ASK and MOVED are followed and counted, and then nothing is redirected', async () => {
      const cluster = clusters[product];
      await onNodes(cluster, async (nodes, { owner }) => {
        const slot = keySlot(Buffer.from('moving'));
        const source = owner[slot]!;
        const target = (source + 1) % 3;
        const [from, to] = [nodes[source]!, nodes[target]!];
        const [fromId, toId] = await Promise.all([from, to].map(async (node) => String(await node.cluster('MYID'))));
        const uses = (count: number, spacingUs: number) =>
          Array.from({ length: count }, (_, i) => ({ args: ['INCR', `{moving}:${i % 7}`], atUs: i * spacingUs }));
        await to.cluster('SETSLOT', slot, 'IMPORTING', fromId!);
        await from.cluster('SETSLOT', slot, 'MIGRATING', toId!);
        // None of the keys is there yet: the source asks for all of them to be looked for at the target.
        const asked = await drive(cluster, uses(20, 0));
        assert.deepEqual([asked.replied, asked.errors], [20, {}]);
        assert.deepEqual(asked.cluster, { moved: 0, asked: 20, crossSlot: 0 });
        const moved = await drive(cluster, uses(1000, 500), {
          during: async () => {
            for (const node of [to, from]) await node.cluster('SETSLOT', slot, 'NODE', toId!);
          },
        });
        assert.deepEqual([moved.replied, moved.errors], [1000, {}]);
        assert.equal(await to.get('{moving}:0'), String(Math.ceil(20 / 7) + Math.ceil(1000 / 7)));
        const settled = await drive(cluster, uses(100, 100));
        assert.deepEqual(settled.cluster, { moved: 0, asked: 0, crossSlot: 0 });
      });
    });

    test('one MOVED teaches all that follow', async () => {
      const cluster = clusters[product];
      await onNodes(cluster, async (nodes, { owner }) => {
        const slot = keySlot(Buffer.from('taught'));
        const source = owner[slot]!;
        const toId = String(await nodes[(source + 1) % 3]!.cluster('MYID'));
        await using driver = await Driver.open(cluster.address, plan(1), { client: 'raw', workers: 1 });
        // An empty slot may change hands at once.
        for (const node of nodes) await node.cluster('SETSLOT', slot, 'NODE', toId);
        const ops = Array.from({ length: 50 }, (_, i) => ({ args: ['INCR', '{taught}:n'], atUs: i * 4000 }));
        const { replied, errors, cluster: counts } = await driver.run(sliceOf(ops));
        assert.deepEqual([replied, errors], [50, {}]);
        assert.ok(counts!.moved >= 1 && counts!.moved < 50, `${counts!.moved} of 50 ops were redirected`);
        assert.equal((await driver.run(sliceOf(ops))).cluster!.moved, 0);
      });
    });

    test('a node of the cluster, named by URL, stands for all of it', async () => {
      const { nodes } = await readSlots(clusters[product].address);
      await using found = await startServer(`redis://127.0.0.1:${nodes[2]!.port}`);
      assert.equal(found.ours, false);
      assert.equal(found.identity.primaries, 3);
      assert.deepEqual(await found.info('keyspace'), await clusters[product].info('keyspace'));
    });
  });
}

test('an op that waits on one node holds up no other node', async () => {
  const { owner } = await readSlots(clusters.redis.address);
  const nodeOf = (key: string) => owner[keySlot(Buffer.from(key))];
  const elsewhere = ['a', 'b', 'c', 'd', 'e'].find((key) => nodeOf(key) !== nodeOf('q'));
  const { replied, blocked, lost } = await drive(
    clusters.redis,
    [
      { args: ['BLPOP', 'q', '0'], blocking: true },
      { args: ['SET', elsewhere!, '1'] },
      { args: ['SET', 'q:other', '1'], connection: 1 },
    ],
    { connections: 2 },
  );
  assert.deepEqual([replied, blocked, lost], [2, 1, 0]);
});

test('containers are a cluster too, reached through their published ports', { skip: noContainers }, async () => {
  await using cluster = await startServer(`docker:${imageOf('valkey')}`, { primaries: 3 });
  const ops = Array.from({ length: 300 }, (_, i) => ({ args: ['SET', `spread:${i}`, 'x'] }));
  const { replied, errors, cluster: counts } = await drive(cluster, ops);
  assert.deepEqual([replied, errors, counts], [300, {}, { moved: 0, asked: 0, crossSlot: 0 }]);
});

test('what a cluster cannot do is said before anything is sent', async () => {
  const { address } = clusters.redis;
  const open = (db: number, client: 'raw' | 'ioredis') =>
    Driver.open(address, { labels: [], connections: [{ db: 0 }, { db }] }, { client, workers: 1 });
  await assert.rejects(open(3, 'raw'), { code: 'E_CLUSTER_DATABASES', message: /databases 0, 3; a cluster has only/ });
  await assert.rejects(open(0, 'ioredis'), { code: 'E_CLUSTER_CLIENT' });
});

test('connections to one node that break in the middle lose what was in flight, and no count', async () => {
  const ops = Array.from({ length: 2000 }, (_, i) => ({
    args: ['INCR', `break:${i}`],
    connection: i % 4,
    atUs: i * 250,
  }));
  const record = await drive(clusters.redis, ops, {
    connections: 4,
    during: () =>
      onNodes(clusters.redis, async ([node]) => {
        await setTimeout(200);
        await node!.call('CLIENT', ['KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
      }),
  });
  const { planned, replied, lost, blocked, unsent, errors, connectionLost } = record;
  assert.match(connectionLost!, /^4 of 4 connections lost/);
  assert.deepEqual([planned, replied + lost, blocked, unsent, errors], [2000, 2000, 0, 0, {}]);
  assert.ok(replied >= 1900, `${lost} lost`);
});

test('a cluster whose node dies is a server that died', async () => {
  await onNodes(clusters.valkey, async ([node]) => {
    node!.on('error', () => {});
    node!.shutdown('NOSAVE').catch(() => {});
    assert.match((await clusters.valkey.died).how, /^its node 127\.0\.0\.1:\d+: exited with code 0/);
  });
});
