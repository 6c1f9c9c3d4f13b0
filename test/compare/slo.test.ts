/** SLO rules and the allow-list: burns by arithmetic, what decides, and entries that excuse or have expired. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excuses } from '../../src/compare/allowances.ts';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import type { LabelledHistograms } from '../../src/measure/latency-log.ts';
import type { Arm } from '../../src/measure/rehearsal.ts';
import { rehearse } from '../support/rehearsal.ts';

const HEAD = 'apiVersion: cutover/budget@1\nlatency: off\nstalls: off\nmemory: off\n';

/** 200 µs, and 9 ms where it is late. Nothing writes to one that was made. */
const histogram = (ops: number, late: number) => {
  const key = `${ops} ${late}`;
  let made = histogramsMade.get(key);
  if (!made) {
    made = LatencyHistogram.empty();
    for (let i = 0; i < ops; i++) made.record(i < late ? 9000 : 200);
    histogramsMade.set(key, made);
  }
  return made;
};
const histogramsMade = new Map<string, LatencyHistogram>();

/** 20,000 requests per slice and label, of which so many are late. */
function judged(
  budget: string,
  lateOf: (arm: Arm, label: string, round: number) => number,
  { errors = {} as Record<string, Record<string, number>>, ops = 20_000, labels = ['session:{id} get'] } = {},
) {
  const { rehearsal } = rehearse((_, arm) => (arm === 'candidate' ? { errors } : {}));
  const latencyOf = (round: number, arm: Arm) =>
    labels.map((label): LabelledHistograms => {
      const [family, command] = label.split(' ') as [string, string];
      const late = lateOf(arm, label, round);
      const [lag, response] = [histogram(ops, 0), histogram(ops, late)];
      return { family, command, lag, service: lag, response };
    });
  const judgement = judge(rehearsal, latencyOf, parseBudget(HEAD + budget, 'budget.yaml'), 'rehearsals/x');
  return { judgement, ruleOf: (id: string) => judgement.rules.find((rule) => rule.id === id) };
}

const OBJECTIVE = 'objectives: [{family: "session:*", slo: {threshold: 2ms, target: 99%}}]\n';

test('burn is the share of misses over the share that is allowed, and only its rise is judged', () => {
  // 200 of 20,000 late is 1 %: just the error budget of 99 %. The candidate misses half as many again.
  const { ruleOf } = judged(OBJECTIVE, (arm, _, round) => (arm === 'baseline' ? 200 : 300 + round));
  const rule = ruleOf('slo.burn/session:*')!;
  assert.equal(rule.baseline!.toFixed(3), '1.000');
  assert.equal(rule.candidate!.toFixed(2), '1.51');
  assert.equal(rule.outcome, 'fail');
  assert.equal(ruleOf('slo.peak_burn/session:*')!.outcome, 'pass');
  const both = judged(OBJECTIVE, () => 2000).ruleOf('slo.burn/session:*')!;
  assert.equal(both.outcome, 'pass');
  assert.match(both.note!, /99 % within 2.00 ms over 30 days; the baseline misses it here too/);
});

test('errors are misses, those that the allow-list excuses are not', () => {
  const errors = { 'session:{id} get': { LOADING: 400 } };
  const failing = judged(OBJECTIVE, () => 0, { errors });
  assert.equal(failing.ruleOf('slo.burn/session:*')!.outcome, 'fail');
  assert.equal(failing.ruleOf('errors.new_prefixes')!.outcome, 'fail');
  const allow = (expires: string) =>
    `${OBJECTIVE}correctness: {allow: [{id: D-1, match: "GET loading*", reason: "warming", owner: sre, expires: ${expires}}]}\n`;
  const live = judged(allow('2026-11-23'), () => 0, { errors });
  assert.equal(live.judgement.verdict, 'pass');
  assert.match(live.judgement.caveats[0]!.message, /D-1 of the allow-list excuses 4,000 errors of the candidate and 0/);
  const expired = judged(allow('2026-11-22'), () => 0, { errors });
  assert.equal(expired.ruleOf('errors.new_prefixes')!.outcome, 'fail');
  const rule = expired.ruleOf('budget.allow/D-1')!;
  assert.equal(rule.outcome, 'fail');
  assert.match(rule.note!, /D-1 of the allow-list expired on 2026-11-22: sre/);
  // Nothing that it would excuse: it fails all the same.
  assert.equal(judged(allow('2026-11-22'), () => 0).judgement.verdict, 'fail');
});

test('an entry excuses its command and error until the end of its last day', () => {
  const entry = { id: 'a', match: '* NOPERM', reason: 'r', owner: 'o', expires: '2026-12-31' };
  const error = { command: 'config', prefix: 'NOPERM' };
  assert.equal(excuses([entry], error, '2026-12-31T23:59:59Z'), entry);
  assert.equal(excuses([entry], error, '2027-01-01T00:00:00Z'), undefined);
  assert.equal(excuses([entry], { ...error, prefix: 'NOPERMS' }, '2026-12-01'), undefined);
});

test('no misses in few requests leave the burn open, and say what would close it', () => {
  const { ruleOf } = judged(OBJECTIVE.replace('99%', '99.9%'), () => 0, { ops: 100 });
  const rule = ruleOf('slo.burn/session:*')!;
  assert.equal(rule.outcome, 'inconclusive');
  assert.equal(rule.inconclusive!.cause, 'too-few-samples');
  // 1 − 0.05^(1/n) = 0.25 · 0.001 takes some 12,000 requests, a round has 200.
  assert.ok(Math.abs(rule.inconclusive!.roundsNeeded! - 60) <= 1, String(rule.inconclusive!.roundsNeeded));
});

test('a burst within one slice shows in the peak', () => {
  const { ruleOf } = judged(OBJECTIVE, (arm, _, round) => (arm === 'candidate' ? 6000 + round : 0));
  const peak = ruleOf('slo.peak_burn/session:*')!;
  assert.equal(peak.outcome, 'fail');
  assert.equal(peak.candidate!.toFixed(0), '30');
  assert.match(peak.note!, /over windows of 6 s; alerts look at windows of 10 s/);
  const paging = judged(OBJECTIVE, () => 6000).ruleOf('slo.peak_burn/session:*')!;
  assert.equal(paging.outcome, 'not-judged');
});

test('a burst of ten seconds within a longer slice shows in the peak, and lost replies and errors in it', () => {
  const windowed = (late: number[], apart: number[], ops = [20_000, 20_000, 20_000]): LabelledHistograms => {
    const windows = late.map((some, i) => {
      const [lag, response] = [histogram(ops[i]!, 0), histogram(ops[i]! - apart[i]!, some)];
      return { fromSeconds: 10 * i, seconds: 10, lag, service: response, response };
    });
    const whole = {
      lag: LatencyHistogram.empty(),
      service: LatencyHistogram.empty(),
      response: LatencyHistogram.empty(),
    };
    for (const { lag, response } of windows) {
      whole.lag.add(lag);
      whole.response.add(response);
    }
    // As a log has them: empty ones are not there.
    return { family: 'session:{id}', command: 'get', ...whole, windows: windows.filter(({ lag }) => lag.count > 0) };
  };
  const peakOf = (late: (round: number) => number[], apart: number[], errors = {}, ops?: number[]) => {
    const { rehearsal } = rehearse((_, arm) => (arm === 'candidate' ? { errors } : {}), { sliceSeconds: 30 });
    const latencyOf = (round: number, arm: Arm) => [
      arm === 'candidate' ? windowed(late(round), apart, ops) : windowed([0, 0, 0], [0, 0, 0], ops),
    ];
    const { rules } = judge(rehearsal, latencyOf, parseBudget(HEAD + OBJECTIVE, 'budget.yaml'), 'rehearsals/x');
    return rules.find(({ id }) => id === 'slo.peak_burn/session:*')!;
  };
  // 4,000 of 20,000 late burn 20 times the budget of 1 % for ten seconds, and 7 times over half a minute.
  const burst = peakOf((round) => [0, 4000 + round, 0], [0, 0, 0]);
  assert.equal(burst.candidate!.toFixed(1), '20.0');
  assert.equal(burst.outcome, 'fail');
  assert.equal(burst.note, undefined);
  assert.equal(peakOf((round) => [1333, 1333 + round, 1334], [0, 0, 0]).outcome, 'pass');
  // 5,000 errors, all in the last ten seconds, where nothing else has no latency.
  const failing = peakOf(() => [0, 0, 0], [0, 0, 5000], { 'session:{id} get': { LOADING: 5000 } });
  assert.equal(failing.candidate!.toFixed(1), '25.0');
  // Of something rare, only one part has anything: it is as long as the others.
  const rare = peakOf((round) => [0, 0, 10 + round], [0, 0, 0], {}, [0, 0, 1000]);
  assert.deepEqual([rare.outcome, rare.note], ['pass', undefined]);
});

test('of several objectives the weighted sum decides, and key ones by themselves', () => {
  const labels = ['session:{id} get', 'session:{id} set', 'feed:{id} get'];
  const two = (more: string) =>
    `objectives:\n  - {family: "session:*", commands: [GET], slo: {threshold: 2ms, target: 99%}, weight: 1${more}}\n  - {family: "feed:*", slo: {threshold: 2ms, target: 99%}, weight: 9}\n`;
  const late = (arm: Arm, label: string, round: number) =>
    arm === 'candidate' && label === 'session:{id} get' ? 200 + round : 0;
  const weighed = judged(two(''), late, { labels });
  assert.equal(weighed.ruleOf('slo.burn/session:* get')!.level, 'warn');
  assert.equal(weighed.ruleOf('slo.burn/session:* get')!.outcome, 'fail');
  // One of ten parts of the weight burns once over: 0.1 of the sum.
  assert.equal(weighed.ruleOf('slo.burn_sum')!.candidate!.toFixed(2), '0.10');
  assert.equal(weighed.judgement.verdict, 'pass');
  assert.equal(judged(two(', key: true'), late, { labels }).judgement.verdict, 'fail');
});

test('an objective that no request is about cannot be told', () => {
  const { ruleOf } = judged(OBJECTIVE.replace('session', 'nothing'), () => 0);
  assert.equal(ruleOf('slo.burn/nothing:*')!.outcome, 'inconclusive');
});

test('latencies above a threshold are counted to the precision of the histogram', () => {
  const histogram = LatencyHistogram.empty();
  for (const us of [1, 1999, 2000, 2001, 2500, 60_000_000]) histogram.record(us);
  assert.equal(histogram.countAbove(2400), 2);
  assert.equal(histogram.countAbove(0), 6);
  assert.equal(histogram.countAbove(60_000_000), 0);
  assert.equal(LatencyHistogram.decode(histogram.encode()).countAbove(2400), 2);
});
