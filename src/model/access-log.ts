/** A log of bounded length of what happened to keys: when it is full, every second entry goes, and from then on fewer come in. */

const MAX_ENTRIES = 1 << 20;

export class AccessLog {
  length = 0;
  row = new Uint32Array(1 << 12);
  value = new Uint32Array(1 << 12);
  /** Number of the access. */
  at = new Uint32Array(1 << 12);
  private seen = 0;
  /** One in so many is kept. */
  stride = 1;
  private readonly maxEntries: number;

  constructor(maxEntries = MAX_ENTRIES) {
    this.maxEntries = maxEntries;
  }

  add(row: number, value: number, at = 0): void {
    if (this.seen++ % this.stride !== 0) return;
    if (this.length === this.row.length) {
      if (this.length >= this.maxEntries) this.decimate();
      else {
        this.row = widened(this.row);
        this.value = widened(this.value);
        this.at = widened(this.at);
      }
    }
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

function widened(column: Uint32Array): Uint32Array<ArrayBuffer> {
  const wide = new Uint32Array(column.length * 2);
  wide.set(column);
  return wide;
}
