/** Marks on keys of one family, such as that they were removed: kept as long as the keys can come again. */

/** Fewer marks than this are not worth looking through. */
const MIN_MARKS = 1024;

/**
 * A key's number is below the family's number of keys where it stays over a long workload, or so many times that more for
 * the one that takes its place each time that the captured length has passed (see `KeyTrace`). Those never come again
 * when their time is over, so marks do not grow with the workload.
 */
export class KeyMarks {
  private readonly marked = new Set<number>();
  private readonly keys: number;
  private latest = 0;
  private most = MIN_MARKS;

  constructor(keys: number) {
    this.keys = Math.max(1, keys);
  }

  get size(): number {
    return this.marked.size;
  }

  has(key: number): boolean {
    return this.marked.has(key);
  }

  add(key: number): void {
    this.marked.add(key);
    this.latest = Math.max(this.latest, key);
    if (this.marked.size > this.most) this.forget();
  }

  delete(key: number): boolean {
    return this.marked.delete(key);
  }

  private forget(): void {
    const { keys, marked } = this;
    // One time back, for keys of several families that share a tag are numbered by another one's.
    const begins = (Math.floor(this.latest / keys) - 1) * keys;
    for (const key of marked) if (key >= keys && key < begins) marked.delete(key);
    this.most = Math.max(MIN_MARKS, 2 * marked.size);
  }
}
