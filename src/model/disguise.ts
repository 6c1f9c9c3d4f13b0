/** Words in bytes → other words of the same length, the same ones everywhere: what fits together still does. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Pseudonyms } from '../capture/record/pseudonym.ts';
import { latin1 } from './fit/roles.ts';

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isAsciiLetter = (byte: number) => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
const BACKSLASH = 0x5c;
/** `12e5`: letters of a number are no word. */
const EXPONENT = /^\d+e\d*$/i;
/** The pseudonyms of such words are such words. */
const HEXADECIMAL = /^[a-f]{4,}$/i;

/** Steps on the walk to a word's pseudonym. */
const MAX_STEPS = 64;

/** A stretch of bytes that is text: from, to. */
type Span = [number, number];

/**
 * A keyed permutation of words. Letters become letters of the same case; digits, punctuation and the words of the
 * vocabulary stay, so that `{tag}`s, numbers, ids that a server counts up and JSON stay what they are. The strings of a
 * MessagePack document are treated as texts of their own. Digits are not hidden: do not give it what only has digits.
 */
export class Disguise {
  private readonly pseudonyms: Pseudonyms;
  private readonly vocabulary: ReadonlySet<string>;

  /** `vocabulary`: words that stay in any case. Who knows the secret can undo the disguise. */
  constructor(secretSeed: string, vocabulary: Iterable<string>) {
    this.pseudonyms = new Pseudonyms(createHash('sha256').update(secretSeed).digest());
    this.vocabulary = new Set(Array.from(vocabulary, (word) => word.toLowerCase()));
  }

  /** A copy with other words, as long as `bytes`. */
  apply(bytes: Uint8Array): Uint8Array {
    const out = Uint8Array.from(bytes);
    for (const [from, to] of messagePackTexts(bytes) ?? [[0, bytes.length] satisfies Span])
      this.text(bytes, from, to, out);
    return out;
  }

  /** As many printable letters, which depend on `bytes` only: for what is only stored and handed out again. */
  noise(bytes: Uint8Array): Uint8Array {
    const out = Buffer.alloc(bytes.length);
    this.pseudonyms.noise(bytes, 0, bytes.length, bytes.length, out, 0);
    return out;
  }

  private text(bytes: Uint8Array, from: number, to: number, out: Uint8Array): void {
    // In text, other bytes are parts of letters; in binary data they may be anything.
    const isText = isUtf8(bytes.subarray(from, to));
    const isLetter = (byte: number) => isAsciiLetter(byte) || (isText && byte >= 0x80);
    for (let at = from; at < to; ) {
      if (bytes[at] === BACKSLASH) {
        // JSON's escapes: one letter, or u and four digits.
        at += bytes[at + 1] === 0x75 ? 6 : 2;
        continue;
      }
      const start = at;
      while (at < to && (isLetter(bytes[at]!) || isDigit(bytes[at]!))) at++;
      if (at === start) at++;
      else if (!this.stays(bytes, start, at)) this.token(bytes, start, at, out, isLetter);
    }
  }

  /** Replaces the runs of letters in a token of letters and digits, each by itself: `job42` begins like `job`. */
  private token(
    bytes: Uint8Array,
    from: number,
    to: number,
    out: Uint8Array,
    isLetter: (byte: number) => boolean,
  ): void {
    for (let at = from; at < to; ) {
      const start = at;
      while (at < to && isLetter(bytes[at]!)) at++;
      if (at === start) at++;
      else if (!this.stays(bytes, start, at)) this.word(bytes, start, at, out);
    }
  }

  private word(bytes: Uint8Array, from: number, to: number, out: Uint8Array): void {
    const hexadecimal = HEXADECIMAL.test(latin1(bytes.subarray(from, to)));
    let word = bytes.subarray(from, to);
    // Cycle walking: on to the next until it is none of those that stand for themselves, so that no two words meet.
    for (let step = 0; step < MAX_STEPS; step++) {
      this.pseudonyms.key(word, 0, word.length, out, from);
      // Words of a to f are permuted among themselves: who gets among them from outside would meet one, and moves to n to s.
      if (!hexadecimal && HEXADECIMAL.test(latin1(out.subarray(from, to))))
        for (let i = from; i < to; i++) out[i]! += 13;
      word = out.slice(from, to);
      if (!this.stays(word, 0, word.length)) return;
    }
  }

  private stays(bytes: Uint8Array, from: number, to: number): boolean {
    const word = latin1(bytes.subarray(from, to));
    return this.vocabulary.has(word.toLowerCase()) || EXPONENT.test(word);
  }
}

/** Bytes of a length, and of a value, behind each MessagePack type byte from 0xc0 on; negative: so many bytes of length. */
const FOLLOWING = [
  ...[0, Number.NaN, 0, 0, -1, -2, -4, -1, -2, -4, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -2, -4, -2, -4, -2, -4],
];

/** Where the strings are in a MessagePack document that fills `bytes`; undefined for anything else. */
function messagePackTexts(bytes: Uint8Array): Span[] | undefined {
  // Below lie numbers of one byte, and all of ASCII.
  if (bytes.length === 0 || bytes[0]! < 0x80) return undefined;
  const texts: Span[] = [];
  let at = 0;
  let values = 1;
  for (; values > 0 && at < bytes.length; values--) {
    const type = bytes[at++]!;
    if (type < 0x80 || type >= 0xe0) continue;
    if (type < 0x90) values += 2 * (type & 15);
    else if (type < 0xa0) values += type & 15;
    else if (type < 0xc0) {
      texts.push([at, at + (type & 31)]);
      at += type & 31;
    } else {
      const following = FOLLOWING[type - 0xc0]!;
      if (Number.isNaN(following)) return undefined;
      let length = 0;
      for (let i = 0; i < -following; i++) length = length * 256 + (bytes[at++] ?? 0);
      if (following > 0) at += following;
      else if (type >= 0xde) values += 2 * length;
      else if (type >= 0xdc) values += length;
      else if (following < 0) {
        // Extensions have a byte of type in front of their data.
        const isExtension = type >= 0xc7 && type <= 0xc9;
        if (!isExtension) texts.push([at, at + length]);
        at += length + (isExtension ? 1 : 0);
      }
    }
  }
  return values === 0 && at === bytes.length ? texts : undefined;
}
