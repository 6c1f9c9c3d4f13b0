/** A family in two models → the family of both: keys that both have become one key with the requests of both. */

import { zipfExponent } from '../fit/popularity.ts';
import { ascending, BIRTH_BINS, descending, seeded } from '../fit/summarize.ts';
import { beforeEnd, KeyState, POPULARITIES } from '../fit/units.ts';
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import type { Family } from '../model.ts';
import { rounded } from '../rounding.ts';
import { intern, tally } from '../tally.ts';
import { type Bridges, consecutiveCurve, overlappingCurve } from './hit-ratios.ts';
import type { Placement } from './placement.ts';
import { addCounts, distinctOfBoth } from './roles.ts';
import { classOf, type KeyGroup, sharedKeys } from './shared-keys.ts';

/** Key accesses of the two models. */
export interface Clocks {
  a: number;
  b: number;
}

export interface MergedFamily {
  family: Family;
  /** What has become of each model's keys, by popularity class. */
  fate: { a: Fates; b: Fates };
  /** Accesses that were the first of a key in the second model only. */
  bridges: Bridges;
}

/** The class that some keys of a class have come to, and how many: those that both models have, and the others. */
interface Fate {
  to: number;
  shared: number;
  own: number;
  requests: number;
  gaps: number;
}
type Fates = Fate[][];

/** A bucket of gaps in one model is that much further up in both. */
const bucketsUp = (factor: number) => Math.round(4 * Math.log2(Math.max(1, factor)));
const gapBucket = (gap: number) => Math.floor(4 * Math.log2(Math.max(1, gap)));
/** Sampled keys that a class needs for its own gaps over the border of two models. */
const ENOUGH = 5;

/** Keys that clients accessed; those that only scripts touch apart. */
export const accessedKeys = ({ references }: Family) => references.reduce((sum, [, keys]) => sum + keys, 0);
const accessesOf = ({ references }: Family) => references.reduce((sum, [n, keys]) => sum + n * keys, 0);

/** A family that only one of the two models has, in the time of both. */
export function moveFamily(family: Family, side: 'a' | 'b', clocks: Clocks, placement: Placement): Family {
  const { consecutive, positionOf } = placement;
  const total = clocks.a + clocks.b;
  const up = consecutive ? 0 : bucketsUp(total / Math.max(1, clocks[side]));
  const move = positionOf[side];
  return {
    ...family,
    classes: family.classes.map((klass) => ({
      ...klass,
      births: rounding(moveBirths(klass.births, clocks[side], total, move)),
      gaps: klass.gaps.map(([bucket, n]): [number, number] => [bucket + up, n]),
    })),
    expired: family.expired.map(([bucket, share]): [number, number] => [bucket + up, share]),
    sample: {
      ...family.sample,
      keys: family.sample.keys.map(([tag, n, first, last]) => [
        ...([tag, n] as const),
        Math.round(move(first)),
        Math.round(move(last)),
      ]),
    },
  };
}

/** `readShare`: how many of the second model's accesses would prove their key there, were it the key's first. */
export function mergeFamilies(
  a: Family,
  b: Family,
  readShare: number,
  clocks: Clocks,
  placement: Placement,
): MergedFamily {
  const { groups, bridges: sampled, sample } = sharedKeys(a, b, placement);
  const fate = { a: fatesOf(groups, 'a'), b: fatesOf(groups, 'b') };
  const references = referencesOf(groups);
  const bridges = bridgesOf(groups, sampled, clocks.a + clocks.b);
  const commands = new Map(Object.entries(a.commands));
  for (const [name, n] of Object.entries(b.commands)) tally(commands, name, n);
  const requests = a.requests + b.requests;
  const accessed = groups.reduce((sum, { keys }) => sum + keys, 0);
  const keys = accessed + scriptKeys(a, b);
  const readFirst = [a, b].map((one) =>
    one.classes.reduce((sum, klass) => sum + klass.readFirst * keysIn(one, klass.class), 0),
  );
  const classes = mergeClasses({ a, b, readShare, fate, bridges, clocks, placement });
  const readFirstKeys = classes.reduce((sum, klass) => sum + klass.readFirst * total(klass.births), 0);
  const fromB = Math.max(0, readFirstKeys - readFirst[0]!);
  const merged: Family = {
    ...a,
    parts: a.parts.map((part, i) => {
      const other = b.parts[i]!;
      if (typeof part === 'string' || typeof other === 'string') return part;
      return { ...part, lengths: addCounts(part.lengths, other.lengths) };
    }),
    type: typeOf(a, b, commands),
    keys: Math.max(Math.min(1, a.keys + b.keys), Math.round(keys)),
    requests,
    scriptRequests: a.scriptRequests + b.scriptRequests,
    commands: Object.fromEntries(descending(commands)),
    zipf: zipfExponent(expanded(references), seeded()),
    references,
    classes,
    existing: weighted([a.existing, readFirst[0]!], [b.existing, fromB]) ?? a.existing,
    expired: expiredOf(a, b, clocks, placement),
    ...fillsOf(a, b),
    ...renewalsOf(a, b),
    elements: elementsOf(a, b, keys),
    valueBytes: addCounts(a.valueBytes, b.valueBytes),
    ttlSeconds: addCounts(a.ttlSeconds, b.ttlSeconds),
    sample,
  };
  delete merged.hitRatio;
  if (a.hitRatio && b.hitRatio) {
    const join = placement.consecutive ? consecutiveCurve : overlappingCurve;
    const own = accessesOf(merged) / Math.max(1, clocks.a + clocks.b);
    merged.hitRatio = join(
      { curve: a.hitRatio, accesses: accessesOf(a), keys: accessedKeys(a) },
      { curve: b.hitRatio, accesses: accessesOf(b), keys: accessedKeys(b) },
      accessed,
      // In accesses of this family alone.
      bridges.map(({ gap, keys: n }): [number, number] => [gap * own, n]),
    );
  }
  return { family: merged, fate, bridges: bridges.map(({ gap, keys: n }): [number, number] => [gap, n]) };
}

/**
 * States of units' first keys in the joined model: a key that both have is not done with at the end of the first, not
 * new in the second, and as popular as both together make it.
 */
export function moveStates(states: ValueCounts, side: 'a' | 'b', fates: Fates): ValueCounts {
  const moved = new Map<number, number>();
  for (const [at, n] of states) {
    const state = Math.floor(at / POPULARITIES);
    const before = beforeEnd(state);
    const isFinal = state !== before;
    const own = fates[at % POPULARITIES] ?? [];
    const isEnd = side === 'a' ? isFinal : NEW.has(before);
    const whole = own.reduce((sum, fate) => sum + (isEnd ? fate.shared + fate.own : fate.requests), 0);
    if (whole === 0) tally(moved, at, n);
    else
      for (const fate of own) {
        const inShared = side === 'a' ? before : KeyState.old + (isFinal ? KeyState.final : 0);
        if (!isEnd) tally(moved, state * POPULARITIES + fate.to, (n * fate.requests) / whole);
        else {
          tally(moved, inShared * POPULARITIES + fate.to, (n * fate.shared) / whole);
          tally(moved, state * POPULARITIES + fate.to, (n * fate.own) / whole);
        }
      }
  }
  return rounding(ascending(moved));
}

const NEW = new Set<number>([KeyState.present, KeyState.absent, KeyState.missing]);

const total = (counts: ValueCounts) => counts.reduce((sum, [, n]) => sum + n, 0);
const keysIn = ({ references }: Family, klass: number) =>
  references.reduce((sum, [n, keys]) => sum + (n > 0 && classOf(n) === klass ? keys : 0), 0);

function rounding(counts: ValueCounts): ValueCounts {
  const round = rounded();
  return counts.flatMap(([value, n]): ValueCounts => {
    const whole = round(n);
    return whole > 0 ? [[value, whole]] : [];
  });
}

const weighted = (...values: [value: number, weight: number][]): number | undefined => {
  const weight = values.reduce((sum, [, w]) => sum + w, 0);
  return weight > 0 ? values.reduce((sum, [value, w]) => sum + value * w, 0) / weight : undefined;
};

/** Most popular first, so that what rounding moves is moved among the many. */
function referencesOf(groups: KeyGroup[]): ValueCounts {
  const joined = new Map<number, number>();
  for (const { a, b, keys } of groups) tally(joined, a + b, keys);
  const references = new ValueHistogram();
  const round = rounded();
  for (const [requests, keys] of ascending(joined).reverse()) {
    const whole = round(keys);
    if (whole > 0) references.add(requests, whole);
  }
  return references.entries();
}

function* keysByRequests(references: ValueCounts): Generator<number> {
  for (const [requests, keys] of references) for (let i = 0; i < keys; i++) yield requests;
}
const expanded = (references: ValueCounts) => Uint32Array.from(keysByRequests(references));

function fatesOf(groups: KeyGroup[], side: 'a' | 'b'): Fates {
  const byClass = new Map<number, Map<number, Fate>>();
  for (const group of groups) {
    const requests = group[side];
    if (requests === 0) continue;
    const to = classOf(group.a + group.b);
    const fates = intern(byClass, classOf(requests), () => new Map<number, Fate>());
    const fate = intern(fates, to, () => ({ to, shared: 0, own: 0, requests: 0, gaps: 0 }));
    if (group.a > 0 && group.b > 0) fate.shared += group.keys;
    else fate.own += group.keys;
    fate.requests += requests * group.keys;
    fate.gaps += (requests - 1) * group.keys;
  }
  return Array.from({ length: POPULARITIES }, (_, klass) => [...(byClass.get(klass)?.values() ?? [])]);
}

interface Bridge {
  /** Class of the key in both models together. */
  to: number;
  gap: number;
  keys: number;
}

/** Gaps over the border: as the sampled keys of the class have them, or else all sampled ones, for every shared key. */
function bridgesOf(groups: KeyGroup[], sampled: { requests: number; gap: number }[], accesses: number): Bridge[] {
  const shared = new Map<number, number>();
  for (const { a, b, keys } of groups) if (a > 0 && b > 0) tally(shared, classOf(a + b), keys);
  return [...shared].flatMap(([to, keys]) => {
    const own = sampled.filter(({ requests }) => classOf(requests) === to);
    const like =
      own.length >= ENOUGH || own.length >= keys ? own.map(({ gap }) => gap) : gapsLike(sampled, to, accesses);
    return like.map((gap) => ({ to, gap, keys: keys / like.length }));
  });
}

/** Twice as popular a key comes back twice as soon. */
function gapsLike(sampled: { requests: number; gap: number }[], to: number, accesses: number): number[] {
  if (sampled.length === 0) return [accesses / 2 ** to];
  return sampled.map(({ requests, gap }) => Math.max(1, gap * 2 ** (classOf(requests) - to)));
}

interface Merging {
  a: Family;
  b: Family;
  readShare: number;
  fate: { a: Fates; b: Fates };
  bridges: Bridge[];
  clocks: Clocks;
  placement: Placement;
}

/**
 * Births, gaps and expiries go with the keys to the class that they have come to. A shared key was born in the first
 * model; its gaps are those of both and the one between. Born early or late is taken to say nothing of being shared.
 */
function mergeClasses({ a, b, readShare, fate, bridges, clocks, placement }: Merging): Family['classes'] {
  const cells = Array.from({ length: POPULARITIES }, () => ({
    ...{ keys: 0, readFirst: 0, found: 0, births: new Map<number, number>() },
    ...{ gaps: new Map<number, number>(), ttls: new Map<number, number>() },
  }));
  const all = clocks.a + clocks.b;
  for (const side of ['a', 'b'] as const) {
    const family = side === 'a' ? a : b;
    for (const klass of family.classes) {
      const fates = fate[side][klass.class]!;
      const births = moveBirths(klass.births, clocks[side], all, placement.positionOf[side]);
      const born = total(births);
      const gaps = total(klass.gaps);
      const shared = fates.reduce((sum, f) => sum + f.shared, 0);
      const own = fates.reduce((sum, f) => sum + f.own, 0);
      const requests = fates.reduce((sum, f) => sum + f.requests, 0);
      // Of keys that the first model has, a first read in the second tells nothing; they are as many as reads are.
      const known = side === 'b' ? shared * readShare : 0;
      const newlyRead = Math.min(own, Math.max(0, klass.readFirst * (shared + own) - known));
      const readFirst = side === 'a' ? klass.readFirst : newlyRead / Math.max(own, 1e-9);
      for (const { to, ...f } of fates) {
        const cell = cells[to]!;
        const first = side === 'a' ? f.shared + f.own : f.own;
        cell.keys += first;
        cell.readFirst += first * readFirst;
        cell.found += (first * readFirst * (klass.found ?? 0)) / Math.max(1e-9, klass.readFirst);
        for (const [bin, n] of births) tally(cell.births, bin, (n * first) / Math.max(1, born));
        const interleaved = f.requests / Math.max(1, (f.shared + f.own) * 2 ** to);
        const up = placement.consecutive ? 0 : bucketsUp((all / Math.max(1, clocks[side])) * Math.min(1, interleaved));
        for (const [bucket, n] of klass.gaps) tally(cell.gaps, bucket + up, (n * f.gaps) / Math.max(1, gaps));
        for (const [seconds, n] of klass.ttlSeconds)
          tally(cell.ttls, seconds, (n * f.requests) / Math.max(1, requests));
      }
    }
  }
  for (const { to, gap, keys } of bridges) tally(cells[to]!.gaps, gapBucket(gap), keys);
  return cells.flatMap(({ keys, readFirst, found, births, gaps, ttls }, klass) => {
    const whole = rounding(ascending(births));
    if (whole.length === 0) return [];
    return {
      ...{ class: klass, births: whole, gaps: rounding(ascending(gaps)), readFirst: Math.min(1, readFirst / keys) },
      ...(found > 0 ? { found: Math.min(1, found / keys) } : {}),
      ttlSeconds: addCounts(rounding(ascending(ttls))),
    };
  });
}

/** Births, with each bin's keys spread over the bins that its stretch of the model's time has come to. */
function moveBirths(births: ValueCounts, clock: number, all: number, move: (position: number) => number): ValueCounts {
  const moved = new Map<number, number>();
  const binOf = (position: number) => (move((position / BIRTH_BINS) * clock) / Math.max(1, all)) * BIRTH_BINS;
  for (const [bin, n] of births) {
    const [from, until] = [binOf(bin), Math.max(binOf(bin + 1), binOf(bin) + 1e-6)];
    for (let at = Math.floor(from); at < until; at++) {
      const share = (Math.min(until, at + 1) - Math.max(from, at)) / (until - from);
      if (share > 0) tally(moved, Math.min(BIRTH_BINS - 1, at), n * share);
    }
  }
  return ascending(moved);
}

/** Keys that only scripts touch: nobody knows which; by how often they were touched, most are new or most are known. */
function scriptKeys(a: Family, b: Family): number {
  const [onlyA, onlyB] = [a, b].map((one) => Math.max(0, one.keys - accessedKeys(one))) as [number, number];
  return distinctOfBoth(onlyA, a.scriptRequests, onlyB, b.scriptRequests);
}

function typeOf(a: Family, b: Family, commands: Map<string, number>): Family['type'] {
  if (a.type === b.type || b.type === 'unknown') return a.type;
  if (a.type === 'unknown') return b.type;
  if ([a.type, b.type].every((type) => type === 'string' || type === 'integer')) {
    return ['incr', 'decr', 'incrby', 'decrby', 'incrbyfloat'].some((name) => commands.has(name))
      ? 'integer'
      : 'string';
  }
  return a.requests + a.scriptRequests >= b.requests + b.scriptRequests ? a.type : b.type;
}

/** Misses of both, with what others did about them. */
function fillsOf({ fills: a }: Family, { fills: b }: Family): Pick<Family, 'fills'> {
  if (!a || !b) return a || b ? { fills: a ?? b } : {};
  const add = (x: [number, number], y: [number, number]): [number, number] => [x[0] + y[0], x[1] + y[1]];
  return {
    fills: {
      missing: add(a.missing, b.missing),
      gone: add(a.gone, b.gone),
      delaySeconds: addCounts(a.delaySeconds, b.delaySeconds),
    },
  };
}

function renewalsOf({ renewals: a }: Family, { renewals: b }: Family): Pick<Family, 'renewals'> {
  if (!a || !b) return a || b ? { renewals: a ?? b } : {};
  return { renewals: { count: a.count + b.count, times: a.times + b.times, lapsed: a.lapsed + b.lapsed } };
}

/** Shares of later accesses that found the key gone, weighted by the accesses after such gaps. */
function expiredOf(a: Family, b: Family, clocks: Clocks, placement: Placement): Family['expired'] {
  const all = new Map<number, number>();
  const expired = new Map<number, number>();
  for (const [family, side] of [
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    const moved = moveFamily(family, side, clocks, placement);
    const after = new Map<number, number>();
    for (const klass of moved.classes) for (const [bucket, n] of klass.gaps) tally(after, bucket, n);
    for (const [bucket, n] of after) tally(all, bucket, n);
    for (const [bucket, share] of moved.expired) tally(expired, bucket, share * (after.get(bucket) ?? 0));
  }
  return ascending(expired).flatMap(([bucket, n]): [number, number][] => {
    const whole = all.get(bucket) ?? 0;
    return whole > 0 ? [[bucket, Math.min(1, n / whole)]] : [];
  });
}

/**
 * As many elements as evenly drawn ones would make, and what both have taken to be the most asked for of each. Elements
 * come and go, or stay: of that, the estimate knows only how often each was seen.
 */
function elementsOf(a: Family, b: Family, keys: number): Family['elements'] {
  if (!a.elements || !b.elements) return a.elements ?? b.elements;
  const [ofA, ofB] = [a.elements, b.elements].map(({ references }) => expanded(references).reverse());
  const [askedA, askedB] = [ofA!, ofB!].map((counts) => counts.reduce((sum, n) => sum + n, 0));
  const distinct = Math.round(distinctOfBoth(ofA!.length, askedA!, ofB!.length, askedB!));
  const shared = ofA!.length + ofB!.length - distinct;
  const counts = [
    ...ofA!.subarray(0, shared).map((n, rank) => n + ofB![rank]!),
    ...ofA!.subarray(shared),
    ...ofB!.subarray(shared),
  ];
  const references = new ValueHistogram();
  for (const n of counts) references.add(n);
  // Samples of pairs stand for more than themselves.
  const scale = (a.elements.perKey * a.keys + b.elements.perKey * b.keys) / (ofA!.length + ofB!.length);
  return {
    perKey: Math.max(1, (distinct * scale) / Math.max(1, keys)),
    ...(a.elements.universe !== undefined && b.elements.universe !== undefined
      ? {
          universe: Math.round(
            distinctOfBoth(a.elements.universe, askedA! * scale, b.elements.universe, askedB! * scale),
          ),
        }
      : {}),
    references: references.entries(),
    zipf: zipfExponent(counts, seeded()),
  };
}
