/**
 * Tokens and values → stand-ins of the same length and kind. Equal inputs get equal stand-ins, so that what belongs
 * together stays together; without the secret nobody gets from one to the other.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { ByteTable } from '../byte-table.ts';

/** Of an unbalanced Feistel network; the shape of NIST's format-preserving FF1 (SP 800-38G). */
const ROUNDS = 8;
/** Halves of a token count less than this, so that every sum stays an exact integer. */
const MAX_HALF = 2 ** 48;
/** Longer tokens are no constant part of keys: they are not worth remembering. */
const MAX_KNOWN_BYTES = 24;
const MAX_KNOWN = 1 << 16;
/** Of a long value only so much of head and tail decides on its noise. */
const SAMPLED_HEAD = 48;
const SAMPLED_TAIL = 16;
const NOISE_BYTES = 1 << 17;
/** Sixty-four letters, so that six bits choose one: never a digit, so that no text becomes a number. */
const LETTERS = Buffer.from('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl');

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isLower = (byte: number) => byte >= 0x61 && byte <= 0x7a;
const isUpper = (byte: number) => byte >= 0x41 && byte <= 0x5a;
/** What keys are made of between their separators; printable punctuation separates. */
const inToken = (byte: number) => isDigit(byte) || isLower(byte) || isUpper(byte) || byte < 0x20 || byte > 0x7e;

export class Pseudonyms {
  private readonly sip: SipHash;
  private readonly block: Buffer;
  private readonly known = new ByteTable();
  private readonly standIns: Uint8Array[] = [];
  private readonly sample = new Uint8Array(SAMPLED_HEAD + SAMPLED_TAIL + 8);
  private readonly round = new Uint8Array(8);
  private readonly radix = new Uint8Array(64);
  private readonly base = new Uint8Array(64);

  /** `secret`: at least 16 bytes; two instances agree if their secrets do. */
  constructor(secret: Uint8Array) {
    const key = createHash('sha256').update(secret).digest();
    this.sip = new SipHash(key.subarray(0, 16));
    const stream = createCipheriv('aes-128-ctr', key.subarray(16), Buffer.alloc(16)).update(Buffer.alloc(NOISE_BYTES));
    this.block = stream.map((byte) => LETTERS[byte & 63]!) as Buffer;
  }

  /**
   * Writes the stand-in of a key to `out[at…]`, as long as the key: separators stay, each token between them becomes
   * another one with digits where digits were, capitals where capitals were, hexadecimal where all was hexadecimal.
   */
  key(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
    for (let p = start; p < end; ) {
      if (!inToken(bytes[p]!)) {
        out[at + p - start] = bytes[p]!;
        p++;
        continue;
      }
      const from = p;
      while (p < end && inToken(bytes[p]!)) p++;
      this.token(bytes, from, p, out, at + from - start);
    }
  }

  /** The same for a number: its digits change, sign, point and exponent stay, and no zero comes to lead. */
  number(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
    let exponent = false;
    for (let p = start; p < end; ) {
      if (!isDigit(bytes[p]!)) {
        exponent ||= (bytes[p]! | 0x20) === 0x65;
        out[at + p - start] = bytes[p]!;
        p++;
        continue;
      }
      const from = p;
      while (p < end && isDigit(bytes[p]!)) p++;
      if (exponent) out.set(bytes.subarray(from, p), at + from - start);
      else this.token(bytes, from, p, out, at + from - start);
    }
  }

  /** Writes `length` letters that the text `bytes[start..end)` decides on. */
  noise(bytes: Uint8Array, start: number, end: number, length: number, out: Buffer, at: number): void {
    const { sip, sample } = this;
    const size = end - start;
    if (size <= SAMPLED_HEAD + SAMPLED_TAIL) sip.hash(bytes, start, end);
    else {
      for (let i = 0; i < SAMPLED_HEAD; i++) sample[i] = bytes[start + i]!;
      for (let i = 0; i < SAMPLED_TAIL; i++) sample[SAMPLED_HEAD + i] = bytes[end - SAMPLED_TAIL + i]!;
      for (let i = 0; i < 8; i++) sample[SAMPLED_HEAD + SAMPLED_TAIL + i] = Math.floor(size / 256 ** i) & 0xff;
      sip.hash(sample, 0, sample.length);
    }
    const { high, low } = sip;
    for (let i = 0; i < 10 && i < length; i++) {
      out[at + i] = LETTERS[((i < 5 ? high : low) >>> (6 * (i % 5))) & 63]!;
    }
    const half = NOISE_BYTES / 2;
    const offset = (low ^ (high >>> 9)) & (half - 1);
    for (let done = 10; done < length; done += half) {
      this.block.copy(out, at + done, offset, offset + Math.min(half, length - done));
    }
  }

  private token(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
    const small = end - start <= MAX_KNOWN_BYTES;
    const number = small ? this.known.find(bytes, start, end) : -1;
    if (number >= 0) {
      const standIn = this.standIns[number]!;
      for (let i = 0; i < standIn.length; i++) out[at + i] = standIn[i]!;
      return;
    }
    if (!this.permute(bytes, start, end, out, at)) this.scramble(bytes, start, end, out, at);
    if (small && this.known.size < MAX_KNOWN) {
      // Not Buffer's own `slice`, which copies nothing.
      this.standIns[this.known.add(bytes, start, end)] = Uint8Array.prototype.slice.call(out, at, at + end - start);
    }
  }

  /**
   * A keyed permutation of all tokens of the same pattern, so that different tokens stay different: digits in mixed
   * radix, in two halves, A += F(B) and B += F(A) in turn. False if the token is too long for exact arithmetic.
   */
  private permute(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): boolean {
    const length = end - start;
    if (length > this.radix.length) return false;
    this.classify(bytes, start, end);
    const { radix, base } = this;
    const half = length >>> 1;
    const sizes = [1, 1] as [number, number];
    const parts = [0, 0] as [number, number];
    for (let i = 0; i < length; i++) {
      const side = i < half ? 0 : 1;
      sizes[side] *= radix[i]!;
      if (sizes[side] > MAX_HALF) return false;
      parts[side] = parts[side] * radix[i]! + (((bytes[start + i]! - base[i]!) & 0x7f) % radix[i]!);
    }
    for (let r = 0; r < ROUNDS; r++) {
      const side = (r & 1) as 0 | 1;
      parts[side] = (parts[side] + this.roundFunction(parts[1 - side]!, r, length)) % sizes[side];
    }
    for (let i = length - 1; i >= 0; i--) {
      const side = i < half ? 0 : 1;
      out[at + i] = base[i]! + (parts[side] % radix[i]!);
      parts[side] = Math.floor(parts[side] / radix[i]!);
    }
    return true;
  }

  private roundFunction(value: number, round: number, length: number): number {
    const message = this.round;
    for (let i = 0, rest = value; i < 6; i++, rest = Math.floor(rest / 256)) message[i] = rest & 0xff;
    message[6] = round;
    message[7] = length;
    this.sip.hash(message, 0, 8);
    return (this.sip.high >>> 16) * 2 ** 32 + (this.sip.low >>> 0);
  }

  /** Of a token too long to permute: there are so many of its pattern that two do not meet. */
  private scramble(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
    const step = this.radix.length;
    this.sip.hash(bytes, start, end);
    const seed = Uint8Array.of(...words(this.sip.high), ...words(this.sip.low), 0, 0, 0, 0);
    for (let from = start; from < end; from += step) {
      const to = Math.min(end, from + step);
      this.classify(bytes, from, to);
      for (let i = 0; i < to - from; i++) {
        seed.set(words(from - start + i), 8);
        this.sip.hash(seed, 0, seed.length);
        out[at + from - start + i] = this.base[i]! + ((this.sip.low >>> 0) % this.radix[i]!);
      }
    }
  }

  /** For each byte how many it may become, and the first of these. */
  private classify(bytes: Uint8Array, start: number, end: number): void {
    const { radix, base } = this;
    let digits = 0;
    let hexadecimal = 0;
    for (let p = start; p < end; p++) {
      if (isDigit(bytes[p]!)) digits++;
      else if ((bytes[p]! | 0x20) >= 0x61 && (bytes[p]! | 0x20) <= 0x66) hexadecimal++;
    }
    const length = end - start;
    // Words of these letters alone become others of them: a UUID's parts may have no digit at all.
    const letters = length >= 4 && digits + hexadecimal === length ? 6 : 26;
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i]!;
      if (isDigit(byte)) {
        radix[i] = 10;
        base[i] = 0x30;
      } else if (isLower(byte)) {
        radix[i] = letters;
        base[i] = 0x61;
      } else if (isUpper(byte)) {
        radix[i] = letters;
        base[i] = 0x41;
      } else {
        radix[i] = 128;
        base[i] = 0x80;
      }
    }
    // Numbers keep their length as numbers, and padded ones their padding.
    if (digits === length && length > 1) {
      const padded = bytes[start] === 0x30;
      radix[0] = padded ? 1 : 9;
      base[0] = padded ? 0x30 : 0x31;
    }
  }
}

const words = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** SipHash-2-4 (Aumasson and Bernstein, 2012) in halves of 32 bits. */
export class SipHash {
  /** Halves of the last hash, as signed numbers. */
  high = 0;
  low = 0;
  private readonly key: Int32Array;

  /** `key`: 16 bytes. */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, 16);
    this.key = Int32Array.from({ length: 4 }, (_, i) => view.getInt32(4 * i, true));
  }

  hash(bytes: Uint8Array, start: number, end: number): void {
    const [k0, k1, k2, k3] = this.key as unknown as [number, number, number, number];
    let a = k0 ^ 0x70736575;
    let A = k1 ^ 0x736f6d65;
    let b = k2 ^ 0x6e646f6d;
    let B = k3 ^ 0x646f7261;
    let c = k0 ^ 0x6e657261;
    let C = k1 ^ 0x6c796765;
    let d = k2 ^ 0x79746573;
    let D = k3 ^ 0x74656462;
    const blocks = (end - start) >>> 3;
    // One turn for each block, one for the rest and the length, one that finishes. Capitals are high halves.
    for (let turn = 0, p = start; turn <= blocks + 1; turn++, p += 8) {
      let m = 0;
      let M = 0;
      let rounds = 2;
      if (turn < blocks) {
        m = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
        M = bytes[p + 4]! | (bytes[p + 5]! << 8) | (bytes[p + 6]! << 16) | (bytes[p + 7]! << 24);
      } else if (turn === blocks) {
        for (let i = 0; p + i < end; i++) {
          if (i < 4) m |= bytes[p + i]! << (8 * i);
          else M |= bytes[p + i]! << (8 * (i - 4));
        }
        M |= (end - start) << 24;
      } else {
        c ^= 0xff;
        rounds = 4;
      }
      d ^= m;
      D ^= M;
      for (; rounds > 0; rounds--) {
        let s = (a + b) | 0;
        A = (A + B + (((a & b) | ((a | b) & ~s)) >>> 31)) | 0;
        a = s;
        let t = (b << 13) | (B >>> 19);
        B = ((B << 13) | (b >>> 19)) ^ A;
        b = t ^ a;
        t = a;
        a = A;
        A = t;
        s = (c + d) | 0;
        C = (C + D + (((c & d) | ((c | d) & ~s)) >>> 31)) | 0;
        c = s;
        t = (d << 16) | (D >>> 16);
        D = ((D << 16) | (d >>> 16)) ^ C;
        d = t ^ c;
        s = (a + d) | 0;
        A = (A + D + (((a & d) | ((a | d) & ~s)) >>> 31)) | 0;
        a = s;
        t = (d << 21) | (D >>> 11);
        D = ((D << 21) | (d >>> 11)) ^ A;
        d = t ^ a;
        s = (c + b) | 0;
        C = (C + B + (((c & b) | ((c | b) & ~s)) >>> 31)) | 0;
        c = s;
        t = (b << 17) | (B >>> 15);
        B = ((B << 17) | (b >>> 15)) ^ C;
        b = t ^ c;
        t = c;
        c = C;
        C = t;
      }
      a ^= m;
      A ^= M;
    }
    this.low = a ^ b ^ c ^ d;
    this.high = A ^ B ^ C ^ D;
  }
}
