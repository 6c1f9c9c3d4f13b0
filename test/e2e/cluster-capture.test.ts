/** A cluster that is captured with its dataset → two clusters that hold as many keys, take as much memory and miss as often. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { ARMS, type Arm, type Rehearsal } from '../../src/measure/rehearsal.ts';
import { keyCount } from '../../src/measure/server-memory.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { startServer } from '../../src/servers/index.ts';
import { cutover } from '../support/cli.ts';
import { temporaryFolder } from '../support/temporary.ts';

const USERS = 9000;
/** Of the pages that are asked for, so many exist; the others are missed each time. */
const PAGES = 3000;
const MISSING = 1000;
/** Users' profiles, every third one's cart, and pages. */
const KEYS = USERS + USERS / 3 + PAGES;

async function fill(client: Cluster): Promise<void> {
  const random = mulberry32(7);
  const bytes = (most: number) => 'x'.repeat(1 + Math.floor(random() * most));
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < USERS; i++) {
    sent.push(client.hset(`{user:${i}}:profile`, { name: bytes(20), mail: bytes(30), bio: bytes(100) }));
    if (i % 3 === 0)
      sent.push(client.rpush(`{user:${i}}:cart`, ...Array.from({ length: 1 + (i % 8) }, () => bytes(12))));
  }
  for (let i = 0; i < PAGES; i++) sent.push(client.set(`page:${i}`, bytes(6000)));
  await Promise.all(sent);
}

const REFUSES = "return redis.error_reply('QUOTA of ' .. KEYS[1])";

/** Reads of pages, one in four of which misses, and carts of few users; some calls fail. */
async function use(client: Cluster, until: Promise<unknown>): Promise<void> {
  const random = mulberry32(8);
  let over = false;
  void until.then(() => {
    over = true;
  });
  while (!over) {
    const page = Math.floor(random() * (PAGES + MISSING));
    const user = Math.floor(random() * 300) * 3;
    await Promise.all([
      client.get(page < PAGES ? `page:${page}` : `page:none:${page}`),
      client.lrange(`{user:${user}}:cart`, 0, -1),
      client.hget(`{user:${user}}:profile`, 'name'),
      // Errors are what they are for.
      ...(random() < 0.3 ? [client.llen(`page:${Math.floor(random() * PAGES)}`).catch(() => {})] : []),
      ...(random() < 0.3 ? [client.eval(REFUSES, 1, `{user:${user}}:cart`).catch(() => {})] : []),
    ]);
    await sleep(2);
  }
}

test('a captured cluster and the clusters that rehearse it hold the same', async (t) => {
  const folder = temporaryFolder();
  const source = join(folder, 'app.monitor.zst');
  {
    await using server = await startServer('process:redis-server', { primaries: 3 });
    const { host, port } = server.address;
    const client = new Cluster([{ host, port }]);
    await fill(client);
    const running = cutover([
      ...['capture', `redis://${host}:${port}`, '-o', source, '--for', '2s', '--sample', '3000', '--min-free', '1mb'],
    ]);
    await use(client, running);
    const { code, stderr } = await running;
    assert.equal(code, 0, stderr);
    client.disconnect();
    assert.equal(keyCount(await server.info('keyspace')), KEYS);
  }
  const model = join(folder, 'app.model.json');
  const nodes = [1, 2, 3].map((node) => join(folder, `app.node${node}.monitor.zst`));
  const modelled = await cutover(['model', ...nodes, '-o', model]);
  assert.equal(modelled.code, 0, modelled.stderr);
  const output = join(folder, 'rehearsal');
  const arms = ['-b', 'process:redis-server', '-c', 'process:valkey-server', '--cluster', '3'];
  const short = [
    '--rounds',
    '1',
    '--slice',
    '2s',
    '--slice-pairs',
    '1',
    '--warmup',
    '200ms',
    '--memory-protocol',
    'quick',
  ];
  const { code, stderr } = await cutover(['run', model, ...arms, ...short, '-o', output]);
  assert.ok([0, 1, 4, 5].includes(code!), stderr);
  const { outcome, rounds }: Rehearsal = JSON.parse(readFileSync(join(output, 'rehearsal.json'), 'utf8'));
  for (const arm of ARMS) {
    const { preload, slices } = rounds[0]!.arms[arm];
    assert.deepEqual([preload.keys, preload.errors], [KEYS, {}]);
    const [{ cluster, errors }] = slices as [Rehearsal['rounds'][number]['arms'][Arm]['slices'][number]];
    assert.deepEqual([cluster!.moved, cluster!.asked, cluster!.crossSlot], [0, 0, 0]);
    assert.deepEqual(Object.keys(errors).sort(), ['QUOTA', 'WRONGTYPE']);
    const found = outcome![arm];
    for (const metric of ['failed calls', 'failed script calls', 'WRONGTYPE errors', 'QUOTA errors']) {
      const row = found.find((one) => one.metric.startsWith(metric))!;
      t.diagnostic(`${arm}: ${row.metric} ${row.replayed!.toFixed(1)}, captured ${row.captured!.toFixed(1)}`);
      assert.ok(row.value <= row.target && row.target < row.captured!, JSON.stringify(row));
    }
    for (const [metric, most] of [
      ['commands executed', 0.02],
      ['hit ratio', 0.03],
    ] as const) {
      const row = found.find((one) => one.metric.startsWith(metric))!;
      t.diagnostic(`${arm}: ${metric} ${row.value.toFixed(4)}`);
      assert.ok(row.value <= most, `${arm}: ${metric} ${row.value}`);
    }
  }
  // The other arm is another product: its memory is not compared.
  const memory = outcome!.baseline.find(({ metric }) => metric.startsWith('used_memory'))!;
  t.diagnostic(`used_memory ${memory.value.toFixed(3)}`);
  assert.ok(memory.value <= 0.08, `used_memory ${memory.value}`);
});
