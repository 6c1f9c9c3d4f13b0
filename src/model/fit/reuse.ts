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
  private share = 1;
  private readonly table: KeyTable;
  private readonly maxAccesses: number;

  constructor(table: KeyTable, maxAccesses: number) {
    this.table = table;
    this.maxAccesses = maxAccesses;
  }

  add(row: number): void {
    if (this.share < 1 && this.table.order(row) >= this.share) return;
    if (this.length === this.rows.length) {
      if (this.length >= this.maxAccesses) {
        this.thin();
        this.add(row);
        return;
      }
      // At once, as in `AccessLog`.
      this.rows = extended(this.rows, this.maxAccesses);
    }
    this.rows[this.length++] = row;
  }

  remap(map: Uint32Array): void {
    let kept = 0;
    for (let i = 0; i < this.length; i++) if (map[this.rows[i]!]! !== 0) this.rows[kept++] = map[this.rows[i]!]!;
    this.length = kept;
    // Heavy keys stay in the table whatever their hash; here they would bias the sample.
    while (this.share > this.table.sampledShare) this.thin();
  }

  /** The curve of the keys that `takes` accepts; empty without accesses. */
  curve(takes: (row: number) => boolean): HitRatioCurve {
    const rows = this.rows.subarray(0, this.length).filter(takes);
    if (rows.length === 0) return [];
    /** Position of each row's latest access, from 1; 0 for none. */
    const lastAt = new Uint32Array(this.table.rows + 1);
    let distinct = 0;
    /** Positions where an access is the latest of its key. */
    const latest = new BitCounter(rows.length);
    /** Accesses by the number of distinct keys since the key's last one, itself included. */
    const distances = new Uint32Array(rows.length + 1);
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      const before = lastAt[row]! - 1;
      if (before < 0) distinct++;
      else {
        distances[distinct - latest.countBelow(before)]!++;
        latest.clear(before);
      }
      latest.set(at);
      lastAt[row] = at + 1;
    }
    const hits: number[] = [];
    for (let distance = 1; distance <= distinct; distance++) {
      if (distances[distance] === 0) continue;
      // A cache of that many keys still holds it.
      const bucket = Math.max(0, Math.ceil(Math.log2(distance / this.share) * SIZES_PER_OCTAVE));
      hits[bucket] = (hits[bucket] ?? 0) + distances[distance]!;
    }
    const keys = distinct / this.share;
    const curve: HitRatioCurve = [];
    let total = 0;
    const buckets = Math.ceil(Math.log2(Math.max(1, keys)) * SIZES_PER_OCTAVE);
    for (let bucket = 0; bucket <= buckets; bucket++) {
      total += hits[bucket] ?? 0;
      curve.push([
        Math.round(2 ** (bucket / SIZES_PER_OCTAVE) * 100) / 100,
        Math.round((total / rows.length) * 1e5) / 1e5,
      ]);
    }
    return curve;
  }

  private thin(): void {
    this.share /= 2;
    let kept = 0;
    for (let i = 0; i < this.length; i++)
      if (this.table.order(this.rows[i]!) < this.share) this.rows[kept++] = this.rows[i]!;
    this.length = kept;
  }
}
