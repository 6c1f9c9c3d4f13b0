/** Pairs of 32-bit numbers → dense small numbers, in typed arrays: no allocation for those already seen. */

export class PairTable {
  /** Pairs so far; the next one gets this number. */
  size = 0;
  /** The two of each pair, by its number. */
  first = new Int32Array(64);
  second = new Int32Array(64);
  /** Open addressing, linear probing; number + 1, or 0 for an empty slot. A power of two, at most half full. */
  private slots = new Int32Array(128);

  /** Number of the pair; -1 if it was never added. */
  find(first: number, second: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let slot = slotOf(first, second) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = slots[slot]! - 1;
      if (this.first[number] === first && this.second[number] === second) return number;
    }
    return -1;
  }

  /** Adds a pair that is not in the table; returns its number. Both are signed 32-bit integers. */
  add(first: number, second: number): number {
    const number = this.size++;
    if (number === this.first.length) {
      this.first = widened(this.first);
      this.second = widened(this.second);
    }
    this.first[number] = first;
    this.second[number] = second;
    if (this.size * 2 > this.slots.length) {
      this.slots = new Int32Array(this.slots.length * 2);
      for (let known = 0; known < number; known++) this.place(known);
    }
    this.place(number);
    return number;
  }

  private place(number: number): void {
    const mask = this.slots.length - 1;
    let slot = slotOf(this.first[number]!, this.second[number]!) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = number + 1;
  }
}

/** Pairs and how often each came. */
export class PairCounts {
  private readonly pairs = new PairTable();
  private counts = new Float64Array(64);
  private readonly maxPairs: number;

  /** Pairs beyond `maxPairs` are not counted. */
  constructor(maxPairs: number) {
    this.maxPairs = maxPairs;
  }

  get size(): number {
    return this.pairs.size;
  }

  add(first: number, second: number, count = 1): void {
    const { pairs } = this;
    let number = pairs.find(first, second);
    if (number < 0) {
      if (pairs.size >= this.maxPairs) return;
      number = pairs.add(first, second);
      if (number === this.counts.length) this.counts = widened(this.counts);
    }
    this.counts[number]! += count;
  }

  /** Counts a pair once more, if it is there already. */
  addKnown(first: number, second: number): boolean {
    const number = this.pairs.find(first, second);
    if (number < 0) return false;
    this.counts[number]!++;
    return true;
  }

  /** In the order of their first appearance. */
  *entries(): Generator<[first: number, second: number, count: number]> {
    const { first, second, size } = this.pairs;
    for (let i = 0; i < size; i++) yield [first[i]!, second[i]!, this.counts[i]!];
  }
}

type Column = Int32Array | Uint32Array | Uint8Array | Float64Array;

/** A column with room for twice as many. */
export const widened = <T extends Column>(column: T): T => extended(column, column.length * 2);

/** A column with room for so many. */
export function extended<T extends Column>(column: T, length: number): T {
  const long = new (column.constructor as new (length: number) => T)(length);
  long.set(column);
  return long;
}

/** MurmurHash3's last steps. */
function slotOf(first: number, second: number): number {
  let h = Math.imul(first, 0x9e3779b1) ^ second;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
