/** Turns per-round differences of two arms into an estimate, bounds, p values and an outcome against a margin. */

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

/** The t with P(T ≤ t) = p, 0 < p < 1: the cdf inverted by bisection, to the last bits of a double. */
export function studentQuantile(p: number, df: number): number {
  if (p < 0.5) return -studentQuantile(1 - p, df);
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
export type Cause = 'noise' | 'near-margin' | 'too-few-rounds' | 'too-few-samples';

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
  /** Probability of data this bad if the truth were at the margin; small = fail. */
  pFail: number;
  cause?: Cause;
  /** Rounds that would decide with 90 % power if the estimate and the noise stay as they are. */
  roundsNeeded?: number;
}

/**
 * The equivalence margin on the log scale, Δ = ln max(1 + X, 1 + floor/q): a relative increase X is allowed, and never
 * less than an absolute one, so that 40 µs → 60 µs is not called a regression of 50 %.
 * `floor` and `baseline` share a unit.
 */
export function marginOf(maxIncrease: number, floor: number, baseline: number): number {
  return Math.log(Math.max(1 + maxIncrease, 1 + floor / baseline));
}

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
  const distance = estimate - margin;
  const t = error > 0 ? distance / error : distance === 0 ? 0 : Math.sign(distance) * Number.POSITIVE_INFINITY;
  const pPass = Number.isFinite(t) ? studentCdf(t, rounds - 1) : t < 0 ? 0 : 1;
  const bounds = { low: estimate - reach, high: estimate + reach };
  const test = { rounds, estimate, ...bounds, margin, pPass, pFail: 1 - pPass };
  if (bounds.high < margin) return { ...test, outcome: 'pass' };
  if (bounds.low > margin) return { ...test, outcome: 'fail' };
  const needed = roundsNeeded(sd, Math.abs(margin - Math.max(0, estimate)), alpha, rounds);
  return {
    ...test,
    outcome: 'inconclusive',
    cause: detectable(sd, rounds, alpha) > margin ? 'noise' : 'near-margin',
    ...(needed === undefined ? {} : { roundsNeeded: needed }),
  };
}

/** The smallest true difference that a test of K rounds with spread `sd` finds with 90 % power. */
function detectable(sd: number, rounds: number, alpha: number): number {
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
