/** Turns error replies and lost replies into two rules: kinds of error that are new, and requests that fail more often. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm, type ArmRound } from '../../measure/rehearsal.ts';
import { printable } from '../../printable.ts';
import { excuses } from '../allowances.ts';
import type { Assessment, Metric } from '../assessment.ts';
import { ALL_FAMILIES } from '../budget.ts';
import type { Evidence } from '../evidence.ts';
import { fisherGreater, type MarginTest, meanOf, rateWithoutEvents, testMargin } from '../statistics.ts';
import { count, percent, plural, quote, shorten } from '../wording.ts';

/** Stands for a reply that never came, wherever a prefix is expected. No server can answer it: prefixes hold no spaces. */
const NO_REPLY = 'no reply';
const PRELOAD = '(preload)';
const EVERYWHERE = '';

/** Errors of one kind at one place, per judged round. `label` is `FAMILY COMMAND`, `(preload)`, or `''` for the workload. */
interface Tally {
  label: string;
  prefix: string;
  errors: Record<Arm, number[]>;
}

/**
 * A burst of errors is one accident however many requests it hits, so counts alone prove nothing: what is called a
 * difference must also come back in this many rounds (in all, where there are fewer), always on the candidate only.
 * Were accidents equally likely on both arms, three rounds of five against none would still be below 4 %.
 */
const ROUNDS_TO_PROVE = 3;

export const judgeErrors: Metric = (evidence) => {
  const limits = evidence.budget.errors;
  if (!limits) return { assessments: [], caveats: [] };
  const tallies = tallyErrors(evidence);
  return {
    assessments: [judgeNew(evidence, tallies, limits.newPrefixes), judgeRate(evidence, tallies, limits.maxIncrease)],
    caveats: workloadErrors(evidence, tallies),
  };
};

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const plannedOf = (round: ArmRound) => sum(round.slices.map(({ planned }) => planned));

function tallyErrors({ rehearsal, budget, rounds }: Evidence): Tally[] {
  const tallies = new Map<string, Tally>();
  const add = (label: string, prefix: string, arm: Arm, k: number, times: number) => {
    if (times === 0) return;
    const key = JSON.stringify([label, prefix]);
    let tally = tallies.get(key);
    if (!tally) {
      tally = { label, prefix, errors: { baseline: rounds.map(() => 0), candidate: rounds.map(() => 0) } };
      tallies.set(key, tally);
    }
    tally.errors[arm][k]! += times;
  };
  for (const [k, round] of rounds.entries()) {
    for (const arm of ARMS) {
      const { preload, slices } = round.arms[arm];
      for (const [prefix, times] of Object.entries(preload.errors)) add(PRELOAD, prefix, arm, k, times);
      for (const slice of slices) {
        add(EVERYWHERE, NO_REPLY, arm, k, slice.lost);
        for (const [prefix, times] of Object.entries(slice.errors)) add(EVERYWHERE, prefix, arm, k, times);
        for (const [label, prefixes] of Object.entries(slice.errorsByLabel)) {
          const command = label.slice(label.lastIndexOf(' ') + 1);
          for (const [prefix, times] of Object.entries(prefixes)) {
            const isAllowed = excuses(budget.allowed, { command, prefix }, rehearsal.startedAt) !== undefined;
            if (isAllowed) add(EVERYWHERE, prefix, arm, k, -times);
            else add(label, prefix, arm, k, times);
          }
        }
      }
    }
  }
  return [...tallies.values()].filter(({ errors }) => ARMS.some((arm) => sum(errors[arm]) > 0));
}

/** Requests that could have failed this way, per judged round. */
function callsOf({ rounds, calls }: Evidence, arm: Arm, label: string): number[] {
  if (label === PRELOAD) return rounds.map((round) => round.arms[arm].preload.commands);
  if (label === EVERYWHERE) return rounds.map((round) => plannedOf(round.arms[arm]));
  return calls[arm].map((round) => round.get(label) ?? 0);
}

/** Fisher's test that the candidate fails more often here; an error can be counted without its call only by a cut log. */
function chanceOf(evidence: Evidence, { label, errors }: Tally): number {
  const [baseline, candidate] = ARMS.map((arm) => {
    const failed = sum(errors[arm]);
    return { failed, calls: Math.max(failed, sum(callsOf(evidence, arm, label))) };
  }) as [{ failed: number; calls: number }, { failed: number; calls: number }];
  return fisherGreater(candidate.failed, candidate.calls, baseline.failed, baseline.calls);
}

/**
 * Kinds of error that the candidate answers and the baseline does not, for all requests or for one label: `ERR` from a
 * command that the candidate lacks must be found although the baseline answers `ERR` to another. A kind counts as proven
 * if its number is beyond chance (Bonferroni over all kinds and places at which any error was seen, because we pick the
 * ones that look bad) and it recurs across rounds. A kind never seen on the baseline that is not proven cannot be told.
 */
function judgeNew(evidence: Evidence, tallies: Tally[], allowed: number): Assessment {
  const { alpha } = evidence.budget;
  const rounds = evidence.rounds.length;
  const found = new Map<string, { tally: Tally; p: number; unseen: boolean }>();
  for (const tally of tallies) {
    if (sum(tally.errors.baseline) > 0) continue;
    const recurs = tally.errors.candidate.filter((times) => times > 0).length >= Math.min(rounds, ROUNDS_TO_PROVE);
    const p = recurs && rounds > 1 ? Math.min(1, chanceOf(evidence, tally) * tallies.length) : 1;
    const known = found.get(tally.prefix);
    const unseen = tally.label === EVERYWHERE || tally.label === PRELOAD || known?.unseen === true;
    if (!known || p < known.p) found.set(tally.prefix, { tally, p, unseen });
    else known.unseen = unseen;
  }
  const kinds = [...found.values()].filter(({ p, unseen }) => unseen || p <= alpha).sort((a, b) => a.p - b.p);
  const proven = kinds.filter(({ p }) => p <= alpha).length;
  // More kinds than allowed are proven only if the (allowed + 1)th is.
  const pFail = kinds[allowed]?.p ?? 1;
  const test: MarginTest = {
    rounds,
    estimate: kinds.length,
    low: proven,
    high: kinds.length,
    margin: allowed,
    outcome: kinds.length <= allowed ? 'pass' : pFail <= alpha ? 'fail' : 'inconclusive',
    pPass: kinds.length <= allowed ? 0 : 1,
    pFail,
  };
  const assessment: Assessment = {
    id: 'errors.new_prefixes',
    label: 'new errors',
    family: ALL_FAMILIES,
    level: 'error',
    unit: 'count',
    scale: 'difference',
    samples: samplesOf(evidence),
    baseline: 0,
    candidate: kinds.length,
    test,
  };
  if (kinds.length === 0) return assessment;
  assessment.note = `only on the candidate: ${kinds
    .slice(0, 3)
    .map(({ tally }) => describe(tally, tallies))
    .join('; ')}`;
  if (test.outcome !== 'inconclusive') return assessment;
  return {
    ...assessment,
    inconclusive: {
      cause: 'too-few-samples',
      message: 'seen too rarely to tell chance from cause',
      roundsNeeded: roundsToProve(kinds[allowed]!.tally, tallies.length, alpha),
    },
  };
}

/** With equal exposure each error falls on either arm by a coin's toss: n in a row prove it once m·2⁻ⁿ ≤ alpha. */
function roundsToProve({ errors }: Tally, hypotheses: number, alpha: number): number {
  const perRound = meanOf(errors.candidate);
  const seenIn = errors.candidate.filter((times) => times > 0).length / errors.candidate.length;
  return Math.ceil(Math.max(Math.log2(hypotheses / alpha) / perRound, ROUNDS_TO_PROVE / seenIn));
}

const samplesOf = ({ rounds }: Evidence) =>
  Math.min(...ARMS.map((arm) => sum(rounds.map((round) => plannedOf(round.arms[arm])))));

/**
 * Share of requests that failed or got no reply, candidate − baseline, as a paired t test over rounds on the plain
 * difference, because shares may be 0. One label that fails more often than allowed fails the rule too, by the same test
 * and Fisher's (Bonferroni over labels), so that a rare command which breaks does not drown in the traffic.
 */
function judgeRate(evidence: Evidence, tallies: Tally[], allowed: number): Assessment {
  const { alpha } = evidence.budget;
  const samples = samplesOf(evidence);
  const differences = (tally: Tally) => {
    const [baseline, candidate] = ARMS.map((arm) => callsOf(evidence, arm, tally.label)) as [number[], number[]];
    return baseline.flatMap((calls, k) =>
      calls === 0 || candidate[k] === 0
        ? []
        : [tally.errors.candidate[k]! / candidate[k]! - tally.errors.baseline[k]! / calls],
    );
  };
  const overall = merge(
    tallies.filter(({ label }) => label === EVERYWHERE),
    EVERYWHERE,
    evidence.rounds.length,
  );
  const shares = differences(overall);
  const test = testMargin(shares, allowed, alpha);
  if (test.rounds > 1) {
    // No error in n requests does not mean none ever: without spread the interval still has this width.
    test.high = Math.max(test.high, test.estimate + rateWithoutEvents(samples, alpha));
    if (test.outcome === 'pass' && test.high >= allowed)
      Object.assign(test, { outcome: 'inconclusive', cause: 'too-few-samples' });
  }
  const labels = new Set(tallies.map(({ label }) => label).filter((label) => label !== EVERYWHERE));
  const [worst] = [...labels]
    .map((label) => {
      const tally = merge(
        tallies.filter((one) => one.label === label),
        label,
        evidence.rounds.length,
      );
      const own = testMargin(differences(tally), allowed, alpha);
      const pFail = Math.min(1, Math.max(own.pFail, chanceOf(evidence, tally)) * labels.size);
      return { tally, test: { ...own, pFail } };
    })
    .sort((a, b) => a.test.pFail - b.test.pFail);
  const isBroken = test.outcome !== 'fail' && worst?.test.outcome === 'fail' && worst.test.pFail <= alpha;
  const subject = isBroken ? worst : { tally: overall, test };

  const rate = (arm: Arm) =>
    sum(subject.tally.errors[arm]) / Math.max(1, sum(callsOf(evidence, arm, subject.tally.label)));
  const rose = sum(subject.tally.errors.candidate) > sum(subject.tally.errors.baseline);
  return {
    id: 'errors.rate',
    label: 'failed',
    family: ALL_FAMILIES,
    level: 'error',
    unit: 'share',
    scale: 'difference',
    samples,
    baseline: rate('baseline'),
    candidate: rate('candidate'),
    test: subject.test,
    ...(rose && subject.test.outcome !== 'pass' ? { note: describe(subject.tally, tallies) } : {}),
  };
}

/** Several kinds of error at one place as one. */
function merge(tallies: Tally[], label: string, rounds: number): Tally {
  const total = (arm: Arm) =>
    Array.from({ length: rounds }, (_, k) => sum(tallies.map(({ errors }) => errors[arm][k]!)));
  return { label, prefix: '', errors: { baseline: total('baseline'), candidate: total('candidate') } };
}

/** `WRONGTYPE 1,204 times (baseline 0) in 5 of 5 rounds, most from lpush queue:{id}` */
function describe({ label, prefix, errors }: Tally, tallies: Tally[]): string {
  const places = tallies
    .filter((tally) => tally.label !== EVERYWHERE && (prefix === '' || tally.prefix === prefix))
    .sort((a, b) => excess(b) - excess(a));
  const where = label === EVERYWHERE ? places[0]?.label : label;
  const seen = errors.candidate.filter((times) => times > 0).length;
  const what = prefix === NO_REPLY ? NO_REPLY : `error ${shorten(printable(prefix), 60)}`;
  const failed = sum(errors.candidate);
  const times = prefix === '' ? `${plural(failed, 'request')} failed` : `${what} ${plural(failed, 'time')}`;
  const most = label === EVERYWHERE && places.length > 1 ? 'most ' : '';
  const place = where === undefined ? '' : `, ${most}from ${placeOf(where)}`;
  return `${times} (baseline ${count(sum(errors.baseline))}) in ${seen} of ${plural(errors.candidate.length, 'round')}${place}`;
}

const excess = ({ errors }: Tally) => sum(errors.candidate) - sum(errors.baseline);

/** `FAMILY COMMAND` → `get of "session:{id}"`. */
const placeOf = (label: string) => {
  const space = label.lastIndexOf(' ');
  return space < 0
    ? printable(label)
    : `${shorten(printable(label.slice(space + 1)), 60)} of ${quote(label.slice(0, space))}`;
};

/** Errors that both servers answer come from the workload: a WRONGTYPE of the plan's making costs both arms the same. */
function workloadErrors(evidence: Evidence, tallies: Tally[]): Caveat[] {
  const shared = tallies.filter(
    ({ label, errors }) => label === EVERYWHERE && ARMS.every((arm) => sum(errors[arm]) > 0),
  );
  if (shared.length === 0) return [];
  const [baseline, candidate] = ARMS.map((arm) => sum(shared.map(({ errors }) => sum(errors[arm])))) as [
    number,
    number,
  ];
  const requests = sum(callsOf(evidence, 'baseline', EVERYWHERE));
  const kinds = shared.sort((a, b) => sum(b.errors.baseline) - sum(a.errors.baseline)).slice(0, 3);
  return [
    {
      id: 'workload-errors',
      message: `both servers fail part of the workload, ${percent(baseline / requests)} of the requests: ${kinds.map((tally) => describe(tally, tallies)).join('; ')}`,
      advice:
        'If production does not see these errors, the model has the types or the order of commands wrong: see cutover model.',
      numbers: { baseline, candidate, requests },
    },
  ];
}
