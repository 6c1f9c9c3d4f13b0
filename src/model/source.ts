/** What was read of a capture → the model's account of its source. */
import type { CaptureSummary } from '../capture/summary.ts';
import type { Model } from './model.ts';

export function sourceOf(summary: CaptureSummary): Model['source'] {
  const { lines, parsed, rejected, firstUs, lastUs, server, clock, approximateLines } = summary;
  return {
    ...{ lines, parsed, server, clock },
    rejected: Object.fromEntries(Object.entries(rejected).map(([reason, { count }]) => [reason, count])),
    first: firstUs / 1e6,
    last: lastUs / 1e6,
    spanSeconds: Math.max(0, (lastUs - firstUs) / 1e6),
    approximate: approximateLines > 0,
  };
}
