/** Members, fields and items of a family's collections → how many a key has, and how unequally they are asked for. */
import { hash64, hashHigh, hashLow } from '../../capture/key-hash.ts';
import { PairCounts } from './pair-table.ts';

/** Pairs of key and element that are counted; beyond it they are sampled by hash. */
const MAX_PAIRS = 4096;
/** Elements, whatever their key, that are told apart; of more, those whose hash is low: their number is right to 3 %. */
const MAX_DISTINCT = 1024;
/** A power of two. */
const RECENT = 64;

export class ElementSample {
  /** Requests by pair, of those whose first number is below the threshold. */
  private pairs = new PairCounts(Number.POSITIVE_INFINITY);
  private threshold = 2 ** 32;
  private readonly elements = new Set<number>();
  private elementsBelow = 2 ** 32;
  /** Elements that were added lately: fields have a few names, which come again and again. */
  private readonly recent = new Float64Array(RECENT).fill(-1);

  /** One request for the element `bytes[start..end)` of the key in `row`. */
  add(row: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    hash64(bytes, start, end, 0);
    const hash = hashHigh >>> 0;
    const order = mixed(hashHigh ^ Math.imul(row, 0x9e3779b1));
    if (order < this.threshold) {
      // What is known, its element is as well.
      if (this.pairs.addKnown(order | 0, mixed(hashLow + row) >>> 12)) return;
      this.addPair(order, mixed(hashLow + row) >>> 12);
    }
    if (this.recent[hash & (RECENT - 1)] === hash) return;
    this.recent[hash & (RECENT - 1)] = hash;
    this.addElement(hash);
  }

  private addPair(order: number, rest: number): void {
    if (this.pairs.size >= MAX_PAIRS) {
      this.threshold /= 2;
      this.keepPairs();
      if (order >= this.threshold) return;
    }
    this.pairs.add(order | 0, rest);
  }

  addAll(other: ElementSample): void {
    this.threshold = Math.min(this.threshold, other.threshold);
    for (const [order, rest, n] of other.pairs.entries()) this.pairs.add(order, rest, n);
    this.keepPairs();
    this.elementsBelow = Math.min(this.elementsBelow, other.elementsBelow);
    for (const hash of other.elements) this.addElement(hash);
    this.keepLowest();
  }

  private keepPairs(): void {
    const all = this.pairs;
    this.pairs = new PairCounts(Number.POSITIVE_INFINITY);
    for (const [order, rest, n] of all.entries()) if (order >>> 0 < this.threshold) this.pairs.add(order, rest, n);
  }

  /** Distinct elements, whatever their key. */
  get universe(): number {
    return Math.round((this.elements.size * 2 ** 32) / this.elementsBelow);
  }

  private addElement(hash: number): void {
    if (hash >= this.elementsBelow) return;
    this.elements.add(hash);
    if (this.elements.size <= MAX_DISTINCT) return;
    this.elementsBelow /= 2;
    this.keepLowest();
  }

  private keepLowest(): void {
    for (const hash of this.elements) if (hash >= this.elementsBelow) this.elements.delete(hash);
  }

  /** Distinct pairs of key and element: an estimate beyond the sample's size. */
  get distinct(): number {
    return Math.round((this.pairs.size * 2 ** 32) / this.threshold);
  }

  /** Requests of each sampled pair. */
  requests(): number[] {
    return Array.from(this.pairs.entries(), ([, , n]) => n);
  }
}

/** Spreads the bits of a number below 2^32 (Murmur3's finalizer). */
function mixed(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
