/** One family in two models → which keys they share: exact for a few hundred keys, estimated from a sample of more. */
import type { ValueCounts } from '../histogram.ts';
import type { Family } from '../model.ts';
import { MAX_SAMPLE } from '../summarize.ts';
import { POPULARITIES } from '../units.ts';
import type { Placement } from './placement.ts';

type SampledKey = Family['sample']['keys'][number];

/** Keys with so many requests in the first model and in the second; 0 for keys that one does not have. */
export interface KeyGroup {
  a: number;
  b: number;
  keys: number;
}

export interface SharedKeys {
  groups: KeyGroup[];
  /** Requests of both, and accesses of all keys between the last in the first model and the first in the second. */
  bridges: { requests: number; gap: number }[];
  sample: Family['sample'];
}

/** Popularity class ⌊log2 requests⌋. */
export const classOf = (requests: number) => 31 - Math.clz32(Math.max(1, requests));

/**
 * Both models chose the keys of their samples by the same hash, so of the keys below the lower of the two bounds each
 * model's requests are known, and with them those of both. Where that are all keys, the result is exact. Else the
 * sample says what share of each popularity class meets which class of the other model, and the table of classes is
 * fitted to the true numbers of keys of both (iterative proportional fitting, Deming and Stephan 1940). The number of
 * shared keys has a standard error of √(p (1 - p) / n) of the keys, with p their share and n the sampled keys: 3 % at
 * most for 256.
 */
export function sharedKeys(a: Family, b: Family, { positionOf }: Placement): SharedKeys {
  const below = Math.min(a.sample.below, b.sample.below);
  const isA = new Set(a.sample.keys.map(([tag]) => tag));
  const isB = new Set(b.sample.keys.map(([tag]) => tag));
  const sampleA = belowBound(a.sample, below, isB);
  const sampleB = belowBound(b.sample, below, isA);
  const others = new Map(sampleB.map((key) => [key[0], key]));
  const pairs: [SampledKey | undefined, SampledKey | undefined][] = sampleA.map((key) => [key, others.get(key[0])]);
  for (const key of sampleB) if (!isA.has(key[0])) pairs.push([undefined, key]);
  const bridges = pairs.flatMap(([x, y]) => {
    if (!x || !y) return [];
    return { requests: x[1] + y[1], gap: Math.max(1, Math.abs(positionOf.b(y[2]) - positionOf.a(x[3]))) };
  });
  const isComplete = a.sample.below === 1 && b.sample.below === 1;
  const groups = isComplete
    ? pairs.map(([x, y]): KeyGroup => ({ a: x?.[1] ?? 0, b: y?.[1] ?? 0, keys: 1 }))
    : estimatedGroups(a.references, b.references, pairs);
  const joined = joinSamples(sampleA, sampleB, below, (x, y): SampledKey => {
    const first = [...(x ? [positionOf.a(x[2])] : []), ...(y ? [positionOf.b(y[2])] : [])];
    const last = [...(x ? [positionOf.a(x[3])] : []), ...(y ? [positionOf.b(y[3])] : [])];
    const requests = (x?.[1] ?? 0) + (y?.[1] ?? 0);
    return [(x ?? y)![0], requests, Math.round(Math.min(...first)), Math.round(Math.max(...last))];
  });
  return { groups, bridges, sample: joined };
}

/**
 * The keys of a sample that are below a lower bound. They come in the order of their hashes but without them: as many
 * are taken as are expected there, and all up to the last one that the other sample has, which surely are.
 */
function belowBound({ below, keys }: Family['sample'], bound: number, inOther: Set<number>): SampledKey[] {
  if (bound >= below) return keys;
  const expected = Math.round((keys.length * bound) / below);
  return keys.slice(0, Math.max(expected, keys.findLastIndex(([tag]) => inOther.has(tag)) + 1));
}

/** The keys of both samples, in about the order of their hashes, as many as a model keeps. */
function joinSamples(
  a: SampledKey[],
  b: SampledKey[],
  below: number,
  join: (x: SampledKey | undefined, y: SampledKey | undefined) => SampledKey,
): Family['sample'] {
  const entries = new Map<number, { order: number; x?: SampledKey; y?: SampledKey }>();
  const orderOf = (i: number, all: SampledKey[]) => ({ order: ((i + 0.5) / all.length) * below });
  for (const [i, x] of a.entries()) entries.set(x[0], { ...orderOf(i, a), x });
  for (const [i, y] of b.entries()) entries.set(y[0], { ...(entries.get(y[0]) ?? orderOf(i, b)), y });
  const sorted = [...entries.values()].sort((x, y) => x.order - y.order);
  return {
    below: sorted[MAX_SAMPLE]?.order ?? below,
    keys: sorted.slice(0, MAX_SAMPLE).map(({ x, y }) => join(x, y)),
  };
}

/** In tables of classes: keys that the other model does not have. Class c has number c + 1. */
const NONE = 0;
const WIDTH = POPULARITIES + 1;
const ROUNDS = 60;
/** No cell that the true numbers might need is without any weight, in keys. */
const LEAST = 1e-3;

function estimatedGroups(
  a: ValueCounts,
  b: ValueCounts,
  pairs: [SampledKey | undefined, SampledKey | undefined][],
): KeyGroup[] {
  const [byClassA, byClassB] = [valuesByClass(a), valuesByClass(b)];
  const table = likelyTable(
    pairs.map(([x, y]) => [x ? classOf(x[1]) : undefined, y ? classOf(y[1]) : undefined]),
    byClassA.map(keysOf),
    byClassB.map(keysOf),
  );
  const groups: KeyGroup[] = [];
  for (let row = 0; row < WIDTH; row++)
    for (let column = 0; column < WIDTH; column++) {
      const keys = table[row]![column]!;
      // The more popular of one class are the more popular of the other.
      if (keys > LEAST / WIDTH) alongside(byClassA[row - 1], byClassB[column - 1], keys, (group) => groups.push(group));
    }
  return groups;
}

/** Keys by class in the first model (rows) and in the second (columns), fitted to the number of keys of each class. */
function likelyTable(
  sampled: [number | undefined, number | undefined][],
  keysA: number[],
  keysB: number[],
): Float64Array[] {
  const table = Array.from({ length: WIDTH }, () => new Float64Array(WIDTH));
  for (const [x, y] of sampled) table[x === undefined ? NONE : x + 1]![y === undefined ? NONE : y + 1]! += 1;
  // A class of which the sample knows little behaves like the one below it, one class further up.
  const total = sampled.length + 1;
  let before = new Float64Array(2 * WIDTH);
  for (const [x, y] of sampled) {
    if (x !== undefined) before[y === undefined ? 0 : WIDTH + y - x]! += 1 / total;
  }
  const likely = table.map(() => new Float64Array(WIDTH));
  for (let row = 1; row < WIDTH; row++) {
    const weights = before.slice();
    for (let column = 0; column < WIDTH; column++) {
      weights[column === NONE ? 0 : WIDTH + column - row]! += table[row]![column]!;
    }
    let sum = 0;
    for (const weight of weights) sum += weight;
    before = weights.map((weight) => weight / (sum || 1));
    const keys = keysA[row - 1]!;
    for (let column = 1; column < WIDTH; column++) likely[row]![column] = keys * before[WIDTH + column - row]!;
    likely[row]![NONE] = Math.max(keys * before[0]!, Math.min(keys, LEAST));
  }
  let alone = 0;
  for (const [x] of sampled) if (x === undefined) alone += 1 / total;
  for (let column = 1; column < WIDTH; column++) {
    let seen = 0;
    for (let row = 0; row < WIDTH; row++) seen += table[row]![column]!;
    alone = (table[NONE]![column]! + alone) / (seen + 1);
    const keys = keysB[column - 1]!;
    likely[NONE]![column] = Math.max(keys * alone, Math.min(keys, LEAST));
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (let column = 1; column < WIDTH; column++) {
      let sum = 0;
      for (const row of likely) sum += row[column]!;
      if (sum > 0) for (const row of likely) row[column]! *= keysB[column - 1]! / sum;
    }
    for (let row = 1; row < WIDTH; row++) {
      let sum = 0;
      for (const keys of likely[row]!) sum += keys;
      if (sum > 0) likely[row] = likely[row]!.map((keys) => (keys * keysA[row - 1]!) / sum);
    }
  }
  return likely;
}

function valuesByClass(references: ValueCounts): ValueCounts[] {
  const byClass = Array.from({ length: POPULARITIES }, (): ValueCounts => []);
  for (const entry of references) if (entry[0] > 0) byClass[classOf(entry[0])]!.push(entry);
  return byClass;
}

const keysOf = (values: ValueCounts) => values.reduce((sum, [, keys]) => sum + keys, 0);

/** Splits `keys` keys by both distributions at once, smallest with smallest; undefined: keys that a model does not have. */
function alongside(
  a: ValueCounts | undefined,
  b: ValueCounts | undefined,
  keys: number,
  add: (group: KeyGroup) => void,
): void {
  const [sumA, sumB] = [keysOf(a ?? []), keysOf(b ?? [])];
  let [i, j] = [0, 0];
  let [leftA, leftB] = [0, 0];
  for (let left = keys; left > keys * 1e-9; ) {
    if (a && leftA === 0) {
      if (i === a.length) return;
      leftA = (a[i++]![1] / sumA) * keys;
    }
    if (b && leftB === 0) {
      if (j === b.length) return;
      leftB = (b[j++]![1] / sumB) * keys;
    }
    const taken = Math.min(left, a ? leftA : left, b ? leftB : left);
    add({ a: a ? a[i - 1]![0] : 0, b: b ? b[j - 1]![0] : 0, keys: taken });
    left -= taken;
    // What is left by rounding is nothing.
    if (a) leftA = leftA - taken < keys * 1e-12 ? 0 : leftA - taken;
    if (b) leftB = leftB - taken < keys * 1e-12 ? 0 : leftB - taken;
  }
}
