/** Turns one slice's own figures into the reason why it must not be used, if there is one. */
import type { SliceResult } from './rehearsal.ts';

/** A standstill of more than this share of a slice delays more than one request in a hundred: P99 is then about it alone. */
const STANDSTILL_SHARE = 0.01;

/**
 * Why the generator or the host spoiled a slice, as a clause; undefined if it did not. A slice that was spoiled may be
 * repeated: nothing here depends on how the server did. Shorter standstills are left alone: they hit both arms alike, so
 * they widen the interval, which says what they cost; and where they make up a percentile, service time has to agree.
 */
export function spoiledBy({ generator, seconds, stalls = [] }: SliceResult): string | undefined {
  const { eventLoopDelayUs, gcPauses } = generator;
  if (eventLoopDelayUs.max <= STANDSTILL_SHARE * seconds * 1e6) return undefined;
  // A server that answers thousands at once after a stall keeps the generator busy: that is the server's doing.
  const isAnswering = stalls.some(({ waitUs, lagUs }) => waitUs >= eventLoopDelayUs.max && lagUs <= waitUs / 2);
  if (isAnswering) return undefined;
  const standstill = `the generator stood still for ${Math.round(eventLoopDelayUs.max / 1000)} ms of ${seconds.toFixed(1)} s`;
  const isCollecting = gcPauses.maxMs * 1000 >= eventLoopDelayUs.max / 2;
  return `${standstill}${isCollecting ? `, for garbage collection` : ', the host did not run it'}`;
}
