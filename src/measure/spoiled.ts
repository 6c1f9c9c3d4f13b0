/** Turns one slice's own figures into the reason why it must not be used, if there is one. */
import type { SliceResult } from './rehearsal.ts';

/** A standstill of more than this share of a slice delays more than one request in a hundred: P99 is then about it alone. */
const STANDSTILL_SHARE = 0.01;
/** A CPU limit that stops us so long is such a standstill. */
const THROTTLED_SHARE = 0.01;
/** Steal comes in pieces and hits both arms; but of a slice with so much of it the host made the tail. */
const STEAL_SHARE = 0.05;

/**
 * Why the generator or the host spoiled a slice, as a clause; undefined if it did not. A slice that was spoiled may be
 * repeated: nothing here depends on how the server did. Shorter standstills are left alone: they hit both arms alike, so
 * they widen the interval, which says what they cost; and where they make up a percentile, service time has to agree.
 */
export function spoiledBy({ generator, host, seconds, stalls = [] }: SliceResult): string | undefined {
  if (host && host.throttledMs > THROTTLED_SHARE * seconds * 1000)
    return `a CPU limit stopped us for ${Math.round(host.throttledMs)} ms of ${seconds.toFixed(1)} s`;
  if (host && host.stealShare > STEAL_SHARE)
    return `the hypervisor gave ${Math.round(host.stealShare * 100)} % of the processor to others`;
  const { eventLoopDelayUs, gcPauses } = generator;
  if (eventLoopDelayUs.max <= STANDSTILL_SHARE * seconds * 1e6) return undefined;
  // A server that answers thousands at once after a stall keeps the generator busy: that is the server's doing.
  const isAnswering = stalls.some(({ waitUs, lagUs }) => waitUs >= eventLoopDelayUs.max && lagUs <= waitUs / 2);
  if (isAnswering) return undefined;
  const standstill = `the generator stood still for ${Math.round(eventLoopDelayUs.max / 1000)} ms of ${seconds.toFixed(1)} s`;
  const isCollecting = gcPauses.maxMs * 1000 >= eventLoopDelayUs.max / 2;
  return `${standstill}${isCollecting ? ', for garbage collection' : ''}`;
}
