/** Marks on keys of one family, such as that they were removed: kept as long as the keys can come again. */

/** Fewer marks than this are not worth looking through. */
const MIN_MARKS = 1024;

/**
 * A key's number is below the family's number of keys, or a multiple of that more for one that takes its place when the
 * captured length has passed (see `KeyTrace`). What was in its place before never comes again, so marks do not grow with
 * the workload.
 */
export class KeyMarks {
  private readonly marked = new Set<number>();
  private readonly keys: number;
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
    if (this.marked.size > this.most) this.forget();
  }

  delete(key: number): boolean {
    return this.marked.delete(key);
  }

  private forget(): void {
    const { keys, marked } = this;
    const latest = new Map<number, number>();
    for (const key of marked) latest.set(key % keys, Math.max(key, latest.get(key % keys) ?? 0));
    // One time back, for keys of several families that share a tag are numbered by another one's.
    for (const key of marked) if (key < latest.get(key % keys)! - keys) marked.delete(key);
    this.most = Math.max(MIN_MARKS, 2 * marked.size);
  }
}
