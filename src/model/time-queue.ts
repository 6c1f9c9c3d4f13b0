/** What is yet to happen, added in any order → the same, in the order of its times. */
export class TimeQueue<T extends { atUs: number }> {
  /** The latest first, so that the next one is at the end. */
  readonly waiting: T[] = [];

  /** When the next one is due; never if there is none. */
  get nextUs(): number {
    return this.waiting.at(-1)?.atUs ?? Number.POSITIVE_INFINITY;
  }

  /** Of those of one time, what came first stays first. */
  add(item: T): void {
    const { waiting } = this;
    let [low, high] = [0, waiting.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (waiting[middle]!.atUs > item.atUs) low = middle + 1;
      else high = middle;
    }
    waiting.splice(low, 0, item);
  }

  take(): T {
    return this.waiting.pop()!;
  }
}
