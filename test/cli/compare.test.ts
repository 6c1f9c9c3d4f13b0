/** `cutover compare` as a user has it: verdict and exit code from a folder, another budget, a stored baseline. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULT_BUDGET } from '../../src/compare/default-budget.ts';
import { cutover } from '../support/cli.ts';
import { type Behaviour, rehearse, writeRehearsal } from '../support/rehearsal.ts';

const root = mkdtempSync(join(tmpdir(), 'cutover-compare-'));
after(() => rmSync(root, { recursive: true }));
const folderOf = (name: string, behave: Behaviour, options: Parameters<typeof rehearse>[1] = {}) =>
  writeRehearsal(join(root, name), rehearse(behave, options), { budget: DEFAULT_BUDGET });
const slower: Behaviour = (round, arm) => (arm === 'candidate' ? { tail: 7.5 + round / 10 } : {});
const noisy: Behaviour = (round, arm) => (arm === 'candidate' ? { tail: [3, 9, 4, 10, 5][round]! } : {});

test('a pass exits 0 and ends with verdict, folder and command', async () => {
  const path = await folderOf('pass', () => ({}));
  const { code, stdout, stderr } = await cutover(['compare', path]);
  assert.deepEqual([code, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  assert.match(stdout, /\nPASS: 7 rules inside the budget/);
  assert.deepEqual(lines.slice(-2), [
    `folder  ${path}`,
    'repeat  cutover run captures/mixed.monitor.gz --baseline process:redis-server --candidate process:valkey-server',
  ]);
});

test('a fail exits 1; a wider budget passes; --json is one document with the same exit code', async () => {
  const path = await folderOf('fail', slower);
  const budget = join(root, 'wide.yaml');
  writeFileSync(budget, 'apiVersion: cutover/budget@1\nlatency: {p99.9: {max_increase: 100%}}\n');
  const strict = await cutover(['compare', path, '--json']);
  const judgement = JSON.parse(strict.stdout);
  assert.deepEqual([strict.code, judgement.exitCode, judgement.verdict], [1, 1, 'fail']);
  assert.deepEqual([judgement.schema, judgement.rehearsal], ['cutover/verdict@1', path]);
  const wide = await cutover(['compare', path, '--budget', budget]);
  assert.equal(wide.code, 0, wide.stdout);
});

test('inconclusive exits 4, or what --on-inconclusive says; the verdict stays', async () => {
  const path = await folderOf('noisy', noisy);
  assert.equal((await cutover(['compare', path])).code, 4);
  for (const [choice, code] of [
    ['pass', 0],
    ['fail', 1],
  ] as const) {
    const result = await cutover(['compare', path, '--json', '--on-inconclusive', choice]);
    const judgement = JSON.parse(result.stdout);
    assert.deepEqual([result.code, judgement.exitCode, judgement.verdict], [code, code, 'inconclusive']);
  }
});

test('an invalid run exits 5, with or without --on-inconclusive', async () => {
  const path = await folderOf('invalid', () => ({ achieved: 0.9 }));
  assert.equal((await cutover(['compare', path, '--on-inconclusive', 'pass'])).code, 5);
});

test('a stored baseline against the candidate of a newer run', async () => {
  const then = await folderOf('then', () => ({}), { overrides: { startedAt: '2026-11-01T00:00:00.000Z' } });
  // The newer baseline is as slow as the newer candidate: only the stored one shows the rise.
  const now = await folderOf('now', (round) => ({ tail: 7.5 + round / 10 }));
  assert.equal((await cutover(['compare', now])).code, 0);
  const { code, stdout } = await cutover(['compare', then, now, '--json']);
  const judgement = JSON.parse(stdout);
  assert.deepEqual([code, judgement.verdict, judgement.rehearsal], [1, 'fail', now]);
  assert.match(judgement.caveats[0].message, /measured at 2026-11-01T00:00:00.000Z, the candidate at 2026-11-23/);
});

test('runs of another plan, seed or machine are refused, naming what differs', async () => {
  const then = await folderOf('one', () => ({}));
  const base = rehearse(() => ({})).rehearsal;
  const other = await writeRehearsal(
    join(root, 'two'),
    rehearse(() => ({}), {
      overrides: { seed: '2', settings: { ...base.settings, rate: 9 }, machine: { ...base.machine, cores: 64 } },
    }),
    { budget: DEFAULT_BUDGET, model: '{}' },
  );
  const { code, stderr } = await cutover(['compare', then, other]);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /cannot be compared: the model differs.*; the seed differs \(1, 2\); the setting rate differs \(4000, 9\); the machine's cores differs \(4, 64\)/,
  );
  assert.match(stderr, /→ Repeat the stored baseline/);
});

test('mistakes exit 2 and say what to do', async () => {
  const path = await folderOf('mistakes', () => ({ ops: 10 }));
  const budget = join(root, 'wrong.yaml');
  writeFileSync(budget, 'apiVersion: cutover/budget@1\nlatncy: off\n');
  const misspelt = await cutover(['compare', path, '--budget', budget]);
  assert.equal(misspelt.code, 2);
  assert.match(misspelt.stderr, /wrong\.yaml:2:1: unknown key "latncy"; did you mean "latency"\?/);
  const absent = await cutover(['compare', join(root, 'nowhere'), '--json']);
  assert.deepEqual([absent.code, JSON.parse(absent.stdout).error.code], [2, 'E_REHEARSAL']);
  const unreadable = await cutover(['compare', path, '--budget', root]);
  assert.equal(unreadable.code, 2);
  assert.match(unreadable.stderr, /Cannot read the budget/);
});
