/** Slices at rising rates → how many ops per second a server, or a generator, can do before it falls behind. */
import { OpStatus, type OpTimes } from '../../measure/latency-log.ts';
import type { Slice } from '../../plan/plan.ts';

/** Of all ops, answered before the slice was over; the rest were queued, in the generator or at the server. */
const IN_TIME = 0.97;
/** A hiccup of the host is no limit: a rate may be missed once. */
const ATTEMPTS = 2;
/** No generator of this kind gets there: the search ends. */
const MOST_PER_SECOND = 4_000_000;

/** Whether the ops of a slice were answered as fast as they were due. */
export function keptUp(slice: Pick<Slice, 'count' | 'durationUs'>, { status, repliedUs }: OpTimes): boolean {
  let inTime = 0;
  for (let op = 0; op < slice.count; op++)
    if (status[op]! > OpStatus.sent && repliedUs[op]! <= slice.durationUs) inTime++;
  return inTime >= IN_TIME * slice.count;
}

/**
 * The highest rate that is kept, in ops per second; 0: not even `from`. The last doubling is halved `refinements` times on
 * a logarithmic scale: with two, 2^(1/4), so 19 %, lie between what was kept and what was not.
 */
export async function searchCapacity(
  from: number,
  keeps: (rate: number) => Promise<boolean>,
  refinements = 2,
): Promise<number> {
  const keepsAgain = async (rate: number) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) if (await keeps(rate)) return true;
    return false;
  };
  let kept = 0;
  let missed = from;
  while (missed <= MOST_PER_SECOND && (await keepsAgain(missed))) {
    kept = missed;
    missed *= 2;
  }
  for (let i = 0; i < refinements && kept > 0; i++) {
    const rate = Math.sqrt(kept * missed);
    if (await keepsAgain(rate)) kept = rate;
    else missed = rate;
  }
  return kept;
}

/** The first ops of a slice, at most `seconds` of them at this rate, in the time that they take at it; nobody listens. */
export function atRate(slice: Slice, rate: number, seconds: number): Slice {
  const count = Math.min(slice.count, Math.ceil(rate * seconds));
  const spanUs = slice.intendedUs[count] ?? slice.durationUs;
  const factor = (count / spanUs) * 1e6;
  const speed = rate / factor;
  const { order, subscriptions: _, ...ops } = slice;
  return {
    ...ops,
    count,
    durationUs: spanUs / speed,
    intendedUs: slice.intendedUs.slice(0, count).map((us) => us / speed),
    ...(order ? { order: { ...order, delayUs: order.delayUs.map((us) => Math.round(us / speed)) } } : {}),
  };
}
