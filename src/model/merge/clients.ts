/** Streams and classes of connections of two models → those of both. */
import { joinCurves, joinRecorded } from '../fit/arrivals.ts';
import { divergenceOf, MAX_CLASSES, SAME_HABIT } from '../fit/clients.ts';
import { MIN_BITS, mutualInformation } from '../fit/summarize.ts';
import type { Model } from '../model.ts';
import { intern, tally } from '../tally.ts';
import type { Placement } from './placement.ts';

type Clients = Model['clients'];
type Stream = Clients['streams'][number];
type Class = Clients['classes'][number];

/** How often a class of a model sends each kind of unit, by what the units are. */
export type Mixes = ReadonlyMap<number, ReadonlyMap<string, number>>;

/** Numbers of each model's classes in the joined model. */
export interface ClassNumbers {
  a: number[];
  b: number[];
}

const sameStream = (x: Stream, y: Stream) => x.db === y.db && x.blocking === y.blocking;

export function mergeClients(
  a: Model,
  b: Model,
  mixes: { a: Mixes; b: Mixes },
  placement: Placement,
): { clients: Clients; classes: ClassNumbers } {
  const streams = [...a.clients.streams];
  for (const stream of b.clients.streams) if (!streams.some((known) => sameStream(known, stream))) streams.push(stream);
  streams.sort((x, y) => x.db - y.db || Number(x.blocking) - Number(y.blocking));
  const streamOf = ({ clients }: Model, klass: Class) =>
    streams.findIndex((stream) => sameStream(stream, clients.streams[klass.stream]!));

  const classes = a.clients.classes.map((klass): Class => ({ ...klass, stream: streamOf(a, klass) }));
  const numbers: ClassNumbers = { a: classes.map((_, i) => i), b: [] };
  b.clients.classes.forEach((klass, number) => {
    const stream = streamOf(b, klass);
    const like = nearest(mixes.b.get(number), numbers.a, (i) =>
      classes[i]!.stream === stream ? mixes.a.get(i) : undefined,
    );
    if (like !== undefined && (like.divergence <= SAME_HABIT || classes.length >= MAX_CLASSES)) {
      numbers.b[number] = like.number;
      classes[like.number] = { ...joinConnections(classes[like.number]!, klass, placement), stream };
    } else numbers.b[number] = classes.push({ ...klass, stream }) - 1;
  });
  const whole = (of: Clients) => ({
    connections: of.connections,
    peakConnections: of.classes.reduce((sum, klass) => sum + klass.peakConnections, 0),
  });
  return {
    clients: {
      connections: connectionsOf(whole(a.clients), whole(b.clients), placement),
      streams: streams.map((stream) => {
        const [x, y] = [a, b].map(({ clients }) => clients.streams.find((one) => sameStream(one, stream)));
        return joinStreams(x, y, { a, b }, numbers, placement);
      }),
      classes,
    },
    classes: numbers,
  };
}

function nearest(
  mix: ReadonlyMap<string, number> | undefined,
  candidates: number[],
  mixOf: (number: number) => ReadonlyMap<string, number> | undefined,
): { number: number; divergence: number } | undefined {
  let best: { number: number; divergence: number } | undefined;
  for (const number of candidates) {
    const other = mixOf(number);
    if (!other || !mix) continue;
    // Less what chance does to samples of one mix: (kinds - 1)(1/n + 1/m) / (8 ln 2) (Grosse et al. 2002).
    const kinds = new Set([...mix.keys(), ...other.keys()]).size;
    const divergence =
      divergenceOf(other, mix) - ((kinds - 1) * (1 / unitsOf(mix) + 1 / unitsOf(other))) / (8 * Math.LN2);
    if (!best || divergence < best.divergence) best = { number, divergence };
  }
  return best;
}

function unitsOf(mix: ReadonlyMap<string, number>): number {
  let units = 0;
  for (const n of mix.values()) units += n;
  return units;
}

interface Connections {
  connections: number;
  peakConnections: number;
}

/**
 * Nobody knows which connections went on from one part to the next: as many as were open at once, which is right for
 * pools that stay and for clients that come and go. Connections of the same time are different ones.
 */
function connectionsOf(a: Connections, b: Connections, { consecutive }: Placement): number {
  const sum = a.connections + b.connections;
  if (!consecutive) return sum;
  return Math.max(a.connections, b.connections, sum - Math.min(a.peakConnections, b.peakConnections));
}

function joinConnections(a: Class, b: Class, placement: Placement): Class {
  return {
    ...a,
    connections: connectionsOf(a, b, placement),
    peakConnections: placement.consecutive
      ? Math.max(a.peakConnections, b.peakConnections)
      : a.peakConnections + b.peakConnections,
    units: a.units + b.units,
  };
}

function joinStreams(
  x: Stream | undefined,
  y: Stream | undefined,
  models: { a: Model; b: Model },
  numbers: ClassNumbers,
  placement: Placement,
): Stream {
  const known = (x ?? y)!;
  const dispersion = joinDispersion(x, y, models, placement);
  const units = (x?.units ?? 0) + (y?.units ?? 0);
  const classes = { a: (klass: number) => numbers.a[klass]!, b: (klass: number) => numbers.b[klass]! };
  return {
    ...{ db: known.db, blocking: known.blocking, units, dispersion },
    // A stream's clock begins with its first unit: of a stream that one model does not have, nothing moves.
    arrivals: x && y ? joinCurves(x.arrivals, y.arrivals, placement.offsetSeconds) : known.arrivals,
    recorded: joinRecorded(x, y, placement, classes),
  };
}

const WINDOW_SECONDS = { ms1: 0.001, ms10: 0.01, ms100: 0.1, ms1000: 1 } as const;
type Window = keyof typeof WINDOW_SECONDS;
/** A part with less than this share of the units may be taken for Poisson where nobody counted. */
const SMALL = 0.1;
const LEAST_WINDOWS = 30;
const LEAST_UNITS = 30;

/**
 * Index of dispersion of both: windows of one, of the other, and of both at once, whose means and variances add. Exact
 * for consecutive parts but for the windows on the border; of the same time, the two are taken to be independent.
 */
function joinDispersion(
  x: Stream | undefined,
  y: Stream | undefined,
  { a, b }: { a: Model; b: Model },
  { offsetSeconds, spanSeconds }: Placement,
): Stream['dispersion'] {
  const units = (x?.units ?? 0) + (y?.units ?? 0);
  const both = Math.max(0, Math.min(a.source.spanSeconds, offsetSeconds + b.source.spanSeconds) - offsetSeconds);
  const of = (window: Window): number | null => {
    const count = Math.floor(spanSeconds / WINDOW_SECONDS[window]);
    const inA = windowsOf(x, a.source.spanSeconds, window, units);
    const inB = windowsOf(y, b.source.spanSeconds, window, units);
    // Too little to tell, or a part that kept nothing about windows of this length.
    if (count < LEAST_WINDOWS || units < LEAST_UNITS || !inA || !inB) return null;
    const square = ({ mean, variance }: Moments) => variance + mean ** 2;
    const together = { mean: inA.mean + inB.mean, variance: inA.variance + inB.variance };
    const squares =
      (a.source.spanSeconds - both) * square(inA) +
      (b.source.spanSeconds - both) * square(inB) +
      both * square(together);
    const mean = (units * WINDOW_SECONDS[window]) / spanSeconds;
    return Math.round(((squares / spanSeconds - mean ** 2) / mean) * 1000) / 1000;
  };
  return { ms1: of('ms1'), ms10: of('ms10'), ms100: of('ms100'), ms1000: of('ms1000') };
}

interface Moments {
  mean: number;
  variance: number;
}

function windowsOf(
  stream: Stream | undefined,
  spanSeconds: number,
  window: Window,
  units: number,
): Moments | undefined {
  if (!stream || spanSeconds <= 0) return { mean: 0, variance: 0 };
  const seconds = WINDOW_SECONDS[window];
  const mean = (stream.units * seconds) / spanSeconds;
  const index = stream.dispersion[window];
  if (index !== null) return { mean, variance: index * mean };
  const { arrivals } = stream;
  const windows = Math.floor(spanSeconds);
  if (window === 'ms1000' && arrivals.binSeconds === 1 && windows >= 2) {
    const squares = arrivals.units.reduce((sum, n) => sum + n ** 2, 0);
    return { mean, variance: Math.max(0, squares / windows - mean ** 2) };
  }
  return stream.units < SMALL * units ? { mean, variance: mean } : undefined;
}

type Transition = Model['transitions'][number];

/** What follows what, of classes that have become one; a model that saw no pattern saw next to no information. */
export function mergeTransitions(a: Model, b: Model, numbers: ClassNumbers): Model['transitions'] {
  const merged = new Map<number, { known: number; units: number; of: Transition[] }>();
  for (const [model, number] of [
    [a, numbers.a],
    [b, numbers.b],
  ] as const) {
    model.clients.classes.forEach((klass, i) => {
      const own = intern(merged, number[i]!, () => ({ known: 0, units: 0, of: [] }));
      const transition = model.transitions.find((one) => one.class === i);
      own.units += klass.units;
      if (!transition) return;
      own.known += klass.units;
      own.of.push(transition);
    });
  }
  return [...merged].flatMap(([klass, { known, units, of }]) => {
    if (of.length === 0) return [];
    const labels: string[] = [];
    const numberOf = new Map<string, number>();
    const counts = new Map<string, number>();
    for (const transition of of) {
      const place = (label: number) =>
        intern(numberOf, transition.labels[label]!, () => labels.push(transition.labels[label]!) - 1);
      for (const [from, to, n] of transition.pairs) tally(counts, `${place(from)} ${place(to)}`, n);
    }
    const pairs = [...counts]
      .map(([pair, n]) => [...pair.split(' ').map(Number), n] as [number, number, number])
      .sort((x, y) => x[0] - y[0] || x[1] - y[1]);
    const bits = (mutualInformation(pairs, labels.length) * known) / units;
    return bits > MIN_BITS ? { class: klass, bits: Math.round(bits * 1000) / 1000, labels, pairs } : [];
  });
}
