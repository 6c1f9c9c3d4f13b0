/** Invents the keys of a family: key number i has the template's shape, the captured lengths, and is different from all others. */
import { quantileOf } from '../model/histogram.ts';
import type { Family } from '../model/model.ts';
import { mix } from './random.ts';

const DIGITS: Record<string, string> = {
  hex: '0123456789abcdef',
  word: 'abcdefghijklmnopqrstuvwxyz',
  id: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
};

/** Keys of one family. */
export class KeyMaker {
  private readonly family: Family;
  private readonly number: number;

  constructor(family: Family, number: number) {
    this.family = family;
    this.number = number;
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
          p === last ? Math.max(keys, index + 1) : 1,
        );
      }
    }
    return text;
  }
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
    case 'ip':
      return `${10 + (hash % 200)}.${[16, 8, 0].map((shift) => (index >>> shift) & 255).join('.')}`;
    case 'word':
      return scramble(DIGITS.word!, length, index, hash, unique);
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
