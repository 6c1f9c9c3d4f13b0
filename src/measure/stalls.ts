/** Turns the times of one slice's ops into its stalls: when the server, for a moment, answered nobody. */
import { OpFlag, type Slice } from '../plan/plan.ts';
import { leavableUs, OpStatus, type OpTimes } from './latency-log.ts';
import type { Stall } from './rehearsal.ts';

/** Shorter waits are ordinary work; a budget cannot ask for less. */
export const SHORTEST_STALL_US = 2000;
/** Stalls kept of a slice, the longest first: a slice that has more is not stalled but slow. */
export const MAX_STALLS = 200;

/**
 * Maximal intervals in which the earliest pending request has waited longer than SHORTEST_STALL_US, in order of time: the
 * union of [sent + threshold, reply) over all requests, each begun when the first of its requests was sent. Those with
 * `waitUs` above a threshold are the stalls longer than it; two longer waits with no more than 2 ms of answers between
 * them are one.
 *
 * Waits count from the actual send. The load is open-loop, so a server that stands still does not keep requests from
 * leaving; what does is the generator's own standstill, which is not the server's (`lagUs`). Blocking requests, those
 * behind them on a connection, and requests without a reply are left out, as they are from latency.
 */
export function findStalls(
  slice: Pick<Slice, 'count' | 'intendedUs' | 'connection' | 'flags' | 'order'>,
  times: OpTimes,
): Stall[] {
  const waits: { sentUs: number; repliedUs: number }[] = [];
  /** Per connection: when the reply to its last blocking op came. */
  const blockedUntilUs: number[] = [];
  for (let op = 0; op < slice.count; op++) {
    const status = times.status[op]!;
    if (status === OpStatus.unsent) continue;
    const [sentUs, repliedUs] = [times.sentUs[op]!, times.repliedUs[op]!];
    const connection = slice.connection[op]!;
    if (slice.flags[op]! & OpFlag.blocking) {
      blockedUntilUs[connection] = status === OpStatus.sent ? Number.POSITIVE_INFINITY : repliedUs;
    } else if (
      status !== OpStatus.sent &&
      repliedUs - sentUs > SHORTEST_STALL_US &&
      sentUs >= (blockedUntilUs[connection] ?? Number.NEGATIVE_INFINITY)
    ) {
      waits.push({ sentUs, repliedUs });
    }
  }
  waits.sort((a, b) => a.sentUs - b.sentUs);
  const stalls: Stall[] = [];
  for (const { sentUs, repliedUs } of waits) {
    const last = stalls.at(-1);
    if (last && sentUs + SHORTEST_STALL_US < last.startUs + last.durationUs) {
      last.durationUs = Math.max(last.durationUs, repliedUs - last.startUs);
      last.waitUs = Math.max(last.waitUs, repliedUs - sentUs);
    } else {
      stalls.push({ startUs: sentUs, durationUs: repliedUs - sentUs, waitUs: repliedUs - sentUs, lagUs: 0 });
    }
  }
  const kept = stalls
    .sort((a, b) => b.waitUs - a.waitUs)
    .slice(0, MAX_STALLS)
    .sort((a, b) => a.startUs - b.startUs);
  noteLag(kept, slice, times);
  return kept.map(({ startUs, durationUs, waitUs, lagUs }) => ({
    startUs: Math.round(startUs),
    durationUs: Math.round(durationUs),
    waitUs: Math.round(waitUs),
    lagUs: Math.round(lagUs),
  }));
}

/** Both are in order of time and stalls do not overlap by more than the threshold, so one pass over the ops does. */
function noteLag(
  stalls: Stall[],
  slice: Pick<Slice, 'count' | 'intendedUs' | 'connection' | 'flags' | 'order'>,
  times: OpTimes,
): void {
  let op = 0;
  for (const stall of stalls) {
    while (op < slice.count && slice.intendedUs[op]! < stall.startUs) op++;
    for (let due = op; due < slice.count && slice.intendedUs[due]! < stall.startUs + stall.durationUs; due++) {
      if (times.status[due] === OpStatus.unsent) continue;
      stall.lagUs = Math.max(stall.lagUs, times.sentUs[due]! - leavableUs(due, slice, times));
    }
  }
}
