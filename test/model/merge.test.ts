/** Merging small models whose truth can be counted by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CutoverError } from '../../src/errors.ts';
import { buildModel } from '../../src/model/build.ts';
import { Fit } from '../../src/model/fit/fit.ts';
import { summarize } from '../../src/model/fit/summarize.ts';
import { mergeModels } from '../../src/model/merge.ts';
import type { Model } from '../../src/model/model.ts';
import { applyOverrides } from '../../src/model/overrides/changed-model.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, modelOf, sequence } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const linesAt = (fromSeconds: number, commands: string[][]): Line[] =>
  commands.map((args, i) => ({ atUs: START_US + fromSeconds * 1e6 + i * 100_000, args }));
const familyOf = (model: Model, template: string) => model.families.find((family) => family.template === template)!;

test('a key that both parts have is one key with the requests of both', async () => {
  const first = [
    ['set', 'k:1', 'v'],
    ['get', 'k:1'],
    ['get', 'k:2'],
    ['get', 'k:3'],
  ];
  const second = [
    ['get', 'k:1'],
    ['get', 'k:1'],
    ['set', 'k:4', 'v'],
    ['get', 'k:2'],
  ];
  const parts = [await modelOf(linesAt(0, first)), await modelOf(linesAt(0.4, second))];
  const merged = mergeModels(parts);
  const whole = await modelOf(linesAt(0, [...first, ...second]));
  const [family, expected] = [merged, whole].map((model) => familyOf(model, 'k:{int}'));
  assert.deepEqual(family!.references, expected!.references);
  assert.deepEqual(family!.sample, expected!.sample);
  assert.equal(family!.keys, 4);
  assert.equal(merged.keyAccesses, 8);
  const of = ({ classes }: typeof family & object) =>
    classes.map(({ class: klass, births, readFirst, gaps }) => ({
      klass,
      readFirst,
      keys: births.reduce((sum, [, n]) => sum + n, 0),
      gaps: gaps.reduce((sum, [, n]) => sum + n, 0),
    }));
  assert.deepEqual(of(family!), of(expected!));
});

test('keys of another database, words instead of placeholders: other families', async () => {
  const [a, b] = await Promise.all([
    modelOf(
      linesAt(0, [
        ['get', 'k:1'],
        ['get', 'k:2'],
      ]),
    ),
    modelOf(
      linesAt(1, [
        ['get', 'k:1'],
        ['get', 'k:2'],
      ]).map((line) => ({ ...line, db: 1 })),
    ),
  ]);
  const merged = mergeModels([a!, b!]);
  assert.deepEqual(
    merged.families.map(({ db, keys }) => [db, keys]),
    [
      [0, 2],
      [1, 2],
    ],
  );
  assert.deepEqual(
    merged.clients.streams.map(({ db, units }) => [db, units]),
    [
      [0, 2],
      [1, 2],
    ],
  );
});

test('a pause between recordings is not part of the time', async () => {
  const commands = Array.from({ length: 11 }, (_, i) => ['get', `k:${i}`]);
  const parts = [await modelOf(linesAt(0, commands)), await modelOf(linesAt(3600, commands))];
  const merged = mergeModels(parts);
  assert.equal(Math.round(merged.source.spanSeconds * 1000), 2000);
  assert.equal(merged.source.last - merged.source.first, 3601);
});

test('scripts are one by their name, whichever part knows the body; calls follow each other', async () => {
  const body = "return redis.call('get', KEYS[1])";
  const sha1 = '4e6d8fc8bb01276962cce5371fa795a7763657ae';
  const call = (key: string) => ['evalsha', sha1, '1', key];
  const parts = [
    await modelOf(linesAt(0, [call('job:1'), call('job:2')]), { rawArguments: true }),
    await modelOf(linesAt(1, [['script', 'load', body], call('job:3')]), { rawArguments: true }),
  ];
  const merged = mergeModels(parts);
  assert.deepEqual(
    merged.scripts.map((script) => [script.sha1, script.body, script.calls, script.effects]),
    [[sha1, body, 3, []]],
  );
  const { texts, units } = merged.stretch;
  assert.equal(units.length, 3);
  assert.deepEqual(
    units.flatMap(([, , calls]) => calls.flatMap(([keys]) => keys.map((text) => texts[text]))),
    ['job:1', 'job:2', 'job:3'],
  );
  const slice = new Synthesis(merged, { seed: '1', epochSeconds: 0 }).slice(0, 0, 2);
  assert.match(Buffer.from(slice.bytes).toString('latin1'), /job:1/);
});

test('what was stored for scripts takes no room from their calls', async () => {
  const locking = (from: number) =>
    Array.from({ length: 1_500 }, (_, i): string[][] => [
      ['set', 'lock:1', `token${from + i}`, 'NX'],
      ['eval', "return redis.call('get', KEYS[1]) == ARGV[1]", '1', 'lock:1', `token${from + i}`],
    ]).flat();
  const parts = [await modelOf(linesAt(0, locking(0))), await modelOf(linesAt(300, locking(1_500)))];
  const { stretch, units, shapes } = mergeModels(parts);
  const callsScript = (unit: number) => units[unit]!.ops.some(([shape]) => shapes[shape]!.script !== undefined);
  assert.equal(stretch.units.filter(([unit]) => callsScript(unit)).length, 3_000);
  // The first of each part is stored before anything tells that scripts will ask for it.
  assert.equal(stretch.units.filter(([unit]) => !callsScript(unit)).length, 2_998);
});

test('argument roles of two kinds become the more general one', async () => {
  const parts = [
    await modelOf(
      linesAt(
        0,
        Array.from({ length: 40 }, (_, i) => ['incrby', 'n:1', String(i % 2)]),
      ),
    ),
    await modelOf(
      linesAt(
        9,
        Array.from({ length: 40 }, (_, i) => ['incrby', 'n:1', String(i * 1000)]),
      ),
    ),
  ];
  const [shape] = mergeModels(parts).shapes;
  const role = shape!.roles[1]!;
  assert.ok('integers' in role, JSON.stringify(role));
  assert.equal(
    role.integers.reduce((sum, [, n]) => sum + n, 0),
    80,
  );
});

test('a model alone, and one with an empty part, are what they were', async () => {
  const model = await modelOf(
    linesAt(0, [
      ['get', 'k:1'],
      ['set', 'k:2', 'v'],
    ]),
  );
  assert.deepEqual(mergeModels([model]), model);
  const fit = new Fit();
  fit.end();
  const { source } = model;
  const empty = summarize(fit, {
    ...source,
    lines: 3,
    parsed: 0,
    rejected: { 'not-a-command': 3 },
    first: 0,
    last: 0,
    spanSeconds: 0,
  });
  const merged = mergeModels([empty, model]);
  assert.deepEqual(merged, {
    ...model,
    source: { ...source, lines: source.lines + 3, rejected: { 'not-a-command': 3 } },
  });
});

test('one model twice is refused, and so is a document of another kind', async () => {
  const path = temporaryFile('app.model.json', JSON.stringify(await modelOf(sequence([['get', 'k:1']]))));
  await assert.rejects(buildModel([path, path]), { code: 'E_MODEL_TWICE' });
  const sidecar = temporaryFile('app.capture.json', '{"schema":"cutover/capture@1"}');
  await assert.rejects(buildModel(sidecar), { code: 'E_MODEL', message: /cutover\/capture@1/ });
});

test('what was changed by hand is merged only with what was changed alike', async () => {
  const reads = Array.from({ length: 6 }, (_, i) => ['get', `k:${i}`]);
  const [a, b] = [await modelOf(linesAt(0, reads)), await modelOf(linesAt(1, reads))];
  const twice = { families: [{ match: 'k:*', requests: 2, by: 'ann', why: 'campaign' }] };
  assert.throws(
    () => mergeModels([applyOverrides(a, twice), b]),
    (error) => error instanceof CutoverError && error.code === 'E_MODEL_MERGE' && error.oclif.exit === 2,
  );
  const merged = mergeModels([applyOverrides(a, twice), applyOverrides(b, twice)]);
  assert.deepEqual(merged.overrides, [{ ...twice.families[0], families: ['k:{int}'] }]);
  assert.equal(familyOf(merged, 'k:{int}').requests, 24);
});
