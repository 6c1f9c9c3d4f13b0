/**
 * How long keys stay worth caching: the accesses of a hash sample of keys → the hit ratio of an LRU cache of every size.
 * SHARDS (Waldspurger, Park, Garthwaite, Ahmad, FAST '15): a key is sampled with all its accesses or not at all, so that
 * reuse distances among sampled keys, divided by the sampling rate, are those of the whole stream.
 */
import { BitCounter } from './bits.ts';
import type { KeyTable } from './keyspace.ts';
import { extended } from './pair-table.ts';

/** Cache sizes per doubling. */
const SIZES_PER_OCTAVE = 2;

/** Share of accesses that a least-recently-used cache of `keys` keys would hit, ascending in size. */
export type HitRatioCurve = [keys: number, hitRatio: number][];

export class ReuseSample {
  private length = 0;
  private rows = new Uint32Array(1 << 12);
  /**
   * In an array: code for a field that has held whole numbers only is thrown away when there is a fraction, with all that
   * accesses keys, and compiled again.
   */
  private readonly share = Float64Array.of(1);
  private readonly table: KeyTable;
  private readonly maxAccesses: number;

  constructor(table: KeyTable, maxAccesses: number) {
    this.table = table;
    this.maxAccesses = maxAccesses;
  }

  add(row: number): void {
    if (!this.table.isBelow(row, this.share[0]!)) return;
    if (this.length === this.rows.length && !this.makeRoom(row)) return;
    this.rows[this.length++] = row;
  }

  remap(map: Uint32Array): void {
    let kept = 0;
    for (let i = 0; i < this.length; i++) if (map[this.rows[i]!]! !== 0) this.rows[kept++] = map[this.rows[i]!]!;
    this.length = kept;
    // Heavy keys stay in the table whatever their hash; here they would bias the sample.
    while (this.share[0]! > this.table.sampledShare) this.thin();
  }

  /** The curve of all keys, or of those of one family, given the family of each row; empty without accesses. */
  curve(familyOfRow?: Int32Array, family?: number): HitRatioCurve {
    const distances = new ReuseDistances(this.length, this.table.rows);
    for (let i = 0; i < this.length; i++) {
      const row = this.rows[i]!;
      if (familyOfRow === undefined || familyOfRow[row] === family) distances.add(row);
    }
    return distances.curve(this.share[0]!);
  }

  /** Whether the row is still one of the sample. */
  private makeRoom(row: number): boolean {
    // At once, as in `AccessLog`.
    if (this.length < this.maxAccesses) this.rows = extended(this.rows, this.maxAccesses);
    while (this.length === this.rows.length) {
      this.thin();
      if (!this.table.isBelow(row, this.share[0]!)) return false;
    }
    return true;
  }

  private thin(): void {
    this.share[0]! /= 2;
    let kept = 0;
    for (let i = 0; i < this.length; i++)
      if (this.table.order(this.rows[i]!) < this.share[0]!) this.rows[kept++] = this.rows[i]!;
    this.length = kept;
  }
}

/** Of accesses one after the other, the number of distinct keys since the same key's last one. */
class ReuseDistances {
  private accesses = 0;
  private distinct = 0;
  /** Number of each row's latest access, from 1; 0 for none. */
  private readonly lastAt: Uint32Array;
  /** Accesses that are the latest of their key, by number. */
  private readonly latest: BitCounter;
  /** Accesses by the number of distinct keys since the key's last one, itself included. */
  private readonly counts: Uint32Array;

  constructor(maxAccesses: number, rows: number) {
    this.lastAt = new Uint32Array(rows + 1);
    this.latest = new BitCounter(maxAccesses + 1);
    this.counts = new Uint32Array(Math.min(maxAccesses, rows) + 1);
  }

  add(row: number): void {
    const at = ++this.accesses;
    const before = this.lastAt[row]!;
    this.lastAt[row] = at;
    if (before === 0) {
      this.distinct++;
      this.latest.set(at);
      return;
    }
    this.counts[this.latest.countBetween(before, at)]!++;
    this.latest.move(before, at);
  }

  /** `share`: of the keys whose accesses were added. */
  curve(share: number): HitRatioCurve {
    const { accesses, distinct, counts } = this;
    if (accesses === 0) return [];
    const hits: number[] = [];
    for (let distance = 1; distance <= distinct; distance++) {
      if (counts[distance] === 0) continue;
      // A cache of that many keys still holds it.
      const bucket = Math.max(0, Math.ceil(Math.log2(distance / share) * SIZES_PER_OCTAVE));
      hits[bucket] = (hits[bucket] ?? 0) + counts[distance]!;
    }
    const curve: HitRatioCurve = [];
    let total = 0;
    const buckets = Math.ceil(Math.log2(Math.max(1, distinct / share)) * SIZES_PER_OCTAVE);
    for (let bucket = 0; bucket <= buckets; bucket++) {
      total += hits[bucket] ?? 0;
      curve.push([
        Math.round(2 ** (bucket / SIZES_PER_OCTAVE) * 100) / 100,
        Math.round((total / accesses) * 1e5) / 1e5,
      ]);
    }
    return curve;
  }
}
