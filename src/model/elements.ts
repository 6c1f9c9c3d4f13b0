/** Members, fields and items of a family's collections → how many a key has, and how unequally they are asked for. */
import { hash64, hashHigh, hashLow } from '../capture/key-hash.ts';

/** Pairs of key and element that are counted; beyond it they are sampled by hash. */
const MAX_PAIRS = 4096;

export class ElementSample {
  /** Requests by pair. */
  private pairs = new Map<number, number>();
  private threshold = 2 ** 32;

  /** One request for an element of the key in `row`. */
  add(row: number, element: Uint8Array): void {
    hash64(element, 0, element.length, row);
    const order = hashHigh >>> 0;
    if (order >= this.threshold) return;
    const pair = order * 2 ** 20 + (hashLow >>> 12);
    const known = this.pairs.get(pair);
    if (known === undefined && this.pairs.size >= MAX_PAIRS) {
      this.threshold /= 2;
      for (const key of this.pairs.keys()) if (key >= this.threshold * 2 ** 20) this.pairs.delete(key);
      if (order >= this.threshold) return;
    }
    this.pairs.set(pair, (known ?? 0) + 1);
  }

  addAll(other: ElementSample): void {
    this.threshold = Math.min(this.threshold, other.threshold);
    for (const [pair, n] of other.pairs) this.pairs.set(pair, (this.pairs.get(pair) ?? 0) + n);
    for (const pair of this.pairs.keys()) if (pair >= this.threshold * 2 ** 20) this.pairs.delete(pair);
  }

  /** Distinct pairs of key and element: an estimate beyond the sample's size. */
  get distinct(): number {
    return Math.round((this.pairs.size * 2 ** 32) / this.threshold);
  }

  /** Requests of each sampled pair. */
  requests(): number[] {
    return [...this.pairs.values()];
  }
}
