/** What there was when the capture began → the keys of it that the workload never touches, and what to say of them. */
import type { Caveat } from '../../errors.ts';
import { canBeMany } from '../../model/fit/at-start.ts';
import { ValueHistogram } from '../../model/histogram.ts';
import type { Family, Model } from '../../model/model.ts';
import { rounded } from '../../model/rounding.ts';
import { tally } from '../../model/tally.ts';
import { type Random, Sampler, stream } from '../random.ts';
import { type KeyMaker, UNTOUCHED } from '../synthesis/keys.ts';
import { type Contents, creation } from './contents.ts';
import type { MadeKey } from './filling.ts';
import { isPlainType, StoredKinds } from './stored.ts';

/** What a server may hold at first unless something else is said: most machines can keep two such servers. */
const DATASET_BYTES = 2 * 1024 ** 3;
/** A key of whose memory nothing is known; and what the smallest take. */
const UNKNOWN_KEY_BYTES = 256;
const LEAST_KEY_BYTES = 64;

/** Keys of all families in turn, so that no server has those of one side by side that were not. */
const KEYS_A_TURN = 64;

/** What a key of a family of which nothing was looked at holds. */
export type KeyContents = (key: number, random: Random) => Contents;

/** Untouched keys of a family. */
export interface Untouched {
  keys: number;
  /** How many of them expire; undefined where nobody counted: all, if the capture gives such keys an expiry. */
  expiring: number | undefined;
}

export interface UntouchedOptions {
  makers: readonly KeyMaker[];
  /** By family. */
  contents: readonly KeyContents[];
  seed: string;
  /** By family: see `untouchedKeys`. */
  counts: readonly Untouched[];
  /** Whether the workload has a key of this name. */
  isTaken?: (db: number, name: string) => boolean;
  /** Commands that give a key of the family its consumer groups. */
  groupsFor?: (number: number, name: string) => string[][];
}

/** The untouched keys of a database, the same each time. */
export function* makeUntouched(
  model: Pick<Model, 'families' | 'expiringAtStart'>,
  db: number,
  { makers, contents, seed, counts, isTaken = () => false, groupsFor = () => [] }: UntouchedOptions,
): Generator<MadeKey> {
  const { families } = model;
  const lives = livesLeft(model, db, counts);
  const own = families.flatMap((family, number) => {
    const { keys: count, expiring } = counts[number]!;
    if (family.db !== db || count === 0) return [];
    return {
      ...{ number, count, expiring, made: 0, next: UNTOUCHED },
      random: stream(seed, 'untouched', number),
      kinds: StoredKinds.of(family.atStart?.kinds),
      life: lives(family),
    };
  });
  const all = own.reduce((sum, { count }) => sum + count, 0);
  const turns = Math.ceil(all / KEYS_A_TURN);
  for (let turn = 1; turn <= turns; turn++) {
    for (const family of own) {
      const { number, count, expiring, life, random, kinds } = family;
      for (const until = Math.floor((count * turn) / turns); family.made < until; family.made++) {
        let name = makers[number]!.key(family.next, count);
        while (isTaken(db, name) && canBeMany(families[number]!)) name = makers[number]!.key(++family.next, count);
        const stored = kinds?.draw(random);
        const held: Contents = stored
          ? {
              type: stored.type,
              valueBytes: NO_SIZES,
              elements: NO_ELEMENTS,
              ttlSeconds: stored.expiry(random),
              stored,
            }
          : contents[number]!(family.next, random);
        // Those that expire come in between the others.
        const passing = (keys: number) => Math.floor((expiring! * keys) / count);
        if (expiring !== undefined)
          held.ttlSeconds = passing(family.made + 1) > passing(family.made) ? life : undefined;
        const groups = held.type === 'stream' ? groupsFor(number, name) : [];
        yield {
          name,
          commands: groups.length > 0 ? [...creation(name, held, random), ...groups] : creation(name, held, random),
        };
        family.next++;
      }
    }
  }
}

const NO_SIZES = new Sampler([], 0);
const NO_ELEMENTS: Contents['elements'] = new Map();

type AtStart = Pick<Model, 'families' | 'keysAtStart' | 'expiringAtStart' | 'usedBytesAtStart' | 'sampledAtStart'>;

/**
 * By family, how many keys there are besides the `touched` ones: as many as the server counted in each database, divided
 * as the sample was. In a database of which nothing was looked at, they are like the touched ones, and as many expire as
 * the server counted.
 */
export function untouchedKeys(model: AtStart, touched: readonly number[], limitBytes = DATASET_BYTES): Untouched[] {
  const missing = new Map(keysAtStart(model));
  touched.forEach((keys, number) => {
    tally(missing, model.families[number]!.db, -keys);
  });
  const all = [...missing.values()].reduce((sum, keys) => sum + Math.max(0, keys), 0);
  const room = mostKeys(model, limitBytes) - touched.reduce((sum, keys) => sum + keys, 0);
  const share = Math.min(1, Math.max(0, room / Math.max(1, all)));
  const counts = model.families.map((): Untouched => ({ keys: 0, expiring: undefined }));
  for (const [db, keys] of missing) {
    const own = model.families.flatMap((family, number) => (family.db === db ? number : []));
    const weights = weightsIn(model.families, own, touched);
    const left = Math.max(0, Math.round(keys * share));
    const expiring = expiringIn(model, db, touched);
    if (expiring === undefined) {
      for (const [number, n] of divided(left, weights, share, model.families)) counts[number]!.keys = n;
      continue;
    }
    // Keys that expire are like those that are given an expiry, the others like the others.
    const passing = Math.min(left, Math.round(expiring * share));
    const expiry = (number: number) => expiringShare(model.families[number]!);
    const likeExpiring = weighed(weights, expiry);
    const likeOthers = weighed(weights, (number) => 1 - expiry(number));
    const expiringBy = divided(passing, likeExpiring, share, model.families);
    for (const [number, n] of divided(left - passing, likeOthers, share, model.families)) {
      const expiring = expiringBy.get(number)!;
      counts[number] = { keys: n + expiring, expiring };
    }
  }
  return counts;
}

/** So many keys, divided among families in proportion; such as are one key by name are one. */
function divided(
  keys: number,
  weights: ReadonlyMap<number, number>,
  share: number,
  families: Family[],
): Map<number, number> {
  const counts = new Map<number, number>();
  let left = keys;
  let sum = 0;
  for (const [number, weight] of weights) {
    if (canBeMany(families[number]!)) {
      sum += weight;
      continue;
    }
    const n = Math.min(left, Math.round(weight * share));
    counts.set(number, n);
    left -= n;
  }
  const round = rounded();
  for (const [number, weight] of weights)
    if (!counts.has(number)) counts.set(number, weight > 0 ? round((left * weight) / sum) : 0);
  return counts;
}

/** Weights times a factor, or as they are where it leaves none. */
function weighed(weights: ReadonlyMap<number, number>, factor: (number: number) => number): Map<number, number> {
  const by = new Map([...weights].map(([number, weight]) => [number, weight * factor(number)]));
  return [...by.values()].some((weight) => weight > 0) ? by : new Map(weights);
}

/** Untouched keys of a database that expire, of which nothing was looked at; undefined where nobody counted them. */
function expiringIn(
  { families, expiringAtStart }: AtStart,
  db: number,
  touched: readonly number[],
): number | undefined {
  const counted = expiringAtStart?.find((entry) => entry[0] === db);
  if (!counted || families.some((family) => family.db === db && family.atStart)) return undefined;
  const found = touched.reduce(
    (sum, keys, number) => sum + (families[number]!.db === db ? keys * expiringShare(families[number]!) : 0),
    0,
  );
  return Math.max(0, counted[1] - Math.round(found));
}

/** Share of a family's keys that are given an expiry. */
function expiringShare({ ttlSeconds, keys }: Family): number {
  return Math.min(1, ttlSeconds.reduce((sum, [, n]) => sum + n, 0) / Math.max(1, keys));
}

/**
 * Seconds left to untouched keys of a database, by family: any part of the lives that such keys are given, so large that
 * the mean is the server's own, where it says one; undefined where nothing tells.
 */
function livesLeft(
  { families, expiringAtStart }: Pick<Model, 'families' | 'expiringAtStart'>,
  db: number,
  counts: readonly Untouched[],
): (family: Family) => Contents['ttlSeconds'] {
  const seconds = expiringAtStart?.find((entry) => entry[0] === db)?.[2] ?? 0;
  let [expiring, given] = [0, 0];
  families.forEach((family, number) => {
    if (family.db !== db || family.ttlSeconds.length === 0) return;
    const keys = counts[number]!.expiring ?? 0;
    expiring += keys;
    given += keys * ValueHistogram.from(family.ttlSeconds).mean();
  });
  const part = seconds > 0 && given > 0 ? Math.min(1, (seconds * expiring) / given) : 1;
  const least = Math.max(0, 2 * part - 1);
  const most = Math.min(1, 2 * part);
  return ({ ttlSeconds }) => {
    if (ttlSeconds.length === 0) return seconds > 0 ? new Sampler([[seconds, 1]], seconds) : undefined;
    const lives = new Sampler(ttlSeconds, 0);
    return { draw: (random) => lives.draw(random) * (least + (most - least) * random()) };
  };
}

/** How many keys of each family are untouched, in proportion. */
function weightsIn(families: Family[], own: number[], touched: readonly number[]): Map<number, number> {
  const sampled = own.some((number) => families[number]!.atStart);
  const weights = new Map(
    own.map((number): [number, number] => {
      const { atStart, keys, requests, type } = families[number]!;
      if (!sampled) return [number, requests > 0 && type !== 'unknown' && canBeMany(families[number]!) ? keys : 0];
      return [number, Math.max(0, plainKeys(atStart) - touched[number]!)];
    }),
  );
  // All that was looked at is touched: so is what more there is, but for what came meanwhile.
  const isEmpty = [...weights.values()].every((weight) => weight === 0);
  const many = own.filter((number) => canBeMany(families[number]!));
  if (isEmpty) for (const number of many) weights.set(number, plainKeys(families[number]!.atStart));
  return weights;
}

const plainKeys = (atStart: Family['atStart']) =>
  (atStart?.kinds ?? []).reduce((sum, { type, keys }) => sum + (isPlainType(type) ? keys : 0), 0);

/** By database; where nobody counted, as many as the sample stands for. */
function keysAtStart({ keysAtStart: counted, families }: AtStart): [db: number, keys: number][] {
  if (counted) return counted;
  const sum = new Map<number, number>();
  for (const { db, atStart } of families) if (atStart) tally(sum, db, atStart.keys);
  return [...sum];
}

const totalOf = (model: AtStart) => keysAtStart(model).reduce((sum, [, keys]) => sum + keys, 0);

/** That a server has room for, when each takes what it took of the captured one. */
function mostKeys(model: AtStart, limitBytes: number): number {
  const each = model.usedBytesAtStart === undefined ? UNKNOWN_KEY_BYTES : model.usedBytesAtStart / totalOf(model);
  return Math.floor(limitBytes / Math.max(LEAST_KEY_BYTES, each || 0));
}

/** What the reader must know of the dataset that servers have at first. */
export function datasetCaveats(model: AtStart, limitBytes = DATASET_BYTES): Caveat[] {
  const caveats: Caveat[] = [];
  const keys = totalOf(model);
  const number = (value: number) => value.toLocaleString('en');
  const { sampledAtStart: sampled } = model;
  if (sampled && !sampled.complete) {
    const scale = keys / Math.max(1, sampled.keys);
    caveats.push({
      id: 'dataset-sampled',
      message: `${number(sampled.keys)} of the ${number(keys)} keys that there were when the capture began were looked at. What it never touches is made like them, each for ${number(Number(scale.toPrecision(3)))}: kinds of keys that are rarer than that may be missing, or too many.`,
      advice:
        'Capture with a larger --sample where memory decides; 20,000 keys take a server of millions some seconds.',
      numbers: { sampled: sampled.keys, keys, scale },
    });
  }
  const most = mostKeys(model, limitBytes);
  if (keys > most) {
    caveats.push({
      id: 'dataset-limited',
      message: `Servers begin with ${number(most)} of ${number(keys)} keys: more would take more than ${number(Math.round(limitBytes / 2 ** 20))} MiB of each. Untouched keys are left out of all families alike.`,
      advice: 'Give both servers more memory and raise --dataset-limit, or read memory as that of a smaller dataset.',
      numbers: { keys: most, captured: keys, limitBytes },
    });
  }
  const foreign = new Map<string, number>();
  for (const { atStart } of model.families)
    for (const { type, keys: n } of atStart?.kinds ?? []) if (!isPlainType(type)) tally(foreign, type, n);
  if (foreign.size > 0) {
    const count = [...foreign.values()].reduce((sum, n) => sum + n, 0);
    caveats.push({
      id: 'dataset-modules',
      message: `About ${number(count)} keys hold what modules store (${[...foreign.keys()].slice(0, 4).join(', ')}): there are others in their place.`,
      advice: 'Rehearse what these modules do by hand, on servers that have them.',
      numbers: { keys: count },
    });
  }
  return caveats;
}
