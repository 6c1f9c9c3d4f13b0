/**
 * MONITOR text → batches of records as offsets into the bytes: the strict grammar, no string and no object per line.
 *
 *   record = [ "+" ] time SP "[" db SP source "]" SP argument { SP argument } ( LF | CR LF )
 *
 * Runs once per byte of a capture: keep it free of allocation.
 */
import { hexValue, namedEscape } from './encode.ts';

/** Where a line comes from. Children are what a script or a module did on behalf of another line. */
export const SourceKind = { client: 0, unix: 1, script: 2, module: 3 } as const;

/** Why a line was rejected. */
export const REJECT_REASONS = [
  ...['no-time', 'no-header', 'bad-database', 'bad-source', 'no-arguments', 'no-opening-quote', 'no-closing-quote'],
  ...['bad-escape', 'raw-byte', 'bytes-after-argument', 'too-long'],
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

export interface Reject {
  count: number;
  /** 1-based line and byte offset of the first one. */
  firstLine: number;
  firstOffset: number;
}

/** Escapes in an argument: none, those of the grammar, or the ambiguous ones of Valkey 8.1.0 and 8.1.1. */
export const Escapes = { none: 0, quoted: 1, unquoted: 2 } as const;

/** Records of one chunk; overwritten by the next `push`. Record r has arguments `firstArg[r] … firstArg[r + 1] - 1`. */
export interface Batch {
  bytes: Uint8Array;
  count: number;
  /** Unix time in µs; integers below 2^53. */
  atUs: Float64Array;
  line: Float64Array;
  /** Bytes of the line. */
  length: Uint32Array;
  db: Uint32Array;
  source: Uint32Array;
  kind: Uint8Array;
  firstArg: Uint32Array;
  argStart: Uint32Array;
  argEnd: Uint32Array;
  argEscapes: Uint8Array;
}

/** A line may be as long as a command may be; beyond this it is counted and skipped, so that memory stays bounded. */
const MAX_LINE_BYTES = 512 * 1024 * 1024;
const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x5b;
const CLOSE = 0x5d;

/** What a byte is inside an argument: plain 0, quote 1, backslash 2, never raw 3. */
const CLASS = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === QUOTE ? 1 : byte === BACKSLASH ? 2 : byte >= 0x20 && byte <= 0x7e ? 0 : 3,
);

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;

export class Tokenizer {
  lines = 0;
  parsed = 0;
  bytesRead = 0;
  /** Lines read in the dialect of Valkey 8.1.0 and 8.1.1: what they say is approximate. */
  recovered = 0;
  tornLastLine = false;
  readonly rejects = new Map<RejectReason, Reject>();
  /** Source texts by number. */
  readonly sources: string[] = [];

  private buffer = Buffer.allocUnsafe(4 << 20);
  private spare = Buffer.alloc(0);
  /** Where the buffer begins in the capture. */
  private offset = 0;
  /** The line that is being parsed is the last one, and nothing ended it. */
  private last = false;
  /** Bytes of the buffer that hold the beginning of an unfinished line. */
  private carried = 0;
  private skipping = false;
  private unquoted = false;
  private readonly sourceNumbers = new Map<number, number[]>();
  private readonly sourceBytes: Uint8Array[] = [];
  private batch: Batch = {
    ...{
      bytes: this.buffer,
      count: 0,
      atUs: new Float64Array(1 << 14),
      line: new Float64Array(1 << 14),
      length: new Uint32Array(1 << 14),
    },
    ...{
      db: new Uint32Array(1 << 14),
      source: new Uint32Array(1 << 14),
      kind: new Uint8Array(1 << 14),
      firstArg: new Uint32Array((1 << 14) + 1),
    },
    ...{ argStart: new Uint32Array(1 << 16), argEnd: new Uint32Array(1 << 16), argEscapes: new Uint8Array(1 << 16) },
  };
  private args = 0;
  /** Where parsing of the current line stands. */
  private at = 0;

  /** Records of all lines that end in this chunk. */
  push(chunk: Uint8Array): Batch {
    this.bytesRead += chunk.length;
    this.append(chunk);
    // Only the new bytes can hold the end of a line.
    const last = chunk.lastIndexOf(LF);
    const end = last < 0 ? 0 : this.carried + last + 1;
    return this.parse(end, this.carried + chunk.length);
  }

  /** Records of the last line, if it is whole though nothing ends it; a torn one is noticed, not rejected. */
  end(): Batch {
    if (this.carried === 0 || this.skipping) return this.parse(0, 0);
    this.last = true;
    const length = this.carried + 1;
    this.append(Uint8Array.of(LF));
    return this.parse(length, length);
  }

  private append(chunk: Uint8Array): void {
    const needed = this.carried + chunk.length;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      grown.set(this.buffer.subarray(0, this.carried));
      this.buffer = grown;
    }
    this.buffer.set(chunk, this.carried);
  }

  /** Parses the lines in `buffer[0..end)`, carries `buffer[end..filled)`. The batch's offsets stay valid until the next push. */
  private parse(end: number, filled: number): Batch {
    const batch = this.batch;
    batch.count = 0;
    this.args = 0;
    let at = 0;
    if (this.skipping && end > 0) {
      at = this.buffer.indexOf(LF) + 1;
      this.skipping = false;
      this.lines++;
      this.reject('too-long', 0);
    }
    while (at < end) at = this.parseLine(at, end);
    batch.firstArg[batch.count] = this.args;
    batch.bytes = this.buffer;
    const rest = filled - end;
    if (end > 0) {
      // The batch still points into this buffer: the next chunk goes into the other one.
      const next = this.spare.length >= this.buffer.length ? this.spare : Buffer.allocUnsafe(this.buffer.length);
      next.set(this.buffer.subarray(end, filled));
      this.spare = this.buffer;
      this.buffer = next;
      this.offset += end;
    }
    this.carried = rest;
    if (rest > MAX_LINE_BYTES || this.skipping) {
      this.skipping = true;
      this.offset += rest;
      this.carried = 0;
    }
    return batch;
  }

  /** Parses the line at `start`; returns where the next one begins. */
  private parseLine(start: number, end: number): number {
    const bytes = this.buffer;
    this.lines++;
    this.at = start;
    if (this.lines === 1 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf)
      this.at += 3;
    const text = this.at;
    const args = this.args;
    const reason = this.parseRecord(bytes);
    if (reason === undefined) {
      const next = this.at + (bytes[this.at] === CR ? 2 : 1);
      this.batch.length[this.batch.count - 1] = next - start;
      this.parsed++;
      return next;
    }
    this.args = args;
    const stop = bytes.indexOf(LF, start);
    const next = stop < 0 ? end : stop + 1;
    const last = stop > start && bytes[stop - 1] === CR ? stop - 1 : stop;
    if (last === text || isOk(bytes, text, last)) return next;
    if (this.recover(reason, bytes, last)) {
      this.batch.length[this.batch.count - 1] = next - start;
      this.parsed++;
      this.recovered++;
      return next;
    }
    this.args = args;
    if (this.last) {
      this.tornLastLine = true;
      this.lines--;
    } else this.reject(reason, start);
    return next;
  }

  /** Parses one record from `this.at`; undefined on success, with `this.at` on its end of line. */
  private parseRecord(bytes: Uint8Array): RejectReason | undefined {
    let p = this.at;
    if (bytes[p] === 0x2b) p++;
    let seconds = 0;
    const time = p;
    for (; isDigit(bytes[p]!) && p - time < 11; p++) seconds = seconds * 10 + bytes[p]! - 0x30;
    if (p === time || bytes[p] !== 0x2e) return 'no-time';
    p++;
    let micros = 0;
    const fraction = p;
    for (; isDigit(bytes[p]!) && p - fraction < 7; p++) micros = micros * 10 + bytes[p]! - 0x30;
    if (p - fraction !== 6 || bytes[p] !== SP) return 'no-time';
    if (bytes[++p] !== OPEN) return 'no-header';
    let db = 0;
    const number = ++p;
    for (; isDigit(bytes[p]!) && p - number < 9; p++) db = db * 10 + bytes[p]! - 0x30;
    if (p === number || bytes[p] !== SP) return 'bad-database';
    const sourceStart = ++p;
    const kind = this.sourceEnd(bytes, p);
    if (kind < 0) return 'bad-source';
    const sourceEnd = this.at;
    p = sourceEnd + 1;
    if (bytes[p] !== SP) return bytes[p] === LF || bytes[p] === CR ? 'no-arguments' : 'bad-source';
    p++;
    if (bytes[p] === LF || bytes[p] === CR) return 'no-arguments';
    this.at = p;
    const first = this.args;
    const reason = this.unquoted ? this.splitUnquoted(bytes, bytes.indexOf(LF, p)) : this.parseArguments(bytes);
    // The header is kept even if the arguments are not: `recover` reads them in another way.
    this.record(seconds * 1e6 + micros, db, this.sourceNumber(bytes, sourceStart, sourceEnd), kind, first);
    if (reason !== undefined) this.batch.count--;
    return reason;
  }

  /** Kind of the source at `p`, with `this.at` on its closing bracket; -1 if it is none. */
  private sourceEnd(bytes: Uint8Array, p: number): number {
    const byte = bytes[p]!;
    let q = p;
    if (isDigit(byte)) {
      while (isDigit(bytes[q]!) || bytes[q] === 0x2e) q++;
      if (bytes[q++] !== 0x3a) return -1;
      return this.port(bytes, q) ? SourceKind.client : -1;
    }
    if (byte === OPEN) {
      for (q++; bytes[q] !== CLOSE; q++) {
        const c = bytes[q]!;
        // Hexadecimal digits, colons, dots, and a zone behind `%`.
        if (
          !(
            isDigit(c) ||
            (c >= 0x41 && c <= 0x5a) ||
            (c >= 0x61 && c <= 0x7a) ||
            c === 0x3a ||
            c === 0x2e ||
            c === 0x25 ||
            c === 0x2d ||
            c === 0x5f
          )
        )
          return -1;
      }
      if (q === p + 1 || bytes[q + 1] !== 0x3a) return -1;
      return this.port(bytes, q + 2) ? SourceKind.client : -1;
    }
    if (byte === CLOSE) {
      this.at = p;
      return SourceKind.module;
    }
    if (byte === 0x6c && bytes[p + 1] === 0x75 && bytes[p + 2] === 0x61 && bytes[p + 3] === CLOSE) {
      this.at = p + 3;
      return SourceKind.script;
    }
    if (byte === 0x3f && bytes[p + 1] === 0x3a && bytes[p + 2] === 0x30 && bytes[p + 3] === CLOSE) {
      this.at = p + 3;
      return SourceKind.module;
    }
    if (
      byte === 0x75 &&
      bytes[p + 1] === 0x6e &&
      bytes[p + 2] === 0x69 &&
      bytes[p + 3] === 0x78 &&
      bytes[p + 4] === 0x3a
    ) {
      // A path is printed as it is: it may hold spaces and brackets; the header ends at the first `] "`.
      for (q = p + 5; bytes[q] !== LF; q++) {
        if (bytes[q] === CLOSE && bytes[q + 1] === SP && bytes[q + 2] === QUOTE) {
          this.at = q;
          return SourceKind.unix;
        }
      }
    }
    return -1;
  }

  private port(bytes: Uint8Array, p: number): boolean {
    let q = p;
    while (isDigit(bytes[q]!)) q++;
    this.at = q;
    return q > p && q - p <= 5 && bytes[q] === CLOSE;
  }

  private parseArguments(bytes: Uint8Array): RejectReason | undefined {
    let p = this.at;
    for (;;) {
      if (bytes[p] !== QUOTE) return 'no-opening-quote';
      const start = ++p;
      let escapes: number = Escapes.none;
      for (;;) {
        while (CLASS[bytes[p]!] === 0) p++;
        const byte = bytes[p]!;
        if (byte === QUOTE) break;
        if (byte !== BACKSLASH) return byte === LF || byte === CR ? 'no-closing-quote' : 'raw-byte';
        escapes = Escapes.quoted;
        const next = bytes[p + 1]!;
        if (next === 0x78) {
          if (hexValue(bytes[p + 2]!) < 0 || hexValue(bytes[p + 3]!) < 0) return 'bad-escape';
          p += 4;
        } else if (namedEscape(next) > 0) p += 2;
        else return 'bad-escape';
      }
      this.argument(start, p, escapes);
      p++;
      if (bytes[p] === SP) p++;
      else if (bytes[p] === LF || (bytes[p] === CR && bytes[p + 1] === LF)) {
        this.at = p;
        return undefined;
      } else return 'bytes-after-argument';
    }
  }

  /**
   * Valkey 8.1.0 and 8.1.1 do not escape quotes and backslashes. The first line with a quote inside an argument, if it
   * ends as arguments do, switches to reading that dialect: the arguments are what stands between `" "`.
   */
  private recover(reason: RejectReason, bytes: Uint8Array, last: number): boolean {
    if (reason !== 'bytes-after-argument' || bytes[last - 1] !== QUOTE || this.unquoted) return false;
    this.unquoted = true;
    const start = this.at;
    // `this.at` is where the arguments begin: parse the record again from its header.
    this.at = bytes.lastIndexOf(LF, start) + 1;
    return this.parseRecord(bytes) === undefined;
  }

  private splitUnquoted(bytes: Uint8Array, lineFeed: number): RejectReason | undefined {
    const end = bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    if (bytes[this.at] !== QUOTE) return 'no-opening-quote';
    if (bytes[end - 1] !== QUOTE || end - 1 <= this.at) return 'no-closing-quote';
    let start = this.at + 1;
    for (let p = start; p < end - 1; p++) {
      if (CLASS[bytes[p]!] === 3) return 'raw-byte';
      if (bytes[p] === QUOTE && bytes[p + 1] === SP && bytes[p + 2] === QUOTE && p + 2 < end) {
        this.argument(start, p, Escapes.unquoted);
        p += 2;
        start = p + 1;
      }
    }
    this.argument(start, end - 1, Escapes.unquoted);
    this.at = end;
    return undefined;
  }

  private argument(start: number, end: number, escapes: number): void {
    const batch = this.batch;
    if (this.args === batch.argStart.length) {
      const double = <T extends Uint32Array | Uint8Array>(from: T, to: T): T => {
        to.set(from);
        return to;
      };
      batch.argStart = double(batch.argStart, new Uint32Array(this.args * 2));
      batch.argEnd = double(batch.argEnd, new Uint32Array(this.args * 2));
      batch.argEscapes = double(batch.argEscapes, new Uint8Array(this.args * 2));
    }
    batch.argStart[this.args] = start;
    batch.argEnd[this.args] = end;
    batch.argEscapes[this.args++] = escapes;
  }

  private record(atUs: number, db: number, source: number, kind: number, firstArg: number): void {
    const batch = this.batch;
    const r = batch.count++;
    if (r + 1 === batch.atUs.length) {
      const double = <T extends Float64Array | Uint32Array | Uint8Array>(from: T, make: (n: number) => T): T => {
        const to = make(from.length * 2);
        to.set(from);
        return to;
      };
      batch.atUs = double(batch.atUs, (n) => new Float64Array(n));
      batch.line = double(batch.line, (n) => new Float64Array(n));
      batch.length = double(batch.length, (n) => new Uint32Array(n));
      batch.db = double(batch.db, (n) => new Uint32Array(n));
      batch.source = double(batch.source, (n) => new Uint32Array(n));
      batch.kind = double(batch.kind, (n) => new Uint8Array(n));
      batch.firstArg = double(batch.firstArg, (n) => new Uint32Array(n + 1));
    }
    batch.atUs[r] = atUs;
    batch.line[r] = this.lines;
    batch.db[r] = db;
    batch.source[r] = source;
    batch.kind[r] = kind;
    batch.firstArg[r] = firstArg;
  }

  private sourceNumber(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const known = this.sourceNumbers.get(hash);
    if (known) for (const number of known) if (equals(this.sourceBytes[number]!, bytes, start, end)) return number;
    const text = new Uint8Array(bytes.subarray(start, end));
    const number = this.sourceBytes.push(text) - 1;
    this.sources.push(Buffer.from(text).toString('latin1'));
    if (known) known.push(number);
    else this.sourceNumbers.set(hash, [number]);
    return number;
  }

  private reject(reason: RejectReason, start: number): void {
    const known = this.rejects.get(reason);
    if (known) known.count++;
    else this.rejects.set(reason, { count: 1, firstLine: this.lines, firstOffset: this.offset + start });
  }
}

function isOk(bytes: Uint8Array, start: number, end: number): boolean {
  const p = bytes[start] === 0x2b ? start + 1 : start;
  return end - p === 2 && bytes[p] === 0x4f && bytes[p + 1] === 0x4b;
}

function equals(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
