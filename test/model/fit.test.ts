/** What the model learns, on captures whose truth is known. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { zipfExponent } from '../../src/model/fit/popularity.ts';
import { MAX_SCRIPTS } from '../../src/model/fit/scripts.ts';
import { mergeModels } from '../../src/model/merge.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { temporaryFile } from '../support/capture.ts';
import { builtFrom, type Line, modelOf, sequence, zipfRanks } from '../support/workload.ts';

test("Zipf's exponent is recovered without the bias of ranking on the fitted counts", () => {
  for (const s of [0, 0.6, 0.99, 1.2]) {
    const keys = 2000;
    const counts = new Array(keys).fill(0);
    for (const rank of zipfRanks(s, keys, 200_000, 7)) counts[rank]++;
    const estimate = zipfExponent(counts, mulberry32(1));
    assert.ok(estimate !== null && Math.abs(estimate - s) < 0.04, `s = ${s}: ${estimate}`);
  }
  assert.equal(zipfExponent([3, 2, 1], mulberry32(1)), null);
});

test('pipelines, single commands and their depths', async () => {
  const lines: Line[] = [];
  let atUs = 1_700_000_000e6;
  for (let batch = 0; batch < 50; batch++) {
    for (let i = 0; i < 8; i++) lines.push({ atUs: atUs + i * 3, args: ['get', `k:${i}`] });
    lines.push({ atUs: atUs + 500, client: '10.0.0.2:2000', args: ['get', 'k:1'] });
    atUs += 1000;
  }
  const model = await modelOf(lines);
  assert.deepEqual(model.pipelines.depths, [
    [1, 50],
    [8, 50],
  ]);
});

test('transactions stay whole, aborted and discarded ones are counted', async () => {
  const model = await modelOf(
    sequence([
      ['multi'],
      ['incr', 'n:1'],
      ['expire', 'n:1', '60'],
      ['exec'],
      ['watch', 'n:1'],
      ['multi'],
      ['exec'],
      ['multi'],
      ['discard'],
    ]),
  );
  assert.deepEqual(model.transactions, {
    committed: 1,
    empty: 1,
    discarded: 1,
    sizes: [
      [0, 1],
      [2, 1],
    ],
  });
  const names = model.units.map((unit) => unit.ops.map(([shape]) => model.shapes[shape]!.command).join(' '));
  assert.ok(names.includes('multi incr expire exec'), names.join(', '));
  const body = model.units.find((unit) => unit.ops.length === 4)!.ops;
  assert.deepEqual(
    body.map(([, slots]) => slots),
    [[], [0], [0], []],
    'INCR and EXPIRE share their key',
  );
});

test('keys that are read before they are written existed; cache-aside misses did not', async () => {
  const model = await modelOf(
    sequence(
      Array.from({ length: 4 }, (_, i) => [
        ['get', `old:${i}`],
        ['set', `new:${i}`, 'v'],
        ['get', `new:${i}`],
        ['get', `page:${i}`],
        ['set', `page:${i}`, 'v', 'EX', '60'],
      ]).flat(),
    ),
  );
  const readFirst = model.families.map((family): [string, number[]] => [
    family.template,
    family.classes.map((klass) => klass.readFirst),
  ]);
  assert.deepEqual(Object.fromEntries(readFirst), { 'old:{int}': [1], 'new:{int}': [0], 'page:{int}': [0] });
});

test('a key that a client goes on with was there, whatever else the server missed', async () => {
  const commands: string[][] = [];
  for (let i = 0; i < 40; i++) {
    // Sessions that are found are renewed; those that are not never come again.
    commands.push(['get', `session:${i}`]);
    if (i % 4 !== 0) commands.push(['expire', `session:${i}`, '600']);
  }
  const [family] = (await modelOf(sequence(commands))).families;
  const share = (of: 'readFirst' | 'found', requests: number) =>
    family!.classes.find((klass) => klass.class === requests)?.[of];
  assert.equal(share('readFirst', 0), 1);
  assert.equal(share('found', 0), 30 / 40);
});

test('in a family whose misses are filled, who reads a key alone and does not fill it has found it', async () => {
  const commands: string[][] = [];
  for (let i = 0; i < 40; i++) commands.push(['get', `page:${i}`], ['set', `page:${i}`, 'v', 'EX', '600']);
  for (let i = 40; i < 100; i++) commands.push(['get', `page:${i}`]);
  const [family] = (await modelOf(sequence(commands))).families;
  assert.deepEqual(
    family!.classes.map(({ readFirst, found }) => [readFirst, found]),
    [[60 / 100, 60 / 100]],
  );
});

test('of the keys that prove nothing, each family has the share of its own that were there', async () => {
  const commands: string[][] = [];
  for (let i = 0; i < 60; i++) {
    // Three of four pages are missed, and filled. Whether there are more of them, nobody who asks tells.
    commands.push(['get', `page:${i}`]);
    if (i % 4 !== 0) commands.push(['set', `page:${i}`, 'v', 'EX', '600']);
    commands.push(['exists', `page:${100 + i}`], ['hget', `user:${i}`, 'name']);
  }
  const { families } = await modelOf(sequence(commands));
  const existing = Object.fromEntries(families.map((family) => [family.template, family.existing]));
  assert.deepEqual(existing, { 'page:{int}': 1 / 4, 'user:{int}': 1 });
});

test('a miss that another connection fills is one, and so is what WATCH comes before', async () => {
  const commands: Line[] = [];
  for (let i = 0; i < 40; i++) {
    const atUs = 1_700_000_000e6 + i * 200_000;
    commands.push({ atUs, args: ['get', `page:${i}`] });
    const client = i % 2 === 0 ? '10.0.0.1:1000' : '10.0.0.2:2000';
    commands.push({ atUs: atUs + 2000, client, args: ['set', `page:${i}`, 'v', 'EX', '600'] });
    commands.push({ atUs: atUs + 100_000, args: ['watch', `cart:${i}`] });
    commands.push({ atUs: atUs + 101_000, args: ['hgetall', `cart:${i}`] });
    commands.push({ atUs: atUs + 102_000, args: ['unwatch'] });
  }
  const { families } = await modelOf(commands);
  const [page, cart] = ['page:{int}', 'cart:{int}'].map((name) => families.find(({ template }) => template === name)!);
  assert.equal(page!.existing, 0);
  assert.ok(page!.classes.every(({ found }) => !found));
  assert.deepEqual(
    cart!.classes.map(({ readFirst }) => readFirst),
    [1],
  );
});

test('a fill is recognised though its client does other things in between', async () => {
  const commands: Line[] = [];
  for (let i = 0; i < 40; i++) {
    const atUs = 1_700_000_000e6 + i * 100_000;
    ['a', 'b', 'c'].forEach((name, n) => {
      commands.push({ atUs: atUs + n * 1000, args: ['get', `${name}:${i}`] });
    });
    ['a', 'b', 'c'].forEach((name, n) => {
      commands.push({ atUs: atUs + 10_000 + n * 1000, args: ['set', `${name}:${i}`, 'v'] });
    });
  }
  const model = await modelOf(commands);
  assert.deepEqual(
    model.units.map(({ ops, count }) => [ops.map(([shape]) => model.shapes[shape]!.command).join(' '), count]),
    ['a', 'b', 'c'].map(() => ['get set', 40]),
  );
});

test('a read and write of the whole is no miss where keys that surely are there see it too', async () => {
  const commands: string[][] = [];
  for (let round = 0; round < 5; round++) {
    for (let i = 0; i < 20; i++) commands.push(['get', `session:${i}`], ['set', `session:${i}`, 'v', 'EX', '600']);
  }
  const { families } = await modelOf(sequence(commands));
  assert.deepEqual(
    families[0]!.classes.map((klass) => klass.readFirst),
    [1],
  );
  assert.deepEqual(families[0]!.expired, []);
});

test('types, sizes and expiries', async () => {
  const model = await modelOf(
    sequence([
      ['set', 'a:1', 'x'.repeat(100), 'EX', '60'],
      ['set', 'a:2', 'x'.repeat(100), 'PX', '1500'],
      ['setex', 'a:3', '3600', 'x'.repeat(40)],
      ...Array.from({ length: 3 }, () => [
        ['incr', 'n:1'],
        ['hset', 'h:1', 'f', 'v'],
        ['zadd', 'z:1', '5', 'm'],
        ['xadd', 's:1', '*', 'f', 'v'],
        ['lpush', 'l:1', 'v'],
        ['sadd', 'u:1', 'v'],
        ['pfadd', 'p:1', 'v'],
      ]).flat(),
    ]),
  );
  const family = (template: string) => model.families.find((f) => f.template === template)!;
  assert.deepEqual(family('a:{int}').valueBytes, [
    [40, 1],
    [100, 2],
  ]);
  assert.deepEqual(family('a:{int}').ttlSeconds, [
    [1.5, 1],
    [60, 1],
    [3600, 1],
  ]);
  const types = Object.fromEntries(model.families.map((f) => [f.template[0], f.type]));
  assert.deepEqual(types, {
    a: 'string',
    n: 'integer',
    h: 'hash',
    z: 'zset',
    s: 'stream',
    l: 'list',
    u: 'set',
    p: 'hyperloglog',
  });
});

test('no key and no value is in the model, unless it is a word that options are made of', async () => {
  const model = await modelOf(
    sequence(
      Array.from({ length: 50 }, (_, i) => [
        'set',
        `customer:${910_000 + i}:mail`,
        `secret-person-${i}@example.org and more text`,
      ]),
    ),
  );
  assert.doesNotMatch(JSON.stringify(model), /9100\d\d|secret-person/);
});

test('what is stored, published or a member is kept as sizes and numbers only, however often it comes', async () => {
  const secret = 'hunter2';
  const calls = [
    ['set', 'password', secret],
    ['setex', 'password', '60', secret],
    ['mset', 'password', secret, 'other', secret],
    ['hset', 'user:1', 'name', secret, 'age', '44'],
    ['sadd', 'admins', secret],
    ['zadd', 'board', 'GT', '1', secret],
    ['xadd', 'log', 'MAXLEN', '~', '9', '*', 'who', secret],
    ['lpush', 'list', secret],
    ['publish', 'news', secret],
    ['pfadd', 'visitors', secret],
  ];
  const model = await modelOf(sequence(Array.from({ length: 20 }, () => calls).flat()));
  const text = JSON.stringify(model);
  assert.doesNotMatch(text, /hunter2/);
  // What the application calls things is needed: its fields and options, and numbers.
  for (const word of ['"name"', '"age"', '"who"', '"MAXLEN"', '"44"', '"news"']) assert.match(text, new RegExp(word));
});

test('calls with keys of many families in any order do not make the model grow', async () => {
  const random = mulberry32(3);
  const families = ['user', 'cart', 'flag', 'page', 'item', 'rank'];
  const key = () => `${families[Math.floor(random() * families.length)]}:${1000 + Math.floor(random() * 5000)}`;
  const model = await modelOf(
    sequence(Array.from({ length: 8000 }, () => ['mget', ...Array.from({ length: 8 }, key)])),
  );
  assert.ok(model.shapes.length <= 2048 + families.length, `${model.shapes.length} shapes`);
  assert.equal(model.families.length, families.length);
  assert.equal(
    model.units.reduce((sum, { count }) => sum + count, 0),
    8000,
  );
});

test('the rate is right whatever the number of connections', async () => {
  // Each sends once: more pairs of a client and what it does than are kept.
  const lines = Array.from({ length: 260_000 }, (_, i): Line => {
    const client = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1000`;
    return { atUs: 1_700_000_000e6 + i * 500, client, args: ['get', `k:${i % 500}`] };
  });
  const model = await modelOf(lines);
  assert.equal(
    model.units.reduce((sum, { count }) => sum + count, 0),
    lines.length,
  );
});

test('scripts: bodies from the capture or a folder, unknown ones by their effects', async () => {
  const body = "return redis.call('get', KEYS[1])";
  const sha = '4e6d8fc8bb01276962cce5371fa795a7763657ae';
  const lines = (withBody: boolean): Line[] => {
    const commands: { client: string; args: string[] }[] = [];
    if (withBody) commands.push({ client: '10.0.0.1:1', args: ['script', 'load', body] });
    for (let i = 0; i < 3; i++) {
      commands.push(
        { client: '10.0.0.1:1', args: ['evalsha', sha, '1', `k:${i}`] },
        { client: 'lua', args: ['get', `k:${i}`] },
      );
    }
    return commands.map((command, i) => ({ atUs: 1_700_000_000e6 + i * 1000, ...command }));
  };
  const known = (await modelOf(lines(true))).scripts;
  assert.deepEqual(
    known.map((s) => [s.sha1, s.calls, s.body !== null]),
    [[sha, 3, true]],
  );
  const unknown = await modelOf(lines(false));
  assert.equal(unknown.scripts[0]!.body, null);
  assert.deepEqual(
    unknown.scripts[0]!.effects.map((effect) => effect.count),
    [3],
  );
  assert.deepEqual(unknown.scriptCommands, { get: 3 });
  const folder = dirname(temporaryFile('get.lua', body));
  assert.notEqual((await modelOf(lines(false), { scripts: folder })).scripts[0]!.body, null);
});

test('scripts whose bodies differ from call to call fill no memory: the calls are counted, the loss is said', async () => {
  const count = 3 * MAX_SCRIPTS;
  const { model, caveats } = await builtFrom(
    sequence(Array.from({ length: count }, (_, i) => ['eval', `return ${i} .. "${'x'.repeat(5000)}"`, '0', `${i}`])),
  );
  assert.equal(model.scripts.length, MAX_SCRIPTS);
  assert.equal(
    model.scripts.reduce((sum, { calls }) => sum + calls, 0),
    count,
  );
  assert.equal(model.stretch.units.length, MAX_SCRIPTS, 'no script is called with the arguments of another');
  assert.ok(model.scripts.reduce((sum, { body }) => sum + (body?.length ?? 0), 0) <= 4 << 20);
  assert.equal(model.unkeptScriptCalls, count - MAX_SCRIPTS);
  assert.equal(mergeModels([model, model]).unkeptScriptCalls, 2 * (count - MAX_SCRIPTS));
  assert.ok(caveats.some(({ id }) => id === 'scripts-too-many'));
});

test('what a transaction stored is no call of the script in it that is not kept', async () => {
  const body = "return redis.call('get', KEYS[1])";
  const { stretch } = await modelOf(
    sequence([
      ['eval', body, '1', 'lock:1', 'first'],
      ['multi'],
      ['set', 'lock:1', 'token'],
      ['eval', body, 'one', 'lock:1'],
      ['exec'],
      ['eval', body, '1', 'lock:1', 'token'],
    ]),
  );
  assert.equal(stretch.units.length, 2);
});

test('commands that must never be replayed are listed', async () => {
  const model = await modelOf(
    sequence([['get', 'a'], ['keys', '*'], ['flushall'], ['config', 'get', 'x'], ['ping'], ['nosuchcommand', 'x']]),
  );
  assert.deepEqual(model.leftOut, { config: 1, flushall: 1, keys: 1, nosuchcommand: 1 });
  assert.deepEqual(
    model.units.map((unit) => unit.count),
    [1],
  );
});

test('arguments of busy commands are sampled out of step with whatever comes round', async () => {
  const lines = sequence(Array.from({ length: 40_000 }, (_, i) => ['set', `job:${i % 500}`, 'x'.repeat(1 + (i % 32))]));
  const { valueBytes } = (await modelOf(lines)).families[0]!;
  const sampled = valueBytes.reduce((sum, [, n]) => sum + n, 0);
  assert.ok(sampled < 5000, `${sampled} of them are looked at`);
  assert.equal(valueBytes.length, 32);
  for (const [bytes, n] of valueBytes) assert.ok(Math.abs((32 * n) / sampled - 1) < 0.2, `${n} of ${bytes} bytes`);
});
