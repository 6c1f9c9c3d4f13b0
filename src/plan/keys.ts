/** Invents the keys of a family: key number i has the template's shape, the captured lengths, and is different from all others. */
import { quantileOf } from '../model/histogram.ts';
import type { Family } from '../model/model.ts';
import { Alias, mix, type Random } from './random.ts';

const DIGITS: Record<string, string> = {
  hex: '0123456789abcdef',
  id: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
};

/** Keys of one family, and how to draw them by popularity. */
export class KeyMaker {
  private readonly head: Alias;
  private readonly tail: Alias | undefined;

  private readonly family: Family;
  private readonly number: number;

  constructor(family: Family, number: number) {
    this.family = family;
    this.number = number;
    // Families that only scripts touch have keys but no requests: all are equally likely.
    const weights = family.requests > 0 ? family.top : family.top.map(() => 1);
    this.head = new Alias([...weights, family.tail.requests]);
    this.tail =
      family.tail.keys > 0 ? new Alias(zipfWeights(family.tail.keys, family.top.length, family.zipf ?? 0)) : undefined;
  }

  /** Number of a key, 0 for the most popular. */
  draw(random: Random): number {
    const rank = this.head.draw(random);
    if (rank < this.family.top.length) return rank;
    return this.tail ? this.family.top.length + this.tail.draw(random) : 0;
  }

  /** Whether the key exists before the workload begins: the captured share, spread over the ranks. */
  exists(index: number): boolean {
    return mix(this.number, index, 7) / 2 ** 32 < this.family.existing;
  }

  /** Key `index` as latin1 text. */
  key(index: number): string {
    const { parts, keys } = this.family;
    const last = parts.findLastIndex((part) => typeof part !== 'string');
    let text = '';
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!;
      if (typeof part === 'string') text += part;
      else {
        const spread = mix(this.number, index, p) / 2 ** 32;
        text += fill(
          part.placeholder,
          quantileOf(part.lengths, spread) || 8,
          index,
          mix(this.number, index, p, 1),
          p === last ? keys : 1,
        );
      }
    }
    return text;
  }
}

/** Popularity of the ranks behind the head, p(rank) ∝ rank^-s. */
function zipfWeights(keys: number, offset: number, s: number): Float64Array {
  return Float64Array.from({ length: keys }, (_, i) => (offset + i + 1) ** -s);
}

/** Text for one placeholder. It is unique in `index` if it must tell `unique` keys apart. */
function fill(placeholder: string, length: number, index: number, hash: number, unique: number): string {
  switch (placeholder) {
    case 'int': {
      // A decimal number of that many digits without a leading zero; longer if `unique` keys need it.
      let digits = Math.min(15, Math.max(1, length));
      while (9 * 10 ** (digits - 1) < unique) digits++;
      return String(10 ** (digits - 1) + (index % (9 * 10 ** (digits - 1))));
    }
    case 'date': {
      const day = new Date(Date.UTC(2000, 0, 1 + (index % 36_000))).toISOString().slice(0, 10);
      return length === 8 ? day.replaceAll('-', '') : day;
    }
    case 'email':
      return `user${index}@example.com`;
    case 'uuid': {
      const hex = scramble(DIGITS.hex!, 32, index, hash, unique);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
    case 'hex':
      return scramble(DIGITS.hex!, length, index, hash, unique);
    default:
      return scramble(DIGITS.id!, length, index, hash, unique);
  }
}

/** `length` characters that look random; the last ones count `index`, as many as `unique` keys need. */
function scramble(alphabet: string, length: number, index: number, hash: number, unique: number): string {
  const base = alphabet.length;
  let counter = '';
  for (let capacity = 1, rest = index; capacity < unique; capacity *= base, rest = Math.floor(rest / base))
    counter = alphabet[rest % base] + counter;
  let text = '';
  for (let i = 0; text.length + counter.length < length; i++) text += alphabet[mix(hash, i) % base];
  return text + counter;
}
