/** A sample of a dataset → what families hold: counts add up, sums stay, names stay out; and it becomes a preload of that. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeArgument } from '../../src/capture/encode.ts';
import type { SampledKey, Sidecar } from '../../src/capture/record/sidecar.ts';
import { sidecarPath, writeSidecar } from '../../src/capture/record/sidecar-file.ts';
import { buildModel } from '../../src/model/build.ts';
import { Existed } from '../../src/model/fit/existence.ts';
import { mergeModels } from '../../src/model/merge.ts';
import { type Model, modelSchema } from '../../src/model/model.ts';
import { applyOverrides } from '../../src/model/overrides/changed-model.ts';
import type { Preload } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { preloadFrom } from '../../src/plan/preload/filling.ts';
import { untouchedKeys } from '../../src/plan/preload/untouched.ts';
import { keyMakers } from '../../src/plan/synthesis/keys.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { summarizeModel } from '../../src/report/text/model.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, monitorLine } from '../support/workload.ts';

const START_US = 1_700_000_000e6;

/** A capture with the sidecar of one that looked at so many keys of as many as `keys` says; of none, it did not look. */
async function modelWith(
  lines: Line[],
  keys: Record<string, number>,
  sampled: SampledKey[],
  { complete = false, expiring = 'expires=0,avg_ttl=0' } = {},
): Promise<Model> {
  const path = temporaryFile('app.monitor', `OK\n${lines.map(monitorLine).join('')}`);
  const keyspace = Object.fromEntries(Object.entries(keys).map(([db, n]) => [`db${db}`, `keys=${n},${expiring}`]));
  const startedAt = new Date(START_US / 1000).toISOString();
  const sidecar: Sidecar = {
    ...{ schema: 'cutover/capture@1', recordedAt: startedAt, server: { product: 'redis', version: '7.0.15' } },
    ...(sampled.length > 0 ? { dataset: { takenAt: startedAt, keys, complete, sampled } } : {}),
    bursts: [{ startedAt, before: { keyspace, memory: { used_memory: '9000000', used_memory_startup: '1000000' } } }],
  };
  writeFileSync(sidecarPath(path), JSON.stringify(sidecar));
  return (await buildModel(path)).model;
}

const gets = (names: string[], db = 0, from = START_US): Line[] =>
  names.map((name, i) => ({ atUs: from + i * 1000, db, args: ['get', name] }));
const string = (key: string, length = 100, more: Partial<SampledKey> = {}): SampledKey => ({
  ...{ db: 0, key: encodeArgument(Buffer.from(key)), type: 'string', pttlMs: -1, encoding: 'raw', length },
  ...more,
});
const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
const family = (model: Model, template: string, db = 0) =>
  model.families.find((one) => one.template === template && one.db === db)!;
const sumOf = (counts: [number, number][]) => counts.reduce((sum, [, n]) => sum + n, 0);

/** Commands of a preload, by database. */
function preloadOf(model: Model, options: { independent?: boolean; datasetBytes?: number } = {}) {
  const { plan } = new Synthesis(model, { seed: '1', epochSeconds: 1_800_000_000, ...options });
  const databases = plan.preload.databases.map(({ db, chunks }) => {
    const commands: string[][] = [];
    for (const bytes of chunks()) {
      for (let at = 0; at < bytes.length; ) {
        const command = readCommand(bytes, at);
        const last = command.at(-1)!;
        at = last.byteOffset - bytes.byteOffset + last.length + 2;
        commands.push(command.map((word) => Buffer.from(word).toString('latin1')));
      }
    }
    return { db, commands };
  });
  return { preload: plan.preload, databases };
}
const namesOf = (commands: string[][]) => [...new Set(commands.map(([, name]) => name!))];

test("touched keys are of the capture's family and not counted twice; others have families of their own", async () => {
  const sampled = [...many(50, (i) => string(`page:${1000 + i}`)), ...many(50, (i) => string(`old:${i}:x`, 10))];
  const model = await modelWith(gets(many(40, (i) => `page:${1000 + i}`)), { 0: 10_000 }, sampled);
  modelSchema.parse(model);
  assert.equal(family(model, 'page:{int}').atStart!.keys, 5000);
  assert.equal(family(model, 'old:{int}:x').atStart!.keys, 5000);
  assert.deepEqual([family(model, 'old:{int}:x').keys, family(model, 'old:{int}:x').requests], [0, 0]);
  const { preload, databases } = preloadOf(model);
  const names = namesOf(databases[0]!.commands);
  assert.equal(preload.keys, 10_000);
  assert.equal(names.length, 10_000);
  assert.equal(names.filter((name) => name.startsWith('old:')).length, 5000);
  assert.ok(names.every((name) => /^page:\d{4}$|^old:\d+:x$/.test(name)));
  // Values of the keys that the capture only reads are as long as those that were looked at.
  assert.ok(databases[0]!.commands.every(([, name, value]) => value!.length === (name!.startsWith('old') ? 10 : 100)));
  assert.match(summarizeModel(model, [], []), /10,000 keys when the capture began; 100 of them were looked at/);
  const [caveat] = new Synthesis(model, { seed: '1', epochSeconds: 1.8e9 }).caveats;
  assert.deepEqual([caveat?.id, caveat?.numbers], ['dataset-sampled', { sampled: 100, keys: 10_000, scale: 100 }]);
});

test('a key of which there is one is one, however few were looked at', async () => {
  const sampled = [...many(99, (i) => string(`page:${1000 + i}`)), string('the-list', 5)];
  const model = await modelWith(gets(['page:1001', ...many(3, () => 'the-list')]), { 0: 99_000 }, sampled);
  const { databases } = preloadOf(model);
  const names = databases[0]!.commands.map(([, name]) => name);
  assert.equal(names.filter((name) => name === 'the-list').length, 1);
  assert.equal(new Set(names).size, 99_000);
});

test('a large key stands for others, but not for more than the server had', async () => {
  const sampled = [
    ...many(99, (i) => string(`page:${1000 + i}`, 100, { bytes: 200 })),
    string('big:1', 1_000_000, { bytes: 1_000_100 }),
  ];
  // Of the 8 MB that the server had, the others leave 6.
  const model = await modelWith(gets(['page:1001']), { 0: 10_000 }, sampled);
  const [large] = model.families
    .flatMap(({ atStart }) => atStart?.kinds ?? [])
    .filter(({ lengths }) => lengths[0]![0] > 100);
  assert.ok(large!.keys >= 5 && large!.keys <= 7, `${large!.keys}`);
  assert.equal(preloadOf(model).preload.keys, 10_000);
});

test('databases keep their keys, hash tags are shared, and what modules store is left out with a word', async () => {
  const sampled = [
    ...many(20, (i) => string(`{user:${100 + i}}:cart`, 8)),
    ...many(20, (i) => string(`{user:${100 + i}}:name`, 8)),
    ...many(10, (i) => string(`far:${i}`, 3, { db: 3 })),
    ...many(10, (i) => string(`doc:${i}`, 3, { db: 3, type: 'ReJSON-RL', encoding: 'raw' })),
  ];
  const model = await modelWith(gets(['{user:101}:cart']), { 0: 4000, 3: 200 }, sampled);
  const { databases } = preloadOf(model);
  assert.deepEqual(databases.map(({ db, commands }) => [db, namesOf(commands).length]).sort(), [
    [0, 4000],
    [3, 200],
  ]);
  const tags = (suffix: string) =>
    new Set(namesOf(databases[0]!.commands).flatMap((name) => (name.endsWith(suffix) ? name.split('}')[0]! : [])));
  const shared = [...tags(':cart')].filter((tag) => tags(':name').has(tag));
  assert.ok(shared.length > 1900, `${shared.length} tags in common`);
  assert.ok(namesOf(databases[1]!.commands).every((name) => name.startsWith('far:')));
  const { caveats } = new Synthesis(model, { seed: '1', epochSeconds: 1.8e9 });
  assert.ok(caveats.some(({ id }) => id === 'dataset-modules'));
});

test('collections have the lengths and elements of the sampled ones, and the encodings that follow', async () => {
  const key = (name: string, type: string, encoding: string, length: number, elementBytes: number[]): SampledKey => ({
    ...{ db: 0, key: name, type, encoding, length, elementBytes },
    pttlMs: 90_500,
  });
  const sampled = many(60, (i) => [
    key(`h:${i}`, 'hash', 'listpack', 3, [5, 20, 5, 20, 5, 20]),
    key(`t:${i}`, 'hash', 'hashtable', 2, [4, 10, 4, 700]),
    key(`z:${i}`, 'zset', 'skiplist', 2500, [9, 9, 9]),
    key(`s:${i}`, 'set', 'intset', 300, [6, 6]),
    key(`e:${i}`, 'stream', 'stream', 7, []),
    key(`l:${i}`, 'list', 'quicklist', 4, [30, 30]),
  ]).flat();
  const model = await modelWith(gets(['other:1']), { 0: 720 }, sampled);
  const { databases } = preloadOf(model);
  const held = new Map<string, string[]>();
  const expiries = new Map<string, string>();
  for (const [command, name, ...args] of databases[0]!.commands) {
    if (command === 'expire') expiries.set(name!, args[0]!);
    else if (command === 'xadd') held.set(name!, [...(held.get(name!) ?? []), args[2]!]);
    else if (command !== 'del') held.set(name!, [...(held.get(name!) ?? []), ...args]);
  }
  assert.equal(held.size, 720);
  const own = (prefix: string) => [...held].filter(([name]) => name.startsWith(prefix)).map(([, args]) => args);
  const evens = (args: string[]) => args.filter((_, i) => i % 2 === 0);
  const odds = (args: string[]) => args.filter((_, i) => i % 2 === 1);
  assert.equal(own('h:').length, 120);
  assert.ok(own('h:').every((args) => args.length === 6 && odds(args).every((value) => value.length === 20)));
  assert.ok(own('t:').every((args) => args.length === 4 && odds(args).some((value) => value.length > 64)));
  assert.ok(
    own('z:').every((args) => new Set(odds(args)).size === 2500 && odds(args).every((one) => one.length === 9)),
  );
  assert.ok(own('s:').every((args) => new Set(args).size === 300 && args.every((one) => /^\d{6}$/.test(one))));
  assert.ok(own('e:').every((args) => args.length === 7));
  assert.ok(own('l:').every((args) => evens(args).length === 2 && args.every((one) => one.length === 30)));
  // No command is so long that a server would refuse it.
  assert.ok(databases[0]!.commands.every((command) => command.length <= 2002));
  assert.ok([...expiries.values()].every((seconds) => seconds === '91'));
  assert.equal(expiries.size, 719, 'all but the one that the capture reads');
});

test('nodes add up, parts keep what the first one saw', async () => {
  const node = (from: number, keys: number, at = START_US) =>
    modelWith(
      gets(
        many(20, (i) => `page:${from + i}`),
        0,
        at,
      ),
      { 0: keys },
      many(50, (i) => string(`page:${from + i}`, 10)),
    );
  const [a, b] = [await node(1000, 1000), await node(7000, 9000)];
  const both = mergeModels([a, b]);
  assert.equal(family(both, 'page:{int}').atStart!.keys, 10_000);
  assert.deepEqual(both.keysAtStart, [[0, 10_000]]);
  assert.deepEqual(both.sampledAtStart, { keys: 100, complete: false });
  assert.equal(both.usedBytesAtStart, 16_000_000);
  const later = await modelWith(gets(['page:1'], 0, START_US + 60e6), { 0: 77 }, [string('new:1:x'), string('page:1')]);
  const joined = mergeModels([a, later]);
  assert.equal(family(joined, 'page:{int}').atStart!.keys, 1000);
  assert.ok(joined.families.every(({ keys, atStart }) => keys > 0 || atStart));
  assert.deepEqual([joined.keysAtStart, joined.sampledAtStart], [a.keysAtStart, a.sampledAtStart]);
});

test('a list of all keys says which were there, if it was made right before the lines', async () => {
  const lines = [
    ...gets(['page:1', 'page:2', 'page:3', 'page:4']),
    // Filled after a miss, as it looks: but it was there.
    { atUs: START_US + 4500, args: ['get', 'page:5'] },
    { atUs: START_US + 5000, args: ['set', 'page:5', 'x'] },
  ];
  const builtWith = async (changes: { complete?: boolean; takenAt?: string; keys?: number }) => {
    const path = temporaryFile('app.monitor', `OK\n${lines.map(monitorLine).join('')}`);
    const startedAt = new Date(START_US / 1000).toISOString();
    const sampled = [string('page:1'), string('page:3', 100, { pttlMs: 100_000 }), string('page:5'), string('page:6')];
    const { complete = true, takenAt = startedAt, keys = sampled.length } = changes;
    await writeSidecar(path, {
      ...{ schema: 'cutover/capture@1', recordedAt: startedAt, server: { product: 'redis', version: '7.0.15' } },
      dataset: { takenAt, keys: { 0: keys }, complete, sampled },
      bursts: [{ startedAt, before: { keyspace: { db0: `keys=${keys},expires=0` } } }],
    });
    const { model, captured } = await buildModel(path, { keepKeys: true });
    const names = [1, 2, 3, 4, 5, 9].map((i) => Buffer.from(`page:${i}`));
    return { model, existed: names.map((name) => captured!.existence.ofKey(0, name).existed) };
  };
  const { yes, no, unproven } = Existed;
  const { model, existed } = await builtWith({});
  // One that expires may have done so before; of one that no line has only the list tells.
  assert.deepEqual(existed, [yes, no, unproven, no, yes, no]);
  const [class0] = family(model, 'page:{int}').classes;
  assert.deepEqual([class0!.readFirst, class0!.found], [1, 2 / 5]);
  const read = [unproven, unproven, unproven, unproven, no, unproven];
  for (const changes of [{ complete: false }, { keys: 5 }, { takenAt: new Date(START_US / 1000 + 1).toISOString() }])
    assert.deepEqual((await builtWith(changes)).existed, read);
});

test('where nobody looked at a key, as many expire as the server counted, and have as long to live as it said', async () => {
  const lines = many(100, (i): Line[] => {
    const at = (offset: number, ...args: string[]): Line => ({ atUs: START_US + i * 100_000 + offset, args });
    return [
      at(0, 'incr', `limit:ip:${1000 + i}`),
      at(30, 'expire', `limit:ip:${1000 + i}`, '60'),
      at(60, 'hset', `user:${1000 + i}:profile`, 'name', 'x'),
    ];
  }).flat();
  for (const [keys, expiring, seconds] of [
    [1000, 0, 0],
    [1000, 400, 20],
    [1000, 400, 50],
    [1000, 1000, 0],
  ] as const) {
    const model = await modelWith(lines, { 0: keys }, [], {
      expiring: `expires=${expiring},avg_ttl=${seconds * 1000}`,
    });
    const { commands } = preloadOf(model).databases[0]!;
    const names = namesOf(commands);
    assert.equal(names.length, keys);
    const lives = commands.flatMap((words) =>
      words[0] === 'expire' || words.includes('EX') ? [[words[1]!, Number(words.at(-1))] as const] : [],
    );
    assert.equal(lives.length, expiring);
    assert.ok(lives.every(([name, left]) => name.startsWith('limit:') && left <= 60));
    const mean = lives.reduce((sum, [, left]) => sum + left, 0) / Math.max(1, lives.length);
    assert.ok(Math.abs(mean - (expiring === 0 ? 0 : seconds || 60)) <= 2, `${mean} of ${seconds}`);
  }
});

test('memory at first is that of keys, without what a server spends on itself', async () => {
  const own = {
    used_memory: '9000000',
    used_memory_startup: '1000000',
    mem_cluster_links: '4000',
    mem_clients_normal: '6000',
  };
  const latencystats = { latency_percentiles_usec_get: 'p50=1', latency_percentiles_usec_scan: 'p50=2' };
  const startedAt = new Date(START_US / 1000).toISOString();
  const path = temporaryFile('app.monitor', `OK\n${gets(['page:1']).map(monitorLine).join('')}`);
  await writeSidecar(path, {
    ...{ schema: 'cutover/capture@1', recordedAt: startedAt, server: { product: 'redis', version: '7.0.15' } },
    bursts: [{ startedAt, before: { memory: own, latencystats } }],
  });
  assert.equal((await buildModel(path)).model.usedBytesAtStart, 7_990_000 - 2 * 24_688);
});

test('families that nobody touches can be left out, or be more', async () => {
  const sampled = [...many(50, (i) => string(`page:${1000 + i}`)), ...many(50, (i) => string(`tmp:${i}:x`))];
  const model = await modelWith(gets(['page:1001', 'page:1002']), { 0: 1000 }, sampled);
  const by = { by: 'x', why: 'y' };
  const without = applyOverrides(model, { families: [{ match: 'tmp:*', exclude: true, ...by }] });
  assert.equal(preloadOf(without).preload.keys, 500);
  assert.deepEqual(without.sampledAtStart, { keys: 50, complete: false });
  // Both families take the same.
  const [all, half] = [model, without].map(({ usedBytesAtStart }) => usedBytesAtStart!);
  assert.equal(half, all! / 2);
  const more = applyOverrides(model, { families: [{ match: 'tmp:*', keys: 3, ...by }] });
  assert.equal(preloadOf(more).preload.keys, 2000);
  assert.deepEqual([more.sampledAtStart, more.usedBytesAtStart], [model.sampledAtStart, 2 * all!]);
});

test('a dataset larger than a server may hold is made smaller, of all families alike, with a word', async () => {
  const sampled = [...many(50, (i) => string(`page:${1000 + i}`)), ...many(50, (i) => string(`old:${i}:x`))];
  const model = await modelWith(gets(['page:1001']), { 0: 80_000 }, sampled);
  const datasetBytes = 800_000;
  const { preload, databases } = preloadOf(model, { datasetBytes });
  assert.equal(preload.keys, 8000);
  const old = namesOf(databases[0]!.commands).filter((name) => name.startsWith('old:')).length;
  assert.ok(Math.abs(old - 4000) <= 1, `${old}`);
  const { caveats } = new Synthesis(model, { seed: '1', epochSeconds: 1.8e9, datasetBytes });
  assert.deepEqual(caveats.find(({ id }) => id === 'dataset-limited')?.numbers, {
    keys: 8000,
    captured: 80_000,
    limitBytes: 800_000,
  });
});

test('a large preload is made again each time it is sent, the same bytes', () => {
  const keys = function* (db: number) {
    for (let i = 0; i < 9000; i++) yield { name: `${db}:${i}`, commands: [['set', `${db}:${i}`, 'x'.repeat(i % 300)]] };
  };
  const [kept, made] = [1e9, 1e6].map((most) => preloadFrom([0, 1], keys, most)) as [Preload, Preload];
  const bytesOf = ({ databases }: Preload) => Buffer.concat(databases.flatMap(({ chunks }) => [...chunks()]));
  assert.deepEqual(bytesOf(made), bytesOf(kept));
  assert.deepEqual(bytesOf(made), bytesOf(made));
  assert.deepEqual(
    [kept, made].map(({ databases }) => databases.map(({ chunks }) => Array.isArray(chunks()))),
    [
      [true, true],
      [false, false],
    ],
  );
  for (const { databases } of [kept, made])
    for (const { chunks } of databases) for (const chunk of chunks()) assert.ok(chunk.length < 1 << 19);
  assert.deepEqual([made.keys, made.commands, made.logicalBytes], [kept.keys, kept.commands, kept.logicalBytes]);
});

const anySample = fc.array(
  fc.record({
    db: fc.integer({ min: 0, max: 2 }),
    key: fc.oneof(
      fc.nat(9999).map((i) => `a:${i}`),
      fc.nat(99).map((i) => `b:${i}:c`),
      fc.string({ maxLength: 8 }),
    ),
    type: fc.constantFrom('string', 'hash', 'list', 'set', 'zset', 'stream', 'module'),
    pttlMs: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 1e9 })),
    encoding: fc.option(fc.constantFrom('int', 'raw', 'listpack', 'hashtable', 'intset', 'skiplist'), {
      nil: undefined,
    }),
    bytes: fc.option(fc.nat(1e6), { nil: undefined }),
    length: fc.option(fc.nat(300), { nil: undefined }),
    elementBytes: fc.option(fc.array(fc.nat(200), { maxLength: 10 }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 60 },
);

test('whatever was sampled: the model is valid, holds as many keys, and makes distinct ones', async () => {
  await fc.assert(
    fc.asyncProperty(anySample, fc.integer({ min: 1, max: 20 }), async (records, scale) => {
      const sampled = records.map(({ key, ...rest }) => {
        const known = Object.entries(rest).filter(([, value]) => value !== undefined);
        return { ...Object.fromEntries(known), key: encodeArgument(Buffer.from(key)) } as SampledKey;
      });
      const keys: Record<string, number> = {};
      for (const { db } of sampled) keys[db] = (keys[db] ?? 0) + scale;
      const model = await modelWith(gets(['a:1', 'zz:2']), keys, sampled);
      modelSchema.parse(JSON.parse(JSON.stringify(model)));
      for (const { atStart } of model.families) {
        if (!atStart) continue;
        assert.equal(
          atStart.keys,
          atStart.kinds.reduce((sum, kind) => sum + kind.keys, 0),
        );
        for (const kind of atStart.kinds) assert.ok(sumOf(kind.ttlSeconds) <= kind.keys + 1);
      }
      const counts = untouchedKeys(
        model,
        model.families.map(() => 0),
      );
      const makers = keyMakers(model.families);
      for (const [number, { keys: count }] of counts.entries()) {
        const names = new Set(many(count, (i) => makers[number]!.key(2 ** 31 + i, count)));
        assert.equal(names.size, count, model.families[number]!.template);
      }
      const total = (db: number) =>
        counts.reduce((sum, { keys }, number) => sum + (model.families[number]!.db === db ? keys : 0), 0);
      for (const [db, n] of model.keysAtStart!) assert.ok(total(db) <= n + 1, `${total(db)} of ${n}`);
      preloadOf(model);
    }),
    { numRuns: 60 },
  );
});
