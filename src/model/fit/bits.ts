/** Words of 32 bits → how many of them are set, in all or between two places. */

export function popcount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/**
 * Bits by place, of which those between two places are counted: a Fenwick tree over words (Fenwick 1994) and the rest of
 * the words, so that what is looked at stays in the processor's cache. The nearer two places are, the sooner their ways
 * through the tree meet: behind that there is nothing to change or to add up.
 */
export class BitCounter {
  private readonly words: Int32Array;
  /** Node i sums the words from i − (i & −i) to below i. A power of two of them, so that all ways meet. */
  private readonly tree: Int32Array;

  constructor(places: number) {
    this.words = new Int32Array((places >>> 5) + 1);
    this.tree = new Int32Array(2 ** Math.ceil(Math.log2(this.words.length)) + 1);
  }

  /** Sets a bit that is not set. */
  set(place: number): void {
    const { words, tree } = this;
    words[place >>> 5]! |= 1 << (place & 31);
    for (let i = (place >>> 5) + 1; i < tree.length; i += i & -i) tree[i]!++;
  }

  /** Clears a bit that is set, and sets one further up that is not. */
  move(from: number, to: number): void {
    const { words, tree } = this;
    words[from >>> 5]! &= ~(1 << (from & 31));
    words[to >>> 5]! |= 1 << (to & 31);
    let low = (from >>> 5) + 1;
    let high = (to >>> 5) + 1;
    while (low !== high) {
      if (low < high) {
        tree[low]!--;
        low += low & -low;
      } else {
        tree[high]!++;
        high += high & -high;
      }
    }
  }

  /** Bits from the first place to below the other, which is not before it. */
  countBetween(from: number, to: number): number {
    const { words, tree } = this;
    let count =
      popcount(words[to >>> 5]! & ((1 << (to & 31)) - 1)) - popcount(words[from >>> 5]! & ((1 << (from & 31)) - 1));
    let low = from >>> 5;
    let high = to >>> 5;
    for (; high > low; high &= high - 1) count += tree[high]!;
    for (; low > high; low &= low - 1) count -= tree[low]!;
    return count;
  }
}
