/** Type, sizes and elements of a key → the commands that create it. */
import type { ValueCounts } from '../../model/histogram.ts';
import type { Family } from '../../model/model.ts';
import { type Random, Sampler } from '../random.ts';
import { element, payload } from '../synthesis/values.ts';
import type { Stored } from './stored.ts';

/** Elements of a collection whose elements nobody names, and how long they are. */
const DEFAULT_ELEMENTS = 16;
const ELEMENT_BYTES = 8;
/** Elements that one command adds: no server takes any number of arguments. */
const BATCH_ELEMENTS = 1000;
/** Servers keep small collections compact: up to so many elements of so many bytes, if they are not told otherwise. */
const COMPACT_ELEMENTS = 128;
const COMPACT_BYTES = 64;
/** What the entries of invented streams have. */
const FIELD = 'field';
const EXACT_DIGITS = 15;
const ONLY_DIGITS = /^\d+$/;

export interface Contents {
  type: Family['type'];
  valueBytes: Sampler;
  /** Undefined: without expiry. */
  ttlSeconds: Pick<Sampler, 'draw'> | undefined;
  /** Names that a collection has, latin1; true where a number stands under the name. Empty: nobody named any. */
  elements: ReadonlyMap<string, boolean>;
  /** What a sample shows of such keys; undefined where there is none. */
  stored?: Stored | undefined;
}

const TYPE_OF_GROUP: Record<string, Family['type']> = {
  ...{ string: 'string', bitmap: 'string', hash: 'hash', list: 'list', set: 'set', stream: 'stream' },
  ...{ 'sorted-set': 'zset', geo: 'zset', hyperloglog: 'hyperloglog' },
};

/** The type of a key that a command of this group (`CommandInfo.group`) reads; `family` where the group says nothing. */
export function typeOf(group: string, family: Family['type']): Family['type'] {
  const type = TYPE_OF_GROUP[group] ?? family;
  return type === 'string' && family === 'integer' ? family : type;
}

const END = Number.POSITIVE_INFINITY;
const SECOND = ['hget', 'hexists', 'hstrlen', 'hincrby', 'hincrbyfloat', 'sismember', 'zscore', 'zrank', 'zrevrank'];
const ALL = ['hmget', 'hdel', 'smismember', 'srem', 'zmscore', 'zrem'];
const ELEMENTS = new Map<string, { from: number; to: number }>([['zincrby', { from: 3, to: 4 }]]);
for (const name of SECOND) ELEMENTS.set(name, { from: 2, to: 3 });
for (const name of ALL) ELEMENTS.set(name, { from: 2, to: END });

/** Which arguments of a command (0 is its name) are members or fields that its key may have; undefined for none. */
export const elementsOf = (command: string) => ELEMENTS.get(command);

/** One past the last argument of a creating command that is payload; those from 2 on are, behind the key. */
export const payloadEnd = (command: string, length: number) =>
  command === 'set' ? 3 : command === 'expire' || command === 'del' || command === 'xgroup' ? 2 : length;

/** Where a creating command's key stands. */
export const keyIndex = (command: string) => (command === 'xgroup' ? 2 : 1);

/** Expiries of keys that are read at some time of so many seconds: until then they have not expired. Undefined for none. */
export function lastingSeconds(ttls: ValueCounts, seconds: number): Sampler | undefined {
  const longest = ttls.at(-1)?.[0] ?? 0;
  const enough = ttls.filter(([ttl]) => ttl >= Math.min(longest, seconds));
  return enough.length > 0 ? new Sampler(enough, 0) : undefined;
}

/** Commands (latin1) that create `key` (latin1); none where the type is unknown. Whatever is there is replaced. */
export function* creation(key: string, contents: Contents, random: Random): Generator<string[]> {
  const { type, valueBytes, ttlSeconds, stored } = contents;
  const ttl = ttlSeconds && String(Math.max(1, Math.round(ttlSeconds.draw(random))));
  if (type === 'unknown') return;
  if (type === 'string' || type === 'integer') {
    const value = textOf(type, valueBytes, stored, random);
    yield ttl ? ['set', key, value, 'EX', ttl] : ['set', key, value];
    return;
  }
  yield ['del', key];
  const elements = stored ? storedElements(contents, stored, random) : inventedElements(contents, random);
  const [command, write] = WRITERS[type];
  let batch: string[] = [];
  let count = 0;
  for (const one of elements) {
    batch.push(...write(one, count++, random));
    if (type !== 'stream' && count % BATCH_ELEMENTS !== 0) continue;
    yield [command, key, ...batch];
    batch = [];
  }
  if (batch.length > 0) yield [command, key, ...batch];
  if (ttl) yield ['expire', key, ttl];
}

type Written = { name: string; value: string };
type Collection = Exclude<Contents['type'], 'string' | 'integer' | 'unknown'>;

/** What makes a collection, and what it is told of each element. */
const WRITERS: Record<Collection, [string, (element: Written, place: number, random: Random) => string[]]> = {
  hash: ['hset', ({ name, value }) => [name, value]],
  list: ['rpush', ({ name }) => [name]],
  set: ['sadd', ({ name }) => [name]],
  zset: ['zadd', ({ name }, _, random) => [String(Math.floor(random() * 10_000)), name]],
  stream: ['xadd', ({ name }, place) => [`${place + 1}-0`, FIELD, name]],
  hyperloglog: ['pfadd', ({ name }) => [name]],
};

function textOf(type: 'string' | 'integer', valueBytes: Sampler, stored: Stored | undefined, random: Random): string {
  if (stored?.encoding === 'int') return digits(stored.lengths.draw(random), random);
  if (type === 'integer') return String(Math.floor(random() * 1000));
  const text = noise((stored?.lengths ?? valueBytes).draw(random), random);
  // A server would store it as a number, which it was not.
  return stored && ONLY_DIGITS.test(text) ? `x${text.slice(1)}` : text;
}

function* inventedElements({ type, elements, valueBytes }: Contents, random: Random): Generator<Written> {
  const named = [...elements.keys()];
  const names =
    named.length > 0 ? named : Array.from({ length: DEFAULT_ELEMENTS }, (_, i) => element(ELEMENT_BYTES, i));
  for (const name of names) {
    const value = type !== 'hash' ? '' : elements.get(name) ? number(random) : noise(valueBytes.draw(random), random);
    yield { name, value };
  }
}

/** As many elements as such keys have, those that commands name first. */
function* storedElements({ type, elements }: Contents, stored: Stored, random: Random): Generator<Written> {
  // What is pushed has no name.
  const named = type === 'list' || type === 'stream' ? [] : [...elements.keys()];
  const count = Math.max(1, stored.lengths.draw(random));
  const isHash = type === 'hash';
  const isTable = isHash ? stored.encoding === 'hashtable' : stored.encoding === 'skiplist';
  // Not for its number of elements: then one of them is long.
  let needsLong = isTable && count <= COMPACT_ELEMENTS;
  const sizeOf = (sizes: Sampler, i: number) => {
    const size = sizes.draw(random);
    needsLong &&= size <= COMPACT_BYTES;
    return needsLong && i === count - 1 ? COMPACT_BYTES + 1 : size;
  };
  const integer = stored.encoding === 'intset' ? integers(stored.elementBytes.draw(random), count, random) : undefined;
  for (let i = 0; i < count; i++) {
    const size = integer || isHash ? stored.elementBytes.draw(random) : sizeOf(stored.elementBytes, i);
    // An entry's size is that of its field, too.
    const own = Math.round(size) - (type === 'stream' ? FIELD.length : 0);
    const name = named[i] ?? integer?.(i) ?? element(own, i);
    const isCounted = elements.get(name) === true;
    const value = !isHash ? '' : isCounted ? number(random) : noise(sizeOf(stored.fieldValueBytes, i), random);
    yield { name, value };
  }
}

const noise = (size: number, random: Random) => payload(Math.round(size), Math.floor(random() * 2 ** 32));
const number = (random: Random) => String(Math.floor(random() * 100));

/** A whole number of so many digits, at most those that are exact. */
function digits(length: number, random: Random): string {
  const count = Math.min(EXACT_DIGITS, Math.max(1, length));
  return count === 1 ? String(Math.floor(random() * 10)) : String(Math.floor((1 + 9 * random()) * 10 ** (count - 1)));
}

/** `count` different whole numbers of so many digits, or of more if there are not as many. */
function integers(length: number, count: number, random: Random): (i: number) => string {
  let size = Math.min(EXACT_DIGITS, Math.max(1, length));
  while (9 * 10 ** (size - 1) < count) size++;
  const capacity = 9 * 10 ** (size - 1);
  const start = Math.floor(random() * capacity);
  return (i) => String(10 ** (size - 1) + ((start + i) % capacity));
}
