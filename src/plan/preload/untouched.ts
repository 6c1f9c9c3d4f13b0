/** What there was when the capture began → the keys of it that the workload never touches, and what to say of them. */
import type { Caveat } from '../../errors.ts';
import { canBeMany } from '../../model/fit/at-start.ts';
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

export interface UntouchedOptions {
  makers: readonly KeyMaker[];
  /** By family. */
  contents: readonly KeyContents[];
  seed: string;
  /** How many, by family: see `untouchedKeys`. */
  counts: readonly number[];
  /** Whether the workload has a key of this name. */
  isTaken?: (db: number, name: string) => boolean;
  /** Commands that give a key of the family its consumer groups. */
  groupsFor?: (number: number, name: string) => string[][];
}

/** The untouched keys of a database, the same each time. */
export function* makeUntouched(
  { families }: Pick<Model, 'families'>,
  db: number,
  { makers, contents, seed, counts, isTaken = () => false, groupsFor = () => [] }: UntouchedOptions,
): Generator<MadeKey> {
  const own = families.flatMap((family, number) =>
    family.db === db && counts[number]! > 0
      ? {
          ...{ number, count: counts[number]!, made: 0, next: UNTOUCHED },
          random: stream(seed, 'untouched', number),
          kinds: StoredKinds.of(family.atStart?.kinds),
        }
      : [],
  );
  const all = own.reduce((sum, { count }) => sum + count, 0);
  const turns = Math.ceil(all / KEYS_A_TURN);
  for (let turn = 1; turn <= turns; turn++) {
    for (const family of own) {
      const { number, count, random, kinds } = family;
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

type AtStart = Pick<Model, 'families' | 'keysAtStart' | 'usedBytesAtStart' | 'sampledAtStart'>;

/**
 * By family, how many keys there are besides the `touched` ones: as many as the server counted in each database, divided
 * as the sample was. In a database of which nothing was looked at, they are like the touched ones.
 */
export function untouchedKeys(model: AtStart, touched: readonly number[], limitBytes = DATASET_BYTES): number[] {
  const missing = new Map(keysAtStart(model));
  touched.forEach((keys, number) => {
    tally(missing, model.families[number]!.db, -keys);
  });
  const all = [...missing.values()].reduce((sum, keys) => sum + Math.max(0, keys), 0);
  const room = mostKeys(model, limitBytes) - touched.reduce((sum, keys) => sum + keys, 0);
  const share = Math.min(1, Math.max(0, room / Math.max(1, all)));
  const counts = model.families.map(() => 0);
  for (const [db, keys] of missing) {
    const own = model.families.flatMap((family, number) => (family.db === db ? number : []));
    const weights = weightsIn(model.families, own, touched);
    const single = own.filter((number) => weights.get(number)! > 0 && !canBeMany(model.families[number]!));
    let left = Math.max(0, Math.round(keys * share));
    for (const number of single) {
      counts[number] = Math.min(left, Math.round(weights.get(number)! * share));
      left -= counts[number];
      weights.set(number, 0);
    }
    const sum = [...weights.values()].reduce((total, weight) => total + weight, 0);
    const round = rounded();
    for (const [number, weight] of weights) if (weight > 0) counts[number] = round((left * weight) / sum);
  }
  return counts;
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
