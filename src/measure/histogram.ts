/** Turns latencies in microseconds into one mergeable distribution; the only home of hdr-histogram-js. */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type JsHistogram } from 'hdr-histogram-js';
import type { Quantiles } from './rehearsal.ts';

/** A latency above this is recorded as this. A slice and its grace period are far shorter. */
export const MAX_LATENCY_US = 60_000_000;

/**
 * Integer microseconds with three significant digits (relative error ≤ 0.1 %), 0 to 60 s.
 *
 * The JavaScript implementation, not the WASM one: a run holds (labels × 3 parts) of these per slice, and a WASM
 * histogram must be destroyed by hand. It grows with its largest value, so a label that is seldom used costs 8 kB.
 */
export class LatencyHistogram {
  readonly #counts: JsHistogram;
  /** Kept here, because the library's are off by a bucket after adding a histogram of another size. */
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  private constructor(counts: JsHistogram) {
    this.#counts = counts;
    this.#counts.autoResize = true;
    if (counts.totalCount > 0) {
      this.#min = counts.getCountAtIndex(0) > 0 ? 0 : counts.minNonZeroValue;
      this.#max = Math.min(MAX_LATENCY_US, counts.maxValue);
    }
  }

  static empty(): LatencyHistogram {
    return new LatencyHistogram(build({ numberOfSignificantValueDigits: 3 }) as JsHistogram);
  }

  /** Reads what `encode` wrote, or the histogram field of any HdrHistogram V2 log. Throws on anything else. */
  static decode(base64: string): LatencyHistogram {
    return new LatencyHistogram(decodeFromCompressedBase64(base64) as JsHistogram);
  }

  /** Counts one latency, rounded to microseconds and clamped to 0 … MAX_LATENCY_US. */
  record(us: number): void {
    const value = Math.min(MAX_LATENCY_US, Math.max(0, Math.round(us)));
    this.#counts.recordValue(value);
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  /** Adds every latency of `other`; exact, because both use the same buckets. */
  add(other: LatencyHistogram): void {
    if (other.count === 0) return;
    this.#counts.add(other.#counts);
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  /**
   * The smallest recorded latency that at least `q` (0 … 1) of all latencies do not exceed: the ⌈qn⌉th of n in order,
   * as the upper end of its bucket but no more than `max`. 0 for an empty histogram.
   */
  quantile(q: number): number {
    return Math.min(this.#counts.getValueAtPercentile(q * 100), this.#max);
  }

  /** How many latencies are longer than `us`, to the bucket's precision (0.1 %). */
  countAbove(us: number): number {
    let above = 0;
    const counts = this.#counts;
    for (let i = counts.countsArrayIndex(us) + 1; i < counts.countsArrayLength; i++) above += counts.getCountAtIndex(i);
    return above;
  }

  quantiles(): Quantiles {
    return { p50: this.quantile(0.5), p99: this.quantile(0.99), p999: this.quantile(0.999), max: this.max };
  }

  get count(): number {
    return this.#counts.totalCount;
  }

  /** 0 for an empty histogram, as `max`; both exact until encoded, then to the bucket's precision. */
  get min(): number {
    return this.count === 0 ? 0 : this.#min;
  }

  get max(): number {
    return this.#max;
  }

  /** HdrHistogram V2 compressed encoding in base64, as HdrHistogram logs carry it. */
  encode(): string {
    return encodeIntoCompressedBase64(this.#counts);
  }
}
