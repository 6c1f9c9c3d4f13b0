/** What sampled keys hold → contents for others like them, by type and encoding as often as they were met. */
import type { StoredKind } from '../../model/fit/at-start.ts';
import type { Family } from '../../model/model.ts';
import { Alias, type Random, Sampler } from '../random.ts';

/** Types that commands make; what modules store is not among them. */
const TYPES = ['string', 'list', 'set', 'zset', 'hash', 'stream'] as const;
export type StoredType = (typeof TYPES)[number];

export const isPlainType = (type: string): type is StoredType => (TYPES as readonly string[]).includes(type);

/** One type and encoding of a family's keys. */
export class Stored {
  readonly type: StoredType;
  readonly encoding: string;
  readonly lengths: Sampler;
  readonly elementBytes: Sampler;
  readonly fieldValueBytes: Sampler;
  private readonly expiring: number;
  private readonly ttlSeconds: Sampler;

  /** Of keys that expire, those that live for `leastSeconds`. */
  constructor(kind: StoredKind, leastSeconds: number) {
    this.type = kind.type as StoredType;
    this.encoding = kind.encoding;
    this.lengths = new Sampler(kind.lengths, 1);
    this.elementBytes = new Sampler(kind.elementBytes, 8);
    this.fieldValueBytes = new Sampler(kind.fieldValueBytes, 8);
    const sum = (counts: StoredKind['ttlSeconds']) => counts.reduce((total, [, n]) => total + n, 0);
    const lasting = kind.ttlSeconds.filter(([seconds]) => seconds >= leastSeconds);
    const never = Math.max(0, kind.keys - sum(kind.ttlSeconds));
    this.expiring = sum(lasting) / Math.max(1, never + sum(lasting));
    this.ttlSeconds = new Sampler(lasting, 1);
  }

  /** When such a key expires; undefined: never. */
  expiry(random: Random): Sampler | undefined {
    return random() < this.expiring ? this.ttlSeconds : undefined;
  }
}

/** What servers call the type that a family has; undefined: any. */
export const storedType = (type: Family['type']) =>
  type === 'unknown' ? undefined : type === 'integer' ? 'string' : type;

export class StoredKinds {
  private readonly kinds: Stored[];
  private readonly alias: Alias;

  /** Undefined where none of the kinds can be made. */
  static of(
    kinds: StoredKind[] | undefined,
    { leastSeconds = 0, type }: { leastSeconds?: number; type?: string | undefined } = {},
  ): StoredKinds | undefined {
    const own = kinds?.filter((kind) => isPlainType(kind.type) && (type === undefined || kind.type === type)) ?? [];
    return own.length > 0 ? new StoredKinds(own, leastSeconds) : undefined;
  }

  private constructor(kinds: StoredKind[], leastSeconds: number) {
    this.kinds = kinds.map((kind) => new Stored(kind, leastSeconds));
    this.alias = new Alias(kinds.map(({ keys }) => keys));
  }

  draw(random: Random): Stored {
    return this.kinds[this.alias.draw(random)]!;
  }
}
