/** Turns slice quantiles into one rule per objective and percentile, stepping down where the tail has too few samples. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm, type Part } from '../../measure/rehearsal.ts';
import { type Assessment, geometricMeans, logRatios, type Metric, type Pair } from '../assessment.ts';
import { ALL_FAMILIES, type LatencyLimit, type LatencyObjective, scopeName } from '../budget.ts';
import { type Evidence, PERCENTILES } from '../evidence.ts';
import { marginOf, testMargin } from '../statistics.ts';
import { count, percentileName, plural, quote } from '../wording.ts';

/**
 * Samples beyond the percentile that make it defensible: the relative error of a quantile is about s/√(n(1 − p)) with a
 * tail slope s of ½ to 1, so 100 give 5–10 %; and the logarithm of a quantile from fewer than 20 is too skewed for a t test.
 */
const BEYOND_IN_TOTAL = 100;
const BEYOND_PER_ROUND = 20;

/** Where samples are few, the highest of these that they support. */
const STEPS_DOWN = [99.9, 99.5, 99, 95];

/** Lag above this share of the response: the generator, not the server, makes the percentile. */
const LAG_SHARE = 0.5;

/** Lag up to this share of the service time, or up to so many µs, is too little to make or to hide a difference. */
const HARMLESS_LAG_SHARE = 0.1;
const HARMLESS_LAG_US = 50;

/** Of the tail that is measured, the part that a server which does nothing may have too without a word about it. */
const FLOOR_SHARE = 0.25;

export const judgeLatency: Metric = (evidence) => {
  const assessed = evidence.budget.latency.flatMap((objective) =>
    objective.limits.map((limit) => assess(evidence, objective, limit)),
  );
  return {
    assessments: assessed.map(({ assessment }) => assessment),
    caveats: [...noiseFloor(evidence), ...assessed.flatMap(({ caveats }) => caveats)],
  };
};

/**
 * What host and generator add is the same on both arms, so it invalidates nothing; but a rise of the server's own part is
 * then a smaller rise of the whole.
 */
function noiseFloor({ rehearsal, spectra }: Evidence): Caveat[] {
  const floorUs = rehearsal.floor?.responseUs.p999 ?? 0;
  const measuredUs = Math.min(...ARMS.map((arm) => spectra[arm].response.p999));
  if (floorUs <= FLOOR_SHARE * measuredUs) return [];
  return [
    {
      id: 'noise-floor',
      message: `against a server that does nothing the same load has a P99.9 of ${count(floorUs)} µs, here it is ${count(measuredUs)} µs: so much of the tail is the host's and the generator's, and a change in the server's own part shows the less`,
      advice:
        'Give generator and servers cores of their own, or --priority realtime; what passes here passes on this host.',
      numbers: { floorUs: Math.round(floorUs), measuredUs: Math.round(measuredUs) },
    },
  ];
}

function assess(
  evidence: Evidence,
  objective: LatencyObjective,
  limit: LatencyLimit,
): { assessment: Assessment; caveats: Caveat[] } {
  const { family, commands, level } = objective;
  const asked = percentileName(limit.percentile);
  const name = scopeName(objective);
  const everything = name === ALL_FAMILIES;
  const rounds = evidence.latency.get(name)!;
  // A slice without a reply on one arm has no ratio; that arm's silence is judged as lost replies.
  const pairsOf = (k: number) => rounds[k]!.filter((pair) => ARMS.every((arm) => pair[arm].response.count > 0));
  const perRound = rounds.map((_, k) =>
    Math.min(...ARMS.map((arm) => pairsOf(k).reduce((sum, pair) => sum + pair[arm].response.count, 0))),
  );
  const samples = perRound.reduce((sum, n) => sum + n, 0);
  const leastPerRound = Math.min(...perRound);
  const base = {
    id: `latency.${asked.toLowerCase()}${everything ? '' : `/${name}`}`,
    label: commands ? `${asked} ${commands.join(', ')}` : asked,
    family,
    level,
    unit: 'us',
    scale: 'ratio',
    samples,
  } as const;
  const about = everything ? asked : `${asked} of ${quote(name)}`;

  if (samples === 0) {
    const families = [...evidence.families].slice(0, 5).map(quote).join(', ');
    const message = everything
      ? 'no request was answered'
      : `no request of family ${quote(name)} was answered; families here: ${families}`;
    return { assessment: { ...base, inconclusive: { cause: 'missing', message } }, caveats: [] };
  }
  // Percentiles have two decimals: in integers, so that 20 / (1 − 0.999) is 20,000 and not 20,001.
  const neededFor = (percentile: number) =>
    Math.ceil(
      (Math.max(BEYOND_PER_ROUND, BEYOND_IN_TOTAL / rounds.length) * 10_000) / Math.round(10_000 - percentile * 100),
    );
  const judged = [limit.percentile, ...STEPS_DOWN.filter((step) => step < limit.percentile)].find(
    (percentile) => leastPerRound >= neededFor(percentile),
  );
  const figures = { needed: neededFor(limit.percentile), measured: leastPerRound };
  const shortfall = `${about} needs ${count(figures.needed)} samples a round, has ${count(figures.measured)}`;
  if (judged === undefined) {
    const cure = cureOf(evidence, leastPerRound, Math.min(limit.percentile, STEPS_DOWN.at(-1)!));
    const message = cure.message ? `${shortfall}; ${cure.message}` : shortfall;
    return { assessment: { ...base, inconclusive: { ...cure, cause: 'too-few-samples', message } }, caveats: [] };
  }

  const at = PERCENTILES.indexOf(judged);
  /** Per round the geometric mean over its slice pairs, so that ln(candidate/baseline) is the mean of their log ratios. */
  const roundsOf = (part: Part): Pair[] =>
    rounds.map((_, k) =>
      geometricMeans(
        pairsOf(k).map((pair) => ({
          // Whole microseconds are what is measured: nothing is faster than one.
          baseline: Math.max(1, pair.baseline[part].us[at]!),
          candidate: Math.max(1, pair.candidate[part].us[at]!),
        })),
      ),
    );
  const test = (pairs: Pair[]) =>
    testMargin(
      logRatios(pairs),
      marginOf(limit.maxIncrease, limit.floorUs, geometricMeans(pairs).baseline),
      evidence.budget.alpha,
    );
  const responses = roundsOf('response');
  const response = test(responses);
  const typical = geometricMeans(responses);
  const lag = geometricMeans(roundsOf('lag'));
  const assessment: Assessment = { ...base, ...typical, test: response };
  if (limit.floorUs > limit.maxIncrease * typical.baseline) assessment.floor = limit.floorUs;
  const caveats: Caveat[] = [];

  if (judged !== limit.percentile) {
    const lower = percentileName(judged);
    assessment.label = `${assessment.label} as ${lower}`;
    assessment.note = `${shortfall}: judged ${lower}`;
    caveats.push({
      id: 'percentile-stepped-down',
      message: assessment.note,
      advice: 'Longer slices (--slice), more of them (--slice-pairs) or a higher --rate give more samples.',
      numbers: { asked: limit.percentile, judged, ...figures },
    });
  }

  // Response = lag + service. A lag that differs between the arms looks like a regression, an equal one hides some of it.
  // Service time has no lag in it: beyond a lag that is harmless, it must not say the opposite; where lag makes up most of
  // the percentile, which then says more about the generator and the host than about the server, it must say the same.
  const services = roundsOf('service');
  const served = geometricMeans(services);
  const isHarmless = (arm: Arm) => lag[arm] <= Math.max(HARMLESS_LAG_US, HARMLESS_LAG_SHARE * served[arm]);
  if (ARMS.every(isHarmless)) return { assessment, caveats };
  const dominated = ARMS.some((arm) => lag[arm] > LAG_SHARE * typical[arm]);
  if (dominated) {
    const parts = ARMS.map((arm) => `${arm} ${count(lag[arm])} of ${count(typical[arm])} µs`).join(', ');
    caveats.push({
      id: 'generator-lag',
      message: `at ${percentileName(judged)}${everything ? '' : ` of ${quote(name)}`} more than half of the response time is the generator's own lag: ${parts}`,
      advice: 'Give the generator cores of its own or lower --rate; read service time until then.',
      numbers: {
        percentile: judged,
        baselineLagUs: Math.round(lag.baseline),
        candidateLagUs: Math.round(lag.candidate),
        baselineResponseUs: Math.round(typical.baseline),
        candidateResponseUs: Math.round(typical.candidate),
      },
    });
  }
  const service = test(services);
  const agrees =
    response.outcome === 'pass' && !dominated ? service.outcome !== 'fail' : service.outcome === response.outcome;
  if (response.outcome !== 'inconclusive' && !agrees) {
    const claim = response.outcome === 'fail' ? 'explains the rise' : 'may hide a rise';
    const message = `the generator's lag ${claim}: service time alone is ${service.outcome === 'inconclusive' ? 'too noisy to tell' : `a ${service.outcome}`}`;
    assessment.inconclusive = { cause: 'generator', message };
  }
  return { assessment, caveats };
}

/** What would give a percentile the samples that it needs: more rounds where each has enough, else longer slices. */
function cureOf(
  { rehearsal, rounds }: Evidence,
  perRound: number,
  percentile: number,
): { roundsNeeded?: number; message?: string } {
  if (perRound === 0) return {};
  const beyond = (perRound * Math.round(10_000 - percentile * 100)) / 10_000;
  if (beyond >= BEYOND_PER_ROUND) return { roundsNeeded: Math.ceil(BEYOND_IN_TOTAL / beyond) };
  const { sliceSeconds, slicePairs } = rehearsal.settings;
  const longer = Math.ceil((sliceSeconds * Math.max(BEYOND_PER_ROUND, BEYOND_IN_TOTAL / rounds.length)) / beyond);
  const minutes = plural(Math.ceil((2 * slicePairs * longer * rounds.length) / 60), 'minute');
  return { message: `${percentileName(percentile)} would have them with --slice ${longer}s, ${minutes} of load` };
}
