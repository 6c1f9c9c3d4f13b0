/** Turns evidence into judged rules: what every metric found, weighed so that more rules do not mean more false alarms. */
import type { Caveat } from '../errors.ts';
import type { Rehearsal } from '../measure/rehearsal.ts';
import type { Assessment } from './assessment.ts';
import type { Evidence } from './evidence.ts';
import type { JudgedRule } from './judgement.ts';
import { METRICS } from './metrics/index.ts';
import { benjaminiHochberg, holm, type MarginTest, roundsNeeded } from './statistics.ts';
import { assessUpkeep } from './upkeep.ts';
import { plural } from './wording.ts';

/** Of the advisory rules that are called worse, the share that may be so by chance. */
const FALSE_DISCOVERIES = 0.1;

type MetricAssessment = Assessment & { metric: string };

/**
 * Judges every rule at the level `evidence.budget.alpha`. A gating rule fails only if it does after Holm's correction over
 * all gating rules; an advisory one only if it does after Benjamini and Hochberg's over all advisory ones.
 */
export function judgeRules(evidence: Evidence): { rules: JudgedRule[]; caveats: Caveat[] } {
  // Without a round there is no figure that a metric could start from.
  if (evidence.rounds.length === 0) return { rules: [], caveats: [] };
  const metrics = { ...METRICS, budget: assessUpkeep };
  const results = Object.entries(metrics).map(([metric, of]) => ({ metric, ...of(evidence) }));
  const assessments = results.flatMap((one) => one.assessments.map((it) => ({ metric: one.metric, ...it })));
  const { alpha } = evidence.budget;
  const context = { alpha, roundSeconds: roundSecondsOf(evidence.rehearsal) };
  const tested = (level: JudgedRule['level']) => assessments.filter((one) => one.level === level && one.test);
  const pValues = (some: MetricAssessment[]) => some.map(({ test }) => test!.pFail);
  const [gating, advisory] = [tested('error'), tested('warn')];
  const worse = new Set([
    ...gating.filter((_, i) => holm(pValues(gating), alpha)[i]),
    ...advisory.filter((_, i) => benjaminiHochberg(pValues(advisory), FALSE_DISCOVERIES)[i]),
  ]);
  const rules = assessments.map((one) =>
    ruleOf(one, { ...context, survives: worse.has(one), peers: (one.level === 'error' ? gating : advisory).length }),
  );
  return { rules, caveats: results.flatMap(({ caveats }) => caveats) };
}

/** What a round took, its servers' start and preload included: from the run's start to its last slice's end. */
export function roundSecondsOf({ startedAt, rounds }: Rehearsal): number {
  const slices = rounds.at(-1) ? Object.values(rounds.at(-1)!.arms).flatMap((arm) => arm.slices) : [];
  const endMs = Math.max(...slices.map(({ startedAtMs, seconds }) => startedAtMs + seconds * 1000));
  return slices.length === 0 ? 0 : Math.max(0, endMs - Date.parse(startedAt)) / 1000 / rounds.length;
}

interface Context {
  alpha: number;
  roundSeconds: number;
  /** A fail stands after the correction over its `peers`. */
  survives: boolean;
  peers: number;
}

function ruleOf(assessment: MetricAssessment, context: Context): JudgedRule {
  const { test, scale, baseline, candidate, inconclusive, ...described } = assessment;
  const shown = (value: number) => (Number.isFinite(value) ? (scale === 'ratio' ? Math.expm1(value) : value) : null);
  const resolvable = test?.resolvable === undefined ? null : shown(test.resolvable);
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
    ...(resolvable === null ? {} : { resolvable }),
    ...(test?.outliers ? { outliers: { ...test.outliers, estimate: shown(test.outliers.estimate)! } } : {}),
  };
  const cannotTell = (why: NonNullable<JudgedRule['inconclusive']>): JudgedRule => {
    const more = (why.roundsNeeded ?? 0) - rule.rounds;
    const minutes = more > 0 ? { minutesNeeded: Math.ceil((more * context.roundSeconds) / 60) } : {};
    return { ...rule, outcome: 'inconclusive', inconclusive: { ...why, ...minutes } };
  };
  if (inconclusive) return cannotTell(inconclusive);
  if (!test) return { ...rule, outcome: 'not-judged' };
  if (test.outcome === 'inconclusive') return cannotTell(explain(test));
  if (test.outcome === 'fail' && !context.survives) {
    const message = `over the limit by itself, but of ${plural(context.peers, 'rule')} one may be so by chance`;
    const { sd, estimate, margin, rounds } = test;
    const needed =
      sd === undefined ? undefined : roundsNeeded(sd, estimate - margin, context.alpha / context.peers, rounds);
    return cannotTell({ cause: 'correction', message, ...(needed === undefined ? {} : { roundsNeeded: needed }) });
  }
  const badge = test.outcome === 'pass' && rule.unit !== 'count' ? badgeOf(test) : undefined;
  return { ...rule, outcome: test.outcome, ...(badge ? { badge } : {}) };
}

const badgeOf = ({ low, high }: MarginTest) => (high < 0 ? 'improved' : low > 0 ? 'regressed' : undefined);

function explain({ cause, roundsNeeded: needed, outliers }: MarginTest): NonNullable<JudgedRule['inconclusive']> {
  const far = plural(outliers?.rounds.length ?? 0, 'round');
  const messages = {
    noise: 'too noisy to tell',
    'near-margin': 'too near the limit to tell',
    outliers: `${far} far off the others, and a test that does not mind says otherwise`,
    'too-few-rounds': 'one round cannot give an interval',
    'too-few-samples': 'too few samples to tell',
  };
  const known = cause ?? 'noise';
  return { cause: known, message: messages[known], ...(needed === undefined ? {} : { roundsNeeded: needed }) };
}
