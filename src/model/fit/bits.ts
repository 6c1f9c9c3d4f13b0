/** Words of 32 bits → how many of them are set, in all or below a place. */

export function popcount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Bits by place, of which those below a place are counted: a Fenwick tree over words (Fenwick 1994) and the rest of the
 * word, so that what is looked at stays in the processor's cache.
 */
export class BitCounter {
  private readonly words: Int32Array;
  /** Node i sums the words from i − (i & −i) to below i. */
  private readonly tree: Int32Array;

  constructor(places: number) {
    this.words = new Int32Array((places >>> 5) + 1);
    this.tree = new Int32Array(this.words.length + 1);
  }

  /** Sets a bit that is not set. */
  set(place: number): void {
    const { words, tree } = this;
    words[place >>> 5]! |= 1 << (place & 31);
    for (let i = (place >>> 5) + 1; i < tree.length; i += i & -i) tree[i]!++;
  }

  /** Clears a bit that is set. */
  clear(place: number): void {
    const { words, tree } = this;
    words[place >>> 5]! &= ~(1 << (place & 31));
    for (let i = (place >>> 5) + 1; i < tree.length; i += i & -i) tree[i]!--;
  }

  countBelow(place: number): number {
    const { words, tree } = this;
    let count = popcount(words[place >>> 5]! & ((1 << (place & 31)) - 1));
    for (let i = place >>> 5; i > 0; i -= i & -i) count += tree[i]!;
    return count;
  }
}
