/** A family's expiries as somebody renews them → which of its keys is due. */
import type { Family } from '../../model/model.ts';
import { TimeQueue } from '../../model/time-queue.ts';
import type { Random } from '../random.ts';

export class Renewals {
  private readonly due = new TimeQueue<{ atUs: number; key: number }>();
  /** By key: from when on it is due. */
  private readonly dueUs = new Map<number, number>();
  /** From one renewal to the next, in times of the expiry. */
  private readonly times: number;
  /** Share of renewals that are the last, though somebody asks for the key later. */
  private readonly last: number;

  /** `speed`: of the workload, in captured ones. Who does more at a time renews more often. */
  constructor({ count, times, lapsed }: NonNullable<Family['renewals']>, speed: number) {
    this.times = times / count / speed;
    this.last = lapsed / (count + lapsed);
  }

  /** The key's expiry was set. */
  set(key: number, atUs: number, ttlSeconds: number, random: Random): void {
    const isLast = random() < this.last;
    const dueUs = isLast ? Number.POSITIVE_INFINITY : atUs + this.times * ttlSeconds * 1e6;
    this.dueUs.set(key, dueUs);
    if (!isLast) this.due.add({ atUs: dueUs, key });
  }

  /** Whether somebody renews the key, or did. */
  has(key: number): boolean {
    return this.dueUs.has(key);
  }

  /** Nobody comes to the key any more. */
  end(key: number): void {
    this.dueUs.delete(key);
  }

  /** The key that has waited longest; undefined if none is due. */
  take(nowUs: number): number | undefined {
    while (this.due.nextUs < Number.POSITIVE_INFINITY && this.due.nextUs <= nowUs) {
      const { atUs, key } = this.due.take();
      // It may have been renewed since, or be done with.
      if (this.dueUs.get(key) !== atUs) continue;
      this.dueUs.delete(key);
      return key;
    }
    return undefined;
  }
}
