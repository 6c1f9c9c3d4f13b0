/** Counts requests per key in typed arrays: one row a distinct key, found by a 64-bit hash, never the key itself. */
import { CutoverError } from '../errors.ts';

const NO_ROW = 0;
/** 8 M keys × 33 bytes and a table of 16 M slots: what fits a laptop; beyond it the capture wants splitting. */
const MAX_KEYS = 8 * 1024 * 1024;

/** `first`: what the first access of a key was; only a read proves that the key was there before. */
export const FirstAccess = { read: 1, write: 2 } as const;

export class KeyTable {
  /** Rows are 1-based; row 0 is none. */
  keys = 0;
  private capacity = 1 << 12;
  private slots = new Uint32Array(this.capacity * 2);
  private low = new Uint32Array(this.capacity);
  private high = new Uint32Array(this.capacity);
  template = new Uint32Array(this.capacity);
  requests = new Uint32Array(this.capacity);
  first = new Uint8Array(this.capacity);
  /** Time of the first access, µs. */
  firstUs = new Float64Array(this.capacity);

  /** Row of a key in a database; `created` tells whether it is new (its template is then still to be set). */
  row(db: number, key: Uint8Array): { row: number; created: boolean } {
    const { low, high } = hash64(key, db);
    const mask = this.slots.length - 1;
    let slot = low & mask;
    for (let row = this.slots[slot]!; row !== NO_ROW; row = this.slots[slot]!) {
      if (this.low[row] === low && this.high[row] === high) return { row, created: false };
      slot = (slot + 1) & mask;
    }
    if (this.keys + 2 >= this.capacity) {
      this.grow();
      return this.row(db, key);
    }
    const row = ++this.keys;
    this.slots[slot] = row;
    this.low[row] = low;
    this.high[row] = high;
    return { row, created: true };
  }

  private grow(): void {
    if (this.capacity >= MAX_KEYS) {
      throw new CutoverError(
        'usage',
        'E_CAPTURE_KEYS',
        `The capture touches more than ${MAX_KEYS.toLocaleString('en')} distinct keys, more than one model holds.`,
        'Use a shorter part of the capture: its first minutes (head -n 10000000) have the same mix.',
      );
    }
    this.capacity *= 2;
    const widen = <T extends Uint32Array | Uint8Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.low = widen(this.low, new Uint32Array(this.capacity));
    this.high = widen(this.high, new Uint32Array(this.capacity));
    this.template = widen(this.template, new Uint32Array(this.capacity));
    this.requests = widen(this.requests, new Uint32Array(this.capacity));
    this.first = widen(this.first, new Uint8Array(this.capacity));
    this.firstUs = widen(this.firstUs, new Float64Array(this.capacity));
    this.slots = new Uint32Array(this.capacity * 2);
    const mask = this.slots.length - 1;
    for (let row = 1; row <= this.keys; row++) {
      let slot = this.low[row]! & mask;
      while (this.slots[slot] !== NO_ROW) slot = (slot + 1) & mask;
      this.slots[slot] = row;
    }
  }
}

/** Two 32-bit halves of a MurmurHash3-style mix; collisions of both among 10⁷ keys: about 3 in a million captures. */
export function hash64(bytes: Uint8Array, seed: number): { low: number; high: number } {
  let a = seed ^ 0x9747b28c;
  let b = seed ^ 0x3c6ef372;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0xcc9e2d51);
    a = (a << 15) | (a >>> 17);
    b = Math.imul(b ^ bytes[i]!, 0x1b873593);
    b = (b << 13) | (b >>> 19);
  }
  return { low: finish(a ^ bytes.length), high: finish(b + Math.imul(a, 5)) };
}

function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
