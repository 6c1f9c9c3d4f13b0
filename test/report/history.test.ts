/** Several rehearsals over each other: order, honesty about hosts and workloads, and only like figures in one picture. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { historyOf } from '../../src/report/history/history.ts';
import { historyHtml } from '../../src/report/history/html.ts';
import { historyTerminal } from '../../src/report/history/terminal.ts';
import { ATTACKS } from '../support/attacks.ts';
import { rehearse } from '../support/rehearsal.ts';

const BUDGET = 'apiVersion: cutover/budget@1\n';

/** A rehearsal of the n-th of November, whose candidate is slower each day. */
function onDay(day: number, overrides: Partial<Rehearsal> = {}, name = `rehearsals/${day}`) {
  const synthetic = rehearse((round, arm) => (arm === 'candidate' ? { tail: 5 + day + round / 10 } : {}), {
    overrides: { startedAt: `2026-11-${String(day).padStart(2, '0')}T14:05:09.000Z`, ...overrides },
  });
  synthetic.rehearsal.arms.candidate = { ...synthetic.rehearsal.arms.candidate, version: `8.${day}.0` };
  const { rehearsal, latencyOf } = synthetic;
  const judgement = judge(rehearsal, latencyOf, parseBudget(BUDGET, 'budget.yaml'), name);
  return { ...synthetic, path: name, budgetText: BUDGET, judgement };
}

const OTHER_HOST = { platform: 'linux x64', cpu: 'another', cores: 64, memoryBytes: 8 * 2 ** 30 };
const history = historyOf([onDay(3), onDay(1), onDay(2, { machine: OTHER_HOST }), onDay(4, { seed: '7' })]);
const plotsOf = (page: string) => JSON.parse(/id="plots">(.*)<\/script>/.exec(page)![1]!);

test('oldest first; another seed is the same workload; another machine is said and not drawn', () => {
  assert.deepEqual(
    history.episodes.map(({ source }) => source.path),
    [1, 2, 3, 4].map((day) => `rehearsals/${day}`),
  );
  assert.deepEqual(
    history.episodes.map(({ differs }) => differs.length > 0),
    [false, true, false, false],
  );
  assert.equal(history.notes.length, 1);
  assert.match(
    history.notes[0]!,
    /^Rehearsal 2 ran under other conditions .*cores differs \(64, 4\).*cannot be compared/,
  );
  const page = historyHtml(history);
  const { 'trend-response': trend, 'spectrum-candidates': spectra } = plotsOf(page);
  assert.deepEqual(trend.x.values, [1, 3, 4]);
  const tails = trend.series.find(({ label }: { label: string }) => label === 'candidate P99.9').y;
  assert.ok(tails[0] < tails[1] && tails[1] < tails[2], 'slower each day');
  assert.deepEqual(
    [...new Set(spectra.series.map(({ group }: { group: string }) => group))],
    ['1: valkey 8.1.0', '3: valkey 8.3.0', '4: redis 7.0.15, baseline', '4: valkey 8.4.0'],
  );
  assert.ok(page.includes('cores differs (64, 4)'));
});

test('rehearsals that share nothing with the newest are not laid over each other', () => {
  const page = historyHtml(historyOf([onDay(1, { machine: OTHER_HOST }), onDay(2)]));
  assert.deepEqual(plotsOf(page), {});
  assert.match(page, /No other rehearsal ran under the conditions of the newest/);
});

test('other budgets and invalid runs are said', () => {
  const spoiled = onDay(3);
  spoiled.judgement.verdict = 'invalid';
  const { notes } = historyOf([onDay(1, { budgetSha256: '1'.repeat(64) }), onDay(2), spoiled]);
  assert.deepEqual(notes, [
    'Rehearsal 1 is judged by its own budget, which is not the newest’s.',
    'Rehearsal 3 is invalid: nothing follows from its figures.',
  ]);
});

test('terminal: a line for each rehearsal of each rule, in 80 columns', () => {
  const text = historyTerminal(history);
  assert.match(text, /^4 rehearsals, oldest first\n/);
  assert.match(text, /\n1 {2}2026-11-01 14:05 {2}redis 7\.0\.15 {2}valkey 8\.1\.0 {2}/);
  assert.match(text, /\nP99\.9\n.*\n1 .*\n2 .*\n3 .*\n4 .* fail\n/);
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
});

test('hostile names stay names', () => {
  for (const [name, attack] of Object.entries(ATTACKS)) {
    const one = onDay(1, { machine: { ...OTHER_HOST, cpu: attack } }, `rehearsals/${attack}`);
    one.judgement.arms.candidate = { ...one.judgement.arms.candidate, version: attack, spec: attack };
    const two = onDay(2);
    two.judgement.arms.candidate = { ...two.judgement.arms.candidate, version: attack };
    const page = historyHtml(historyOf([one, two, onDay(3, {}, attack)]));
    const text = historyTerminal(historyOf([one, two]));
    for (const report of [page, text]) assert.doesNotMatch(report, /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u, name);
    assert.doesNotMatch(page, /<img|alert\(1\)<\/script>/, name);
    for (const line of text.split('\n')) assert.doesNotMatch(line, /^\s*::|##\[/, name);
  }
});
