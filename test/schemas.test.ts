/** The published JSON Schemas: current, and true of real artefacts. */
import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { makeSchemas } from '../schemas/make.ts';
import { summarizeShard } from '../src/cli/shard.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { DEFAULT_BUDGET } from '../src/compare/default-budget.ts';
import { judge } from '../src/compare/judge.ts';
import { selectRules } from '../src/lint/engine.ts';
import { lintPaths } from '../src/lint/index.ts';
import { parseServer } from '../src/lint/profile.ts';
import { lintDocument } from '../src/lint/report/json.ts';
import { RULES } from '../src/lint/rules/index.ts';
import { loadFolder } from '../src/measure/folder.ts';
import { buildModel } from '../src/model/build.ts';
import { cutover, root } from './support/cli.ts';
import { rehearse, writeRehearsal } from './support/rehearsal.ts';
import { temporaryFolder } from './support/temporary.ts';

const folder = join(root, 'schemas');
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

test('the files are what the code says (else: node schemas/make.ts)', () => {
  const made = makeSchemas();
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort(),
    [...made.keys()].sort(),
  );
  for (const [name, text] of made) assert.equal(readFileSync(join(folder, name), 'utf8'), text, name);
});

const answer = async (words: string[]) => JSON.parse((await cutover(words)).stdout);

/** Real artefacts by the schema that describes them. */
const artefacts: Record<string, [what: string, document: object][]> = {};

before(async () => {
  const path = join(temporaryFolder(), 'rehearsal');
  const failing = rehearse((_, arm) => (arm === 'candidate' ? { tail: 20, errors: { 'a get': { ERR: 9 } } } : {}));
  await writeRehearsal(path, failing, { budget: DEFAULT_BUDGET });
  const stored = await loadFolder(path);
  const verdict = judge(stored.rehearsal, stored.latencyOf, parseBudget(DEFAULT_BUDGET, 'budget'), path);
  const { model } = await buildModel(join(root, 'captures/sessions.monitor.gz'), { replica: false });
  const profile = { from: parseServer('redis@7.0'), to: parseServer('valkey@8.1'), rollback: false, cluster: false };
  const rules = selectRules(RULES, { hygiene: true, named: [] });
  const linted = await lintPaths([join(root, 'captures/queue.monitor.gz')], { profile, rules, replica: false });
  const [, overrides] = /```yaml\n(apiVersion: cutover\/overrides@1[\s\S]*?)```/.exec(
    readFileSync(join(root, 'docs/families.md'), 'utf8'),
  )!;
  Object.assign(artefacts, {
    rehearsal: [
      ['rehearsal.json', json(join(path, 'rehearsal.json'))],
      ['docs/examples/mixed', json(join(root, 'docs/examples/mixed/rehearsal.json'))],
    ],
    timeline: globSync('timeline/*.json', { cwd: path }).map((file) => [file, json(join(path, file))]),
    verdict: [
      ['a judgement', JSON.parse(JSON.stringify(verdict))],
      ...globSync('test/golden/{pass,fail,inconclusive,invalid}.json', { cwd: root }).map((file) => [
        file,
        json(join(root, file)),
      ]),
    ],
    model: [
      ['sessions', model],
      ['docs/examples/mixed', json(join(root, 'docs/examples/mixed/model.json'))],
    ],
    capture: globSync('captures/*.capture.json', { cwd: root }).map((file) => [file, json(join(root, file))]),
    lint: [['queue', JSON.parse(JSON.stringify(lintDocument(linted, 'error')))]],
    doctor: [['this machine', await answer(['doctor', '--json'])]],
    history: [['two examples', await answer(['report', 'docs/examples/mixed', 'docs/examples/sessions', '--json'])]],
    shard: [['an example', { ...summarizeShard({ number: 1, count: 2 }, stored.rehearsal, path) }]],
    budget: [['the default', parse(DEFAULT_BUDGET)]],
    overrides: [['the example of docs/families.md', parse(overrides!)]],
  });
});

for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
  test(`${name}: real documents are valid, and one without its first field is not`, () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
    (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
    const valid = ajv.compile(json(join(folder, name)));
    const documents = artefacts[name.replace('.schema.json', '')]!;
    assert.ok(documents.length > 0);
    for (const [what, document] of documents) {
      assert.ok(valid(document), `${what}: ${ajv.errorsText(valid.errors)}`);
      const [[first], ...rest] = Object.entries(document) as [[string], ...[string, unknown][]];
      assert.ok(!valid(Object.fromEntries(rest)), `${what} without ${first}`);
    }
  });
}
