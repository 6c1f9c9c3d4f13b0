/** The statistics against published tables and worked examples, and the procedure's error rates by simulation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  benjaminiHochberg,
  binomialCdf,
  clopperPearson,
  fisherGreater,
  hodgesLehmann,
  holm,
  marginOf,
  rateWithoutEvents,
  roundsNeeded,
  signFlip,
  studentCdf,
  studentQuantile,
  testMargin,
} from '../../src/compare/statistics.ts';
import { normal, uniform } from '../support/rehearsal.ts';

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);

test('Student quantiles are those of the NIST table', () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, §1.3.6.7.2, critical values of Student's t: [df, p, t].
  const table = [
    [1, 0.95, 6.314],
    [2, 0.999, 22.327],
    [2, 0.975, 4.303],
    [4, 0.95, 2.132],
    [4, 0.99, 3.747],
    [5, 0.999, 5.893],
    [9, 0.95, 1.833],
    [10, 0.9, 1.372],
    [30, 0.975, 2.042],
    [100, 0.999, 3.174],
  ] as const;
  for (const [df, p, t] of table) near(studentQuantile(p, df), t, 0.0006);
});

test('the Student cdf has its closed forms for 1 and 2 degrees of freedom, far into the tails', () => {
  for (const t of [-1e4, -12.3, -1, -1e-6, 0, 0.5, 3, 250]) {
    near(studentCdf(t, 1), 0.5 + Math.atan(t) / Math.PI, 1e-13);
    near(studentCdf(t, 2), 0.5 + t / (2 * Math.sqrt(2 + t * t)), 1e-13);
  }
  // Cancellation would leave nothing of a tail of 5e-13.
  near(studentCdf(-1e6, 2) * 2e12, 1, 1e-9);
});

test('the paired t test repeats Student (1908): the sleep data', () => {
  // Biometrika 6, p. 20: additional hours of sleep by two drugs; t = 4.0621, df = 9, one-sided p = 0.001416.
  const differences = [1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4];
  const result = testMargin(differences, 0, 0.025);
  near(result.estimate, 1.58, 1e-9);
  near(result.pFail, 0.001416, 1e-6);
  near(result.low, 0.7001, 1e-4);
  near(result.high, 2.4599, 1e-4);
  assert.equal(result.outcome, 'fail');
});

test("Fisher's exact test repeats the lady tasting tea, and agrees with counting", () => {
  // R. A. Fisher, The Design of Experiments (1935): at least 3 of 4 cups by chance in 17 of 70 ways.
  near(fisherGreater(3, 4, 1, 4), 17 / 70, 1e-12);
  near(fisherGreater(4, 4, 0, 4), 1 / 70, 1e-12);
  assert.equal(fisherGreater(0, 100, 5, 100), 1);
  assert.equal(fisherGreater(0, 0, 0, 0), 1);
  const choose = (n: bigint, k: bigint): bigint => (k === 0n ? 1n : (choose(n - 1n, k - 1n) * n) / k);
  for (const [a, n, b, m] of [
    [7, 40, 3, 55],
    [20, 20, 0, 30],
    [1, 1000, 0, 900],
    [12, 15, 11, 12],
  ] as const) {
    let ways = 0n;
    for (let x = a; x <= Math.min(a + b, n); x++) {
      if (a + b - x <= m) ways += choose(BigInt(n), BigInt(x)) * choose(BigInt(m), BigInt(a + b - x));
    }
    const all = choose(BigInt(n + m), BigInt(a + b));
    near(fisherGreater(a, n, b, m), Number((ways * 10n ** 15n) / all) / 1e15, 1e-11);
  }
});

test('Holm steps down and stops at the first that holds', () => {
  assert.deepEqual(holm([0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
  assert.deepEqual(holm([0.01, 0.02, 0.03, 0.04], 0.05), [true, false, false, false]);
  assert.deepEqual(holm([], 0.05), []);
});

test('the rule of three', () => {
  near(rateWithoutEvents(1000, 0.05), 0.002991, 1e-6);
  assert.equal(rateWithoutEvents(0, 0.05), 1);
});

test('the margin is relative until the floor is more', () => {
  near(marginOf(0.25, 100, 1000), Math.log(1.25), 1e-12);
  near(marginOf(0.25, 100, 50), Math.log(3), 1e-12);
});

test('rounds needed are those that 90 % power asks for', () => {
  // Rounds for a pass with 90 % power when truly equal, by spread s and allowed increase, from (t.95 + t.90)·s/√K ≤ ln(1 + X).
  const table = [
    [0.05, 0.05, 11],
    [0.05, 0.1, 5],
    [0.05, 0.2, 3],
    [0.1, 0.05, 38],
    [0.1, 0.1, 12],
    [0.1, 0.2, 5],
    [0.2, 0.2, 13],
  ] as const;
  for (const [sd, increase, rounds] of table) {
    assert.equal(roundsNeeded(sd, Math.log(1 + increase), 0.05), rounds, `s ${sd}, X ${increase}`);
  }
  assert.equal(roundsNeeded(0.1, 0, 0.05), undefined);
});

test('what cannot be told says why', () => {
  const margin = Math.log(1.2);
  assert.equal(testMargin([0.1], margin, 0.05).cause, 'too-few-rounds');
  assert.equal(testMargin([0.9, -0.9, 0.5, -0.6], margin, 0.05).cause, 'noise');
  const close = testMargin([0.15, 0.19, 0.2, 0.16], margin, 0.05);
  assert.equal(close.cause, 'near-margin');
  assert.equal(testMargin([margin, margin], margin, 0.05).outcome, 'inconclusive');
});

/** How often `rounds` rounds with this true ratio and spread end in each outcome; seeded, so the shares are exact. */
function simulate(ratio: number, sd: number, { rounds = 5, tail = false, runs = 2000 } = {}) {
  const gauss = normal(7);
  const flip = uniform(11);
  const tally = { pass: 0, fail: 0, inconclusive: 0 };
  for (let run = 0; run < runs; run++) {
    // Every tenth round of a heavy-tailed host deviates three times as much.
    const differences = Array.from(
      { length: rounds },
      () => Math.log(ratio) + sd * gauss() * (tail && flip() < 0.1 ? 3 : 1),
    );
    tally[testMargin(differences, Math.log(1.2), 0.05).outcome]++;
  }
  return { pass: tally.pass / runs, fail: tally.fail / runs };
}

test('identical servers are not failed, and pass as rounds allow', () => {
  for (const sd of [0.03, 0.1, 0.3]) assert.ok(simulate(1, sd).fail <= 0.02, `sd ${sd}`);
  assert.ok(simulate(1, 0.1).pass >= 0.9);
});

test('at the margin each error stays near alpha, for even and for heavy-tailed rounds', () => {
  // 0.05 ± three standard errors of 2,000 runs.
  for (const tail of [false, true]) {
    for (const sd of [0.03, 0.1]) {
      const { pass, fail } = simulate(1.2, sd, { tail });
      assert.ok(pass <= 0.065, `pass ${pass} at sd ${sd}`);
      assert.ok(fail <= 0.065, `fail ${fail} at sd ${sd}`);
    }
  }
});

test('a rise of 40 % where 20 % is allowed is caught, and never passed', () => {
  const { pass, fail } = simulate(1.4, 0.05);
  assert.ok(fail >= 0.95, `fail ${fail}`);
  assert.equal(pass, 0);
});

test('a rise of 25 % where 20 % is allowed is caught when rounds are steady', () => {
  assert.ok(simulate(1.25, 0.02).fail >= 0.9);
});

test('Clopper and Pearson: closed forms, and the bounds that a table of Poisson tails has in the limit', () => {
  near(clopperPearson(0, 30, 0.05).high, 1 - 0.05 ** (1 / 30), 1e-9);
  near(clopperPearson(30, 30, 0.025).low, 0.025 ** (1 / 30), 1e-9);
  assert.deepEqual([clopperPearson(0, 30, 0.05).low, clopperPearson(30, 30, 0.05).high], [0, 1]);
  // 5 of 20 at 95 %: 0.0866 to 0.4910, as in Clopper and Pearson's chart and in every textbook since.
  near(clopperPearson(5, 20, 0.025).low, 0.08657, 1e-5);
  near(clopperPearson(5, 20, 0.025).high, 0.49105, 1e-5);
});

test('the binomial is that of counting', () => {
  near(binomialCdf(1, 4, 0.5), 5 / 16, 1e-12);
  near(binomialCdf(3, 10, 0.3), 0.649610718, 1e-9);
  assert.deepEqual([binomialCdf(-1, 4, 0.5), binomialCdf(4, 4, 0.5), binomialCdf(0, 0, 0.5)], [0, 1, 1]);
});

test('Benjamini and Hochberg repeat their own example', () => {
  // JRSS B 57 (1995), table 1: fifteen p values of a study of thrombolysis; four are rejected at q = 0.05.
  const p = [
    1e-4, 4e-4, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1,
  ];
  assert.deepEqual(
    benjaminiHochberg(p.toReversed(), 0.05).toReversed(),
    p.map((_, i) => i < 4),
  );
  assert.deepEqual(benjaminiHochberg([], 0.1), []);
});

test("Fisher's sign flips repeat Darwin's maize, and agree with going through them", () => {
  // The Design of Experiments (1935), §21: differences in eighths of an inch; 863 of 32,768 flips reach a sum of 314.
  const darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48];
  near(signFlip(darwin).atLeast, 863 / 32_768, 1e-12);
  near(signFlip(darwin.map((d) => -d)).atMost, 863 / 32_768, 1e-12);
  // Above 32 values flips are drawn.
  const many = Array.from({ length: 40 }, (_, i) => Math.sin(i) + 0.2);
  const { atLeast, atMost } = signFlip(many);
  near(
    atLeast,
    1 - studentCdf(testMargin(many, 0, 0.05).estimate / (testMargin(many, 0, 0.05).sd! / Math.sqrt(40)), 39),
    0.02,
  );
  near(atLeast + atMost, 1, 0.01);
});

test('Hodges and Lehmann do not mind an outlier', () => {
  near(hodgesLehmann([1, 2, 3]), 2, 1e-12);
  near(hodgesLehmann([1, 2, 3, 4, 1000]), 3, 0.6);
});

test('a round that is far off makes t prove itself without it', () => {
  const margin = Math.log(1.2);
  // Clearly below the limit but for one round far below: the t interval is wide, the permutation test is not.
  const lucky = [0.01, -0.02, 0.03, 0, -0.01, 0.02, 0.01, -1.5];
  const doubted = testMargin(lucky, margin, 0.05);
  assert.deepEqual(doubted.outliers?.rounds, [7]);
  near(doubted.outliers!.pPass, 1 / 256, 1e-9);
  assert.ok(Math.abs(doubted.outliers!.estimate) < 0.02);
  // A round far above in a run that fails anyway: both say so.
  const bad = [0.5, 0.52, 0.49, 0.51, 0.5, 0.53, 0.9];
  assert.deepEqual(
    [testMargin(bad, margin, 0.05).outcome, testMargin(bad, margin, 0.05).outliers?.rounds],
    ['fail', [6]],
  );
  assert.equal(testMargin([0.01, 0.02, 0, 0.03, 0.015], margin, 0.05).outliers, undefined);
});

test('where t and the permutation test disagree it cannot be told, and the rounds are the cause', () => {
  const margin = Math.log(1.2);
  const { outliers, outcome, cause, high } = testMargin([0.01, -0.02, 0.03, 0, -0.01, 0.02, 0.01, -2.5], margin, 0.05);
  assert.ok(high > margin && outliers!.pPass < 0.01);
  assert.deepEqual([outcome, cause], ['inconclusive', 'outliers']);
});

test('on a host where the margin drowns in noise equal servers are not failed in a twentieth of all runs', () => {
  const gauss = normal(17);
  const RUNS = 4000;
  let fails = 0;
  for (let run = 0; run < RUNS; run++) {
    if (
      testMargin(
        Array.from({ length: 8 }, () => 2 * gauss()),
        Math.log(1.1),
        0.05,
      ).outcome === 'fail'
    )
      fails++;
  }
  assert.ok(fails / RUNS < 0.015, `${fails} of ${RUNS}`);
});
