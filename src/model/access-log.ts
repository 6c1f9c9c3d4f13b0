/** A log of (row, value) pairs of bounded length: when it is full, every second pair goes, and from then on fewer come in. */

const MAX_ENTRIES = 1 << 20;

export class AccessLog {
  length = 0;
  row = new Uint32Array(1 << 12);
  value = new Uint32Array(1 << 12);
  private seen = 0;
  /** One in so many pairs is kept. */
  stride = 1;
  private readonly maxEntries: number;

  constructor(maxEntries = MAX_ENTRIES) {
    this.maxEntries = maxEntries;
  }

  add(row: number, value: number): void {
    if (this.seen++ % this.stride !== 0) return;
    if (this.length === this.row.length) {
      if (this.length >= this.maxEntries) this.decimate();
      else {
        const [row, value] = [this.row, this.value];
        this.row = new Uint32Array(this.length * 2);
        this.value = new Uint32Array(this.length * 2);
        this.row.set(row);
        this.value.set(value);
      }
    }
    this.row[this.length] = row;
    this.value[this.length++] = value;
  }

  /** `map[old row]` is the new row, 0 for one that is no longer known: its pairs go. */
  remap(map: Uint32Array): void {
    let kept = 0;
    for (let i = 0; i < this.length; i++) {
      const row = map[this.row[i]!]!;
      if (row === 0) continue;
      this.row[kept] = row;
      this.value[kept++] = this.value[i]!;
    }
    this.length = kept;
  }

  private decimate(): void {
    this.stride *= 2;
    for (let i = 0; i * 2 < this.length; i++) {
      this.row[i] = this.row[i * 2]!;
      this.value[i] = this.value[i * 2]!;
    }
    this.length = (this.length + 1) >> 1;
  }
}
