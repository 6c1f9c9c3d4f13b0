/** What a metric hands to the judge: each rule with its test, before rules are weighed against each other. */
import type { Caveat } from '../errors.ts';
import type { Evidence } from './evidence.ts';
import type { JudgedRule } from './judgement.ts';
import { type MarginTest, meanOf } from './statistics.ts';

export interface Assessment
  extends Pick<
    JudgedRule,
    'id' | 'label' | 'family' | 'level' | 'unit' | 'samples' | 'floor' | 'note' | 'inconclusive'
  > {
  baseline?: number;
  candidate?: number;
  scale: JudgedRule['change']['unit'];
  /** `ratio`: on the log scale. Absent: nothing could be tested; then `inconclusive` or `note` says why. */
  test?: MarginTest;
}

/** Turns what was measured into rules; pure. A rule without test and without `inconclusive` is not judged. */
export type Metric = (evidence: Evidence) => { assessments: Assessment[]; caveats: Caveat[] };

/** The figures of one round, or of one slice pair, on both arms. */
export interface Pair {
  baseline: number;
  candidate: number;
}

export const logRatios = (pairs: Pair[]) => pairs.map(({ baseline, candidate }) => Math.log(candidate / baseline));

/** The mean on the log scale: the figures shown then differ by exactly the ratio that is judged. */
export const geometricMeans = (pairs: Pair[]): Pair => ({
  baseline: Math.exp(meanOf(pairs.map(({ baseline }) => Math.log(baseline)))),
  candidate: Math.exp(meanOf(pairs.map(({ candidate }) => Math.log(candidate)))),
});
