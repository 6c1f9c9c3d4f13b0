/** Type, sizes and elements of a key → the commands that create it. */
import type { Family } from '../model/model.ts';
import type { Random, Sampler } from './random.ts';
import { element, payload } from './values.ts';

/** Elements of a collection whose elements nobody names, and how long they are. */
const DEFAULT_ELEMENTS = 16;
const ELEMENT_BYTES = 8;

export interface Contents {
  type: Family['type'];
  valueBytes: Sampler;
  /** Undefined: without expiry. */
  ttlSeconds: Sampler | undefined;
  /** Names that a collection has, latin1; true where a number stands under the name. Empty: nobody named any. */
  elements: ReadonlyMap<string, boolean>;
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

/** Commands (latin1) that create `key` (latin1); none where the type is unknown. Whatever is there is replaced. */
export function creation(key: string, contents: Contents, random: Random): string[][] {
  const { type, valueBytes, ttlSeconds } = contents;
  const ttl = ttlSeconds && String(Math.max(1, Math.round(ttlSeconds.draw(random))));
  const value = () => payload(Math.round(valueBytes.draw(random)), Math.floor(random() * 2 ** 32));
  if (type === 'string') return [ttl ? ['set', key, value(), 'EX', ttl] : ['set', key, value()]];
  if (type === 'integer') {
    const number = String(Math.floor(random() * 1000));
    return [ttl ? ['set', key, number, 'EX', ttl] : ['set', key, number]];
  }
  const named = [...contents.elements.keys()];
  const names =
    named.length > 0 ? named : Array.from({ length: DEFAULT_ELEMENTS }, (_, i) => element(ELEMENT_BYTES, i));
  const field = (name: string) => (contents.elements.get(name) ? String(Math.floor(random() * 100)) : value());
  const each = (make: (name: string) => string[]) => names.flatMap(make);
  const filling = ((): string[][] => {
    switch (type) {
      case 'hash':
        return [['hset', key, ...each((name) => [name, field(name)])]];
      case 'list':
        return [['rpush', key, ...names]];
      case 'set':
        return [['sadd', key, ...names]];
      case 'zset':
        return [['zadd', key, ...each((name) => [String(Math.floor(random() * 10_000)), name])]];
      case 'stream':
        return names.map((name, i) => ['xadd', key, `${i + 1}-0`, 'field', name]);
      case 'hyperloglog':
        return [['pfadd', key, ...names]];
      default:
        return [];
    }
  })();
  if (filling.length === 0) return [];
  return [['del', key], ...filling, ...(ttl ? [['expire', key, ttl]] : [])];
}
