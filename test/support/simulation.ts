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

/** Open loop, 10,000 requests a second, a minute on each arm and round. */
const REQUESTS_PER_SECOND = 10_000;
const SLICE_SECONDS = 60;
const ALPHA = 0.05;
/** The only percentile that is drawn. */
const JUDGED = 99.9;

/** How a server behaves: a lognormal body of 200 µs, and stalls, whose end every request waits for. */
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
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * polynomial * Math.exp((-z * z) / 2);
  return z >= 0 ? tail : 1 - tail;
}

/** Draws a percentile of a slice without drawing its requests: its stalls, and how many requests exceed the percentile. */
export class SliceModel {
  readonly #host: Host;
  readonly #random: () => number;

  constructor(host: Host, random: () => number) {
    this.#host = host;
    this.#random = random;
  }

  #normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }

  /** An arm's factor in a round. */
  factor(): number {
    const { roundSd, heavyTail } = this.#host;
    const spread = heavyTail !== undefined && this.#random() < 0.1 ? heavyTail : 1;
    return Math.exp(roundSd * spread * this.#normal());
  }

  /** Begins of stalls are a Poisson process; lengths are uniform, up to twice the mean. */
  #stalls(): number[] {
    const { stallsPerSecond, stallUs } = this.#host;
    const lengths: number[] = [];
    if (stallsPerSecond === 0) return lengths;
    for (let second = this.#wait(); second < SLICE_SECONDS; second += this.#wait())
      lengths.push(2 * stallUs * this.#random());
    return lengths;
  }

  #wait(): number {
    return -Math.log(1 - this.#random()) / this.#host.stallsPerSecond;
  }

  /** A percentile in µs of one slice of one arm: 0.1 %, give or take chance, of the requests exceed P99.9. */
  percentile(percentile: number): number {
    const requests = REQUESTS_PER_SECOND * SLICE_SECONDS;
    const stalls = this.#stalls();
    const expected = (requests * (100 - percentile)) / 100;
    const beyond = Math.max(0.5, expected + Math.sqrt(expected) * this.#normal());
    // A request that comes w before a stall's end waits w: of each stall those beyond x are the ones in its first L − x.
    stalls.sort((a, b) => b - a);
    const sums = [0];
    for (const [i, length] of stalls.entries()) sums.push(sums[i]! + length);
    const exceed = (us: number) => {
      let [longer, most] = [0, stalls.length];
      while (longer < most) {
        const middle = (longer + most) >> 1;
        if (stalls[middle]! > us) longer = middle + 1;
        else most = middle;
      }
      const stalled = ((sums[longer]! - longer * us) * REQUESTS_PER_SECOND) / 1e6;
      return requests * normalTail(Math.log(us / BODY_MEDIAN_US) / BODY_SIGMA) + stalled;
    };
    let [low, high] = [BODY_MEDIAN_US, 1e6];
    while (high / low > 1.0005) {
      const middle = Math.sqrt(low * high);
      if (exceed(middle) > beyond) low = middle;
      else high = middle;
    }
    return high;
  }
}

/** Runs of one plan on one host, and what the judge made of them. Seeded: the same every time. */
export function simulate(host: Host, plan: Plan, runs: number, seed = 1): Tally {
  const model = new SliceModel(host, mulberry32(seed));
  const ratios = typeof plan.ratio === 'number' ? [plan.ratio] : plan.ratio;
  const looks = plan.looks?.rounds ?? [plan.rounds];
  const { rehearsal } = rehearse(() => ({}), { rounds: looks.at(-1)! });
  const limits: LatencyLimit[] = [{ percentile: JUDGED, maxIncrease: plan.maxIncrease, floorUs: 0 }];
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
  const drawn = ARMS.map((arm) => {
    const judged = model.percentile(JUDGED) * factors[arm];
    const response = { count: REQUESTS_PER_SECOND * SLICE_SECONDS, us: PERCENTILES.map(() => judged) };
    const lag = { ...response, us: PERCENTILES.map(() => 0) };
    return [arm, { lag, service: response, response }] as const;
  });
  return [Object.fromEntries(drawn) as DrawnRound[number]];
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

/** A truth, how to draw runs of it, and what shares of verdicts would be too many or too few. */
export interface Scenario {
  table: string;
  name: string;
  truth: string;
  run: (runs: number) => Pick<Tally, 'pass' | 'fail' | 'inconclusive'> & Partial<Tally>;
  /** Wrong verdicts at most, right ones at least. */
  passAtMost?: number;
  failAtMost?: number;
  failAtLeast?: number;
}

const LIMIT = 1.1;
const SIDE = 0.06;
const FALSE_ALARMS = 0.01;
const POCOCK: Looks = { rounds: [6, 10, 15, 20], method: 'pocock' };
const percent = (share: number) => `${Math.round(share * 100)} %`;

/** Wrong verdicts of a truth: at the limit either is, below it a fail, above it a pass. */
const wrongAt = (ratio: number) => ({
  ...(ratio < LIMIT ? {} : { passAtMost: SIDE }),
  ...(ratio > LIMIT ? {} : { failAtMost: ratio === 1 ? FALSE_ALARMS : SIDE }),
});

const HOSTS: [string, Host, number][] = [
  ['no stalls, rounds alike', { stallsPerSecond: 0, stallUs: 0, roundSd: 0 }, 10],
  ['no stalls, rounds ±5 %', { stallsPerSecond: 0, stallUs: 0, roundSd: 0.05 }, 10],
  ['10 stalls/s of 1 ms, rounds ±5 %', { stallsPerSecond: 10, stallUs: 1000, roundSd: 0.05 }, 10],
  ['0.5 stalls/s of 8 ms', { stallsPerSecond: 0.5, stallUs: 8000, roundSd: 0 }, 10],
  ['the same', { stallsPerSecond: 0.5, stallUs: 8000, roundSd: 0 }, 20],
  ['one stall of 50 ms in 30 s', { stallsPerSecond: 1 / 30, stallUs: 50_000, roundSd: 0 }, 10],
];

/** `sd` of a round's ln ratio: of two arms, each with its own factor. */
const spread = (sd: number, heavyTail?: number): Host => ({
  ...{ stallsPerSecond: 0, stallUs: 0, roundSd: sd / Math.SQRT2 },
  ...(heavyTail === undefined ? {} : { heavyTail }),
});

/** All that the statistics promise, as truths whose verdicts can be counted. The budget allows 10 %, alpha is 5 %. */
export const SCENARIOS: Scenario[] = [
  ...HOSTS.flatMap(([name, host, rounds]) =>
    [1, LIMIT, 1.25].map((ratio): Scenario => {
      const plan = { rounds, ratio, maxIncrease: LIMIT - 1 };
      return {
        ...{
          table: 'P99.9 on hosts with stalls',
          name: `${name} (${rounds} rounds)`,
          truth: `ratio ${ratio.toFixed(2)}`,
        },
        ...{ run: (runs) => simulate(host, plan, runs), ...wrongAt(ratio) },
      };
    }),
  ),
  ...[0.05, 0.1, 0.2].flatMap((sd) =>
    [1, LIMIT, 1.2, 1.25].map(
      (ratio): Scenario => ({
        ...{ table: '10 rounds by their spread', name: `sd of ln ratio ${sd}`, truth: `ratio ${ratio.toFixed(2)}` },
        ...{ run: (runs) => simulate(spread(sd), { rounds: 10, ratio, maxIncrease: LIMIT - 1 }, runs) },
        ...{ ...wrongAt(ratio), ...(ratio === 1.25 && sd <= 0.1 ? { failAtLeast: 0.8 } : {}) },
      }),
    ),
  ),
  ...[1, LIMIT].map(
    (ratio): Scenario => ({
      ...{ table: '10 rounds by their spread', name: 'sd 0.05, each tenth arm ×5', truth: `ratio ${ratio.toFixed(2)}` },
      ...{ run: (runs) => simulate(spread(0.05, 5), { rounds: 10, ratio, maxIncrease: LIMIT - 1 }, runs) },
      ...wrongAt(ratio),
    }),
  ),
  ...(
    [
      ['Pocock', { looks: POCOCK }],
      ["O'Brien–Fleming", { looks: { ...POCOCK, method: 'obf' } }],
      ['uncorrected (not offered)', { looks: POCOCK, uncorrected: true }],
    ] as const
  ).flatMap(([name, plan]) =>
    [0.06, 0.1].flatMap((sd) =>
      [1, LIMIT, 1.25].map(
        (ratio): Scenario => ({
          ...{
            table: 'looks after 6, 10, 15 and 20 rounds',
            name: `${name}, sd ${sd}`,
            truth: `ratio ${ratio.toFixed(2)}`,
          },
          ...{ run: (runs) => simulate(spread(sd), { rounds: 20, ratio, maxIncrease: LIMIT - 1, ...plan }, runs) },
          ...('uncorrected' in plan ? {} : wrongAt(ratio)),
        }),
      ),
    ),
  ),
  ...(
    [
      ['all equal', Array<number>(12).fill(1), { failAtMost: FALSE_ALARMS }],
      ['one at the limit', [LIMIT, ...Array<number>(11).fill(1)], { passAtMost: SIDE, failAtMost: SIDE }],
      ['all at the limit', Array<number>(12).fill(LIMIT), { passAtMost: SIDE, failAtMost: SIDE }],
      ['one 1.25', [1.25, ...Array<number>(11).fill(1)], { passAtMost: SIDE }],
    ] as const
  ).map(
    ([truth, ratio, limits]): Scenario => ({
      ...{ table: 'twelve families', name: '10 rounds, sd 0.07', truth },
      run: (runs) => simulate(spread(0.07), { rounds: 10, ratio: [...ratio], maxIncrease: LIMIT - 1 }, runs),
      ...limits,
    }),
  ),
  ...(
    [
      [1, 1],
      [10, 1],
      [10, 10],
    ] as const
  ).flatMap(([perRound, burst]) =>
    [1, 2, 4].map(
      (ratio): Scenario => ({
        ...{ table: 'stalls in 10 rounds, twice as many allowed' },
        name: `${perRound} a round${burst > 1 ? `, ${burst} at a time` : ''}`,
        truth: `${ratio} × as many`,
        run: (runs) => simulateEvents({ perRound, rounds: 10, ratio, burst }, runs),
        ...(ratio < 2 ? {} : { passAtMost: SIDE }),
        ...(ratio > 2 ? {} : { failAtMost: ratio === 1 ? FALSE_ALARMS : SIDE }),
      }),
    ),
  ),
];

/** What is wrong with a scenario's shares, Monte-Carlo error of two standard errors allowed for. */
export function faultsOf(scenario: Scenario, tally: Pick<Tally, 'pass' | 'fail'>, runs: number): string[] {
  const slack = (share: number) => 2 * Math.sqrt((share * (1 - share)) / runs);
  const { passAtMost, failAtMost, failAtLeast } = scenario;
  const faults: string[] = [];
  const expect = (holds: boolean, what: string) => holds || faults.push(`${scenario.name}, ${scenario.truth}: ${what}`);
  if (passAtMost !== undefined)
    expect(
      tally.pass <= passAtMost + slack(passAtMost),
      `${percent(tally.pass)} passed, at most ${percent(passAtMost)}`,
    );
  if (failAtMost !== undefined)
    expect(
      tally.fail <= failAtMost + slack(failAtMost),
      `${percent(tally.fail)} failed, at most ${percent(failAtMost)}`,
    );
  if (failAtLeast !== undefined)
    expect(
      tally.fail >= failAtLeast - slack(failAtLeast),
      `${percent(tally.fail)} failed, at least ${percent(failAtLeast)}`,
    );
  return faults;
}
