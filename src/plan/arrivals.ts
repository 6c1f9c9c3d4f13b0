/** A stream's rate curve and dispersion → when units arrive. */
import { gapsUs, recordedClasses } from '../model/arrivals.ts';
import type { Model } from '../model/model.ts';
import type { Random } from './random.ts';

type Stream = Model['clients']['streams'][number];

/** Arrivals as bursty as Poisson ones within this are taken for Poisson. */
const POISSON = { low: 0.8, high: 1.25 };
/** Bins of the rate curve are joined until each has so many units, so that what is left is not chance (5 %). */
const UNITS_PER_BIN = 400;

/** How many times the mean rate, at a time in seconds; repeats with the capture. */
interface RateCurve {
  binSeconds: number;
  factors: number[];
}

export function rateCurve({ arrivals, units }: Stream, spanSeconds: number): RateCurve {
  const { binSeconds, units: bins } = arrivals;
  // The last bin is whatever the capture's end left of it.
  const whole = Math.floor(spanSeconds / binSeconds);
  const perBin = Math.max(1, Math.ceil(UNITS_PER_BIN / Math.max(1, units / Math.max(1, whole))));
  const joined = Math.floor(whole / perBin);
  if (joined < 2) return { binSeconds: Math.max(binSeconds, spanSeconds), factors: [1] };
  const sums = Array.from({ length: joined }, (_, i) => {
    let sum = 0;
    for (let bin = i * perBin; bin < (i + 1) * perBin; bin++) sum += bins[bin] ?? 0;
    return sum;
  });
  const mean = sums.reduce((a, b) => a + b, 0) / joined;
  return { binSeconds: binSeconds * perBin, factors: sums.map((sum) => sum / mean) };
}

export type Bursts =
  | { kind: 'poisson' }
  /** As recorded, over and over: gaps as multiples of their mean, and which class of clients it was. */
  | { kind: 'recorded'; gaps: Float64Array; classes: Uint8Array }
  /** More even than Poisson: gaps of a gamma distribution of that shape. */
  | { kind: 'even'; shape: number }
  /** Two rates, as multiples of the mean, and how often each ends, per second. */
  | { kind: 'switching'; factors: [number, number]; endsPerSecond: [number, number] };

/** The captured arrivals themselves, where the model has them; they hold the rate curve too. */
export function recordedBursts({ recorded }: Stream, random: Random): Bursts | undefined {
  if (!recorded) return undefined;
  const gaps = gapsUs(recorded.gaps, random);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  if (!(mean > 0)) return undefined;
  return { kind: 'recorded', gaps: gaps.map((gap) => gap / mean), classes: recordedClasses(recorded.classes) };
}

/**
 * The simplest process with the captured index of dispersion I(w). A Markov-modulated Poisson process of two states has
 * I(w) = 1 + A - A/(s w) (1 - e^(-s w)) with s the sum of its switching rates (Heffes and Lucantoni 1986); s and A are
 * fitted by least squares of ln I. The rate curve's own share of I, w·rate·CV², is taken out before.
 */
export function burstsOf(stream: Stream, spanSeconds: number, curve: RateCurve): Bursts {
  const rate = stream.units / Math.max(spanSeconds, 1e-6);
  const variation = curve.factors.reduce((sum, f) => sum + (f - 1) ** 2, 0) / curve.factors.length;
  const points = ([1, 10, 100, 1000] as const).flatMap((ms) => {
    const index = stream.dispersion[`ms${ms}`];
    return index === null
      ? []
      : [{ seconds: ms / 1000, index: Math.max(0.01, index - rate * (ms / 1000) * variation) }];
  });
  if (points.length === 0 || points.every(({ index }) => index >= POISSON.low && index <= POISSON.high)) {
    return { kind: 'poisson' };
  }
  const mean = points.reduce((sum, { index }) => sum + Math.log(index), 0) / points.length;
  if (mean < 0) {
    // Over windows of many gaps, I is the squared coefficient of variation of a gap: 1 / shape.
    const widest = points.at(-1)!.index;
    return { kind: 'even', shape: Math.min(100, 1 / Math.min(1, Math.max(0.01, widest))) };
  }
  let best = { error: Number.POSITIVE_INFINITY, excess: 0, switches: 1 };
  for (let exponent = -2; exponent <= 4; exponent += 0.05) {
    const switches = 10 ** exponent;
    const shares = points.map(({ seconds }) => 1 - (1 - Math.exp(-switches * seconds)) / (switches * seconds));
    for (let power = -2; power <= 4; power += 0.02) {
      const excess = 10 ** power;
      const error = points.reduce((sum, { index }, i) => sum + Math.log((1 + excess * shares[i]!) / index) ** 2, 0);
      if (error < best.error) best = { error, excess, switches };
    }
  }
  // A = 2 p (1-p) Δ² / (s rate) with p the share of the high state: none in the low state if p ≤ ½ allows it.
  const { excess, switches } = best;
  const silent = 1 / (1 + (excess * switches) / (2 * rate));
  const p = Math.min(0.5, silent);
  const difference = silent <= 0.5 ? 1 / p : Math.sqrt((excess * switches) / (2 * rate * p * (1 - p)));
  const low = Math.max(0, 1 - p * difference);
  return {
    kind: 'switching',
    factors: [low + difference, low],
    endsPerSecond: [switches * (1 - p), switches * p],
  };
}

/** Arrival times of one stream, one after the other. */
export class ArrivalProcess {
  /** Seconds from the beginning of the next arrival. */
  nextSeconds = 0;
  /** Class of clients that it comes from, where that is known. */
  nextClass: number | undefined;
  private readonly rate: number;
  private readonly curve: RateCurve;
  private readonly bursts: Bursts;
  private readonly random: Random;
  private arrivals = 0;
  private state = 0;
  private stateEnds = Number.POSITIVE_INFINITY;

  /** `rate`: mean arrivals per second. */
  constructor(rate: number, curve: RateCurve, bursts: Bursts, random: Random) {
    this.rate = rate;
    this.curve = curve;
    this.bursts = bursts;
    this.random = random;
    if (bursts.kind === 'switching') {
      const [endsHigh, endsLow] = bursts.endsPerSecond;
      this.state = random() < endsLow / (endsHigh + endsLow) ? 0 : 1;
      this.stateEnds = this.exponential() / bursts.endsPerSecond[this.state]!;
    }
    this.advance();
  }

  /** Goes to the next arrival: the integral of the rate from here to there is one draw. */
  advance(): void {
    const { curve, bursts } = this;
    let missing = this.gap();
    let at = this.nextSeconds;
    for (;;) {
      const bin = Math.floor(at / curve.binSeconds + 1e-9);
      const binEnds = (bin + 1) * curve.binSeconds;
      const rate = this.rate * curve.factors[bin % curve.factors.length]! * this.factor();
      const ends = Math.min(binEnds, this.stateEnds);
      if (rate * (ends - at) >= missing) {
        this.nextSeconds = at + missing / rate;
        return;
      }
      missing -= rate * (ends - at);
      at = ends;
      if (bursts.kind === 'switching' && at === this.stateEnds) {
        this.state = 1 - this.state;
        this.stateEnds = at + this.exponential() / bursts.endsPerSecond[this.state]!;
      }
    }
  }

  /** The gap to the next arrival, in mean gaps at the current rate. */
  private gap(): number {
    const { bursts } = this;
    if (bursts.kind === 'recorded') {
      const at = this.arrivals++ % bursts.gaps.length;
      this.nextClass = bursts.classes[at]!;
      return bursts.gaps[at]!;
    }
    return bursts.kind === 'even' ? gamma(bursts.shape, this.random) / bursts.shape : this.exponential();
  }

  private factor(): number {
    return this.bursts.kind === 'switching' ? this.bursts.factors[this.state]! : 1;
  }

  private exponential(): number {
    return -Math.log(1 - this.random());
  }
}

/** Gamma(shape, 1) for shape ≥ 1 (Marsaglia and Tsang 2000). */
function gamma(shape: number, random: Random): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}
