/** A log of bounded length of what happened to keys: when it is full, every second entry goes, and from then on fewer come in. */
import { extended } from './pair-table.ts';

export class AccessLog {
  length = 0;
  row = new Uint32Array(1 << 12);
  value = new Uint32Array(1 << 12);
  /** Number of the access. */
  at = new Uint32Array(1 << 12);
  private seen = 0;
  /** One in so many is kept. Set twice: code takes what was set once for a constant, and is compiled again when it changes. */
  stride = 0;
  private readonly maxEntries: number;

  /** `maxEntries`: a power of two, 4096 or more. */
  constructor(maxEntries: number) {
    this.maxEntries = maxEntries;
    this.stride = 1;
  }

  add(row: number, value: number, at = 0): void {
    // The stride is a power of two.
    if ((this.seen++ & (this.stride - 1)) !== 0) return;
    if (this.length === this.row.length) this.makeRoom();
    this.row[this.length] = row;
    this.value[this.length] = value;
    this.at[this.length++] = at;
  }

  /** `map[old row]` is the new row, 0 for one that is no longer known: its entries go. */
  remap(map: Uint32Array): void {
    let kept = 0;
    for (let i = 0; i < this.length; i++) {
      const row = map[this.row[i]!]!;
      if (row === 0) continue;
      this.row[kept] = row;
      this.value[kept] = this.value[i]!;
      this.at[kept++] = this.at[i]!;
    }
    this.length = kept;
  }

  private makeRoom(): void {
    if (this.length >= this.maxEntries) {
      this.decimate();
      return;
    }
    // At once: what is not written to yet takes no memory, and what was outgrown would leave holes in it.
    this.row = extended(this.row, this.maxEntries);
    this.value = extended(this.value, this.maxEntries);
    this.at = extended(this.at, this.maxEntries);
  }

  private decimate(): void {
    this.stride *= 2;
    for (let i = 0; i * 2 < this.length; i++) {
      this.row[i] = this.row[i * 2]!;
      this.value[i] = this.value[i * 2]!;
      this.at[i] = this.at[i * 2]!;
    }
    this.length = (this.length + 1) >> 1;
  }
}
