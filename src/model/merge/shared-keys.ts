/** One family in two models → which keys they share: exact for a few hundred keys, estimated from a sample of more. */

import { MAX_SAMPLE } from '../fit/summarize.ts';
import { POPULARITIES } from '../fit/units.ts';
import type { ValueCounts } from '../histogram.ts';
import type { Family } from '../model.ts';
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
 * most for 256, 1.6 % for 1,024.
 */
export function sharedKeys(a: Family, b: Family, { positionOf }: Placement): SharedKeys {
  const below = Math.min(a.sample.below, b.sample.below);
  const pairs = pairsOf(a.sample.keys, b.sample.keys).filter(([x, y]) => (x ?? y)![0] < below);
  const bridges = pairs.flatMap(([x, y]) => {
    if (!x || !y) return [];
    return { requests: x[1] + y[1], gap: Math.max(1, Math.abs(positionOf.b(y[2]) - positionOf.a(x[3]))) };
  });
  const kept = Math.max(MAX_SAMPLE, a.sample.keys.length, b.sample.keys.length);
  const isComplete = a.sample.below === 1 && b.sample.below === 1;
  const groups = isComplete
    ? pairs.map(([x, y]): KeyGroup => ({ a: x?.[1] ?? 0, b: y?.[1] ?? 0, keys: 1 }))
    : estimatedGroups(a.references, b.references, pairs);
  return { groups, bridges, sample: joinSample(pairs, below, kept, positionOf) };
}

type Pair = [a: SampledKey | undefined, b: SampledKey | undefined];

/** Keys of both samples, those of one hash together, in order of the hash. */
function pairsOf(a: SampledKey[], b: SampledKey[]): Pair[] {
  const pairs = new Map(a.map((key): [number, Pair] => [key[0], [key, undefined]]));
  for (const key of b) pairs.set(key[0], [pairs.get(key[0])?.[0], key]);
  return [...pairs].sort((x, y) => x[0] - y[0]).map(([, pair]) => pair);
}

function joinSample(pairs: Pair[], below: number, kept: number, positionOf: Placement['positionOf']): Family['sample'] {
  const keys = pairs.slice(0, kept).map(([x, y]): SampledKey => {
    const known = [...(x ? [{ key: x, move: positionOf.a }] : []), ...(y ? [{ key: y, move: positionOf.b }] : [])];
    return [
      known[0]!.key[0],
      known.reduce((sum, { key }) => sum + key[1], 0),
      Math.round(Math.min(...known.map(({ key, move }) => move(key[2])))),
      Math.round(Math.max(...known.map(({ key, move }) => move(key[3])))),
    ];
  });
  const [x, y] = pairs[kept] ?? [];
  return { below: (x ?? y)?.[0] ?? below, keys };
}

/** In tables of classes: keys that the other model does not have. Class c has number c + 1. */
const NONE = 0;
const WIDTH = POPULARITIES + 1;
const ROUNDS = 60;
/** No cell that the true numbers might need is without any weight, in keys. */
const LEAST = 1e-3;

function estimatedGroups(a: ValueCounts, b: ValueCounts, pairs: Pair[]): KeyGroup[] {
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
      if (keys > LEAST / WIDTH) groups.push(...pairedUp(byClassA[row - 1], byClassB[column - 1], keys));
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

/** Up to here, requests of one class differ by chance; beyond, the more popular keys of one are those of the other. */
const BY_CHANCE = 8;
const NOT_THERE: ValueCounts = [[0, 1]];

/** `keys` keys that have requests of both distributions; undefined for a model that does not have them. */
function pairedUp(a: ValueCounts = NOT_THERE, b: ValueCounts = NOT_THERE, keys: number): KeyGroup[] {
  const [sumA, sumB] = [keysOf(a), keysOf(b)];
  if (a.length <= BY_CHANCE && b.length <= BY_CHANCE) {
    return a.flatMap(([x, n]) => b.map(([y, m]): KeyGroup => ({ a: x, b: y, keys: (keys * n * m) / (sumA * sumB) })));
  }
  const groups: KeyGroup[] = [];
  let [i, j, doneA, doneB, done] = [0, 0, 0, 0, 0];
  while (i < a.length && j < b.length) {
    const [untilA, untilB] = [doneA + a[i]![1] / sumA, doneB + b[j]![1] / sumB];
    const until = Math.min(untilA, untilB);
    groups.push({ a: a[i]![0], b: b[j]![0], keys: keys * (until - done) });
    done = until;
    if (untilA <= until) [i, doneA] = [i + 1, untilA];
    if (untilB <= until) [j, doneB] = [j + 1, untilB];
  }
  return groups;
}
