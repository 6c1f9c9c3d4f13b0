/** Turns the stalls of both arms into one rule on how often the candidate stalls: what a percentile of requests does not see. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm, type Stall } from '../../measure/rehearsal.ts';
import { MAX_STALLS, SHORTEST_STALL_US } from '../../measure/stalls.ts';
import type { Assessment, Metric } from '../assessment.ts';
import { ALL_FAMILIES } from '../budget.ts';
import type { Evidence } from '../evidence.ts';
import { type Counts, type RateTest, rateBound, testRates } from '../rates.ts';
import { count, digits, duration, plural } from '../wording.ts';

/** A stall is at least so many times as long as the baseline's median response: on a slow server 5 ms may be ordinary. */
const MEDIANS = 10;

/** Too few stalls to tell, but as lopsided as this chance of them at the limit: not to be passed over. */
const SUSPICIOUS = 0.25;

/** Of one arm. */
interface Tally {
  /** Stalls; exposures in hours. */
  own: Counts;
  ownTotal: number;
  stalledSeconds: number;
  /** Those in which the generator stood still as well: nobody can say whose they are. */
  shared: Counts;
  sharedTotal: number;
}

export const judgeStalls: Metric = (evidence) => {
  const { budget, rounds, spectra } = evidence;
  if (!budget.stalls) return { assessments: [], caveats: [] };
  const { longerThanUs, maxRateRatio, level } = budget.stalls;
  const base = { id: 'stalls.rate', family: ALL_FAMILIES, level, unit: 'perHour', scale: 'ratio' } as const;
  const slices = rounds.flatMap(({ arms }) => ARMS.flatMap((arm) => arms[arm].slices));
  if (slices.some(({ stalls }) => stalls === undefined)) {
    const note = 'not judged: the run did not look for stalls';
    return { assessments: [{ ...base, label: 'stalls', samples: 0, note }], caveats: [] };
  }
  // Of a slice with more stalls than are kept only the longest are known.
  const known = slices.flatMap(({ stalls }) =>
    stalls!.length < MAX_STALLS ? [] : Math.min(...stalls!.map(({ waitUs }) => waitUs)),
  );
  const thresholdUs = Math.max(longerThanUs, MEDIANS * spectra.baseline.response.p50, SHORTEST_STALL_US, ...known);
  const [baseline, candidate] = [tally(evidence, 'baseline', thresholdUs), tally(evidence, 'candidate', thresholdUs)];
  const samples = baseline.ownTotal + candidate.ownTotal;
  const test = testRates(baseline.own, candidate.own, maxRateRatio, budget.alpha);
  const note = describe(baseline, candidate, budget.alpha);
  const assessment: Assessment = {
    ...{ ...base, label: `stalls > ${duration(thresholdUs)}`, samples, note },
    baseline: baseline.ownTotal / baseline.own.exposure,
    candidate: candidate.ownTotal / candidate.own.exposure,
  };
  // The generator sends both arms the same: its own standstills come alike, unless a server takes its cores.
  const shared = testRates(baseline.shared, candidate.shared, maxRateRatio, budget.alpha);
  const caveats = baseline.sharedTotal + candidate.sharedTotal > samples ? [standstills(baseline, candidate)] : [];
  if (shared.outcome === 'fail' && test.outcome !== 'fail') {
    const message = `the generator stood still ${count(candidate.sharedTotal)} times with the candidate (baseline ${count(baseline.sharedTotal)}): the candidate seems to take its cores`;
    return { assessments: [{ ...assessment, test, inconclusive: { cause: 'generator', message } }], caveats };
  }
  if (!isTooFew(test, samples)) return { assessments: [{ ...assessment, test }], caveats };
  // Nothing points at the candidate: that stalls are rare is no reason to doubt what percentiles say.
  const enough = Number.isFinite(test.eventsNeeded) ? `; about ${count(test.eventsNeeded)} in all would do` : '';
  const few = `too few, or too much in bursts, to tell from ${digits(maxRateRatio)} times as many${enough}`;
  return { assessments: [{ ...assessment, note: `not judged: ${note}: ${few}` }], caveats };
};

const isTooFew = ({ outcome, pFail, eventsNeeded }: RateTest, events: number) =>
  outcome === 'inconclusive' && pFail > SUSPICIOUS && events < eventsNeeded;

function tally({ rounds }: Evidence, arm: Arm, thresholdUs: number): Tally {
  const slices = rounds.map(({ arms }) => arms[arm].slices);
  const exposure = slices.flat().reduce((sum, { seconds }) => sum + seconds / 3600, 0);
  const long = slices.map((some) => some.flatMap(({ stalls }) => stalls!.filter(({ waitUs }) => waitUs > thresholdUs)));
  const [own, shared] = [false, true].map((withGenerator) =>
    long.map((some) => some.filter(({ waitUs, lagUs }) => lagUs > waitUs / 2 === withGenerator)),
  ) as [Stall[][], Stall[][]];
  const counts = (some: Stall[][]): Counts => ({ perRound: some.map(({ length }) => length), exposure });
  return {
    ...{ own: counts(own), ownTotal: own.flat().length, shared: counts(shared), sharedTotal: shared.flat().length },
    stalledSeconds: own.flat().reduce((sum, { durationUs }) => sum + durationUs / 1e6, 0),
  };
}

/** `8 stalls (baseline 0), 140 s an hour (baseline 0 µs)`. */
function describe(baseline: Tally, candidate: Tally, alpha: number): string {
  const perHour = ({ stalledSeconds, own }: Tally) => duration((stalledSeconds / own.exposure) * 1e6);
  const known = `(baseline ${count(baseline.ownTotal)})`;
  if (candidate.ownTotal > 0) {
    return `${plural(candidate.ownTotal, 'stall')} ${known}, ${perHour(candidate)} an hour (baseline ${perHour(baseline)})`;
  }
  const { exposure } = candidate.own;
  const bound = `fewer than ${digits(rateBound(exposure, alpha))} an hour`;
  return `no stall in ${duration(exposure * 3600e6)} ${known}: ${bound}`;
}

/** Told where there are more of them than of the servers' own. */
const standstills = ({ sharedTotal: baseline }: Tally, { sharedTotal: candidate }: Tally): Caveat => ({
  id: 'standstills-of-generator',
  message: `in ${plural(baseline + candidate, 'stall')} (${count(candidate)} with the candidate, ${count(baseline)} with the baseline) the generator stood still too: they are not counted`,
  advice: 'They are mostly the host’s doing: give generator and servers cores of their own (--cpuset).',
  numbers: { baseline, candidate },
});
