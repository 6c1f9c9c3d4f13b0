/** Turns per-round differences of two arms into an estimate, bounds, p values and an outcome against a margin. */
import { mulberry32 } from '../model/random.ts';

/**
 * ln Γ(x) for x > 0. Lanczos approximation with g = 7 and nine terms (C. Lanczos 1964, coefficients by P. Godfrey 2001);
 * relative error below 1e-14 for x ≥ 0.5.
 */
function lnGamma(x: number): number {
  const terms = [
    676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
    -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
  ];
  const z = x - 1;
  const sum = terms.reduce((total, term, i) => total + term / (z + i + 1), 0.9999999999998099);
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * Regularized incomplete beta function I_x(a, b): the continued fraction DLMF 8.17.22 (https://dlmf.nist.gov/8.17.v),
 * evaluated by Lentz's method as modified by Thompson and Barnett. The fraction converges fast for
 * x < (a + 1)/(a + b + 2); beyond that the symmetry I_x(a, b) = 1 − I_{1−x}(b, a) is used.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const TINY = 1e-300;
  const guard = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) break;
  }
  const lnFront = lnGamma(a + b) - lnGamma(a) - lnGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  return (Math.exp(lnFront) * fraction) / a;
}

/**
 * P(T ≤ t) of Student's t with `df` degrees of freedom: ½ I_x(df/2, ½) in the tail, x = df/(df + t²) (Abramowitz & Stegun
 * 26.5.27); near 0, where x would round to 1, by the symmetry of I.
 */
export function studentCdf(t: number, df: number): number {
  const square = t * t;
  const tail =
    square < df
      ? 0.5 - 0.5 * incompleteBeta(square / (df + square), 0.5, df / 2)
      : 0.5 * incompleteBeta(df / (df + square), df / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** Planning rounds asks for the same few quantiles thousands of times. */
const quantiles = new Map<number, Map<number, number>>();

/** The t with P(T ≤ t) = p, 0 < p < 1: the cdf inverted by bisection, to the last bits of a double. */
export function studentQuantile(p: number, df: number): number {
  const known = quantiles.get(p) ?? new Map<number, number>();
  quantiles.set(p, known);
  const t = known.get(df) ?? invertStudent(p, df);
  known.set(df, t);
  return t;
}

function invertStudent(p: number, df: number): number {
  if (p < 0.5) return -invertStudent(1 - p, df);
  let low = 0;
  let high = 1;
  while (studentCdf(high, df) < p) high *= 2;
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (studentCdf(middle, df) < p) low = middle;
    else high = middle;
  }
  return high;
}

export type Outcome = 'pass' | 'fail' | 'inconclusive';

/** Why a test cannot tell, so that the reader knows whether more rounds would help. */
export type Cause = 'noise' | 'near-margin' | 'outliers' | 'too-few-rounds' | 'too-few-samples';

/** One measured difference held against what is allowed. Log scale for ratios, plain for differences. */
export interface MarginTest {
  rounds: number;
  estimate: number;
  /** One-sided bounds at `alpha` each: together the (1 − 2·alpha) interval. ±Infinity where one round has no interval. */
  low: number;
  high: number;
  /** The largest increase allowed, on the scale of `estimate`. */
  margin: number;
  outcome: Outcome;
  /** Probability of data this good if the truth were at the margin; small = pass. */
  pPass: number;
  /**
   * Small = fail: probability of data this bad if the truth were at the margin, or SAME times that if there were no
   * difference at all, whichever is more.
   */
  pFail: number;
  cause?: Cause;
  /** Rounds that would decide with 90 % power if the estimate and the noise stay as they are. */
  roundsNeeded?: number;
  /** Standard deviation of a round's difference. */
  sd?: number;
  /** The smallest true difference that these rounds find with 90 % power: (t_{1−alpha} + t_{0.9})·sd/√K. */
  resolvable?: number;
  /** Set where rounds deviate far from the rest. */
  outliers?: OutlierCheck;
}

/** What does not rest on normal rounds, to hold beside the t test where some rounds are far off. */
interface OutlierCheck {
  /** Positions in the differences. */
  rounds: number[];
  /** Hodges–Lehmann estimate of the difference: half of all outliers may be anything. */
  estimate: number;
  /** Sign-flip permutation test against the margin. */
  pPass: number;
  pFail: number;
}

/**
 * The equivalence margin on the log scale, Δ = ln max(1 + X, 1 + floor/q): a relative increase X is allowed, and never
 * less than an absolute one, so that 40 µs → 60 µs is not called a regression of 50 %.
 * `floor` and `baseline` share a unit.
 */
export function marginOf(maxIncrease: number, floor: number, baseline: number): number {
  return Math.log(Math.max(1 + maxIncrease, 1 + floor / baseline));
}

/** A false alarm between equal servers stops a safe migration: it may be so many times rarer than one at the margin. */
const SAME = 5;

/** Power that `roundsNeeded` plans for. */
const POWER = 0.9;
/** More rounds than this are not worth promising: hours, for a difference that sits on the margin. */
const MAX_ROUNDS = 200;

/**
 * Paired t test of per-round differences (candidate − baseline, already averaged within the round) against `margin`,
 * as two one-sided tests at `alpha` each: pass if the upper bound is below the margin, fail if the lower bound is above.
 *
 *     t = t_{1−alpha, K−1};  low, high = mean ∓ t·s/√K
 *
 * The round is the unit of replication because requests within one share processes, placement and stalls: intervals that
 * treat requests as independent call identical servers different (Kalibera & Jones, ISMM 2013; Zhang et al., Treadmill,
 * ISCA 2016). Two one-sided tests: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987).
 * For repeated looks pass the look's nominal level as `alpha`.
 *
 * On a host so noisy that the margin is little beside the spread, data that are bad at the margin come almost as often
 * from equal servers. A fail must therefore also have no more than a fifth of `alpha`, 1 %, with no difference at all.
 *
 * Where a round deviates from the median by more than four times the median absolute deviation, the t test's normal
 * rounds are in doubt: the outcome then stands only if the sign-flip permutation test, which asks for symmetry alone,
 * has the same.
 */
export function testMargin(differences: number[], margin: number, alpha: number): MarginTest {
  const rounds = differences.length;
  const estimate = meanOf(differences);
  if (rounds < 2) {
    const unbounded = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, pPass: 1, pFail: 1 };
    return { rounds, estimate, margin, ...unbounded, outcome: 'inconclusive', cause: 'too-few-rounds' };
  }
  const sd = Math.sqrt(differences.reduce((sum, d) => sum + (d - estimate) ** 2, 0) / (rounds - 1));
  const error = sd / Math.sqrt(rounds);
  const reach = error * studentQuantile(1 - alpha, rounds - 1);
  // Without any spread the estimate is exact; exactly at the margin neither side has evidence.
  const below = (distance: number) => {
    if (error > 0) return studentCdf(distance / error, rounds - 1);
    return distance === 0 ? 0.5 : distance < 0 ? 0 : 1;
  };
  const pPass = below(estimate - margin);
  const pSame = margin > 0 ? Math.min(1, SAME * below(-estimate)) : 0;
  const pFail = Math.max(1 - pPass, pSame);
  const bounds = { low: estimate - reach, high: estimate + reach };
  const resolvable = detectable(sd, rounds, alpha);
  const outliers = checkOutliers(differences, margin);
  const test = {
    ...{ rounds, estimate, ...bounds, margin, pPass, pFail, sd, resolvable },
    ...(outliers ? { outliers } : {}),
  };
  const outcomeOf = (passes: boolean, fails: boolean) => (passes ? 'pass' : fails ? 'fail' : 'inconclusive');
  const outcome = outcomeOf(bounds.high < margin, bounds.low > margin && pFail <= alpha);
  // Of fewer rounds no permutation is rare enough to say anything.
  const permutable = outliers && 2 ** -rounds <= alpha;
  const disputed = permutable && outcomeOf(outliers.pPass <= alpha, outliers.pFail <= alpha) !== outcome;
  if (outcome !== 'inconclusive' && !disputed) return { ...test, outcome };
  const needed = roundsNeeded(sd, Math.abs(margin - Math.max(0, estimate)), alpha, rounds);
  return {
    ...test,
    outcome: 'inconclusive',
    cause: disputed ? 'outliers' : resolvable > margin ? 'noise' : 'near-margin',
    ...(needed === undefined ? {} : { roundsNeeded: needed }),
  };
}

/** Deviations from the median beyond this many median absolute deviations; 0.7 % of normal rounds. */
const FAR_OFF = 4;

function checkOutliers(differences: number[], margin: number): OutlierCheck | undefined {
  const middle = medianOf(differences);
  const deviations = differences.map((d) => Math.abs(d - middle));
  // Equal differences may differ in their last bits.
  const limit = FAR_OFF * medianOf(deviations) + 1e-9;
  const rounds = deviations.flatMap((deviation, k) => (deviation > limit ? [k] : []));
  if (rounds.length === 0) return undefined;
  const { atLeast, atMost } = signFlip(differences.map((d) => d - margin));
  return { rounds, estimate: hodgesLehmann(differences), pPass: atMost, pFail: atLeast };
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The median of all Walsh averages (x_i + x_j)/2, i ≤ j (Hodges and Lehmann, Ann. Math. Statist. 34 (1963)). */
export function hodgesLehmann(values: number[]): number {
  return medianOf(values.flatMap((x, i) => values.slice(i).map((y) => (x + y) / 2)));
}

/** Up to so many values all sign flips count: the sums of either half, 65,536 of 16 values, fit in memory. */
const EXACT_FLIPS = 32;
const SAMPLED_FLIPS = 20_000;

/**
 * Sign-flip permutation test: the probabilities of a sum of ±values at least, and at most, as large as the sum of the
 * values, if each is as likely to fall on either side of 0 (Fisher, The Design of Experiments (1935), §21). Exact to 32
 * values: each sum is one of the first half's and one of the second's, and sorted sums are counted without being gone
 * through. Of seeded random flips above.
 */
export function signFlip(values: number[]): { atLeast: number; atMost: number } {
  const sum = values.reduce((total, value) => total + value, 0);
  // Sums in another order differ in their last bits.
  const slack = 1e-12 * values.reduce((total, value) => total + Math.abs(value), 0);
  let [above, below] = [0, 0];
  if (values.length > EXACT_FLIPS) {
    const random = mulberry32(values.length);
    for (let flip = 0; flip < SAMPLED_FLIPS; flip++) {
      let other = 0;
      for (const value of values) other += random() < 0.5 ? value : -value;
      if (other >= sum - slack) above++;
      if (other <= sum + slack) below++;
    }
    return { atLeast: (above + 1) / (SAMPLED_FLIPS + 1), atMost: (below + 1) / (SAMPLED_FLIPS + 1) };
  }
  const half = values.length >> 1;
  const [first, second] = [flippedSums(values.slice(0, half)), flippedSums(values.slice(half)).sort()];
  for (const one of first) {
    above += second.length - lowerBound(second, sum - slack - one);
    below += lowerBound(second, sum + slack - one);
  }
  return { atLeast: above / 2 ** values.length, atMost: below / 2 ** values.length };
}

/** All 2ⁿ sums of ±values. */
function flippedSums(values: number[]): Float64Array {
  const sums = new Float64Array(2 ** values.length);
  for (const [i, value] of values.entries()) {
    const known = 2 ** i;
    for (let k = 0; k < known; k++) {
      const sum = sums[k]!;
      sums[k] = sum + value;
      sums[known + k] = sum - value;
    }
  }
  return sums;
}

/** How many of the sorted values are below `limit`. */
function lowerBound(sorted: Float64Array, limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The smallest true difference that a test of K rounds with spread `sd` finds with 90 % power. */
export function detectable(sd: number, rounds: number, alpha: number): number {
  return ((studentQuantile(1 - alpha, rounds - 1) + studentQuantile(POWER, rounds - 1)) * sd) / Math.sqrt(rounds);
}

/** The fewest rounds, more than `atLeast`, with which `distance` from the margin can be told; undefined beyond all reason. */
export function roundsNeeded(sd: number, distance: number, alpha: number, atLeast = 1): number | undefined {
  // What can be detected shrinks with every round, so the threshold can be bisected.
  let [low, high] = [atLeast, MAX_ROUNDS + 1];
  while (high - low > 1) {
    const rounds = (low + high) >> 1;
    if (detectable(sd, rounds, alpha) <= distance) high = rounds;
    else low = rounds;
  }
  return high <= MAX_ROUNDS ? high : undefined;
}

export function meanOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Holm's step-down: which of these hypotheses are rejected with a family-wise error of at most `alpha`, however the
 * tests depend on each other (S. Holm, Scand. J. Statist. 6 (1979) 65–70). Result in the order of `pValues`.
 */
export function holm(pValues: number[], alpha: number): boolean[] {
  const rejected = pValues.map(() => false);
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  for (const [step, i] of order.entries()) {
    if (pValues[i]! > alpha / (pValues.length - step)) break;
    rejected[i] = true;
  }
  return rejected;
}

/**
 * Benjamini and Hochberg's step-up: which hypotheses are rejected so that at most a share `q` of the rejected ones is
 * true on average (JRSS B 57 (1995)). For rules that decide nothing: they may err, but not mostly.
 */
export function benjaminiHochberg(pValues: number[], q: number): boolean[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const last = order.findLastIndex((i, rank) => pValues[i]! <= (q * (rank + 1)) / pValues.length);
  const rejected = pValues.map(() => false);
  for (const i of order.slice(0, last + 1)) rejected[i] = true;
  return rejected;
}

/** P(X ≤ k) of a binomial: I_{1−p}(n − k, k + 1) (Abramowitz & Stegun 26.5.24). */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  return k >= n ? 1 : incompleteBeta(1 - p, n - k, k + 1);
}

/**
 * Clopper and Pearson's exact bounds on a share of which k of n were seen, one-sided at `alpha` each: the shares at which
 * so many, or so few, have probability `alpha` (Biometrika 26 (1934)).
 */
export function clopperPearson(k: number, n: number, alpha: number): { low: number; high: number } {
  const solve = (isBelow: (p: number) => boolean) => {
    let [low, high] = [0, 1];
    for (let middle = 0.5; middle > low && middle < high; middle = (low + high) / 2) {
      if (isBelow(middle)) low = middle;
      else high = middle;
    }
    return low;
  };
  return {
    low: k === 0 ? 0 : solve((p) => 1 - binomialCdf(k - 1, n, p) < alpha),
    high: k === n ? 1 : solve((p) => binomialCdf(k, n, p) > alpha),
  };
}

/**
 * Fisher's exact test, one-sided: the probability of at least `errors` among `calls` when all errors of both arms fall
 * on calls at random; the hypergeometric upper tail. 1 where there is nothing to compare.
 */
export function fisherGreater(errors: number, calls: number, otherErrors: number, otherCalls: number): number {
  const total = errors + otherErrors;
  const all = calls + otherCalls;
  if (errors === 0 || all === 0) return 1;
  const lnChoose = (n: number, k: number) => lnGamma(n + 1) - lnGamma(k + 1) - lnGamma(n - k + 1);
  const probability = (x: number) =>
    Math.exp(lnChoose(calls, x) + lnChoose(otherCalls, total - x) - lnChoose(all, total));
  // Summed away from the mode, where terms only fall: a first term too small for a number is a tail of nothing.
  if (errors <= (calls * total) / all) {
    let below = 0;
    let term = probability(errors - 1);
    for (let x = errors - 1; term > 0 && x >= Math.max(0, total - otherCalls); x--) {
      below += term;
      term *= (x * (otherCalls - total + x)) / ((calls - x + 1) * (total - x + 1));
    }
    return Math.max(0, 1 - below);
  }
  let tail = 0;
  let term = probability(errors);
  for (let x = errors; term > 0 && x <= Math.min(total, calls); x++) {
    tail += term;
    term *= ((calls - x) * (total - x)) / ((x + 1) * (otherCalls - total + x + 1));
  }
  return Math.min(1, tail);
}

/**
 * The largest rate that `calls` without one event leave possible at level `alpha`: 1 − alpha^(1/n), the exact form of the
 * rule of three (Hanley & Lippman-Hand, JAMA 249 (1983)).
 */
export function rateWithoutEvents(calls: number, alpha: number): number {
  return calls === 0 ? 1 : -Math.expm1(Math.log(alpha) / calls);
}
