/** When units arrive: a rate curve of bounded length, and how bursty it is at three time scales. */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Model } from '../model.ts';

/** The curve's bins double in width when there would be more. */
const MAX_BINS = 600;
/** Each a multiple of the one before. */
const WINDOWS_US = { ms1: 1000, ms10: 10_000, ms100: 100_000, ms1000: 1_000_000 } as const;

const halved = (bins: number[]) =>
  Array.from({ length: Math.ceil(bins.length / 2) }, (_, i) => (bins[2 * i] ?? 0) + (bins[2 * i + 1] ?? 0));

/** As many arrivals are kept one by one; of more, the dispersion must do. */
const MAX_RECORDED = 1 << 16;
/** A gap of g µs is kept as 1 + ⌊9 log2 g⌋ in one byte, up to two minutes; 0 for less than a microsecond. */
const STEPS_PER_OCTAVE = 9;

type Summary = Pick<Model['clients']['streams'][number], 'units' | 'arrivals' | 'dispersion' | 'recorded'>;

interface Arrival {
  startUs: number;
  client: number;
}

export class Arrivals {
  private units = 0;
  /** No whole numbers to begin with: code for these is thrown away, with all that it is part of, when they exceed 31 bits. */
  private firstUs = Number.NaN;
  private lastUs = Number.NaN;
  /** Of each arrival: gap to the one before, as a step, and the client. */
  private readonly gaps: number[] = [];
  private readonly clients: number[] = [];
  private binUs = 1_000_000;
  private bins: number[] = [];
  /** Number of the current bin, and when it ends. */
  private bin = -1;
  private binEndUs = Number.NEGATIVE_INFINITY;
  /** Of each window: its width, when it ends, its arrivals that the shorter one before has not got, and squared counts of those that ended. */
  private readonly widthsUs = Float64Array.from(Object.values(WINDOWS_US));
  private readonly endsUs = this.widthsUs.slice();
  private readonly current = new Float64Array(this.widthsUs.length);
  private readonly squares = new Float64Array(this.widthsUs.length);

  /** One arrival, in order of time; `client` is any number of the client that sent it. An object: numbers would be boxed. */
  add({ startUs: atUs, client }: Arrival): void {
    if (this.units === 0) this.firstUs = atUs;
    if (++this.units <= MAX_RECORDED) {
      this.gaps.push(this.units === 1 ? 0 : stepOf(atUs - this.lastUs));
      this.clients.push(client);
    }
    this.lastUs = atUs;
    const sinceUs = Math.max(0, atUs - this.firstUs);
    if (sinceUs >= this.binEndUs || sinceUs < this.binEndUs - this.binUs) this.findBin(sinceUs);
    this.bins[this.bin]!++;
    // An arrival from before the window, of a clock that was set back, counts as one of it.
    if (sinceUs >= this.endsUs[0]!) this.endWindows(sinceUs);
    this.current[0]!++;
  }

  /** Ends the windows that end by then, shorter ones first. */
  private endWindows(sinceUs: number): void {
    const { widthsUs, endsUs, current, squares } = this;
    for (let i = 0; i < widthsUs.length && sinceUs >= endsUs[i]!; i++) {
      const count = current[i]!;
      squares[i]! += count * count;
      current[i] = 0;
      if (i + 1 < widthsUs.length) current[i + 1]! += count;
      const width = widthsUs[i]!;
      const end = endsUs[i]! + width;
      endsUs[i] = sinceUs < end ? end : (Math.floor(sinceUs / width) + 1) * width;
    }
  }

  private findBin(sinceUs: number): void {
    while (sinceUs / this.binUs >= MAX_BINS) {
      this.binUs *= 2;
      this.bins = halved(this.bins);
    }
    this.bin = Math.floor(sinceUs / this.binUs);
    this.binEndUs = (this.bin + 1) * this.binUs;
    while (this.bins.length <= this.bin) this.bins.push(0);
  }

  /** Index of dispersion I(w) = Var N(w) / E N(w) of whole windows, empty ones included; null below 30 windows or 30 units. */
  summary(spanSeconds: number, classOf: (client: number) => number): Summary {
    let current = 0;
    const dispersion = Object.fromEntries(
      Object.entries(WINDOWS_US).map(([name, us], i) => {
        current += this.current[i]!;
        const n = Math.floor((spanSeconds * 1e6) / us);
        if (n < 30 || this.units < 30) return [name, null];
        // The capture ends somewhere in the last window.
        const isWhole = this.endsUs[i]! <= n * us;
        const mean = (this.units - (isWhole ? 0 : current)) / n;
        const squares = this.squares[i]! + (isWhole ? current ** 2 : 0);
        return [name, Math.round((squares / n - mean ** 2) * (1000 / mean)) / 1000];
      }),
    ) as Summary['dispersion'];
    return {
      units: this.units,
      arrivals: { binSeconds: this.binUs / 1e6, units: this.bins },
      dispersion,
      recorded: this.units > MAX_RECORDED ? null : { gaps: pack(this.gaps), classes: pack(this.clients.map(classOf)) },
    };
  }
}

const stepOf = (gapUs: number) => (gapUs < 1 ? 0 : Math.min(255, 1 + Math.floor(STEPS_PER_OCTAVE * Math.log2(gapUs))));

/** Bytes as text: deflated, base64. */
const pack = (bytes: number[]) => deflateRawSync(Uint8Array.from(bytes)).toString('base64');
const unpack = (text: string) => inflateRawSync(Buffer.from(text, 'base64'));

/** Class of each recorded arrival. */
export const recordedClasses = (classes: string): Uint8Array => unpack(classes);

/** Kept gaps, in µs; `random` fills what was rounded. */
export function gapsUs(gaps: string, random: () => number): Float64Array {
  return Float64Array.from(unpack(gaps), (step) =>
    step === 0 ? random() : 2 ** ((step - 1 + random()) / STEPS_PER_OCTAVE),
  );
}

type Curve = Summary['arrivals'];

/** Sum of two rate curves, the second of which begins `offsetSeconds` later; its bins are spread over those they meet. */
export function joinCurves(a: Curve, b: Curve, offsetSeconds: number): Curve {
  let binSeconds = Math.max(a.binSeconds, b.binSeconds);
  const ends = Math.max(a.units.length * a.binSeconds, offsetSeconds + b.units.length * b.binSeconds);
  while (ends > MAX_BINS * binSeconds) binSeconds *= 2;
  const widened = (curve: Curve) => {
    let { units } = curve;
    for (let width = curve.binSeconds; width < binSeconds; width *= 2) units = halved(units);
    return units;
  };
  const units = [...widened(a)];
  const before = Math.floor(offsetSeconds / binSeconds);
  const behind = offsetSeconds / binSeconds - before;
  let owed = 0;
  for (const [i, n] of [...widened(b), 0].entries()) {
    const at = before + i;
    const here = Math.round(n * (1 - behind) + owed);
    owed = n - here + owed;
    units[at] = (units[at] ?? 0) + here;
  }
  while (units.at(-1) === 0) units.pop();
  return { binSeconds, units: Array.from(units, (n) => n ?? 0) };
}

/**
 * Recorded arrivals of two streams as those of one; null where there are too many or those of one are not known.
 * Consecutive ones follow each other after a mean gap, others are sorted in by their times, which gaps kept to 8 % only
 * tell as roughly. `classes`: the joined model's number of each stream's classes.
 */
export function joinRecorded(
  a: Pick<Summary, 'recorded'> | undefined,
  b: Pick<Summary, 'recorded'> | undefined,
  { consecutive, offsetSeconds }: { consecutive: boolean; offsetSeconds: number },
  classes: { a: (klass: number) => number; b: (klass: number) => number },
): Summary['recorded'] {
  if (a?.recorded === null || b?.recorded === null) return null;
  const count = lengthOf(a?.recorded) + lengthOf(b?.recorded);
  if (count > MAX_RECORDED) return null;
  const first = decoded(a?.recorded, classes.a);
  const second = decoded(b?.recorded, classes.b);
  if (consecutive || !a || !b) {
    const steps = [...first.steps, ...second.steps];
    const mean = [...first.gaps, ...second.gaps].reduce((sum, gap) => sum + gap, 0) / Math.max(1, count);
    if (a && b) steps[first.steps.length] = stepOf(mean);
    return { gaps: pack(steps), classes: pack([...first.classes, ...second.classes]) };
  }
  const timed = [first, second].flatMap(({ gaps, classes: own }, i) => {
    let at = i * offsetSeconds * 1e6;
    return Array.from(gaps, (gap, j) => {
      if (j > 0) at += gap;
      return { at, klass: own[j]! };
    });
  });
  timed.sort((x, y) => x.at - y.at);
  return {
    gaps: pack(timed.map(({ at }, i) => (i === 0 ? 0 : stepOf(at - timed[i - 1]!.at)))),
    classes: pack(timed.map(({ klass }) => klass)),
  };
}

const lengthOf = (recorded: Summary['recorded'] | undefined) => (recorded ? unpack(recorded.gaps).length : 0);

function decoded(recorded: Summary['recorded'] | undefined, classOf: (klass: number) => number) {
  if (!recorded) return { steps: [], gaps: [], classes: [] };
  return {
    steps: [...unpack(recorded.gaps)],
    gaps: [...gapsUs(recorded.gaps, () => 0.5)],
    classes: Array.from(recordedClasses(recorded.classes), classOf),
  };
}
