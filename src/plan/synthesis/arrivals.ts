/** A stream's rate curve and dispersion → when units arrive. */
import { gapsUs, recordedClasses } from '../../model/fit/arrivals.ts';
import type { Model } from '../../model/model.ts';
import type { Random } from '../random.ts';

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
 * fitted by least squares of ln I. The rate curve has its own share of I, w·rate·CV², chance included; as each of its
 * bins of length b gets the units that it had, the process contributes I(w) - (w/b) I(b) within them.
 */
export function burstsOf(stream: Stream, spanSeconds: number, curve: RateCurve): Bursts {
  const rate = stream.units / Math.max(spanSeconds, 1e-6);
  const variation = curve.factors.reduce((sum, f) => sum + (f - 1) ** 2, 0) / curve.factors.length;
  const bin = curve.binSeconds;
  const points = ([1, 10, 100, 1000] as const).flatMap((ms) => {
    const [index, seconds] = [stream.dispersion[`ms${ms}`], ms / 1000];
    // Longer windows are what the curve is made of.
    if (index === null || seconds > bin / 2) return [];
    return [{ seconds, index: Math.max(0.01, index - rate * seconds * variation), poisson: 1 - seconds / bin }];
  });
  if (points.every(({ index, poisson }) => index >= POISSON.low * poisson && index <= POISSON.high * poisson)) {
    return { kind: 'poisson' };
  }
  const mean = points.reduce((sum, { index, poisson }) => sum + Math.log(index / poisson), 0) / points.length;
  if (mean < 0) {
    // Over windows of many gaps, I is the squared coefficient of variation of a gap: 1 / shape.
    const { index, poisson } = points.at(-1)!;
    return { kind: 'even', shape: Math.min(100, 1 / Math.min(1, Math.max(0.01, index / poisson))) };
  }
  let best = { error: Number.POSITIVE_INFINITY, excess: 0, switches: 1 };
  for (let exponent = -2; exponent <= 4; exponent += 0.05) {
    const switches = 10 ** exponent;
    const share = (seconds: number) => 1 - (1 - Math.exp(-switches * seconds)) / (switches * seconds);
    const shares = points.map(({ seconds }) => share(seconds) - (seconds / bin) * share(bin));
    for (let power = -2; power <= 4; power += 0.02) {
      const excess = 10 ** power;
      const error = points.reduce(
        (sum, { index, poisson }, i) => sum + Math.log((poisson + excess * shares[i]!) / index) ** 2,
        0,
      );
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

/** Ways in which a bin's two rates may take turns, of which the one is taken that suits the bin's number of arrivals. */
const PATHS = 16;

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
  /** Arrivals of the bin that is being gone through, and how many bins and arrivals there are until its end. */
  private times: Float64Array = new Float64Array(0);
  private at = 0;
  private bins = 0;
  private due = 0;
  private isHigh: boolean;

  /** `rate`: mean arrivals per second. */
  constructor(rate: number, curve: RateCurve, bursts: Bursts, random: Random) {
    this.rate = rate;
    this.curve = curve;
    this.bursts = bursts;
    this.random = random;
    this.isHigh =
      bursts.kind === 'switching' &&
      random() * (bursts.endsPerSecond[0] + bursts.endsPerSecond[1]) < bursts.endsPerSecond[1];
    this.advance();
  }

  /** Goes to the next arrival. */
  advance(): void {
    const { bursts } = this;
    if (bursts.kind === 'recorded') {
      const at = this.arrivals++ % bursts.gaps.length;
      this.nextClass = bursts.classes[at]!;
      this.nextSeconds += bursts.gaps[at]! / this.rate;
    } else if (this.curve.factors.length === 1 && bursts.kind === 'poisson') {
      this.nextSeconds += this.exponential() / this.rate;
    } else {
      while (this.at >= this.times.length) this.fillBin();
      this.nextSeconds = this.times[this.at++]!;
    }
  }

  /** As many arrivals as the curve has in its next bin, where the process puts them. */
  private fillBin(): void {
    const { binSeconds, factors } = this.curve;
    const factor = factors[this.bins % factors.length]!;
    const before = Math.floor(this.due);
    this.due += this.rate * factor * binSeconds;
    const count = Math.floor(this.due) - before;
    const from = this.bins++ * binSeconds;
    const gaps = Float64Array.from({ length: count + 1 }, () => this.gap());
    const whole = gaps.reduce((sum, gap) => sum + gap, 0);
    const path = this.pathOf(factor);
    this.times = new Float64Array(count);
    this.at = 0;
    let [done, piece, pieceBegins] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      done += (gaps[i]! / whole) * path.weight;
      // Where the integral of the rate has come to so much.
      while (piece < path.pieces.length - 1 && done > pieceBegins + path.pieces[piece]!.weight) {
        pieceBegins += path.pieces[piece++]!.weight;
      }
      const { from: start, seconds, weight } = path.pieces[piece]!;
      this.times[i] = from + start + Math.min(1, (done - pieceBegins) / weight) * seconds;
    }
  }

  /** The two rates in turns over a bin; a bin with many arrivals has had the high one for long. */
  private pathOf(factor: number): Path {
    const { bursts } = this;
    const { binSeconds } = this.curve;
    const even = { pieces: [{ from: 0, seconds: binSeconds, weight: 1 }], weight: 1, isHigh: this.isHigh };
    if (bursts.kind !== 'switching') return even;
    const wanted = factor * binSeconds;
    const paths = Array.from({ length: PATHS }, () => this.drawPath(bursts.factors, bursts.endsPerSecond));
    const distance = ({ weight }: Path) =>
      weight > 0 ? Math.abs(Math.log(weight / wanted)) : Number.POSITIVE_INFINITY;
    const best = paths.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    this.isHigh = best.isHigh;
    // Silence that outlasts a bin in every way, though something arrived in it.
    return best.weight > 0 ? best : even;
  }

  private drawPath(factors: [number, number], endsPerSecond: [number, number]): Path {
    const { binSeconds } = this.curve;
    const path: Path = { pieces: [], weight: 0, isHigh: this.isHigh };
    for (let from = 0; from < binSeconds; path.isHigh = !path.isHigh) {
      const state = path.isHigh ? 0 : 1;
      const seconds = Math.min(binSeconds - from, this.exponential() / endsPerSecond[state]);
      const weight = seconds * factors[state];
      if (weight > 0) path.pieces.push({ from, seconds, weight });
      path.weight += weight;
      from += seconds;
    }
    return path;
  }

  private gap(): number {
    const { bursts } = this;
    return bursts.kind === 'even' ? gamma(bursts.shape, this.random) : this.exponential();
  }

  private exponential(): number {
    return -Math.log(1 - this.random());
  }
}

/** Stretches of a bin with arrivals, each with its share of them, and in which state it ends. */
interface Path {
  pieces: { from: number; seconds: number; weight: number }[];
  weight: number;
  isHigh: boolean;
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
