/** A dataset that is mostly untouched while it is captured → servers that begin with one like it: as many keys, as much memory. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Driver } from '../../src/drive/driver.ts';
import { memorySample } from '../../src/measure/server-memory.ts';
import { type Built, buildModel } from '../../src/model/build.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { type Mode, openWorkload } from '../../src/plan/mode.ts';
import { startServer } from '../../src/servers/index.ts';
import type { RunningServer } from '../../src/servers/server.ts';
import { cutover } from '../support/cli.ts';
import { PRODUCTS, type Product } from '../support/servers.ts';

const KEYS = 40_000;
/** So many that chance leaves about 1 % of the memory open, one standard error. */
const SAMPLED = 24_000;
const folder = mkdtempSync(join(tmpdir(), 'cutover-untouched-'));
after(() => rmSync(folder, { recursive: true }));

const connect = ({ address: { host, port } }: RunningServer) => new Redis({ host, port });

/** Every type and most encodings, with and without expiry, in two databases; sizes as skewed as they are in life. */
async function fill(server: RunningServer): Promise<void> {
  const client = connect(server);
  const random = mulberry32(42);
  const upTo = (n: number) => Math.floor(random() * n);
  const skewed = (most: number) => Math.max(1, Math.round(most ** random()));
  const text = (bytes: number) => Array.from({ length: bytes }, () => 'abcdefghij'[upTo(10)]).join('');
  const hex = () => Array.from({ length: 24 }, () => '0123456789abcdef'[upTo(16)]).join('');
  const list = <T>(n: number, make: (i: number) => T) => Array.from({ length: n }, (_, i) => make(i));
  let batch = client.pipeline();
  for (let i = 0; i < KEYS; i++) {
    const kind = i % 40;
    if (kind < 16) batch.set(`session:${hex()}`, text(100 + upTo(400)), 'EX', 3600 + upTo(80_000));
    else if (kind < 22) batch.set(`counter:${100_000 + i}`, upTo(10 ** 9));
    else if (kind < 28) batch.hset(`user:${1000 + i}`, ...list(2 * (3 + upTo(6)), (f) => (f % 2 ? text(12) : `f${f}`)));
    else if (kind < 29) batch.hset(`profile:${i}`, 'name', text(10), 'bio', text(65 + upTo(600)));
    else if (kind < 31) batch.rpush(`{cart:${i}}:items`, ...list(skewed(300), () => text(5 + upTo(40))));
    else if (kind < 32) batch.hset(`{cart:${i}}:owner`, 'id', i, 'name', text(9));
    else if (kind < 34) batch.sadd(`ids:${i}`, ...list(skewed(400), () => 100_000 + upTo(800_000)));
    else if (kind < 36) batch.sadd(`tags:${i}`, ...list(skewed(200), () => text(4 + upTo(8))));
    else if (kind < 38)
      batch.zadd(`rank:${i}`, ...list(i % 160 === 36 ? 130 + upTo(30) : skewed(60), (n) => [n, `m${i}:${n}`]).flat());
    else if (kind < 39) for (let n = skewed(40); n > 0; n--) batch.xadd(`events:${i}`, '*', 'field', text(30));
    else
      batch
        .select(1)
        .set(`page:/articles/${i}`, text(skewed(4000)), 'EX', 600)
        .select(0);
    if (kind === 34) batch.expire(`tags:${i - 1}`, 50_000);
    if (i % 1000 < KEYS - 1 && i % 1000 !== 999) continue;
    await batch.exec();
    batch = client.pipeline();
  }
  await batch.exec();
  client.disconnect();
}

/** A few sessions and users, again and again. */
async function use(server: RunningServer, until: Promise<unknown>): Promise<void> {
  const client = connect(server);
  let over = false;
  void until.then(() => {
    over = true;
  });
  for (let i = 0; !over; i++) {
    const user = 1022 + 40 * (i % 20);
    await client.hget(`user:${user}`, 'f0');
    await client.set(`session:${String(i % 30).padStart(24, '0')}`, 'x'.repeat(250), 'EX', 3600);
    await client.get(`session:${String(i % 30).padStart(24, '0')}`);
    await sleep(3);
  }
  client.disconnect();
}

interface Profile {
  keys: number;
  /** Without what an empty server takes, and what clients do. */
  usedBytes: number;
  /** Database, first word of the keys, type and encoding → keys. */
  kinds: Map<string, number>;
  /** First word of the keys → keys that expire, and the mean of the seconds that they have left. */
  expiring: Map<string, { keys: number; seconds: number }>;
}

async function profileOf(server: RunningServer): Promise<Profile> {
  const client = connect(server);
  const profile: Profile = { keys: 0, usedBytes: 0, kinds: new Map(), expiring: new Map() };
  const memory = await server.info('memory');
  const { usedBytes, clientBytes } = memorySample(memory, 0);
  profile.usedBytes = usedBytes - (clientBytes ?? 0) - Number(memory.used_memory_startup);
  for (const db of [0, 1]) {
    await client.select(db);
    let cursor = '0';
    do {
      const [next, keys] = await client.scan(cursor, 'COUNT', 1000);
      cursor = next;
      const batch = client.pipeline();
      for (const key of keys) batch.type(key).object('ENCODING', key).ttl(key);
      const replies = (await batch.exec())!.map(([, reply]) => reply);
      keys.forEach((key, i) => {
        const [type, encoding, ttl] = replies.slice(3 * i, 3 * i + 3) as [string, string, number];
        const family = `${db} ${/^\{?[a-z]+/.exec(key)![0]}${/:[a-z]+$/.exec(key)?.[0] ?? ''}`;
        const kind = `${family} ${type} ${encoding}`;
        profile.keys++;
        profile.kinds.set(kind, (profile.kinds.get(kind) ?? 0) + 1);
        if (ttl < 0) return;
        const known = profile.expiring.get(family) ?? { keys: 0, seconds: 0 };
        profile.expiring.set(family, { keys: known.keys + 1, seconds: known.seconds + ttl });
      });
    } while (cursor !== '0');
  }
  client.disconnect();
  return profile;
}

async function preloaded(product: Product, { model, captured }: Built, source: string, mode: Mode): Promise<Profile> {
  const workload = await openWorkload({
    ...{ mode, keys: undefined, source, model, captured, seed: '1', replica: false },
    ...{ epochSeconds: Math.floor(Date.now() / 1000), rate: 100, seconds: 1 },
  });
  await using server = await startServer(`process:${product}-server`, {});
  await using driver = await Driver.open(server.address, workload.plan, { client: 'raw', workers: 1 });
  assert.deepEqual((await driver.preload(workload.plan.preload)).errors, {});
  const profile = await profileOf(server);
  assert.equal(profile.keys, workload.plan.preload.keys);
  return profile;
}

/** Binomial: what a sample of so many leaves open, three standard errors of it, in keys. */
const openKeys = (keys: number, all: number) =>
  3 * all * Math.sqrt(((keys / all) * (1 - keys / all)) / (SAMPLED * 0.99)) + 3;

function assertAlike(own: Profile, captured: Profile): void {
  for (const [kind, keys] of captured.kinds) {
    const found = own.kinds.get(kind) ?? 0;
    assert.ok(Math.abs(found - keys) <= openKeys(keys, captured.keys), `${kind}: ${found} of ${keys}`);
  }
  for (const kind of own.kinds.keys()) assert.ok(captured.kinds.has(kind), `${kind}: ${own.kinds.get(kind)} of none`);
  for (const [family, { keys, seconds }] of captured.expiring) {
    const found = own.expiring.get(family) ?? { keys: 0, seconds: 0 };
    assert.ok(
      Math.abs(found.keys - keys) <= openKeys(keys, captured.keys),
      `${family}: ${found.keys} of ${keys} expire`,
    );
    const ratio = found.seconds / found.keys / (seconds / keys);
    assert.ok(Math.abs(ratio - 1) < 0.1, `${family}: ${ratio} times the seconds left`);
  }
}

// Nothing is timed: both servers at once.
suite('a dataset of which a capture sees little', { concurrency: 2 }, () => {
  for (const product of PRODUCTS) {
    suite(product, () => {
      const source = join(folder, `${product}.monitor.zst`);
      let captured: Profile;
      let built: Built;

      before(async () => {
        await using server = await startServer(`process:${product}-server`, {});
        await fill(server);
        const url = `redis://127.0.0.1:${server.address.port}`;
        const running = cutover([
          'capture',
          url,
          '-o',
          source,
          '--for',
          '2s',
          '--sample',
          `${SAMPLED}`,
          '--min-free',
          '1mb',
        ]);
        await use(server, running);
        const { code, stderr } = await running;
        assert.equal(code, 0, stderr);
        captured = await profileOf(server);
        built = await buildModel(source, { keepKeys: true });
      });

      test('the model holds none of its keys, and is small', () => {
        const text = JSON.stringify(built.model);
        const { dataset } = JSON.parse(readFileSync(source.replace('.monitor.zst', '.capture.json'), 'utf8'));
        const named = dataset.sampled.filter(({ key }: { key: string }) => text.includes(key));
        assert.deepEqual(named, []);
        assert.ok(text.length < 300_000, `${text.length} bytes`);
      });

      test('a rehearsal compares its memory with the captured, and says what stands on a sample', async () => {
        const output = join(folder, `${product}-rehearsal`);
        const arms = ['-b', `process:${product}-server`, '-c', `process:${product}-server`, '-o', output];
        const short = ['--rounds', '1', '--slice', '200ms', '--slice-pairs', '1', '--warmup', '200ms'];
        const { stderr } = await cutover(['run', source, ...arms, ...short, '--memory-protocol', 'quick']);
        const { outcome, caveats, rounds } = JSON.parse(readFileSync(join(output, 'rehearsal.json'), 'utf8'));
        for (const arm of ['baseline', 'candidate']) {
          const memory = outcome[arm].find(({ metric }: { metric: string }) => metric.startsWith('used_memory'));
          assert.ok(memory.value <= memory.target, `${memory.value} ${stderr}`);
          assert.equal(rounds[0].arms[arm].preload.keys, captured.keys);
        }
        assert.ok(caveats.some(({ id }: { id: string }) => id === 'dataset-sampled'));
      });

      for (const mode of ['modelled', 'irm', 'exact'] as const) {
        test(`${mode}: as many keys of the same kinds, expiries and memory`, async (t) => {
          const own = await preloaded(product, built, source, mode);
          assert.equal(
            own.keys,
            built.model.keysAtStart!.reduce((sum, [, keys]) => sum + keys, 0),
          );
          assertAlike(own, captured);
          const ratio = own.usedBytes / captured.usedBytes;
          t.diagnostic(`${ratio.toFixed(3)} times the memory`);
          assert.ok(Math.abs(ratio - 1) <= 0.05, `${ratio} times the memory`);
        });
      }
    });
  }
});
