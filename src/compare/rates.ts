/** Turns counts of rare events on both arms into a test of how many times as often the candidate has them. */
import { binomialCdf, clopperPearson, type MarginTest, meanOf, roundsNeeded, testMargin } from './statistics.ts';

/** Events per round, and the time in which they were counted, in any unit. */
export interface Counts {
  perRound: number[];
  exposure: number;
}

/** On the log scale of the ratio of rates; estimate and bounds are infinite where an arm has no event. */
export interface RateTest extends MarginTest {
  /** Events of both arms together with which a candidate that is no worse passes in nine of ten runs. */
  eventsNeeded: number;
}

/** Variance over mean of counts per round above which they come in bursts and are not the independent events of a binomial. */
const OVERDISPERSED = 2;

/**
 * Whether the candidate has events at most `maxRatio` times as often, at level `alpha` a side. Given all n events, the
 * candidate's are Bin(n, ρE/(1 + ρE)) for a ratio of rates ρ and of exposures E: exact, whatever the rate (J. Przyborowski
 * and H. Wilenski, Biometrika 31 (1940)). Where events come in bursts the round is the unit again: a paired t test of
 * candidate − ρE·baseline, whose mean is 0 at the ratio ρ. (Of square roots it is not: with few bursts a round they err
 * in 10 % instead of 5.) A candidate without events passes: its rate is below `rateBound`, and no ratio is to be had.
 */
export function testRates(baseline: Counts, candidate: Counts, maxRatio: number, alpha: number): RateTest {
  const [b, c] = [sum(baseline.perRound), sum(candidate.perRound)];
  const exposures = candidate.exposure / baseline.exposure;
  const shareAt = (ratio: number) => (ratio * exposures) / (1 + ratio * exposures);
  const limit = shareAt(maxRatio);
  const rounds = baseline.perRound.length;
  const estimate = Math.log(c / b / exposures);
  const shape = { rounds, estimate: Number.isNaN(estimate) ? 0 : estimate, margin: Math.log(maxRatio) };
  if (c > 0 && rounds > 1 && [baseline, candidate].some(({ perRound }) => dispersionOf(perRound) > OVERDISPERSED)) {
    return { ...shape, ...testBursts(baseline, candidate, maxRatio * exposures, exposures, alpha) };
  }
  const ratioAt = (share: number) => Math.log(share / (1 - share) / exposures);
  const { low, high } = clopperPearson(c, b + c, alpha);
  const pPass = binomialCdf(c, b + c, limit);
  const pFail = 1 - binomialCdf(c - 1, b + c, limit);
  const outcome = c === 0 || pPass <= alpha ? 'pass' : pFail <= alpha ? 'fail' : 'inconclusive';
  const eventsNeeded = enoughEvents(limit, shareAt(1), alpha);
  const test = { ...shape, low: ratioAt(low), high: ratioAt(high), pPass, pFail, outcome, eventsNeeded } as const;
  if (outcome !== 'inconclusive') return test;
  // As for latency: what would decide if the truth were the estimate, a candidate that seems better taken as equal.
  const assumed = Math.max(shareAt(1), c / (b + c));
  const events = assumed === limit ? Number.POSITIVE_INFINITY : enoughEvents(limit, assumed, alpha);
  const needed = Math.ceil((rounds * events) / (b + c));
  return { ...test, cause: 'too-few-samples', ...(Number.isFinite(needed) ? { roundsNeeded: needed } : {}) };
}

/** The largest rate, in events per unit of exposure, that an arm without events leaves possible: the rule of three, −ln α/T. */
export const rateBound = (exposure: number, alpha: number): number => -Math.log(alpha) / exposure;

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** Variance over mean: 1 for independent events. */
function dispersionOf(counts: number[]): number {
  const mean = meanOf(counts);
  return mean === 0 ? 0 : counts.reduce((total, n) => total + (n - mean) ** 2, 0) / (counts.length - 1) / mean;
}

/** `limit` is the ratio of counts at the allowed ratio of rates. */
function testBursts(
  baseline: Counts,
  candidate: Counts,
  limit: number,
  exposures: number,
  alpha: number,
): Omit<RateTest, 'rounds' | 'estimate' | 'margin'> {
  const against = (ratio: number) =>
    testMargin(
      candidate.perRound.map((n, k) => n - ratio * baseline.perRound[k]!),
      0,
      alpha,
    );
  /** The ratio of counts, on the log scale, at which `isBelow` turns false. */
  const solve = (isBelow: (test: MarginTest) => boolean) => {
    let [low, high] = [-10, 10];
    if (!isBelow(against(Math.exp(low)))) return Number.NEGATIVE_INFINITY;
    if (isBelow(against(Math.exp(high)))) return Number.POSITIVE_INFINITY;
    for (let step = 0; step < 40; step++) {
      const middle = (low + high) / 2;
      if (isBelow(against(Math.exp(middle)))) low = middle;
      else high = middle;
    }
    return high - Math.log(exposures);
  };
  const { outcome, pPass, pFail, sd, cause, rounds } = against(limit);
  // Of arms that are alike the mean is so far below 0.
  const room = (limit - exposures) * meanOf(baseline.perRound);
  const needed = sd === undefined ? undefined : roundsNeeded(sd, room, alpha, rounds);
  const total = sum(baseline.perRound) + sum(candidate.perRound);
  return {
    ...{ low: solve((test) => test.low > 0), high: solve((test) => test.high >= 0), pPass, pFail, outcome },
    eventsNeeded: needed === undefined ? Number.POSITIVE_INFINITY : (total * needed) / rounds,
    ...(cause ? { cause } : {}),
    ...(outcome === 'inconclusive' && needed !== undefined ? { roundsNeeded: needed } : {}),
  };
}

/** More events than this are not worth promising. */
const MOST_EVENTS = 3000;

/**
 * The fewest events with which a true share `truth` is told from `limit` in nine of ten runs: exact, by going through
 * them. Infinity beyond reason.
 */
export function enoughEvents(limit: number, truth: number, alpha: number): number {
  // A share above the limit is found as its complement is below.
  if (truth > limit) return enoughEvents(1 - limit, 1 - truth, alpha);
  let most = -1;
  for (let n = 1; n <= MOST_EVENTS; n++) {
    // The most that still passes grows by at most one per event.
    if (binomialCdf(most + 1, n, limit) <= alpha) most++;
    if (most >= 0 && binomialCdf(most, n, truth) >= 0.9) return n;
  }
  return Number.POSITIVE_INFINITY;
}
