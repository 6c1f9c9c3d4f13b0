/** Two models' times → where each of them stands in the time of both. */
import type { Model } from '../model.ts';

/** Models overlap from this share of the shorter one on; less is a rotated file's last lines. */
const OVERLAP = 0.01;
/** A longer silence between two captures is a pause of the recording, not of the clients. */
const PAUSE_SECONDS = 1;

/** Model `b` begins when `a` has begun, or later. Positions are numbers of key accesses. */
export interface Placement {
  consecutive: boolean;
  /** Where the second model begins, and how long both last. */
  offsetSeconds: number;
  spanSeconds: number;
  /** Time between the end of one and the beginning of the next, as far as it was recorded. */
  silenceSeconds: number;
  /** Position in one model → position in both. Where they overlap, accesses are taken to come evenly. */
  positionOf: { a: (position: number) => number; b: (position: number) => number };
}

export function place(a: Model, b: Model): Placement {
  const [spanA, spanB] = [a.source.spanSeconds, b.source.spanSeconds];
  const silence = b.source.first - a.source.last;
  const consecutive = silence >= -OVERLAP * Math.min(spanA, spanB);
  const silenceSeconds = silence > 0 && silence <= PAUSE_SECONDS ? silence : 0;
  const offsetSeconds = consecutive ? spanA + silenceSeconds : Math.min(spanA, b.source.first - a.source.first);
  /** Accesses of one model until a time, given as a share of its span. */
  const until = (model: Model, share: number) => model.keyAccesses * Math.min(1, Math.max(0, share));
  const seconds = (model: Model, position: number) =>
    (position / Math.max(1, model.keyAccesses)) * model.source.spanSeconds;
  const shareOf = (time: number, span: number) => (span > 0 ? time / span : time >= 0 ? 1 : 0);
  return {
    consecutive,
    offsetSeconds,
    spanSeconds: Math.max(spanA, offsetSeconds + spanB),
    silenceSeconds,
    positionOf: consecutive
      ? { a: (position) => position, b: (position) => a.keyAccesses + position }
      : {
          a: (position) => position + until(b, shareOf(seconds(a, position) - offsetSeconds, spanB)),
          b: (position) => position + until(a, shareOf(offsetSeconds + seconds(b, position), spanA)),
        },
  };
}
