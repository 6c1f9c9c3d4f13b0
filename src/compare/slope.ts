/** Points → the slope of the line through them that no outlier moves. */

/**
 * Theil and Sen's estimator: the median of the slopes between all pairs of points (P. K. Sen, JASA 63 (1968) 1379–1389).
 * Undefined with fewer than two different x.
 */
export function theilSen(points: { x: number; y: number }[]): number | undefined {
  const slopes = points
    .flatMap((a, i) => points.slice(i + 1).flatMap((b) => (a.x === b.x ? [] : (b.y - a.y) / (b.x - a.x))))
    .sort((a, b) => a - b);
  const middle = slopes.length / 2;
  const [low, high] = [slopes[Math.ceil(middle) - 1], slopes[Math.floor(middle)]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
