/** What is yet to happen, added in any order → the same, in the order of its times. */
export class TimeQueue<T extends { atUs: number }> {
  /** A binary heap: each item is due no later than the two at twice its index, plus one and plus two. */
  readonly waiting: T[] = [];
  /** Number of each item: of those of one time, what came first stays first. */
  private readonly numbers: number[] = [];
  private added = 0;

  /** When the next one is due; never if there is none. */
  get nextUs(): number {
    return this.waiting.length > 0 ? this.waiting[0]!.atUs : Number.POSITIVE_INFINITY;
  }

  add(item: T): void {
    const { waiting, numbers } = this;
    let at = waiting.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      // Of one time: the parent came first.
      if (waiting[parent]!.atUs <= item.atUs) break;
      waiting[at] = waiting[parent]!;
      numbers[at] = numbers[parent]!;
      at = parent;
    }
    waiting[at] = item;
    numbers[at] = this.added++;
  }

  /** The next one; there must be one. */
  take(): T {
    const { waiting, numbers } = this;
    const next = waiting[0]!;
    const item = waiting.pop()!;
    const number = numbers.pop()!;
    const { length } = waiting;
    if (length === 0) return next;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && !this.isBefore(child, waiting[child + 1]!, numbers[child + 1]!)) child++;
      if (!this.isBefore(child, item, number)) break;
      waiting[at] = waiting[child]!;
      numbers[at] = numbers[child]!;
      at = child;
    }
    waiting[at] = item;
    numbers[at] = number;
    return next;
  }

  private isBefore(at: number, { atUs }: T, number: number): boolean {
    const own = this.waiting[at]!.atUs;
    return own < atUs || (own === atUs && this.numbers[at]! < number);
  }
}
