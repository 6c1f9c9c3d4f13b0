/** `cutover budget`: what it drafts is a budget that judges, and it tells what a file means. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { draftBudget } from '../../src/compare/budget-draft.ts';
import { DEFAULT_BUDGET } from '../../src/compare/default-budget.ts';
import type { Model } from '../../src/model/model.ts';
import { cutover } from '../support/cli.ts';
import { temporaryFolder } from '../support/temporary.ts';

test('a draft is written, parses, names the busiest families, and is never written over', async () => {
  const file = join(temporaryFolder(), 'budget.yaml');
  const made = await cutover(['budget', 'init', 'captures/mixed.monitor.gz', '--output', file]);
  assert.deepEqual([made.code, made.stdout], [0, '']);
  const text = readFileSync(file, 'utf8');
  const budget = parseBudget(text, file);
  const [everything, busiest] = budget.latency;
  assert.deepEqual(everything, parseBudget(DEFAULT_BUDGET, 'default').latency[0]);
  assert.equal(busiest!.family, 'product:{int}');
  const schema = /^# yaml-language-server: \$schema=(.+)$/m.exec(text)![1]!;
  assert.ok(existsSync(resolve(dirname(file), schema)), schema);

  const again = await cutover(['budget', 'init', 'captures/mixed.monitor.gz', '--output', file]);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /exists already/);

  const checked = await cutover(['budget', 'check', file]);
  assert.equal(checked.code, 0);
  assert.match(checked.stdout, /Fails if response time of family "product:\{int\}" rises: P99 by more than/);
  assert.ok(checked.stdout.split('\n').every((line) => line.length <= 80));
  const document = JSON.parse((await cutover(['budget', 'check', file, '--json'])).stdout);
  assert.deepEqual([document.schema, document.budget], ['cutover/budget-check@1', budget]);
});

test('a mistake is told with its place', async () => {
  const wrong = await cutover(['budget', 'check', 'test/cli/budget.test.ts']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /budget\.test\.ts:\d+:\d+: /);
});

const family = (template: string, share: number) => ({ template, share, commands: { get: 3, set: 2 } });
const draft = (families: ReturnType<typeof family>[], rate: number) =>
  draftBudget({
    model: { families } as unknown as Model,
    ...{ rate, source: 'app.log\n\x1b[31m', schemaPath: 'a b/budget.schema.json' },
  });

test('names from a capture can hold anything and stay names', () => {
  const hostile = [
    'a"b',
    "it's",
    'line\nbreak',
    '\x1b]0;title\x07',
    '# comment',
    '{a: b}',
    '\x85\xa0',
    '- x',
    '\\',
    '\0',
    '%:&*!|>',
  ];
  const text = draft(
    hostile.map((name) => family(`${name}:{int}`, 0.16)),
    1e6,
  );
  const { latency } = parseBudget(text, 'draft');
  assert.deepEqual(
    latency.slice(1).map((objective) => objective.family),
    hostile.slice(0, 6).map((name) => `${name}:{int}`),
  );
  assert.deepEqual(
    parseBudget(
      draft(
        hostile.slice(6).map((name) => family(name, 0.2)),
        1e6,
      ),
      'draft',
    ).latency.length,
    1 + hostile.slice(6).length,
  );
  assert.ok(!text.includes('\x1b'));
});

test('the percentile and its margin follow from the samples that a run will have', () => {
  const limitAt = (rate: number) => {
    const { latency } = parseBudget(draft([family('a', 1)], rate), 'draft');
    return latency[1]?.limits.map(({ percentile, maxIncrease }) => [percentile, maxIncrease])[0];
  };
  assert.deepEqual(limitAt(1_000_000), [99.9, 0.1]);
  assert.equal(limitAt(10_000)![0], 99.9);
  assert.equal(limitAt(1000)![0], 99);
  assert.equal(limitAt(100)![0], 95);
  assert.equal(limitAt(10), undefined);
  assert.ok(limitAt(400)![1]! > limitAt(3000)![1]!);
});

test('families of the same name in two databases are one, small ones are left out', () => {
  const { latency } = parseBudget(draft([family('a', 0.5), family('a', 0.4), family('b', 0.01)], 1e5), 'draft');
  assert.deepEqual(
    latency.map((objective) => objective.family),
    ['*', 'a'],
  );
});
