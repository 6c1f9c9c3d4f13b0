/** Values and how often they came: exact while they are few, log buckets with exact atoms when they are many. */

/** Distinct values kept exactly before the tail is bucketed. */
const EXACT = 512;
/** Of these, the most frequent stay exact for good: thresholds and round numbers matter to a server's encodings. */
const ATOMS = 64;
/** Ratio of neighbouring bucket bounds; a bucket's representative is within 1 % of its values. */
const GAMMA = 1.02;

export type ValueCounts = [value: number, count: number][];

export class ValueHistogram {
  count = 0;
  private values = new Map<number, number>();
  private bucketed = false;

  static from(entries: ValueCounts): ValueHistogram {
    const histogram = new ValueHistogram();
    for (const [value, count] of entries) histogram.add(value, count);
    return histogram;
  }

  add(value: number, count = 1): void {
    this.count += count;
    const known = this.values.get(value);
    if (known !== undefined) this.values.set(value, known + count);
    else if (!this.bucketed && this.values.size < EXACT) this.values.set(value, count);
    else {
      if (!this.bucketed) this.bucketTail();
      const bucket = representative(value);
      this.values.set(bucket, (this.values.get(bucket) ?? 0) + count);
    }
  }

  addAll(other: ValueHistogram): void {
    for (const [value, count] of other.values) this.add(value, count);
  }

  get distinct(): number {
    return this.values.size;
  }

  /** Ascending by value. */
  entries(): ValueCounts {
    return [...this.values].sort((a, b) => a[0] - b[0]);
  }

  mean(): number {
    let sum = 0;
    for (const [value, count] of this.values) sum += value * count;
    return this.count === 0 ? 0 : sum / this.count;
  }

  /** Standard deviation. */
  deviation(): number {
    const mean = this.mean();
    let sum = 0;
    for (const [value, count] of this.values) sum += (value - mean) ** 2 * count;
    return this.count === 0 ? 0 : Math.sqrt(sum / this.count);
  }

  private bucketTail(): void {
    const byCount = [...this.values].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    this.values = new Map(byCount.slice(0, ATOMS));
    for (const [value, count] of byCount.slice(ATOMS)) {
      const bucket = representative(value);
      this.values.set(bucket, (this.values.get(bucket) ?? 0) + count);
    }
    this.bucketed = true;
  }
}

/** The value that stands for its log bucket; integers stay integers, small ones exact. */
function representative(value: number): number {
  const size = Math.abs(value);
  if (size < 64) return Number.isInteger(value) ? value : Math.round(value * 8) / 8;
  return Math.sign(value) * Math.round(GAMMA ** Math.round(Math.log(size) / Math.log(GAMMA)));
}

/** Quantile of sorted value counts, 0 ≤ q ≤ 1; 0 for none. */
export function quantileOf(counts: ValueCounts, q: number): number {
  // By index: what takes pairs apart makes objects, and this is asked for every key that is named.
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]![1];
  let rank = q * total;
  for (let i = 0; i < counts.length; i++) {
    rank -= counts[i]![1];
    if (rank <= 0) return counts[i]![0];
  }
  return counts.at(-1)?.[0] ?? 0;
}
