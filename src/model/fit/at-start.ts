/** Keys that were looked at when a capture began → what each family holds: types, encodings, sizes and times left, of all its keys. */
import { decodeArgument } from '../../capture/encode.ts';
import type { Dataset as Sample, SampledKey } from '../../capture/record/sidecar.ts';
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import type { Family } from '../model.ts';
import { rounded } from '../rounding.ts';
import { intern, tally } from '../tally.ts';

export type AtStart = NonNullable<Family['atStart']>;
export type StoredKind = AtStart['kinds'][number];

/** Values kept one by one, before all but the frequent ones are bucketed. */
const EXACT = 48;
/** A value with this share of all stays as it is: `3600` and `128` mean something. */
const ATOM_SHARE = 1 / 32;
/** Whole numbers below are never bucketed. */
const SMALL = 16;
/** Bytes that servers spend on one element besides its own: what is left of a large collection's memory is its elements. */
const ELEMENT_OVERHEAD: Record<string, number> = {
  ...{ listpack: 2, ziplist: 2, quicklist: 3, stream: 20 },
  ...{ hashtable: 44, skiplist: 90 },
};
/** Bytes that servers spend on a key and its value, besides the key's and the value's own. */
const KEY_OVERHEAD = 56;
/** A length where neither that nor the memory is known. */
const UNKNOWN_BYTES = 16;
/** Memory of a collection that tells the size of its elements. */
const MIN_TELLING_BYTES = 1 << 14;
/** Of an element of a hash whose field nobody has seen. */
const FIELD_BYTES = 16;
/** Longer strings and collections count as so long: a sidecar may say anything. */
const MAX_LENGTH = 1 << 24;

/** A sampled key, by the number of its family; and how many keys of the dataset it stands for. */
export interface PlacedKey {
  key: SampledKey;
  family: number;
  weight: number;
}

/** The key's bytes. */
export function nameOf({ key }: SampledKey): Uint8Array {
  const text = Buffer.from(key, 'latin1');
  return decodeArgument(text, 0, text.length);
}

/** How many keys a sampled key stands for, by database: each was looked at alike. */
export function weightsOf({ keys, sampled }: Sample): ReadonlyMap<number, number> {
  const looked = new Map<number, number>();
  for (const { db } of sampled) tally(looked, db);
  return new Map([...looked].map(([db, n]) => [db, Math.max(1, (keys[db] ?? 0) / n)]));
}

/**
 * Lowers weights where the keys together would take more than there was: a large key of a sample stands for others, but
 * not for more than fit. The regression estimator of survey sampling (Deville & Särndal 1992): w(1 + λ(b − mean b)), with
 * the memory b of each key; a key stands for itself at least. Weights are never raised: MEMORY USAGE leaves out what
 * allocators round up, so that keys seem to take less than they do.
 */
export function fitWeights(placed: PlacedKey[], usedBytes: number): void {
  const sum = (of: (one: PlacedKey, bytes: number) => number) =>
    placed.reduce((total, one) => total + of(one, one.key.bytes ?? 0), 0);
  const estimate = sum(({ weight }, bytes) => weight * bytes);
  if (estimate <= usedBytes) return;
  const mean = estimate / sum(({ weight }) => weight);
  const slope = (usedBytes - estimate) / sum(({ weight }, bytes) => weight * bytes * (bytes - mean));
  for (const one of placed) {
    const factor = Math.min(1, 1 + slope * ((one.key.bytes ?? mean) - mean));
    one.weight = Math.max(Math.min(1, one.weight), one.weight * factor);
  }
}

interface Draft {
  keys: number;
  lengths: Map<number, number>;
  elementBytes: Map<number, number>;
  fieldValueBytes: Map<number, number>;
  ttlSeconds: Map<number, number>;
}

/** Sets `atStart` of the families that the keys are of; they have to have their parts. */
export function describeAtStart(families: Family[], placed: Iterable<PlacedKey>): void {
  const drafts = new Map<number, Map<string, Draft>>();
  for (const { key, family, weight } of placed) {
    const kinds = intern(drafts, family, () => new Map<string, Draft>());
    const draft = intern(kinds, `${key.type} ${key.encoding ?? ''}`, () => ({
      ...{ keys: 0, lengths: new Map(), elementBytes: new Map(), fieldValueBytes: new Map(), ttlSeconds: new Map() },
    }));
    note(draft, key, weight);
  }
  for (const [number, kinds] of drafts) {
    const family = families[number]!;
    const sum = [...kinds.values()].reduce((total, draft) => total + draft.keys, 0);
    // Keys that are all alike are one, however few were looked at.
    const scale = canBeMany(family) ? 1 : 1 / sum;
    const round = rounded();
    const finished = [...kinds].map(([id, draft]) => finish(id, draft, scale, round)).filter(({ keys }) => keys > 0);
    finished.sort((a, b) => b.keys - a.keys);
    family.atStart = { keys: finished.reduce((total, { keys }) => total + keys, 0), kinds: finished };
    if (family.type === 'unknown') family.type = typeOf(finished);
  }
}

export const canBeMany = ({ parts }: Pick<Family, 'parts'>) => parts.some((part) => typeof part !== 'string');

/** The same family on two nodes. */
export function addAtStart(a: AtStart, b: AtStart): AtStart {
  const kinds = new Map<string, StoredKind>();
  for (const kind of [...a.kinds, ...b.kinds]) {
    const id = `${kind.type} ${kind.encoding}`;
    const known = kinds.get(id);
    kinds.set(id, known ? addKinds(known, kind) : kind);
  }
  return { keys: a.keys + b.keys, kinds: [...kinds.values()].sort((x, y) => y.keys - x.keys) };
}

/** As many times the keys, with what they hold. */
export function scaleAtStart({ kinds }: AtStart, factor: number): AtStart {
  const round = rounded();
  const scaled = kinds.map((kind): StoredKind => {
    const times = rounded();
    return {
      ...kind,
      keys: Math.max(1, round(kind.keys * factor)),
      ttlSeconds: kind.ttlSeconds.flatMap(([seconds, n]): ValueCounts => {
        const whole = times(n * factor);
        return whole > 0 ? [[seconds, whole]] : [];
      }),
    };
  });
  return { keys: scaled.reduce((sum, { keys }) => sum + keys, 0), kinds: scaled };
}

/** About the memory that they take: enough to tell families apart by it. */
export function bytesAtStart({ kinds }: AtStart): number {
  const mean = (counts: ValueCounts) => ValueHistogram.from(counts).mean();
  return kinds.reduce((sum, { type, encoding, keys, lengths, elementBytes, fieldValueBytes }) => {
    const element = mean(elementBytes) + mean(fieldValueBytes) + (ELEMENT_OVERHEAD[encoding] ?? 0);
    return sum + keys * (KEY_OVERHEAD + mean(lengths) * (type === 'string' ? 1 : element));
  }, 0);
}

function addKinds(a: StoredKind, b: StoredKind): StoredKind {
  const both = (of: 'lengths' | 'elementBytes' | 'fieldValueBytes' | 'ttlSeconds') => {
    const sum = new Map(a[of]);
    for (const [value, n] of b[of]) tally(sum, value, n);
    return condensed(sum);
  };
  return {
    ...{ type: a.type, encoding: a.encoding, keys: a.keys + b.keys },
    ...{ lengths: both('lengths'), elementBytes: both('elementBytes') },
    ...{ fieldValueBytes: both('fieldValueBytes'), ttlSeconds: both('ttlSeconds') },
  };
}

function note(draft: Draft, key: SampledKey, weight: number): void {
  draft.keys += weight;
  const length = Math.min(MAX_LENGTH, Math.max(0, Math.round(lengthOf(key))));
  tally(draft.lengths, length, weight);
  if (key.pttlMs >= 0) tally(draft.ttlSeconds, Math.ceil(key.pttlMs / 1000), weight);
  if (key.type === 'string') return;
  // Elements of a long collection are as many as they are, however few of them were looked at.
  const seen = key.elementBytes ?? [];
  const isHash = key.type === 'hash';
  if (seen.length === 0) {
    const bytes = estimatedElement(key, length);
    const field = isHash ? Math.min(FIELD_BYTES, Math.ceil(bytes / 2)) : bytes;
    tally(draft.elementBytes, field, weight * length);
    if (isHash) tally(draft.fieldValueBytes, bytes - field, weight * length);
    return;
  }
  const each = (weight * length) / (isHash ? Math.ceil(seen.length / 2) : seen.length);
  for (const [i, bytes] of seen.entries())
    tally(isHash && i % 2 === 1 ? draft.fieldValueBytes : draft.elementBytes, Math.min(MAX_LENGTH, bytes), each);
}

/** Where the server was not to be asked, for that would have counted as a use: by the memory that the key takes. */
function lengthOf({ length, bytes, key, type }: SampledKey): number {
  if (length !== undefined) return length;
  if (bytes === undefined) return UNKNOWN_BYTES;
  const content = Math.max(0, bytes - KEY_OVERHEAD - key.length);
  return type === 'string' ? content : Math.max(1, Math.round(content / (2 * UNKNOWN_BYTES)));
}

/** Bytes of an element, field and value together, by the memory that the collection takes. */
function estimatedElement({ bytes, encoding = '' }: SampledKey, length: number): number {
  // What servers set aside for more elements is most of a small collection's memory.
  if (bytes === undefined || bytes < MIN_TELLING_BYTES) return UNKNOWN_BYTES;
  return Math.max(1, Math.round((bytes - KEY_OVERHEAD) / Math.max(1, length)) - (ELEMENT_OVERHEAD[encoding] ?? 0));
}

function finish(id: string, draft: Draft, scale: number, round: (n: number) => number): StoredKind {
  const [type, encoding] = id.split(' ') as [string, string];
  const scaled = (counts: Map<number, number>) =>
    condensed(new Map([...counts].map(([value, n]) => [value, n * scale])));
  return {
    ...{ type, encoding, keys: round(draft.keys * scale), lengths: scaled(draft.lengths) },
    elementBytes: scaled(draft.elementBytes),
    fieldValueBytes: scaled(draft.fieldValueBytes),
    ttlSeconds: scaled(draft.ttlSeconds),
  };
}

/**
 * Few values as they are; of many, the frequent ones, and of the others the mean of each quarter of an octave: sums stay
 * what they were, and the largest stay large. Counts are whole, and so is their sum.
 */
function condensed(counts: Map<number, number>): ValueCounts {
  let entries = sorted(counts);
  if (entries.length > EXACT) {
    const total = entries.reduce((sum, [, n]) => sum + n, 0);
    const buckets = new Map<string, { n: number; sum: number }>();
    for (const [value, n] of entries) {
      const isAtom = value < SMALL || n >= ATOM_SHARE * total;
      const id = isAtom ? `=${value}` : `${Math.floor(4 * Math.log2(value))}`;
      const bucket = intern(buckets, id, () => ({ n: 0, sum: 0 }));
      bucket.n += n;
      bucket.sum += n * value;
    }
    const means = new Map<number, number>();
    for (const { n, sum } of buckets.values()) tally(means, Math.round(sum / n), n);
    entries = sorted(means);
  }
  const round = rounded();
  return entries.flatMap(([value, n]): ValueCounts => {
    const whole = round(n);
    return whole > 0 ? [[value, whole]] : [];
  });
}

const sorted = (counts: Map<number, number>): ValueCounts => [...counts].sort((a, b) => a[0] - b[0]);

const TYPES: Record<string, Family['type']> = {
  ...{ string: 'string', hash: 'hash', list: 'list', set: 'set', zset: 'zset', stream: 'stream' },
};

/** Of families that no command tells the type of. */
function typeOf([most]: StoredKind[]): Family['type'] {
  if (!most) return 'unknown';
  return most.encoding === 'int' ? 'integer' : (TYPES[most.type] ?? 'unknown');
}
