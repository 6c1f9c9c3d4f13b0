/** When units arrive: a rate curve of bounded length, and how bursty it is at three time scales. */
import type { Model } from './model.ts';

/** The curve's bins double in width when there would be more. */
const MAX_BINS = 600;
const WINDOWS_US = { ms10: 10_000, ms100: 100_000, ms1000: 1_000_000 } as const;

type Summary = Pick<Model['clients']['classes'][number], 'units' | 'arrivals' | 'dispersion'>;

export class Arrivals {
  private units = 0;
  private firstUs = -1;
  private binUs = 1_000_000;
  private bins: number[] = [];
  private readonly windows = Object.entries(WINDOWS_US).map(([name, us]) => ({
    name,
    us,
    index: 0,
    current: 0,
    sumSquares: 0,
  }));

  add(atUs: number): void {
    if (this.firstUs < 0) this.firstUs = atUs;
    this.units++;
    const sinceUs = Math.max(0, atUs - this.firstUs);
    while (sinceUs / this.binUs >= MAX_BINS) {
      this.binUs *= 2;
      this.bins = Array.from(
        { length: Math.ceil(this.bins.length / 2) },
        (_, i) => (this.bins[2 * i] ?? 0) + (this.bins[2 * i + 1] ?? 0),
      );
    }
    const bin = Math.floor(sinceUs / this.binUs);
    while (this.bins.length <= bin) this.bins.push(0);
    this.bins[bin]!++;
    for (const window of this.windows) {
      const index = Math.floor(sinceUs / window.us);
      if (index > window.index) {
        window.sumSquares += window.current ** 2;
        window.current = 0;
        window.index = index;
      }
      window.current++;
    }
  }

  /** Index of dispersion I(w) = Var N(w) / E N(w), empty windows included; null below 30 windows or 30 units. */
  summary(spanSeconds: number): Summary {
    const dispersion = Object.fromEntries(
      this.windows.map(({ name, us, current, sumSquares }) => {
        const n = Math.floor((spanSeconds * 1e6) / us);
        if (n < 30 || this.units < 30) return [name, null];
        const mean = this.units / n;
        return [name, Math.round(((sumSquares + current ** 2) / n - mean ** 2) * (1000 / mean)) / 1000];
      }),
    ) as Summary['dispersion'];
    return { units: this.units, arrivals: { binSeconds: this.binUs / 1e6, units: this.bins }, dispersion };
  }
}
