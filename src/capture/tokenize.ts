/**
 * MONITOR text → batches of records as offsets into the bytes: the strict grammar, no string and no object per line.
 *
 *   record = [ prefix SP ] [ "+" ] time SP "[" db SP source "]" SP argument { SP argument } ( LF | CR LF )
 *
 * Runs once per byte of a capture: keep it free of allocation.
 */
import { ByteTable } from './byte-table.ts';
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
/** Room for a chunk and the beginning of a line carried over from the one before; grows for longer lines. */
const BUFFER_BYTES = 4 << 20;
/** What proxies and container logs print before a line is shorter than this. */
const MAX_PREFIX_BYTES = 200;
/** `unix:` and a path; the systems allow some hundred bytes. */
const MAX_PATH_BYTES = 256;
/**
 * One line with a stray quote outweighs so many lines with escaped quotes: a server that does not escape prints stray
 * quotes all the time, one that does prints none, and a damaged file has a few.
 */
const STRAY_WEIGHT = 16;

const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const QUOTE = 0x22;
const PERCENT = 0x25;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const COLON = 0x3a;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const UNDERSCORE = 0x5f;
const X = 0x78;

/** Whether a byte stands for itself inside an argument. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isLetter = (byte: number) => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
const endsLine = (bytes: Uint8Array, p: number) => bytes[p] === LF || (bytes[p] === CR && bytes[p + 1] === LF);
const startsWith = (bytes: Uint8Array, p: number, text: Uint8Array) => text.every((byte, i) => bytes[p + i] === byte);

const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf);
const LUA = Buffer.from('lua]');
const MODULE = Buffer.from('?:0]');
const UNIX = Buffer.from('unix:');

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

  private readonly maxLineBytes: number;
  private readonly sourceTable = new ByteTable();
  private buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  private spare = Buffer.allocUnsafe(BUFFER_BYTES);
  /** Where the buffer begins in the capture. */
  private offset = 0;
  /** Bytes at the buffer's beginning that hold the beginning of an unfinished line. */
  private carried = 0;
  /** Where the line began whose end is being looked for because it is too long; -1 otherwise. */
  private skippedFrom = -1;
  /** The line that is being parsed is the last one, and nothing ended it. */
  private last = false;
  /** Lines with a quote that nothing escaped, weighted, less lines with one that was escaped. */
  private strayQuotes = 0;
  /** An argument of the line has an escaped quote or backslash, which the two dialects read differently. */
  private ambiguous = false;
  private readonly batch: Batch = {
    bytes: this.buffer,
    count: 0,
    atUs: new Float64Array(1 << 14),
    line: new Float64Array(1 << 14),
    length: new Uint32Array(1 << 14),
    db: new Uint32Array(1 << 14),
    source: new Uint32Array(1 << 14),
    kind: new Uint8Array(1 << 14),
    firstArg: new Uint32Array(1 << 14),
    argStart: new Uint32Array(1 << 16),
    argEnd: new Uint32Array(1 << 16),
    argEscapes: new Uint8Array(1 << 16),
  };
  private args = 0;
  /** Where the part ended that was parsed last. */
  private at = 0;

  constructor(maxLineBytes = MAX_LINE_BYTES) {
    this.maxLineBytes = maxLineBytes;
  }

  /** Records of all lines that end in this chunk. */
  push(chunk: Uint8Array): Batch {
    this.bytesRead += chunk.length;
    this.append(chunk);
    const filled = this.carried + chunk.length;
    // Only the new bytes can hold the end of a line.
    const last = this.buffer.subarray(this.carried, filled).lastIndexOf(LF);
    return this.parse(last < 0 ? 0 : this.carried + last + 1, filled);
  }

  /** Records of the last line, if it is whole though nothing ends it; a torn one is noticed, not rejected. */
  end(): Batch {
    if (this.skippedFrom >= 0) this.tornLastLine = true;
    if (this.carried === 0) return this.parse(0, 0);
    this.last = true;
    this.append(Uint8Array.of(LF));
    return this.parse(this.carried + 1, this.carried + 1);
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
    const { batch } = this;
    batch.count = 0;
    batch.bytes = this.buffer;
    this.args = 0;
    let at = 0;
    if (this.skippedFrom >= 0 && end > 0) {
      at = this.buffer.indexOf(LF) + 1;
      this.lines++;
      this.reject('too-long', this.skippedFrom);
      this.skippedFrom = -1;
    }
    while (at < end) at = this.parseLine(at);
    batch.firstArg[batch.count] = this.args;
    this.carried = filled - end;
    if (end > 0) {
      // The batch still points into this buffer: the next chunk goes into another one.
      const next = this.carried <= this.spare.length ? this.spare : Buffer.allocUnsafe(this.carried);
      next.set(this.buffer.subarray(end, filled));
      // A buffer that grew for one long line is not kept.
      this.spare = this.buffer.length === BUFFER_BYTES ? this.buffer : Buffer.allocUnsafe(BUFFER_BYTES);
      this.buffer = next;
      this.offset += end;
    }
    if (this.carried > this.maxLineBytes && this.skippedFrom < 0) this.skippedFrom = this.offset;
    if (this.skippedFrom >= 0) {
      this.offset += this.carried;
      this.carried = 0;
    }
    return batch;
  }

  /** Parses the line at `start`; returns where the next one begins. */
  private parseLine(start: number): number {
    const { buffer: bytes, batch } = this;
    this.lines++;
    const text = this.lines === 1 && startsWith(bytes, start, BYTE_ORDER_MARK) ? start + 3 : start;
    const args = this.args;
    let reason = this.parseRecord(bytes, text);
    if (reason !== undefined) {
      this.args = args;
      const lineFeed = bytes.indexOf(LF, text);
      const last = lineFeed > text && bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
      if (last === text || isOk(bytes, text, last)) return lineFeed + 1;
      const header = reason === 'no-time' ? findHeader(bytes, text, last) : -1;
      if (header >= 0) reason = this.parseRecord(bytes, header);
      if (reason !== undefined) {
        this.args = args;
        if (this.last) {
          this.tornLastLine = true;
          this.lines--;
        } else this.reject(reason, this.offset + start);
        return lineFeed + 1;
      }
    }
    const next = this.at + (bytes[this.at] === CR ? 2 : 1);
    batch.length[batch.count - 1] = next - start;
    this.parsed++;
    return next;
  }

  /** Parses the record that begins at `from`; undefined on success, with `this.at` on its end of line. */
  private parseRecord(bytes: Uint8Array, from: number): RejectReason | undefined {
    let p = bytes[from] === PLUS ? from + 1 : from;
    let seconds = 0;
    const time = p;
    for (; isDigit(bytes[p]!) && p - time < 11; p++) seconds = seconds * 10 + bytes[p]! - 0x30;
    if (p === time || bytes[p] !== DOT) return 'no-time';
    let micros = 0;
    const fraction = ++p;
    for (; isDigit(bytes[p]!) && p - fraction < 7; p++) micros = micros * 10 + bytes[p]! - 0x30;
    if (p - fraction !== 6 || bytes[p] !== SP) return 'no-time';
    if (bytes[++p] !== OPEN) return 'no-header';
    let db = 0;
    const number = ++p;
    for (; isDigit(bytes[p]!) && p - number < 9; p++) db = db * 10 + bytes[p]! - 0x30;
    if (p === number || bytes[p] !== SP) return 'bad-database';
    const sourceStart = ++p;
    const kind = this.parseSource(bytes, p);
    if (kind < 0) return 'bad-source';
    let sourceEnd = this.at;
    p = sourceEnd + 1;
    if (endsLine(bytes, p) || (bytes[p] === SP && endsLine(bytes, p + 1))) return 'no-arguments';
    if (bytes[p] !== SP) return 'bad-source';
    const firstArg = this.args;
    let reason = this.parseArguments(bytes, p + 1);
    if (kind === SourceKind.unix && reason !== undefined) {
      // A path may itself hold `] "`: the header ends at the first one behind which there are arguments.
      for (let q = p; reason !== undefined && this.findPathEnd(bytes, q, sourceStart); q = this.at + 1) {
        this.args = firstArg;
        sourceEnd = this.at;
        reason = this.parseArguments(bytes, sourceEnd + 2);
      }
      if (reason !== undefined) sourceEnd = p - 1;
    }
    if (reason !== undefined || this.ambiguous) {
      reason = this.chooseDialect(bytes, p + 1, firstArg, reason);
      if (reason !== undefined) return reason;
    }
    this.addRecord(seconds * 1e6 + micros, db, this.sourceNumber(bytes, sourceStart, sourceEnd), kind, firstArg);
    return undefined;
  }

  /** Kind of the source at `p`, with `this.at` on its closing bracket; -1 if it is none. */
  private parseSource(bytes: Uint8Array, p: number): number {
    const byte = bytes[p]!;
    let q = p;
    if (isDigit(byte)) {
      while (isDigit(bytes[q]!) || bytes[q] === DOT) q++;
      return bytes[q] === COLON && this.parsePort(bytes, q + 1) ? SourceKind.client : -1;
    }
    if (byte === OPEN) {
      // Hexadecimal digits, colons, dots; behind a percent sign the zone, which is the name of an interface.
      for (q++; isAddressByte(bytes[q]!); q++);
      if (q === p + 1 || bytes[q] !== CLOSE || bytes[q + 1] !== COLON) return -1;
      return this.parsePort(bytes, q + 2) ? SourceKind.client : -1;
    }
    if (byte === CLOSE) {
      this.at = p;
      return SourceKind.module;
    }
    if (startsWith(bytes, p, LUA)) {
      this.at = p + 3;
      return SourceKind.script;
    }
    if (startsWith(bytes, p, MODULE)) {
      this.at = p + 3;
      return SourceKind.module;
    }
    return startsWith(bytes, p, UNIX) && this.findPathEnd(bytes, p + UNIX.length, p) ? SourceKind.unix : -1;
  }

  private parsePort(bytes: Uint8Array, p: number): boolean {
    let q = p;
    while (isDigit(bytes[q]!)) q++;
    this.at = q;
    return q > p && q - p <= 5 && bytes[q] === CLOSE;
  }

  /** Puts `this.at` on the next `] "`: a path is printed as it is, with spaces and brackets. */
  private findPathEnd(bytes: Uint8Array, p: number, sourceStart: number): boolean {
    for (let q = p; bytes[q] !== LF && q - sourceStart < MAX_PATH_BYTES; q++) {
      if (bytes[q] === CLOSE && bytes[q + 1] === SP && bytes[q + 2] === QUOTE) {
        this.at = q;
        return true;
      }
    }
    return false;
  }

  /** The strict grammar; undefined on success, with `this.at` on the end of line. */
  private parseArguments(bytes: Uint8Array, from: number): RejectReason | undefined {
    let p = from;
    let ambiguous = false;
    for (;;) {
      if (bytes[p] !== QUOTE) return 'no-opening-quote';
      const start = ++p;
      let escapes: number = Escapes.none;
      for (;;) {
        // Unrolled: most of a capture's bytes pass here.
        for (;;) {
          if (PLAIN[bytes[p]!] !== 1) break;
          if (PLAIN[bytes[++p]!] !== 1) break;
          if (PLAIN[bytes[++p]!] !== 1) break;
          if (PLAIN[bytes[++p]!] !== 1) break;
          p++;
        }
        if (bytes[p] === QUOTE) break;
        if (bytes[p] !== BACKSLASH) return endsLine(bytes, p) ? 'no-closing-quote' : 'raw-byte';
        escapes = Escapes.quoted;
        const next = bytes[p + 1]!;
        if (next === QUOTE || next === BACKSLASH) {
          ambiguous = true;
          p += 2;
        } else if (next === X) {
          if (hexValue(bytes[p + 2]!) < 0 || hexValue(bytes[p + 3]!) < 0) return 'bad-escape';
          p += 4;
        } else if (namedEscape(next) > 0) p += 2;
        else return 'bad-escape';
      }
      this.addArgument(start, p, escapes);
      p++;
      if (bytes[p] === SP) p++;
      else if (endsLine(bytes, p)) {
        this.ambiguous = ambiguous;
        this.at = p;
        return undefined;
      } else return 'bytes-after-argument';
    }
  }

  /**
   * Valkey 8.1.0 and 8.1.1 do not escape quotes and backslashes. A line shows which dialect the file is in if it has a
   * stray quote, or else an escaped one; where stray quotes prevail, the arguments are what stands between `" "`.
   */
  private chooseDialect(
    bytes: Uint8Array,
    from: number,
    firstArg: number,
    strict: RejectReason | undefined,
  ): RejectReason | undefined {
    if (strict === undefined) this.strayQuotes--;
    if (strict === 'bytes-after-argument') this.strayQuotes += STRAY_WEIGHT;
    // Nobody can tell whether the last line is whole if quotes say nothing.
    if (this.strayQuotes <= 0 || this.last) return strict;
    const args = this.args;
    this.args = firstArg;
    if (this.splitUnquoted(bytes, from)) {
      this.recovered++;
      return undefined;
    }
    this.args = args;
    return strict;
  }

  private splitUnquoted(bytes: Uint8Array, from: number): boolean {
    const lineFeed = bytes.indexOf(LF, from);
    const end = bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    const closing = end - 1;
    if (bytes[from] !== QUOTE || bytes[closing] !== QUOTE || closing === from) return false;
    let start = from + 1;
    for (let p = start; p < closing; p++) {
      const byte = bytes[p]!;
      if (byte < SP || byte > 0x7e) return false;
      if (byte === QUOTE && bytes[p + 1] === SP && bytes[p + 2] === QUOTE && p + 2 < closing) {
        this.addArgument(start, p, Escapes.unquoted);
        p += 2;
        start = p + 1;
      }
    }
    this.addArgument(start, closing, Escapes.unquoted);
    this.at = end;
    return true;
  }

  private addArgument(start: number, end: number, escapes: number): void {
    const { batch } = this;
    if (this.args === batch.argStart.length) {
      batch.argStart = doubled(batch.argStart);
      batch.argEnd = doubled(batch.argEnd);
      batch.argEscapes = doubled(batch.argEscapes);
    }
    batch.argStart[this.args] = start;
    batch.argEnd[this.args] = end;
    batch.argEscapes[this.args++] = escapes;
  }

  private addRecord(atUs: number, db: number, source: number, kind: number, firstArg: number): void {
    const { batch } = this;
    const r = batch.count++;
    // One element more than there are records: `firstArg` has the end of the last one's arguments.
    if (batch.count === batch.atUs.length) {
      batch.atUs = doubled(batch.atUs);
      batch.line = doubled(batch.line);
      batch.length = doubled(batch.length);
      batch.db = doubled(batch.db);
      batch.source = doubled(batch.source);
      batch.kind = doubled(batch.kind);
      batch.firstArg = doubled(batch.firstArg);
    }
    batch.atUs[r] = atUs;
    batch.line[r] = this.lines;
    batch.db[r] = db;
    batch.source[r] = source;
    batch.kind[r] = kind;
    batch.firstArg[r] = firstArg;
  }

  private sourceNumber(bytes: Uint8Array, start: number, end: number): number {
    const known = this.sourceTable.find(bytes, start, end);
    if (known >= 0) return known;
    this.sources.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
    return this.sourceTable.add(bytes, start, end);
  }

  /** `offset`: of the line, in the capture. */
  private reject(reason: RejectReason, offset: number): void {
    const known = this.rejects.get(reason);
    if (known) known.count++;
    else this.rejects.set(reason, { count: 1, firstLine: this.lines, firstOffset: offset });
  }
}

function isAddressByte(byte: number): boolean {
  return isDigit(byte) || isLetter(byte) || [COLON, DOT, PERCENT, DASH, UNDERSCORE].includes(byte);
}

function isOk(bytes: Uint8Array, start: number, end: number): boolean {
  const p = bytes[start] === PLUS ? start + 1 : start;
  return end - p === 2 && bytes[p] === 0x4f && bytes[p + 1] === 0x4b;
}

/** Where a record begins behind what a proxy or a container log prints first (`[ proxy4 ] `, `redis-1  | `); -1 if none does. */
function findHeader(bytes: Uint8Array, start: number, end: number): number {
  const stop = Math.min(end, start + MAX_PREFIX_BYTES);
  for (let p = start + 1; p < stop; p++) {
    if (bytes[p] !== OPEN || bytes[p - 1] !== SP || bytes[p - 8] !== DOT) continue;
    let time = p - 8;
    while (time > start && isDigit(bytes[time - 1]!)) time--;
    if (time > start && bytes[time - 1] === PLUS) time--;
    if (time > start && bytes[time - 1] === SP) return time;
  }
  return -1;
}

function doubled<T extends Float64Array | Uint32Array | Uint8Array>(from: T): T {
  const to = new (from.constructor as new (length: number) => T)(from.length * 2);
  to.set(from);
  return to;
}
