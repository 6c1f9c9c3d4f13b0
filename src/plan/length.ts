/** Which part of a workload is driven → what can be said of it that a whole capture does not show. */
import type { Caveat } from '../errors.ts';
import type { Model } from '../model/model.ts';

/** Lengths are the same within 10 %. */
const SAME_LENGTH = 1.1;

/** `capturedSeconds`: how much of the capture's time a round goes through, its warm-up included. */
export function lengthCaveats({ source: { spanSeconds } }: Pick<Model, 'source'>, capturedSeconds: number): Caveat[] {
  const times = capturedSeconds / spanSeconds;
  if (!(spanSeconds > 0) || times <= SAME_LENGTH) return [];
  return [
    {
      id: 'longer-than-captured',
      message: `A round goes through ${capturedSeconds.toPrecision(3)} s of captured time, ${times.toPrecision(2)} times the capture (${spanSeconds.toPrecision(3)} s): new keys are taken to come up ever more slowly, by the law that they followed in it, for a capture does not show which would have come again.`,
      advice:
        'Commands, sizes and hit ratios hold; how many different keys there are in the end, and so memory at the end, may be off by a factor. Capture for as long as a round where that decides.',
      numbers: { times, spanSeconds },
    },
  ];
}

/** Whether slices show what the whole capture showed: caches that fill are hit more often later. */
export const isWholeCapture = ({ source: { spanSeconds } }: Pick<Model, 'source'>, [from, to]: [number, number]) =>
  from <= spanSeconds * (SAME_LENGTH - 1) && to <= spanSeconds * SAME_LENGTH && to * SAME_LENGTH >= spanSeconds;
