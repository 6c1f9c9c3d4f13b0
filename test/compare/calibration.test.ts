/** The baseline against itself: what a host can resolve, slots that are not alike, and the record of false alarms. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { calibrate, falseAlarmsOn, formatRecord, parseHistory, recordOf } from '../../src/compare/calibration.ts';
import { judge } from '../../src/compare/judge.ts';
import { type Behaviour, normal, rehearse } from '../support/rehearsal.ts';

const HEAD = 'apiVersion: cutover/budget@1\n';
const budgetOf = (text = '') => parseBudget(HEAD + text, 'budget.yaml');
const calibrated = (behave: Behaviour, budget = budgetOf(), rounds = 6) => {
  const { rehearsal, latencyOf } = rehearse(behave, { rounds });
  return calibrate(rehearsal, latencyOf, budget);
};
const spread = (sd: number, seed = 3): Behaviour => {
  const gauss = normal(seed);
  const factors = Array.from({ length: 12 }, () => Math.exp((sd / Math.SQRT2) * gauss()));
  return (round, arm) => ({ ops: 18_000, serviceUs: 2000 * factors[2 * round + (arm === 'baseline' ? 0 : 1)]! });
};

test('a calm host: even slots, and a margin that it can resolve', () => {
  const { rounds, rules, biased } = calibrated(spread(0.02));
  assert.deepEqual([rounds, biased], [6, []]);
  assert.deepEqual(
    rules.map(({ id, position }) => [id, position]),
    [
      ['latency.p99', 'even'],
      ['latency.p99.9', 'even'],
    ],
  );
  for (const { resolvable, asked, roundsNeeded, message } of rules) {
    assert.ok(resolvable < asked && roundsNeeded! <= 6);
    assert.match(message, /^this host can resolve ±\d\.?\d? % at P99(\.9)? in 6 rounds$/);
  }
});

test('a noisy host says what it can, what was asked, and what that would take', () => {
  const { rules, biased } = calibrated(spread(0.2), budgetOf('latency: {p99: {max_increase: 5%, floor: 1us}}\n'));
  assert.deepEqual(biased, []);
  assert.equal(rules[0]!.position, 'unknown');
  assert.match(
    rules[0]!.message,
    /^this host can resolve ±\d+ % at P99 in 6 rounds; you asked 5 %: that takes (\d+ rounds|more rounds than is reasonable)$/,
  );
});

test('more rounds are planned: the last look counts, at its level', () => {
  const looks = 'confidence: {rounds: {looks: [6, 10, 15, 20]}}\n';
  const [few, many] = [calibrated(spread(0.1)), calibrated(spread(0.1), budgetOf(looks))];
  assert.deepEqual([few.plannedRounds, many.plannedRounds], [6, 20]);
  assert.ok(many.rules[0]!.resolvable < few.rules[0]!.resolvable);
  // (t + t)·s/√20 at the level of the looks, which is wider than at alpha.
  assert.ok(Math.log1p(many.rules[0]!.resolvable) > ((1.729 + 1.328) * many.rules[0]!.sd) / Math.sqrt(20));
});

test('slots that are not alike are found; a trifle is not called a bias', () => {
  const slower =
    (by: number): Behaviour =>
    (round, arm) => ({
      ops: 18_000,
      serviceUs: 2000 * (arm === 'candidate' ? by + round / 1000 : 1),
    });
  const { biased, rules } = calibrated(slower(1.1));
  assert.equal(rules[0]!.position, 'biased');
  assert.match(biased[0]!, /^the same server is 10 % slower as the candidate than as the baseline \(latency\.p99\)$/);
  // 1 % is beyond chance here, but far inside a quarter of what is allowed.
  assert.deepEqual(calibrated(slower(1.01)).biased, []);
});

test('chance alone seldom makes a bias', () => {
  let biased = 0;
  for (let seed = 1; seed <= 40; seed++) if (calibrated(spread(0.15, seed)).biased.length > 0) biased++;
  assert.ok(biased <= 4, `${biased} of 40`);
});

test('spoiled rounds do not count; too few rounds say nothing', () => {
  const { rehearsal, latencyOf } = rehearse(spread(0.02), { rounds: 2 });
  rehearsal.rounds[1]!.invalid = 'the host was suspended';
  assert.deepEqual(calibrate(rehearsal, latencyOf, budgetOf()), { rounds: 1, plannedRounds: 2, rules: [], biased: [] });
});

test('the history keeps what was found, and counts false alarms with their exact interval', () => {
  const { rehearsal, latencyOf } = rehearse(spread(0.02), { rounds: 6 });
  const budget = budgetOf();
  const record = recordOf(rehearsal, judge(rehearsal, latencyOf, budget, 'x'), calibrate(rehearsal, latencyOf, budget));
  assert.deepEqual([record.verdict, record.server, record.failed], ['pass', 'redis 7.0.15', []]);
  const history = parseHistory(formatRecord(record).repeat(29), 'history');
  assert.deepEqual(history[28], record);
  const runs = [
    ...history,
    { ...record, verdict: 'fail' as const, failed: ['latency.p99'] },
    { ...record, verdict: 'invalid' as const },
    { ...record, machine: { ...record.machine, cores: 64 } },
  ];
  const { low, high, ...counts } = falseAlarmsOn(rehearsal.machine, runs);
  assert.deepEqual(counts, { runs: 30, fails: 1, inconclusive: 0, invalid: 1, share: 1 / 30 });
  // Clopper and Pearson, 1 of 30 at 95 %.
  assert.ok(Math.abs(low - 0.00084) < 1e-5 && Math.abs(high - 0.1722) < 1e-4, `${low} ${high}`);
  assert.deepEqual(falseAlarmsOn(rehearsal.machine, []).high, 1);
});

test('a history that was cut loses its last line; one that was changed names its line', () => {
  const { rehearsal, latencyOf } = rehearse(spread(0.02), { rounds: 6 });
  const budget = budgetOf();
  const line = formatRecord(
    recordOf(rehearsal, judge(rehearsal, latencyOf, budget, 'x'), calibrate(rehearsal, latencyOf, budget)),
  );
  assert.equal(parseHistory(line + line.slice(0, 50), 'history').length, 1);
  assert.deepEqual(parseHistory('', 'history'), []);
  assert.throws(() => parseHistory(`${line}{"schema":1}\n`, 'history'), {
    code: 'E_CALIBRATION',
    message: /^history:2: not a calibration/,
  });
});
