/** Turns a rehearsal and a budget into a verdict: pure, the same on every machine, with or without servers. */
import { EXIT_CODES } from '../errors.ts';
import { ARMS, type Arm, type MemoryPhase, type Rehearsal, type Round } from '../measure/rehearsal.ts';
import type { ServerIdentity } from '../servers/server.ts';
import type { Assessment } from './assessment.ts';
import type { Budget } from './budget.ts';
import { gatherEvidence, type LatencyOf } from './evidence.ts';
import type { JudgedRule, Judgement, MemoryFigures, Verdict } from './judgement.ts';
import { METRICS } from './metrics/index.ts';
import { sentenceOf } from './sentence.ts';
import { holm, type MarginTest, meanOf } from './statistics.ts';
import { assessValidity, type Validity } from './validity.ts';
import { plural } from './wording.ts';

/**
 * Judges the complete rounds of a rehearsal. The verdict is the first that applies:
 * - `invalid`: the generator, the host or the configuration spoiled the measurement;
 * - `fail`: a gating rule is over its margin, Holm's correction over all gating rules included, so that more rules do
 *   not mean more false alarms;
 * - `inconclusive`: too few rounds, a run that was stopped, or a gating rule that cannot be told;
 * - `pass`: every gating rule passes at alpha. No correction: all must pass, so the overall error is at most alpha
 *   (intersection–union test, Berger, Technometrics 24 (1982)).
 * @param path the rehearsal's folder, for the reader.
 */
export function judge(rehearsal: Rehearsal, latencyOf: LatencyOf, budget: Budget, path: string): Judgement {
  const validity = assessValidity(rehearsal);
  const evidence = gatherEvidence(rehearsal, validity.rounds, latencyOf, budget);
  // Without a round there is no figure that a metric could start from.
  const results =
    validity.rounds.length === 0 ? [] : Object.entries(METRICS).map(([metric, of]) => ({ metric, ...of(evidence) }));
  const rules = weigh(
    results.flatMap(({ metric, assessments }) => assessments.map((assessment) => ({ metric, ...assessment }))),
    budget.alpha,
  );
  const reasons = reasonsOf(validity, rules);
  const verdict = verdictOf(validity, rules, reasons);
  const judgement: Omit<Judgement, 'sentence'> = {
    schema: 'cutover/verdict@1',
    verdict,
    exitCode: EXIT_CODES[verdict].code,
    reasons,
    rules,
    caveats: [...rehearsal.caveats, ...validity.caveats, ...results.flatMap(({ caveats }) => caveats)],
    findings: rehearsal.findings ?? [],
    arms: { baseline: described(rehearsal.arms.baseline), candidate: described(rehearsal.arms.candidate) },
    seed: rehearsal.seed,
    rounds: { planned: rehearsal.settings.rounds, judged: validity.rounds.length },
    alpha: budget.alpha,
    latency: evidence.spectra,
    memory: Object.fromEntries(
      ARMS.flatMap((arm) => {
        const figures = memoryFigures(validity.rounds, arm);
        return figures ? [[arm, figures]] : [];
      }),
    ),
    rehearsal: path,
    command: rehearsal.command,
  };
  return { ...judgement, sentence: sentenceOf(judgement) };
}

const described = ({ product, version, spec, allocator }: ServerIdentity) => ({ product, version, spec, allocator });

/** What of the verdict no single rule says. */
function reasonsOf({ invalid, cannotPass, rounds }: Validity, rules: JudgedRule[]): string[] {
  if (invalid.length > 0) return invalid;
  const reasons = [...cannotPass];
  if (rounds.length === 0) reasons.push('no round was completed');
  else if (rounds.length === 1) reasons.push('one round cannot give an interval');
  else if (!rules.some(({ level, outcome }) => level === 'error' && outcome !== 'not-judged')) {
    reasons.push('no rule of the budget could be judged');
  }
  return reasons;
}

function verdictOf({ invalid }: Validity, rules: JudgedRule[], reasons: string[]): Verdict {
  if (invalid.length > 0) return 'invalid';
  const gating = rules.filter(({ level }) => level === 'error');
  if (gating.some(({ outcome }) => outcome === 'fail')) return 'fail';
  return reasons.length > 0 || gating.some(({ outcome }) => outcome === 'inconclusive') ? 'inconclusive' : 'pass';
}

function weigh(assessments: (Assessment & { metric: string })[], alpha: number): JudgedRule[] {
  const gating = assessments.filter(({ level, test }) => level === 'error' && test);
  const rejected = holm(
    gating.map(({ test }) => test!.pFail),
    alpha,
  );
  return assessments.map((assessment) => {
    const position = gating.indexOf(assessment);
    return ruleOf(assessment, position < 0 || rejected[position]!, gating.length);
  });
}

function ruleOf(assessment: Assessment & { metric: string }, survivesHolm: boolean, gating: number): JudgedRule {
  const { test, scale, baseline, candidate, inconclusive, ...described } = assessment;
  const shown = (value: number) => (Number.isFinite(value) ? (scale === 'ratio' ? Math.expm1(value) : value) : null);
  const rule = {
    ...described,
    baseline: baseline ?? null,
    candidate: candidate ?? null,
    change: {
      unit: scale,
      estimate: test ? shown(test.estimate) : null,
      low: test ? shown(test.low) : null,
      high: test ? shown(test.high) : null,
    },
    allowed: test ? shown(test.margin) : null,
    rounds: test?.rounds ?? 0,
    ...(test ? { pFail: test.pFail } : {}),
  };
  if (inconclusive) return { ...rule, outcome: 'inconclusive', inconclusive };
  if (!test) return { ...rule, outcome: 'not-judged' };
  if (test.outcome === 'inconclusive') return { ...rule, outcome: 'inconclusive', inconclusive: explain(test) };
  if (test.outcome === 'fail' && !survivesHolm) {
    const message = `over the limit by itself, but of ${plural(gating, 'rule')} one may be so by chance`;
    return { ...rule, outcome: 'inconclusive', inconclusive: { cause: 'correction', message } };
  }
  return { ...rule, outcome: test.outcome };
}

function explain({ cause, roundsNeeded }: MarginTest): NonNullable<JudgedRule['inconclusive']> {
  const messages = {
    noise: 'too noisy to tell',
    'near-margin': 'too near the limit to tell',
    'too-few-rounds': 'one round cannot give an interval',
    'too-few-samples': 'too few samples to tell',
  };
  const known = cause ?? 'noise';
  return { cause: known, message: messages[known], ...(roundsNeeded === undefined ? {} : { roundsNeeded }) };
}

/** Means over the judged rounds at the last phase that all of them sampled. */
function memoryFigures(rounds: Round[], arm: Arm): MemoryFigures | undefined {
  const phases: MemoryPhase[] = ['end', 'fill'];
  const phase = phases.find((name) => rounds.length > 0 && rounds.every((round) => round.arms[arm].memory[name]));
  if (!phase) return undefined;
  const samples = rounds.map((round) => round.arms[arm].memory[phase]!);
  const mean = (of: (sample: (typeof samples)[number], k: number) => number) => meanOf(samples.map(of));
  return {
    phase,
    rssBytes: mean(({ rssBytes }) => rssBytes),
    usedBytes: mean(({ usedBytes }) => usedBytes),
    allocatedBytes: mean(({ allocatedBytes }) => allocatedBytes),
    activeBytes: mean(({ activeBytes }) => activeBytes),
    residentBytes: mean(({ residentBytes }) => residentBytes),
    memFragmentationRatio: mean(({ memFragmentationRatio }) => memFragmentationRatio),
    allocatorFragRatio: mean(({ allocatorFragRatio }) => allocatorFragRatio),
    rssPerLogicalByte: mean(
      ({ rssBytes, logicalBytes }, k) =>
        (rssBytes - (rounds[k]!.arms[arm].memory.start?.rssBytes ?? 0)) / Math.max(1, logicalBytes),
    ),
  };
}
