/** Turns the stalls of both arms into one rule on how often the candidate stalls: what a percentile of requests does not see. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm } from '../../measure/rehearsal.ts';
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

/** `exposure` in hours. */
interface Tally extends Counts {
  total: number;
  stalledSeconds: number;
  /** Stalls in which the generator stood still as well: nobody can say whose they are. */
  shared: number;
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
  const samples = baseline.total + candidate.total;
  const test = testRates(baseline, candidate, maxRateRatio, budget.alpha);
  const note = describe(baseline, candidate, budget.alpha);
  const assessment: Assessment = {
    ...{ ...base, label: `stalls > ${duration(thresholdUs)}`, samples, note },
    ...{ baseline: baseline.total / baseline.exposure, candidate: candidate.total / candidate.exposure },
  };
  const caveats = standstills(baseline, candidate);
  if (!isTooFew(test, samples)) return { assessments: [{ ...assessment, test }], caveats };
  // Nothing points at the candidate: that stalls are rare is no reason to doubt what percentiles say.
  const enough = Number.isFinite(test.eventsNeeded) ? `; about ${count(test.eventsNeeded)} in all would do` : '';
  const few = `too few, or too much in bursts, to tell from ${digits(maxRateRatio)} times as many${enough}`;
  return { assessments: [{ ...assessment, note: `not judged: ${note}: ${few}` }], caveats };
};

const isTooFew = ({ outcome, pFail, eventsNeeded }: RateTest, events: number) =>
  outcome === 'inconclusive' && pFail > SUSPICIOUS && events < eventsNeeded;

function tally({ rounds }: Evidence, arm: Arm, thresholdUs: number): Tally {
  const perRound: number[] = [];
  const sums = { total: 0, stalledSeconds: 0, shared: 0, exposure: 0 };
  for (const { arms } of rounds) {
    let own = 0;
    for (const { stalls, seconds } of arms[arm].slices) {
      sums.exposure += seconds / 3600;
      for (const { waitUs, durationUs, lagUs } of stalls!) {
        if (waitUs <= thresholdUs) continue;
        if (lagUs > waitUs / 2) {
          sums.shared++;
          continue;
        }
        own++;
        sums.stalledSeconds += durationUs / 1e6;
      }
    }
    perRound.push(own);
    sums.total += own;
  }
  return { perRound, ...sums };
}

/** `8 (baseline 0); 140 s stalled an hour (baseline 0 µs)`. */
function describe(baseline: Tally, candidate: Tally, alpha: number): string {
  const perHour = ({ stalledSeconds, exposure }: Tally) => duration((stalledSeconds / exposure) * 1e6);
  if (candidate.total > 0) {
    return `${plural(candidate.total, 'stall')} (baseline ${count(baseline.total)}), ${perHour(candidate)} an hour (baseline ${perHour(baseline)})`;
  }
  const bound = `fewer than ${digits(rateBound(candidate.exposure, alpha))} an hour`;
  return `no stall in ${duration(candidate.exposure * 3600e6)} (baseline ${count(baseline.total)}): ${bound}`;
}

/** The generator sends both arms the same, so its own standstills should come alike too; where not, a server causes them. */
function standstills(baseline: Tally, candidate: Tally): Caveat[] {
  const numbers = { baseline: baseline.shared, candidate: candidate.shared };
  if (numbers.baseline + numbers.candidate === 0) return [];
  return [
    {
      id: 'standstills-of-generator',
      message: `in ${plural(numbers.baseline + numbers.candidate, 'stall')} (${numbers.candidate} with the candidate, ${numbers.baseline} with the baseline) the generator stood still too: they are not counted`,
      advice:
        'Mostly the host’s doing. Many more with one arm: that server takes the generator’s cores; keep them apart (--cpuset).',
      numbers,
    },
  ];
}
