/** When a family's keys came up in the capture → how many more come up in a longer time. */
import type { Family } from '../../model/model.ts';

const BIRTH_BINS = 32;
/** So many births more, at the same pace: what a few tell of a pace is chance. */
const PRIOR = 4;

/**
 * New keys come up at a pace that falls as more are known: K(t) = K(1) + c (t^b - 1), Heaps' law, for any number of keys
 * that were there at first. Births in the last half of the capture are 2^b times those in the quarter before: 2 where all
 * that comes is new, 1 where hardly anything is.
 */
export class KeyGrowth {
  private readonly last: number;
  private readonly ratio: number;

  constructor(classes: Pick<Family['classes'][number], 'births'>[]) {
    const births = new Float64Array(BIRTH_BINS);
    for (const klass of classes) for (const [bin, keys] of klass.births) births[bin]! += keys;
    const sum = (from: number, until: number) => births.subarray(from, until).reduce((all, keys) => all + keys, 0);
    this.last = sum(BIRTH_BINS / 2, BIRTH_BINS);
    const before = sum(BIRTH_BINS / 4, BIRTH_BINS / 2);
    this.ratio = Math.min(2, Math.max(1, (this.last + 2 * PRIOR) / (before + PRIOR)));
  }

  /** Keys that come up between two times, both in captured lengths and not before the first is over. */
  between(from: number, until: number): number {
    return this.until(until) - this.until(from);
  }

  private until(times: number): number {
    const doublings = Math.log2(times);
    if (this.ratio < 1.001) return this.last * doublings;
    return (this.last * this.ratio * (this.ratio ** doublings - 1)) / (this.ratio - 1);
  }
}
