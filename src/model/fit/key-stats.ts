/** What is counted of some keys together, besides what the shapes of their calls count. */

import { ValueHistogram } from '../histogram.ts';
import { tally } from '../tally.ts';
import type { ElementSample } from './elements.ts';

export interface KeyStats {
  /** Accesses by clients' calls, and by what scripts called. */
  requests: number;
  scriptRequests: number;
  values: ValueHistogram;
  integerValues: number;
  ttls: ValueHistogram;
  elements: ElementSample | undefined;
  /** Gaps, by bucket, after which keys were read and written as a whole though nobody had removed them. */
  refillGaps: Map<number, number>;
  /** Units that read keys first: of those that surely were there, how many wrote them as a whole; and of the others. */
  knownReads: number;
  knownRefills: number;
  otherReads: number;
  otherRefills: number;
  /** Reads of keys that had been found before, soon before somebody wrote the whole. */
  laterRefills: number;
  /** The same of keys that surely were there, and of such whose last expiry had passed. */
  knownLaterRefills: number;
  expiredLaterRefills: number;
  /** Reads, each the first since the key was gone, that did not make it; how many of these others filled. */
  asks: number;
  askedFills: number;
  /** Keys that others made as a whole after reads of which nobody knows whether they found them. */
  unprovenFills: number;
  /** Seconds from the read to the fill, of both. */
  fillDelays: ValueHistogram;
  /** Reads of keys whose last expiry had passed. */
  expiredReads: number;
  /** Expiries that were set again by what came first in a unit; how long after the last time, in times of it; its square. */
  renewals: number;
  renewalTimes: number;
  renewalSquares: number;
  /** Commands, by number, that read what was then written as a whole. */
  filledAfter: Set<number>;
}

export const newKeyStats = (): KeyStats => ({
  ...{ requests: 0, scriptRequests: 0, values: new ValueHistogram(), integerValues: 0 },
  ...{ ttls: new ValueHistogram(), elements: undefined, refillGaps: new Map() },
  ...{ knownReads: 0, knownRefills: 0, otherReads: 0, otherRefills: 0, laterRefills: 0 },
  ...{ knownLaterRefills: 0, expiredLaterRefills: 0, expiredReads: 0 },
  ...{ asks: 0, askedFills: 0, unprovenFills: 0, fillDelays: new ValueHistogram() },
  ...{ renewals: 0, renewalTimes: 0, renewalSquares: 0 },
  filledAfter: new Set(),
});

const COUNTS = [
  ...(['requests', 'scriptRequests', 'integerValues'] as const),
  ...(['knownReads', 'knownRefills', 'otherReads', 'otherRefills', 'laterRefills', 'expiredReads'] as const),
  ...(['renewals', 'renewalTimes', 'renewalSquares'] as const),
  ...(['knownLaterRefills', 'expiredLaterRefills', 'asks', 'askedFills', 'unprovenFills'] as const),
];

/** Adds what was counted of other keys; `from` is not to be used any more. */
export function addKeyStats(into: KeyStats, from: KeyStats): void {
  for (const name of COUNTS) into[name] += from[name];
  into.values.addAll(from.values);
  into.ttls.addAll(from.ttls);
  into.fillDelays.addAll(from.fillDelays);
  if (into.elements && from.elements) into.elements.addAll(from.elements);
  else into.elements ??= from.elements;
  for (const [bucket, n] of from.refillGaps) tally(into.refillGaps, bucket, n);
  for (const command of from.filledAfter) into.filledAfter.add(command);
}

/** A read and write of the whole that keys which surely are there see nearly as often as others: not a cache's doing. */
const REWRITE_SHARE = 0.25;

/**
 * Whether a read that a client follows by a write of the whole is a miss that is filled. Where keys that were
 * written before and have not expired see it too, it is how the application changes them.
 */
export function fillsMisses(stats: KeyStats): boolean {
  const { knownReads, knownRefills, knownLaterRefills, otherReads, otherRefills, expiredLaterRefills } = stats;
  const ofKnown = (knownRefills + knownLaterRefills) / Math.max(1, knownReads);
  return ofKnown < (REWRITE_SHARE * (otherRefills + expiredLaterRefills)) / Math.max(1, otherReads);
}
