/** Turns figures into small pictures of characters: an interval against its limit, distributions, how much is done. */
import type { JudgedRule } from '../../compare/judgement.ts';
import { duration } from '../../compare/wording.ts';
import type { LatencyHistogram } from '../../measure/histogram.ts';

/** Where a picture `width` wide has no change and the limit: at a third and at two thirds. */
const places = (width: number) => ({ zero: Math.round((width - 1) / 3), limit: Math.round(((width - 1) * 2) / 3) });

/**
 * `──┼──├━●━┤─┃·····`: the allowed zone up to the limit `┃`, no change at `┼`, the interval with its estimate. The scale is
 * the rule's own: from one allowance below no change to two above. What lies beyond the edge points there. Empty for a
 * rule without an interval or that allows nothing.
 */
export function intervalPicture({ change, allowed }: Pick<JudgedRule, 'change' | 'allowed'>, width: number): string {
  const { low, high, estimate } = change;
  if (low === null || high === null || estimate === null || !allowed) return '';
  const { zero, limit } = places(width);
  const column = (value: number) => Math.round(((value / allowed + 1) / 3) * (width - 1));
  const inside = (at: number) => Math.min(width - 1, Math.max(0, at));
  const cells: string[] = Array.from({ length: width }, (_, at) => (at < limit ? '─' : at === limit ? '┃' : '·'));
  cells[zero] = '┼';
  const [from, to, middle] = [column(low), column(high), column(estimate)];
  cells.fill('━', inside(from), inside(to) + 1);
  if (from < to) {
    cells[inside(from)] = from < 0 ? '<' : '├';
    cells[inside(to)] = to >= width ? '>' : '┤';
  }
  cells[inside(middle)] = middle < 0 ? '<' : middle >= width ? '>' : '●';
  return cells.join('');
}

/** What stands above interval pictures: `0` over no change, `limit` around the limit. */
export function intervalScale(width: number): string {
  const { zero, limit } = places(width);
  return `${'0'.padStart(zero + 1)}${'limit'.padStart(limit + 3 - zero - 1)}`;
}

/** `━━━━────`: how much of the whole is done. */
export function progressBar(share: number, width: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '━'.repeat(done) + '─'.repeat(width - done);
}

const HEIGHTS = '▁▂▃▄▅▆▇█';

/**
 * Distributions over one logarithmic axis from the smallest to the largest latency of all, a line each, and the axis with
 * its powers of ten. Heights go by the cube root, so that a tail of a few requests is seen beside thousands.
 */
export function histogramPictures(
  histograms: LatencyHistogram[],
  width: number,
): { lines: string[]; axis: string } | undefined {
  const filled = histograms.filter(({ count }) => count > 0);
  if (filled.length === 0) return undefined;
  const low = Math.log10(Math.max(1, Math.min(...filled.map(({ min }) => min))));
  const high = Math.max(low + 0.1, Math.log10(Math.max(1, ...filled.map(({ max }) => max))));
  /** The latency at which column `at` begins. */
  const edgeUs = (at: number) => Math.floor(10 ** (low + ((high - low) * at) / width));
  const columns = histograms.map((histogram) => {
    const above = Array.from({ length: width + 1 }, (_, at) =>
      at === 0 ? histogram.count : at === width ? 0 : histogram.countAbove(edgeUs(at)),
    );
    return above.slice(0, width).map((count, at) => count - above[at + 1]!);
  });
  const fullest = Math.max(1, ...columns.flat());
  const heightOf = (count: number) =>
    count === 0 ? ' ' : HEIGHTS[Math.ceil(Math.cbrt(count / fullest) * HEIGHTS.length) - 1]!;
  let axis = '';
  for (let decade = Math.ceil(low); decade <= high; decade++) {
    const at = Math.floor(((decade - low) / (high - low)) * width);
    const label = `|${duration(10 ** decade).replace(/\.0+ /, ' ')}`;
    if (at >= axis.length && at + label.length <= width) axis = axis.padEnd(at) + label;
  }
  return { lines: columns.map((counts) => counts.map(heightOf).join('').trimEnd()), axis };
}
