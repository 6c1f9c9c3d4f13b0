/** What a person changes in a model: what the file may say, what it does, and that it is written down. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CutoverError } from '../../src/errors.ts';
import { type Model, modelSchema } from '../../src/model/model.ts';
import { applyOverrides, forcedGlobs, parseOverrides } from '../../src/model/overrides.ts';
import { modelOf, sequence } from '../support/workload.ts';

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
