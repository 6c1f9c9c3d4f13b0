/** What must hold of the statistics for all data. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fisherGreater, holm, studentCdf, studentQuantile, testMargin } from '../../src/compare/statistics.ts';

const df = fc.integer({ min: 1, max: 200 });
const probability = fc.double({ min: 0.001, max: 0.999, noNaN: true });
const differences = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 2, maxLength: 20 });

test('the quantile inverts the cdf, symmetric around 0', () => {
  fc.assert(
    fc.property(probability, df, (p, n) => {
      const t = studentQuantile(p, n);
      assert.ok(Math.abs(studentCdf(t, n) - p) < 1e-11);
      assert.ok(Math.abs(studentCdf(-t, n) - (1 - p)) < 1e-11);
    }),
  );
});

test('outcome, bounds and p values tell one story', () => {
  fc.assert(
    fc.property(differences, fc.double({ min: 0.01, max: 1, noNaN: true }), (data, margin) => {
      const { low, high, estimate, outcome, cause, pPass, pFail } = testMargin(data, margin, 0.05);
      assert.ok(low <= estimate + 1e-12 && estimate <= high + 1e-12);
      assert.ok(pPass + pFail > 1 - 1e-12);
      if (outcome === 'pass') assert.ok(high < margin && pPass < 0.05 + 1e-9);
      if (outcome === 'fail') assert.ok(low > margin && pFail < 0.05 + 1e-9);
      if (outcome === 'inconclusive' && cause !== 'outliers') assert.ok(high >= margin && pFail > 0.05 - 1e-9);
    }),
  );
});

test('a worse candidate is never judged better', () => {
  const rank = { pass: 0, inconclusive: 1, fail: 2 };
  fc.assert(
    fc.property(differences, fc.double({ min: 0, max: 3, noNaN: true }), (data, shift) => {
      const before = testMargin(data, 0.2, 0.05).outcome;
      const after = testMargin(
        data.map((d) => d + shift),
        0.2,
        0.05,
      ).outcome;
      assert.ok(rank[after] >= rank[before], `${before} became ${after}`);
    }),
  );
});

test('Holm rejects no more than without correction, no less than Bonferroni', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }), (ps) => {
      for (const [i, rejected] of holm(ps, 0.05).entries()) {
        if (rejected) assert.ok(ps[i]! <= 0.05);
        if (ps[i]! <= 0.05 / ps.length) assert.ok(rejected);
      }
    }),
  );
});

test('Fisher: far fewer errors than the other are no sign of more', () => {
  assert.ok(fisherGreater(5, 90_000, 1000, 50_000) > 0.999_999);
  assert.ok(fisherGreater(1000, 50_000, 5, 90_000) < 1e-100);
});

test('Fisher: a probability, smaller for more errors', () => {
  const calls = fc.integer({ min: 1, max: 100_000 });
  fc.assert(
    fc.property(calls, calls, fc.nat(1000), fc.nat(1000), (n, m, a, b) => {
      const errors = Math.min(a, n - 1);
      const others = Math.min(b, m);
      const p = fisherGreater(errors, n, others, m);
      assert.ok(p >= 0 && p <= 1);
      assert.ok(fisherGreater(errors + 1, n, others, m) <= p + 1e-9);
    }),
  );
});
