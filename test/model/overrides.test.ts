/** What a person changes in a model: what the file may say, what it does, and that it is written down. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CutoverError } from '../../src/errors.ts';
import { compareModels } from '../../src/model/difference.ts';
import { type Model, modelSchema } from '../../src/model/model.ts';
import { applyOverrides, overrideCaveats } from '../../src/model/overrides/changed-model.ts';
import { forcedGlobs } from '../../src/model/overrides/overrides.ts';
import { parseOverrides } from '../../src/model/overrides/overrides-file.ts';
import { type Line, modelOf, sequence } from '../support/workload.ts';

const HEAD = 'apiVersion: cutover/overrides@1\nfamilies:\n';
const WHO = 'by: ann, why: test';
const parse = (...entries: string[]) =>
  parseOverrides(HEAD + entries.map((entry) => `  - {${entry}, ${WHO}}\n`).join(''), 'model.yaml');

/** 60 sessions read twice and written once, 30 carts read once, 10 pipelines of both, transactions on carts. */
const model = await modelOf([
  ...sequence(
    Array.from({ length: 60 }, (_, i) => [
      ['get', `session:${100 + i}`],
      ['get', `session:${100 + i}`],
      ['set', `session:${100 + i}`, 'value'],
      ...(i % 2 === 0 ? [['hgetall', `cart:${100 + i}`]] : []),
    ]).flat(),
  ),
  ...Array.from({ length: 10 }, (_, i) => [
    { atUs: 1_700_000_010e6 + i * 5000, args: ['get', `session:${100 + i}`] },
    { atUs: 1_700_000_010e6 + i * 5000 + 2, args: ['hgetall', `cart:${100 + 2 * i}`] },
  ]).flat(),
  ...sequence([['multi'], ['hset', 'cart:100', 'a', '1'], ['exec']]).map((line) => ({
    ...line,
    atUs: line.atUs + 20e6,
  })),
]);
const family = (of: Model, template: string) => of.families.find((one) => one.template === template)!;
/** Commands that the units of a model send, with how often. */
function sent(of: Model): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { count, ops } of of.units) {
    for (const [shape] of ops) {
      const { command, family } = of.shapes[shape]!;
      const name = family === null ? command : `${command} ${of.families[family]!.template}`;
      counts[name] = (counts[name] ?? 0) + count;
    }
  }
  return counts;
}
const apply = (...entries: string[]) => applyOverrides(model, parse(...entries));

function refusal(text: string): string {
  try {
    parseOverrides(text, 'model.yaml');
  } catch (error) {
    assert.ok(error instanceof CutoverError && error.code === 'E_OVERRIDES' && error.oclif.exit === 2, String(error));
    return error.message;
  }
  return 'accepted';
}

test('the model under test has the families that the tests are about', () => {
  assert.deepEqual(model.families.map(({ template }) => template).sort(), ['cart:{int}', 'session:{int}']);
  assert.deepEqual(sent(model), {
    'get session:{int}': 130,
    'set session:{int}': 60,
    'hgetall cart:{int}': 40,
    'hset cart:{int}': 1,
    multi: 1,
    exec: 1,
  });
});

test('commands are counted as they will be sent: a rehearsal is compared with that', () => {
  const countsOf = ({ commands }: Model) =>
    Object.fromEntries(Object.entries(commands).map(([name, { count }]) => [name, count]));
  assert.deepEqual(countsOf(apply('match: "session:*", exclude: true')), { hgetall: 40, hset: 1, multi: 1, exec: 1 });
  const { commands } = apply('match: "cart:*", requests: 2x');
  assert.equal(commands.hgetall!.count, 80);
  const shares = Object.values(commands).reduce((sum, { share }) => sum + share, 0);
  assert.ok(Math.abs(shares - 1) < 1e-9);
});

/** Carts are counted by a script, in transactions and outside; sessions are read in pipelines of three. */
const mixed = await modelOf(
  Array.from({ length: 20 }, (_, i): Line[] => {
    const atUs = 1_700_000_000e6 + i * 50_000;
    const from = (client: number, at: number, args: string[]) => ({
      atUs: atUs + at,
      client: `10.0.0.${client}:9`,
      args,
    });
    const script = "redis.call('incr', 'total') return redis.call('incr', KEYS[1])";
    return [
      ...[0, 1, 2].map((n) => from(1, n, ['get', `session:${100 + i + n}`])),
      from(2, 10_000, ['multi']),
      from(2, 10_001, ['hset', `cart:${100 + i}`, 'a', '1']),
      from(2, 10_002, ['get', `session:${100 + i}`]),
      from(2, 10_003, ['exec']),
      from(2, 15_000, ['multi']),
      from(2, 15_001, ['hset', `cart:${100 + i}`, 'a', '1']),
      from(2, 15_002, ['exec']),
      from(2, 18_000, ['multi']),
      from(2, 18_001, ['exec']),
      // The unit that calls the script touches the cart.
      from(3, 30_000, ['hget', `cart:${100 + i}`, 'a']),
      from(3, 30_001, ['eval', script, '1', `count:${100 + i}`]),
      ...['total', `count:${100 + i}`].map((key) => ({ ...from(3, 30_001, ['incr', key]), client: 'lua' })),
    ];
  }).flat(),
);
const figuresOf = ({ scripts, scriptCommands, transactions, pipelines, families }: Model) => ({
  calls: scripts.map(({ calls }) => calls),
  ...{ scriptCommands, transactions, depths: pipelines.depths },
  byScripts: families.reduce((sum, { scriptRequests }) => sum + scriptRequests, 0),
});

test('what scripts do, transactions and pipelines follow the units that have them', () => {
  const change = (...entries: string[]) => figuresOf(applyOverrides(mixed, parse(...entries)));
  assert.deepEqual(figuresOf(mixed), {
    ...{ calls: [20], scriptCommands: { incr: 40 }, byScripts: 40 },
    transactions: {
      ...{ committed: 40, empty: 20, discarded: 0 },
      sizes: [
        ...[
          [0, 20],
          [1, 20],
          [2, 20],
        ],
      ],
    },
    depths: [
      ...[
        [2, 40],
        [3, 40],
        [4, 20],
      ],
    ],
  });
  assert.deepEqual(change('match: "cart:*", requests: 3x'), {
    ...{ calls: [60], scriptCommands: { incr: 120 }, byScripts: 120 },
    transactions: {
      ...{ committed: 120, empty: 20, discarded: 0 },
      sizes: [
        ...[
          [0, 20],
          [1, 60],
          [2, 60],
        ],
      ],
    },
    depths: [
      ...[
        [2, 80],
        [3, 80],
        [4, 60],
      ],
    ],
  });
  // Of the transactions that have nothing else nothing is left; those that were empty stay, and so do the scripts.
  assert.deepEqual(change('match: "cart:*", exclude: true'), {
    ...{ calls: [20], scriptCommands: { incr: 40 }, byScripts: 40 },
    transactions: {
      ...{ committed: 20, empty: 20, discarded: 0 },
      sizes: [
        ...[
          [0, 20],
          [1, 20],
        ],
      ],
    },
    depths: [
      ...[
        [1, 20],
        [2, 20],
        [3, 40],
      ],
    ],
  });
});

test('a name changes nothing else', () => {
  const { families, transitions, overrides, ...others } = applyOverrides(mixed, parse('match: "cart:*", name: carts'));
  const { families: before, transitions: _, ...same } = mixed;
  assert.deepEqual(others, same);
  assert.deepEqual(
    families,
    before.map((one) => ({ ...one, template: one.template === 'cart:{int}' ? 'carts' : one.template })),
  );
  assert.deepEqual(overrideCaveats(applyOverrides(mixed, parse('match: "cart:*", name: carts'))), []);
});

test('of another workload nobody knows how keys come again, and the reader is told', () => {
  const counted = { ...mixed, lookups: { hits: 90, misses: 10 } };
  const changed = applyOverrides(counted, parse('match: "cart:*", requests: 3x', 'match: "count:*", requests: 3x'));
  assert.deepEqual([changed.lookups, changed.hitRatio], [null, []]);
  const known = (a: Model, b: Model) =>
    new Set(compareModels(a, b).flatMap(({ aspect, value }) => (value === undefined ? [] : aspect)));
  const both = known(mixed, mixed);
  assert.ok(both.has('locality') && both.has('popularity'));
  assert.deepEqual(known(mixed, changed), new Set([...both].filter((aspect) => !/locality|popularity/.test(aspect))));
  const [other, scripts] = overrideCaveats(changed);
  assert.match(other!.message, /cart:\* \(requests 3x; by ann\), count:\* \(requests 3x; by ann\)/);
  assert.match(scripts!.message, /Only scripts touch count:\{int\}/);
  const alone = applyOverrides(counted, parse('match: "session:*", keys: 2x'));
  assert.ok(family(mixed, 'session:{int}').hitRatio && !family(alone, 'session:{int}').hitRatio);
  assert.ok(family(alone, 'cart:{int}').hitRatio);
});

test('an entry says what, who and why; factors have a unit', () => {
  assert.deepEqual(parse('match: "a:*", requests: 2x, keys: 50%, name: as', 'match: "b:*:c", merge: true'), {
    families: [
      { match: 'a:*', requests: 2, keys: 0.5, name: 'as', by: 'ann', why: 'test' },
      { match: 'b:*:c', merge: true, by: 'ann', why: 'test' },
    ],
  });
  assert.deepEqual(forcedGlobs(parse('match: "a:*", requests: 2x', 'match: "b:*:c", merge: true')), ['b:*:c']);
});

for (const [text, message] of [
  ['families: []\n', 'model.yaml:1:1: apiVersion: is missing: cutover/overrides@1'],
  [
    'apiVersion: cutover/overrides@2\nfamilies: []\n',
    'model.yaml:1:13: apiVersion: did you mean "cutover/overrides@1"?',
  ],
  [`${HEAD}  - {mach: "a", ${WHO}}\n`, 'model.yaml:3:6: unknown key "mach"; did you mean "match"?'],
  [
    `${HEAD}  - {match: a, zzzzzzzz: 1, ${WHO}}\n`,
    'model.yaml:3:16: unknown key "zzzzzzzz"; known here: match, merge, name',
  ],
  [`${HEAD}  - {match: a, requests: 2, ${WHO}}\n`, 'model.yaml:3:26: families.0.requests: needs a unit: 2x or 50%'],
  [`${HEAD}  - {match: a, requests: 2 times, ${WHO}}\n`, 'model.yaml:3:26: families.0.requests: expected a factor'],
  [`${HEAD}  - {match: a, keys: 0x, ${WHO}}\n`, 'model.yaml:3:22: families.0.keys: expected more than nothing'],
  [`${HEAD}  - {match: a, exclude: yes, ${WHO}}\n`, 'model.yaml:3:25: families.0.exclude: expected true'],
  [`${HEAD}  - {match: a, ${WHO}}\n`, 'model.yaml:3:13: families.0.match: changes nothing'],
  [
    `${HEAD}  - {match: a, exclude: true, keys: 2x, ${WHO}}\n`,
    'model.yaml:3:25: families.0.exclude: families that are left out',
  ],
  [`${HEAD}  - {match: a, exclude: true, by: ann}\n`, 'model.yaml:3:5: families.0.why: is missing'],
  [`${HEAD}  - {match: a, name: "\\e[31m", ${WHO}}\n`, 'model.yaml:3:22: families.0.name: expected 1 to 100 printable'],
  [
    `${HEAD}  - {match: a, merge: true, ${WHO}}\n  - {match: a, keys: 2x, ${WHO}}\n`,
    'model.yaml:4:13: families.1.match: this glob has',
  ],
  ['families: [\n', 'model.yaml:2:1: not YAML: '],
] as const) {
  test(`refused: ${message}`, () => {
    assert.ok(refusal(text).startsWith(message), refusal(text));
  });
}

test('what is changed is written down, with who and why, and the model is still a valid one', () => {
  const changed = apply('match: "session:*", name: sessions, requests: 2x');
  assert.deepEqual(changed.overrides, [
    { match: 'session:*', name: 'sessions', requests: 2, by: 'ann', why: 'test', families: ['session:{int}'] },
  ]);
  modelSchema.parse(JSON.parse(JSON.stringify(changed)));
  const again = applyOverrides(changed, parse('match: "cart:*", keys: 3x'));
  assert.equal(again.overrides!.length, 2);
  assert.equal(model.overrides, undefined, 'the model itself is not touched');
});

test('an excluded family is gone, and what was sent with it is not', () => {
  const changed = apply('match: "cart:*", exclude: true');
  assert.deepEqual(
    changed.families.map(({ template }) => template),
    ['session:{int}'],
  );
  assert.deepEqual(sent(changed), { 'get session:{int}': 130, 'set session:{int}': 60 });
  for (const { ops } of changed.units) for (const [shape] of ops) assert.ok(shape < changed.shapes.length);
  for (const { roles, family } of changed.shapes) {
    assert.ok(family === null || family === 0);
    for (const role of roles) assert.ok(!('key' in role) || role.key === 0);
  }
  assert.equal(family(changed, 'session:{int}').share, 1);
  modelSchema.parse(JSON.parse(JSON.stringify(changed)));
});

test('to exclude everything leaves nothing to replay', () => {
  assert.throws(() => apply('match: "*", exclude: true'), /leave nothing to replay/);
});

test('requests: units that touch the family come as much more often, with all that they hold', () => {
  const changed = apply('match: "cart:*", requests: 3x');
  assert.deepEqual(sent(changed), {
    'get session:{int}': 150,
    'set session:{int}': 60,
    'hgetall cart:{int}': 120,
    'hset cart:{int}': 3,
    multi: 3,
    exec: 3,
  });
  assert.equal(family(changed, 'cart:{int}').requests, 3 * family(model, 'cart:{int}').requests);
  const units = (of: Model) => of.units.reduce((sum, { count }) => sum + count, 0);
  const arrivals = (of: Model) => of.clients.streams[0]!.arrivals.units.reduce((sum, n) => sum + n, 0);
  const growth = units(changed) / units(model);
  assert.ok(Math.abs(arrivals(changed) / arrivals(model) - growth) < 0.01);
  assert.ok(Math.abs(changed.clients.streams[0]!.units / model.clients.streams[0]!.units - growth) < 0.01);
});

test('a share of the requests loses the total as little as can be', () => {
  const changed = sent(apply('match: "session:*", requests: 10%', 'match: "cart:*", requests: 10%'));
  const total = Object.values(changed).reduce((a, b) => a + b, 0);
  assert.ok(total >= 22 && total <= 25, `${total} of 233`);
  assert.ok(Math.abs(changed['get session:{int}']! - 13) <= 1);
});

test('keys: as many more of them, each as popular as before', () => {
  const changed = apply('match: "session:*", keys: 10x');
  assert.equal(family(changed, 'session:{int}').keys, 600);
  assert.deepEqual(
    family(changed, 'session:{int}').references,
    family(model, 'session:{int}').references.map(([n, keys]) => [n, keys * 10]),
  );
  assert.deepEqual(sent(changed), sent(model));
});

test('a glob that matches nothing names the family that was meant', () => {
  assert.throws(
    () => apply('match: "sesion:{int}", keys: 2x'),
    (error) =>
      error instanceof CutoverError &&
      /No family .* "sesion:\{int\}"/.test(error.message) &&
      /Did you mean "session:\{int\}"/.test(error.suggestions[0]!),
  );
  assert.throws(
    () => apply('match: "zzz:*", keys: 2x'),
    (error) => error instanceof CutoverError && /Families here: .*"cart:\{int\}"/.test(error.suggestions[0]!),
  );
});

test('keys are merged when a capture is read, not later', () => {
  assert.throws(() => apply('match: "*", merge: true'), /were not merged into one family/);
  assert.doesNotThrow(() => apply('match: "cart:*", merge: true'), 'that is what they were mined as');
});

test('the example in the documentation is valid', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/families.md'), 'utf8');
  const [, example] = /```yaml\n(.*?)```/s.exec(page)!;
  assert.ok(parseOverrides(example!, 'model.yaml').families.length >= 4);
});
