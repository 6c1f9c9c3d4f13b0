/** Turns the quantiles of slices into how far each percentile shifted, with the interval that the rounds give. */
import { geometricMeans, logRatios, type Pair } from '../../compare/assessment.ts';
import { testMargin } from '../../compare/statistics.ts';
import { ARMS } from '../../measure/rehearsal.ts';
import { type Distributions, defendedUntil, SHIFT_PERCENTILES } from './distributions.ts';

export interface Shift extends Pair {
  percentile: number;
  /** Candidate against baseline: 0.25 = 25 % more. Bounds one-sided at `level` each; infinite of a single round. */
  estimate: number;
  low: number;
  high: number;
}

/** The percentiles that the arm with fewer samples defends; paired t on per-round log ratios, as the rules are judged. */
export function shiftsOf({ rounds }: Distributions, level: number): Shift[] {
  const answered = rounds
    .map((pairs) => pairs.filter((pair) => ARMS.every((arm) => pair[arm].count > 0)))
    .filter((pairs) => pairs.length > 0);
  const samples = Math.min(...ARMS.map((arm) => answered.flat().reduce((sum, pair) => sum + pair[arm].count, 0)));
  if (answered.length === 0) return [];
  return SHIFT_PERCENTILES.flatMap((percentile, at) => {
    if (100 / (100 - percentile) > defendedUntil(samples)) return [];
    const pairs = answered.map((slices) =>
      geometricMeans(
        slices.map(({ baseline, candidate }) => ({
          // Whole microseconds are what is measured: nothing is faster than one.
          baseline: Math.max(1, baseline.us[at]!),
          candidate: Math.max(1, candidate.us[at]!),
        })),
      ),
    );
    const { estimate, low, high } = testMargin(logRatios(pairs), 0, level);
    return {
      percentile,
      ...geometricMeans(pairs),
      estimate: Math.expm1(estimate),
      low: Math.expm1(low),
      high: Math.expm1(high),
    };
  });
}
