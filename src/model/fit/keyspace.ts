/** What is known of each distinct key, in typed arrays: one row a key, found by a 64-bit hash, never the key itself. */
import { hash64, hashHigh, hashLow } from '../../capture/key-hash.ts';
import { widened } from './pair-table.ts';

const NO_ROW = 0;
/**
 * Numbers in a row, 64 bytes: what is known of a key is looked at together, and is mostly on one line of the processor's
 * cache, of which the first twelve are on one where an allocator puts its own 16 bytes before.
 */
const WIDTH = 16;
const [LOW, HIGH, TEMPLATE, BATCH] = [0, 1, 2, 3];

/** What a row tells of its key, besides its hash and its template. */
export const Fact = {
  /** One of `Presence`. */
  presence: 4,
  /** Where the key was written: until when it is there, in hundredths of a second after the capture's beginning. */
  expires: 5,
  /** Number of the access that read the key last since it was written, or 0; and when, in those hundredths. */
  readAt: 6,
  readTime: 7,
  /** Accesses by clients' units. */
  requests: 8,
  /** Number of the key access, of all keys, that was this key's last and first. */
  last: 9,
  first: 12,
  /** One of `Birth`, or 0. */
  birth: 10,
  /** One more than the number of a command that was all a client did to it before anything made it; 0 for none. */
  alone: 11,
  /** Reads of the key that nothing has proven to have found it. */
  unproven: 13,
} as const;
type Fact = (typeof Fact)[keyof typeof Fact];

/** When rows are dropped, keys with at least this share of all accesses stay whatever their hash. */
const HEAVY_SHARE = 1 / (1 << 14);

/**
 * What is known of a key before anything made it: that it was asked for, which proves nothing; that a write came first,
 * before which it may as well not have been; that a read came, which the same client at once followed by a write of the
 * whole, as caches do that did not find it, and sessions that are changed; that it surely was found, for a client went on
 * with it in a way that does nothing to a key that is not there; that it was refilled by a unit that came later; or that
 * somebody wrote the whole soon after a read.
 */
export const Birth = { read: 1, written: 2, refilled: 3, found: 4, refilledLater: 5, filledLater: 6 } as const;

/** Whether a key was asked for before anything made it, and nothing filled what may have been a miss. */
export const wasRead = (birth: number) => birth === Birth.read || birth === Birth.found;

/** What is known of a key at this time: nothing, that it was removed, that it was written, or that a client found it. */
export const Presence = { unknown: 0, removed: 1, written: 2, found: 3 } as const;
/** Of a key that does not expire. */
export const NEVER = 0xffffffff;

/**
 * Rows are 1-based; row 0 stands for a key that the sample left out. Above `maxRows` keys the table keeps those whose
 * hash is below a threshold that halves (SHARDS: Waldspurger et al., FAST '15), and the heavy ones: a kept key has all
 * its accesses, and `weight` says how many keys it stands for.
 */
export class KeyTable {
  rows = 0;
  private capacity = 1 << 12;
  private slots = new Uint32Array(this.capacity * 2);
  private numbers = new Uint32Array(this.capacity * WIDTH);
  /** Set by `row`: whether the row is new; its template is then still to be set. */
  created = false;
  /** Hashes at or above it are not kept; 2^32 keeps all. */
  private threshold = 2 ** 32;
  private heavy = 0;
  private readonly maxRows: number;
  /** Of no use, but that compilers do not leave out what it was made from. */
  protected touched = 0;

  /** A row takes 72 bytes. `maxRows`: a power of two; beyond it keys are sampled by hash. */
  constructor(maxRows: number) {
    this.maxRows = maxRows;
  }

  /** Row of the key with that hash, made if it is new; 0 if the sample leaves it out. */
  row(low: number, high: number): number {
    const { slots, numbers } = this;
    const mask = slots.length - 1;
    this.created = false;
    let slot = low & mask;
    for (let row = slots[slot]!; row !== NO_ROW; row = slots[slot]!) {
      const at = row * WIDTH;
      if (numbers[at + LOW] === low >>> 0 && numbers[at + HIGH] === high >>> 0) return row;
      slot = (slot + 1) & mask;
    }
    return this.add(low, high, slot);
  }

  private add(low: number, high: number, slot: number): number {
    if (high >>> 0 >= this.threshold) return NO_ROW;
    if (this.rows + 2 >= this.capacity) {
      if (this.capacity >= this.maxRows) this.thin();
      else this.grow();
      return this.row(low, high);
    }
    const row = ++this.rows;
    this.slots[slot] = row;
    this.numbers[row * WIDTH + LOW] = low;
    this.numbers[row * WIDTH + HIGH] = high;
    this.created = true;
    return row;
  }

  /** Row of the key with that hash, or 0. */
  private find(low: number, high: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    let slot = low & mask;
    let row = slots[slot]!;
    while (row !== NO_ROW && (this.lowOf(row) !== low >>> 0 || this.highOf(row) !== high >>> 0)) {
      slot = (slot + 1) & mask;
      row = slots[slot]!;
    }
    return row;
  }

  /**
   * Looks at the rows of many keys, by the first halves of their hashes, soon before they are asked for one by one: the
   * processor waits for many of them at once, and finds them in its cache then.
   */
  touch(lows: Int32Array): void {
    const { slots, numbers } = this;
    const mask = slots.length - 1;
    let seen = 0;
    for (let i = 0; i < lows.length; i++) seen ^= numbers[slots[lows[i]! & mask]! * WIDTH]!;
    this.touched = seen;
  }

  /** Row of a key, or 0. */
  rowOf(db: number, key: Uint8Array): number {
    hash64(key, 0, key.length, db);
    return this.find(hashLow, hashHigh);
  }

  get(row: number, fact: Fact): number {
    return this.numbers[row * WIDTH + fact]!;
  }

  set(row: number, fact: Fact, value: number): void {
    this.numbers[row * WIDTH + fact] = value;
  }

  /** Number of the template of the row's key. */
  templateOf(row: number): number {
    return this.numbers[row * WIDTH + TEMPLATE]!;
  }

  setTemplate(row: number, template: number): void {
    this.numbers[row * WIDTH + TEMPLATE] = template;
  }

  /** Whether it was the pipeline of that number that accessed the key last. */
  wasIn(batch: number, row: number): boolean {
    return this.numbers[row * WIDTH + BATCH] === batch >>> 0;
  }

  setBatch(row: number, batch: number): void {
    this.numbers[row * WIDTH + BATCH] = batch;
  }

  /** How many keys the row stands for: 0 for what only an earlier, higher threshold kept. */
  weight(row: number): number {
    if (this.threshold === 2 ** 32) return 1;
    if (this.get(row, Fact.requests) >= this.heavy) return 1;
    return this.highOf(row) < this.threshold ? 2 ** 32 / this.threshold : 0;
  }

  /** Share of keys that are kept. */
  get sampledShare(): number {
    return this.threshold / 2 ** 32;
  }

  /** A number in [0, 1) that depends on the key only: the same keys are below a bound in every capture. */
  order(row: number): number {
    return (this.highOf(row) * 2 ** 20 + (this.lowOf(row) >>> 12)) / 2 ** 52;
  }

  /** Whether its order is below the share, which is a power of two. */
  isBelow(row: number, share: number): boolean {
    return this.highOf(row) < share * 2 ** 32;
  }

  /** Another such number, which says nothing of which keys are kept. */
  chance(row: number): number {
    return this.lowOf(row) / 2 ** 32;
  }

  /** Called when rows get new numbers: `map[old]` is the new number, 0 for a dropped row. */
  onThin: ((map: Uint32Array) => void) | undefined;

  private lowOf(row: number): number {
    return this.numbers[row * WIDTH + LOW]!;
  }

  private highOf(row: number): number {
    return this.numbers[row * WIDTH + HIGH]!;
  }

  private thin(): void {
    this.threshold /= 2;
    let total = 0;
    for (let row = 1; row <= this.rows; row++) total += this.get(row, Fact.requests);
    this.heavy = Math.max(2, total * HEAVY_SHARE);
    const map = new Uint32Array(this.rows + 1);
    let kept = 0;
    for (let row = 1; row <= this.rows; row++) {
      if (this.highOf(row) >= this.threshold && this.get(row, Fact.requests) < this.heavy) continue;
      map[row] = ++kept;
      this.numbers.copyWithin(kept * WIDTH, row * WIDTH, (row + 1) * WIDTH);
    }
    this.numbers.fill(0, (kept + 1) * WIDTH, (this.rows + 1) * WIDTH);
    this.rows = kept;
    this.place();
    this.onThin?.(map);
  }

  private grow(): void {
    this.capacity *= 2;
    this.numbers = widened(this.numbers);
    this.slots = new Uint32Array(this.capacity * 2);
    this.place();
  }

  private place(): void {
    this.slots.fill(NO_ROW);
    const mask = this.slots.length - 1;
    for (let row = 1; row <= this.rows; row++) {
      let slot = this.lowOf(row) & mask;
      while (this.slots[slot] !== NO_ROW) slot = (slot + 1) & mask;
      this.slots[slot] = row;
    }
  }
}
