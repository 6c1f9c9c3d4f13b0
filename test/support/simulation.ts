/** Truths that we know → how often the project's own judge is wrong about them: rounds drawn from a model of two servers. */
import type { Budget, LatencyLimit } from '../../src/compare/budget.ts';
import { ALL_FAMILIES } from '../../src/compare/budget.ts';
import { type Evidence, PERCENTILES } from '../../src/compare/evidence.ts';
import { verdictOf } from '../../src/compare/judge.ts';
import { levelAt } from '../../src/compare/levels.ts';
import { testRates } from '../../src/compare/rates.ts';
import { judgeRules } from '../../src/compare/weigh.ts';
import { ARMS, type Arm, type Looks } from '../../src/measure/rehearsal.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { rehearse } from './rehearsal.ts';

/** Open loop, as in the field: 10,000 requests a second, two slice pairs of 30 s a round. */
const REQUESTS_PER_SECOND = 10_000;
const SLICE_SECONDS = 30;
const SLICE_PAIRS = 2;
const ALPHA = 0.05;

/** How a server behaves: a lognormal body of 200 µs, and stalls during which every request waits for the end. */
export interface Host {
  stallsPerSecond: number;
  stallUs: number;
  /** Standard deviation of the logarithm of an arm's factor in a round: placement, hashing, clocks. */
  roundSd: number;
  /** Every tenth factor is drawn from so many times that spread. */
  heavyTail?: number;
}

export interface Plan {
  rounds: number;
  looks?: Looks;
  /** Looks that do not correct the level: what happens without. */
  uncorrected?: boolean;
  /** Candidate over baseline, per family; one family when a number. */
  ratio: number | number[];
  maxIncrease: number;
}

export interface Tally {
  pass: number;
  fail: number;
  inconclusive: number;
  /** Mean number of rounds when it ended. */
  rounds: number;
}

const BODY_MEDIAN_US = 200;
const BODY_SIGMA = 0.5;

/** The survival function of the normal distribution: Abramowitz & Stegun 7.1.26, absolute error below 1e-7. */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.3275911 * (Math.abs(z) / Math.SQRT2));
  const polynomial =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * polynomial * Math.exp((-z * z) / 2);
  return z >= 0 ? tail : 1 - tail;
}

const GRID = 600;

/** Survival functions of undisturbed and of stalled requests over a grid of latencies that is even in the logarithm. */
function tablesOf({ stallUs }: Host): { us: number[]; free: number[]; stalled: number[] } {
  const most = Math.log(4000 + 1.5 * stallUs);
  const us = Array.from({ length: GRID }, (_, i) => Math.exp(Math.log(100) + ((most - Math.log(100)) * i) / (GRID - 1)));
  const survives = (x: number) => (x <= 0 ? 1 : normalTail(Math.log(x / BODY_MEDIAN_US) / BODY_SIGMA));
  const steps = 100;
  return {
    us,
    free: us.map(survives),
    // The wait is uniform over the stall: arrivals are even.
    stalled: us.map((x) => {
      let sum = 0;
      for (let i = 0; i < steps; i++) sum += survives(x - (stallUs * (i + 0.5)) / steps);
      return sum / steps;
    }),
  };
}

/** Draws quantiles of slices without drawing their requests: the number of stalls, and of requests beyond the quantile. */
export class SliceModel {
  readonly #host: Host;
  readonly #tables: ReturnType<typeof tablesOf>;
  readonly #random: () => number;

  constructor(host: Host, random: () => number) {
    this.#host = host;
    this.#tables = tablesOf(host);
    this.#random = random;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }

  /** An arm's factor in a round. */
  factor(): number {
    const { roundSd, heavyTail } = this.#host;
    const spread = heavyTail !== undefined && this.#random() < 0.1 ? heavyTail : 1;
    return Math.exp(roundSd * spread * this.normal());
  }

  #poisson(mean: number): number {
    let k = 0;
    for (let product = this.#random(); product > Math.exp(-mean); product *= this.#random()) k++;
    return k;
  }

  /** Quantiles in µs of one slice of one arm, in the order of `PERCENTILES`. */
  quantiles(): number[] {
    const { stallsPerSecond, stallUs } = this.#host;
    const requests = REQUESTS_PER_SECOND * SLICE_SECONDS;
    const stalls = stallsPerSecond === 0 ? 0 : this.#poisson(stallsPerSecond * SLICE_SECONDS);
    const stalled = Math.min(requests, (stalls * REQUESTS_PER_SECOND * stallUs) / 1e6);
    const noise = this.normal();
    return PERCENTILES.map((percentile) => {
      const beyond = (requests * (100 - percentile)) / 100;
      return this.#quantile(requests - stalled, stalled, Math.max(0.5, beyond + Math.sqrt(beyond) * noise));
    });
  }

  /** The latency that `beyond` requests exceed. */
  #quantile(free: number, stalled: number, beyond: number): number {
    const tables = this.#tables;
    const exceed = (i: number) => free * tables.free[i]! + stalled * tables.stalled[i]!;
    let [low, high] = [0, GRID - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (exceed(middle) > beyond) low = middle;
      else high = middle;
    }
    const [above, below] = [Math.log(exceed(low)), Math.log(exceed(high) + 1e-9)];
    const part = Math.min(1, Math.max(0, (above - Math.log(beyond)) / (above - below)));
    return tables.us[low]! * (tables.us[high]! / tables.us[low]!) ** part;
  }
}

/** Runs of one plan on one host, and what the judge made of them. Seeded: the same every time. */
export function simulate(host: Host, plan: Plan, runs: number, seed = 1): Tally {
  const model = new SliceModel(host, mulberry32(seed));
  const ratios = typeof plan.ratio === 'number' ? [plan.ratio] : plan.ratio;
  const looks = plan.looks?.rounds ?? [plan.rounds];
  const { rehearsal } = rehearse(() => ({}), { rounds: looks.at(-1)! });
  const limits: LatencyLimit[] = [{ percentile: 99.9, maxIncrease: plan.maxIncrease, floorUs: 0 }];
  const families = ratios.length === 1 ? [ALL_FAMILIES] : ratios.map((_, i) => `f${i}`);
  const budget: Budget = {
    alpha: ALPHA,
    latency: families.map((family) => ({ family, level: 'error', limits })),
    allowed: [],
  };
  const spectrum = { samples: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
  const spectra = { lag: spectrum, service: spectrum, response: spectrum };
  const tally: Tally = { pass: 0, fail: 0, inconclusive: 0, rounds: 0 };
  for (let run = 0; run < runs; run++) {
    const latency: Evidence['latency'] = new Map(families.map((family) => [family, []]));
    for (const [at, rounds] of looks.entries()) {
      for (const [i, family] of families.entries()) {
        const drawn = latency.get(family)!;
        while (drawn.length < rounds) drawn.push(drawRound(model, ratios[i]!));
      }
      const level = plan.looks && !plan.uncorrected ? levelAt(plan.looks, rounds, ALPHA) : ALPHA;
      const evidence: Evidence = {
        ...{ rehearsal, budget: { ...budget, alpha: level }, rounds: rehearsal.rounds.slice(0, rounds), latency },
        ...{ slo: new Map(), spectra: { baseline: spectra, candidate: spectra } },
        ...{ calls: { baseline: [], candidate: [] }, families: new Set(families) },
      };
      const verdict = verdictOf({ invalid: [] }, judgeRules(evidence).rules, []);
      if (verdict === 'inconclusive' && at < looks.length - 1) continue;
      if (verdict !== 'invalid') tally[verdict]++;
      tally.rounds += rounds;
      break;
    }
  }
  return {
    ...{ pass: tally.pass / runs, fail: tally.fail / runs },
    ...{ inconclusive: tally.inconclusive / runs, rounds: tally.rounds / runs },
  };
}

type DrawnRound = NonNullable<ReturnType<Evidence['latency']['get']>>[number];

function drawRound(model: SliceModel, ratio: number): DrawnRound {
  const factors: Record<Arm, number> = { baseline: model.factor(), candidate: ratio * model.factor() };
  return Array.from({ length: SLICE_PAIRS }, () => {
    const drawn = ARMS.map((arm) => {
      const us = model.quantiles().map((value) => value * factors[arm]);
      const response = { count: REQUESTS_PER_SECOND * SLICE_SECONDS, us };
      const lag = { count: response.count, us: us.map(() => 0) };
      return [arm, { lag, service: response, response }] as const;
    });
    return Object.fromEntries(drawn) as DrawnRound[number];
  });
}

/** Runs in which both arms have events at a rate per round, the candidate `ratio` times as often, `burst` at a time. */
export function simulateEvents(
  { perRound, rounds, ratio, burst }: { perRound: number; rounds: number; ratio: number; burst: number },
  runs: number,
  seed = 1,
): Omit<Tally, 'rounds'> {
  const random = mulberry32(seed);
  const poisson = (mean: number) => {
    let k = 0;
    for (let product = random(); product > Math.exp(-mean); product *= random()) k++;
    return k;
  };
  const tally = { pass: 0, fail: 0, inconclusive: 0 };
  const counts = (mean: number) => ({
    perRound: Array.from({ length: rounds }, () => burst * poisson(mean / burst)),
    exposure: rounds,
  });
  for (let run = 0; run < runs; run++) {
    tally[testRates(counts(perRound), counts(ratio * perRound), 2, ALPHA).outcome] += 1 / runs;
  }
  return tally;
}
