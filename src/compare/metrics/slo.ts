/** Turns requests that miss an SLO into rules on how much more of its error budget the candidate would use up. */
import { WINDOW_SECONDS, windowCountOf } from '../../measure/latency-log.ts';
import { ARMS, type Arm } from '../../measure/rehearsal.ts';
import type { Assessment, Metric } from '../assessment.ts';
import { ALL_FAMILIES, type SloObjective, scopeName } from '../budget.ts';
import { type Evidence, type SloCount, type SloSlice, sloTotal } from '../evidence.ts';
import { meanOf, rateWithoutEvents, testMargin } from '../statistics.ts';
import { count, duration, percent, quote } from '../wording.ts';

/** Counts of one objective per judged round, one entry per slice. */
type Rounds = Record<Arm, SloSlice>[][];

const share = ({ bad, total }: SloCount) => (total === 0 ? 0 : bad / total);
/** As it was written: 99.95, not 100. */
const plain = (value: number) => String(Number(value.toPrecision(8)));
const arm = (name: Arm) => (pair: Record<Arm, SloSlice>) => pair[name];

/**
 * Burn = share of requests that miss the SLO / share that may: 1 uses up the error budget exactly in its window. What
 * gates is the migration burn, candidate − baseline, because the load is a rehearsal's and not production's: an objective
 * that the baseline misses here says little, one that the candidate alone misses says a lot. Several objectives are judged
 * by the sum of their burns, weighted by `weight` and traffic; those with `isKey` also by themselves.
 * Burn rates: B. Beyer et al., The Site Reliability Workbook (2018), chapter 5.
 */
export const judgeSlo: Metric = (evidence) => {
  const { slo } = evidence.budget;
  if (!slo) return { assessments: [], caveats: [] };
  const objectives = slo.objectives.map((objective) => ({
    objective,
    rounds: evidence.slo.get(scopeName(objective))!,
  }));
  const summed = objectives.filter(({ objective }) => objective.level === 'error');
  const assessments = objectives.flatMap(({ objective, rounds }) => {
    const decides = objective.isKey || summed.length === 1 || objective.level === 'warn';
    const level = decides ? objective.level : 'warn';
    return [judgeBurn(evidence, objective, rounds, level), judgePeak(evidence, objective, rounds, level)];
  });
  if (summed.length > 1) assessments.push(judgeSum(evidence, summed, slo.extraBurn));
  return { assessments, caveats: [] };
};

const blankOf = (objective: SloObjective, metric: 'burn' | 'peak_burn', rounds: Rounds) => {
  const { family, commands } = objective;
  const name = scopeName(objective);
  const label = metric === 'burn' ? 'SLO burn' : 'peak burn';
  return {
    id: `slo.${metric}${name === ALL_FAMILIES ? '' : `/${name}`}`,
    label: commands ? `${label} ${commands.join(', ')}` : label,
    family,
    unit: 'share',
    scale: 'difference',
    samples: Math.round(Math.min(...ARMS.map((name) => sloTotal(rounds.flat().map(arm(name))).total))),
  } as const;
};

function judgeBurn(
  { budget: { alpha } }: Evidence,
  objective: SloObjective,
  rounds: Rounds,
  level: SloObjective['level'],
): Assessment {
  const { target, extraBurn, thresholdUs, windowDays } = objective;
  const blank = { ...blankOf(objective, 'burn', rounds), level };
  if (blank.samples === 0) {
    const message = `no request of ${quote(scopeName(objective))} was sent on both arms`;
    return { ...blank, inconclusive: { cause: 'missing', message } };
  }
  const burnIn = (name: Arm) => rounds.map((pairs) => share(sloTotal(pairs.map(arm(name)))) / (1 - target));
  const [baseline, candidate] = [burnIn('baseline'), burnIn('candidate')];
  const test = testMargin(
    candidate.map((burn, k) => burn - baseline[k]!),
    extraBurn,
    alpha,
  );
  const notes = [`${plain(100 * target)} % within ${duration(thresholdUs)} over ${plain(windowDays)} days`];
  if (meanOf(baseline) > 1) notes.push('the baseline misses it here too: only the difference is judged');
  const assessment: Assessment = {
    ...blank,
    ...{ baseline: meanOf(baseline), candidate: meanOf(candidate), test, note: notes.join('; ') },
  };
  // No miss in n requests does not mean none ever: the interval is at least as wide as that leaves open.
  const unseen = rateWithoutEvents(blank.samples, alpha) / (1 - target);
  test.high = Math.max(test.high, test.estimate + unseen);
  if (test.outcome !== 'pass' || test.high < extraBurn) return assessment;
  const needed = Math.ceil(
    (rounds.length * unseen) / Math.max(extraBurn - Math.max(0, test.estimate), Number.MIN_VALUE),
  );
  return {
    ...assessment,
    inconclusive: {
      cause: 'too-few-samples',
      message: `${count(blank.samples)} requests leave a burn of ${percent(unseen)} open`,
      ...(Number.isFinite(needed) ? { roundsNeeded: needed } : {}),
    },
  };
}

/**
 * The highest burn rate within a window, per round. A window is as many consecutive parts of an arm's workload (slices, or
 * parts of long ones) as come nearest to what alerts look at; between two slices the other arm had its turn, which no
 * request of this one saw. What is allowed is an absolute rate (it pages somebody), shown as a difference to the
 * baseline's: the test is of the candidate's rates alone.
 */
function judgePeak(
  { budget: { alpha }, rehearsal }: Evidence,
  objective: SloObjective,
  rounds: Rounds,
  level: SloObjective['level'],
): Assessment {
  const { target, peakBurn } = objective;
  const blank = { ...blankOf(objective, 'peak_burn', rounds), level };
  const parts = (name: Arm) => rounds.map((pairs) => pairs.flatMap((pair) => pair[name].windows));
  const { sliceSeconds } = rehearsal.settings;
  const partSeconds = sliceSeconds / windowCountOf(sliceSeconds);
  const length = Math.min(
    Math.max(1, Math.round(WINDOW_SECONDS / partSeconds)),
    Math.max(1, ...ARMS.flatMap((name) => parts(name).map((some) => some.length))),
  );
  const peakIn = (counts: SloCount[]) => {
    const starts = Array.from({ length: Math.max(1, counts.length - length + 1) }, (_, i) => i);
    return Math.max(...starts.map((i) => share(sloTotal(counts.slice(i, i + length)))));
  };
  const peaks = (name: Arm) => parts(name).map((counts) => peakIn(counts) / (1 - target));
  const [baseline, candidate] = [meanOf(peaks('baseline')), meanOf(peaks('candidate'))];
  const figures = { ...blank, baseline, candidate };
  if (baseline >= peakBurn) return { ...figures, note: 'not judged: the baseline burns as fast here' };
  const test = testMargin(peaks('candidate'), peakBurn, alpha);
  const shift = (value: number) => value - baseline;
  const seconds = length * partSeconds;
  return {
    ...figures,
    test: {
      ...test,
      ...{ estimate: shift(test.estimate), low: shift(test.low), high: shift(test.high), margin: shift(test.margin) },
    },
    ...(Math.abs(seconds - WINDOW_SECONDS) <= WINDOW_SECONDS / 4
      ? {}
      : { note: `over windows of ${plain(seconds)} s; alerts look at windows of ${WINDOW_SECONDS} s` }),
  };
}

/** Σ w·burn / Σ w with w = weight × requests of the baseline in that round: the same on both arms. */
function judgeSum(
  { budget: { alpha } }: Evidence,
  objectives: { objective: SloObjective; rounds: Rounds }[],
  extraBurn: number,
): Assessment {
  const burns = (name: Arm) =>
    objectives[0]!.rounds.map((_, k) => {
      const terms = objectives.map(({ objective, rounds }) => ({
        weight: objective.weight * sloTotal(rounds[k]!.map(arm('baseline'))).total,
        burn: share(sloTotal(rounds[k]!.map(arm(name)))) / (1 - objective.target),
      }));
      const whole = terms.reduce((sum, { weight }) => sum + weight, 0);
      return terms.reduce((sum, { weight, burn }) => sum + (whole === 0 ? 0 : (weight / whole) * burn), 0);
    });
  const [baseline, candidate] = [burns('baseline'), burns('candidate')];
  const totals = objectives.map(({ rounds }) => sloTotal(rounds.flat().map(arm('baseline'))).total);
  return {
    ...{ id: 'slo.burn_sum', label: 'SLO burn, all', family: ALL_FAMILIES, level: 'error', unit: 'share' },
    ...{ scale: 'difference', samples: Math.round(totals.reduce((sum, total) => sum + total, 0)) },
    ...{ baseline: meanOf(baseline), candidate: meanOf(candidate) },
    test: testMargin(
      candidate.map((burn, k) => burn - baseline[k]!),
      extraBurn,
      alpha,
    ),
    note: `${objectives.length} objectives by weight and traffic`,
  };
}
