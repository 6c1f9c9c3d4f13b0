/** Rates of rare events: against published tables and arithmetic, bursts, and arms without any. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enoughEvents, rateBound, testRates } from '../../src/compare/rates.ts';

const near = (actual: number, expected: number, tolerance = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
const counts = (...perRound: number[]) => ({ perRound, exposure: perRound.length });
const compare = (baseline: number[], candidate: number[], ratio = 2) =>
  testRates(counts(...baseline), counts(...candidate), ratio, 0.05);

test('the events needed to pass an equal candidate in nine of ten runs', () => {
  for (const [ratio, events] of [
    [1.25, 695],
    [1.5, 214],
    [2, 79],
    [3, 33],
  ] as const)
    assert.equal(enoughEvents(ratio / (1 + ratio), 0.5, 0.05), events);
  assert.equal(enoughEvents(0.5, 0.5, 0.05), Number.POSITIVE_INFINITY);
});

test('the chance is that of coins thrown for each event', () => {
  // Eight events, all on the candidate: (2/3)^8 at twice the rate.
  const all = compare([0, 0], [4, 4]);
  near(all.pFail, (2 / 3) ** 8);
  assert.deepEqual([all.outcome, all.high], ['fail', Number.POSITIVE_INFINITY]);
  // Seven are not enough: (2/3)^7 = 0.058.
  assert.equal(compare([0, 0], [4, 3]).outcome, 'inconclusive');
  // Three, all on the baseline: (1/3)^3.
  near(compare([2, 1], [0, 0]).pPass, 1 / 27);
});

test('unequal exposure: rates are compared, not counts', () => {
  const { estimate, outcome } = testRates(
    { perRound: [20, 22], exposure: 1 },
    { perRound: [60, 66], exposure: 3 },
    2,
    0.05,
  );
  near(estimate, 0);
  assert.equal(outcome, 'pass');
});

test('outcome and bounds tell one story', () => {
  for (const [baseline, candidate] of [
    [
      [10, 12, 9],
      [11, 9, 12],
    ],
    [
      [10, 12, 9],
      [35, 33, 30],
    ],
    [
      [3, 2, 1],
      [5, 4, 4],
    ],
    [
      [40, 38, 42],
      [80, 79, 76],
    ],
  ] as const) {
    const { outcome, low, high, margin } = compare([...baseline], [...candidate]);
    assert.equal(outcome === 'pass', high < margin, String(candidate));
    assert.equal(outcome === 'fail', low > margin, String(candidate));
  }
});

test('a burst is one accident: what would fail as single events does not', () => {
  const burst = compare([0, 1, 0, 1, 0, 0], [0, 30, 0, 0, 1, 0]);
  assert.equal(burst.outcome, 'inconclusive');
  const steady = compare([0, 1, 0, 1, 0, 0], [5, 6, 4, 5, 6, 5]);
  assert.equal(steady.outcome, 'fail');
});

test('bursts that come round after round are found', () => {
  const { outcome, low, margin } = compare([4, 8, 4, 8, 12, 4, 8, 4], [60, 44, 80, 52, 64, 72, 56, 60]);
  assert.equal(outcome, 'fail');
  assert.ok(low > margin);
});

test('a candidate without events passes, with the rule of three for what that means', () => {
  assert.equal(compare([0, 0], [0, 0]).outcome, 'pass');
  assert.equal(compare([1, 0], [0, 0]).outcome, 'pass');
  assert.equal(compare([30, 0, 0], [0, 0, 0]).outcome, 'pass');
  near(rateBound(2, 0.05), 3 / 2, 0.003);
});

test('what cannot be told says how many rounds would', () => {
  const { outcome, cause, roundsNeeded, eventsNeeded } = compare([2, 1, 2, 1, 2], [2, 2, 1, 2, 1]);
  assert.deepEqual([outcome, cause, eventsNeeded], ['inconclusive', 'too-few-samples', 79]);
  // 16 events in 5 rounds, 79 needed.
  assert.equal(roundsNeeded, 25);
});
