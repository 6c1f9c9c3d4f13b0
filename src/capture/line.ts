/**
 * One line in any dialect → a record: the grammar of MONITOR, which decides what the scanner leaves to it.
 *
 *   record = [ "+" ] time SP header SP argument { SP argument }
 *   header = "[" db SP source "]"            Redis 2.6 and later, Valkey, KeyDB, Dragonfly, Pika
 *          | "[" namespace SP source "]"     Kvrocks
 *          | [ "(db " db ")" ]               Redis 2.4 and earlier
 */
import { NO_COMMAND, SourceKind, UNQUOTED } from './batch.ts';
import type { Traits } from './dialect.ts';
import { EscapeClass, escapeClass, hexValue } from './encode.ts';
import { MAX_ARGUMENTS } from './scan.ts';
import type { Scanner } from './scanner.ts';

/** Why a line was rejected. */
export const REJECT_REASONS = [
  ...['no-time', 'no-header', 'bad-database', 'bad-source', 'no-arguments', 'no-opening-quote', 'no-closing-quote'],
  ...['bad-escape', 'raw-byte', 'bytes-after-argument', 'too-many-arguments', 'too-long', 'no-command'],
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** `unix:` and a path; the systems allow some hundred bytes. */
const MAX_PATH_BYTES = 256;
/** Different namespaces of Kvrocks that are told apart. */
const MAX_NAMESPACES = 1024;
/**
 * One line with a stray quote outweighs so many lines with escaped quotes: a server that does not escape prints stray
 * quotes all the time, one that does prints none, and a damaged file has a few.
 */
const STRAY_WEIGHT = 16;

const LF = 0x0a;
const SP = 0x20;
const QUOTE = 0x22;
const PERCENT = 0x25;
const CLOSE_PARENTHESIS = 0x29;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const UNDERSCORE = 0x5f;

/** Whether a byte stands for itself inside an argument. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

export const isDigit = (byte: number) => byte >= ZERO && byte <= 0x39;
export const isLetter = (byte: number) => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
/** Hexadecimal digits, colons, dots; behind a percent sign the zone, which is the name of an interface. */
const isAddressByte = (byte: number) =>
  isDigit(byte) || isLetter(byte) || [COLON, DOT, PERCENT, DASH, UNDERSCORE].includes(byte);
export const startsWith = (bytes: Uint8Array, p: number, text: Uint8Array) =>
  text.every((byte, i) => bytes[p + i] === byte);

const LUA = Buffer.from('lua]');
const MODULE = Buffer.from('?:0]');
const UNIX = Buffer.from('unix:');
const REPLICATION = Buffer.from('REPLICATION:0]');
const DATABASE = Buffer.from('(db ');
/** Kvrocks' name for the namespace of those who have none. */
const DEFAULT_NAMESPACE = '__namespace';

export class LineParser {
  /** Lines with a quote that nothing escaped, weighted, less lines with one that was escaped. */
  strayQuotes = 0;
  /** Lines read in the dialect of Valkey 8.1.0 and 8.1.1: what they say is approximate. */
  recovered = 0;
  /** Nothing ends the line, so nobody can tell whether it is whole if quotes say nothing. */
  unended = false;

  private readonly scanner: Scanner;
  private readonly traits: Traits;
  private readonly bytes: Buffer;
  private readonly namespaces = new Map<string, number>([[DEFAULT_NAMESPACE, 0]]);
  /** Where the line ends: there is a CR or LF. */
  private end = 0;
  /** Where the part ended that was parsed last. */
  private at = 0;
  private args = 0;
  /** Of the record. */
  private seconds = 0;
  private fraction = 0;
  private fractionDigits = 0;
  private db = 0;
  /** An argument of the line has an escaped quote or backslash, which the two dialects read differently. */
  private ambiguous = false;
  /** The line has the additional escapes of Kvrocks. */
  private kvrocks = false;

  constructor(scanner: Scanner, traits: Traits) {
    this.scanner = scanner;
    this.traits = traits;
    this.bytes = scanner.batch.bytes;
  }

  /** Adds the record in `bytes[from..end)`, behind which there is a CR or LF, to the batch; or says why there is none. */
  parse(from: number, end: number): RejectReason | undefined {
    this.end = end;
    this.args = this.scanner.args;
    this.kvrocks = false;
    const { bytes } = this;
    const time = this.parseTime(bytes[from] === PLUS ? from + 1 : from);
    if (time !== undefined) return time;
    const p = this.at + 1;
    if (bytes[p] === QUOTE || startsWith(bytes, p, DATABASE)) return this.parseOldRecord(p);
    if (bytes[p] !== OPEN) return 'no-header';
    const database = this.parseDatabase(p + 1);
    if (database !== undefined) return database;
    return this.parseSourceAndArguments(this.at + 1);
  }

  /** `1700000000.123456 `: 1 to 9 digits of fraction, six as a rule. */
  private parseTime(from: number): RejectReason | undefined {
    const { bytes } = this;
    let p = from;
    let seconds = 0;
    for (; isDigit(bytes[p]!) && p - from < 11; p++) seconds = seconds * 10 + bytes[p]! - ZERO;
    if (p === from || bytes[p] !== DOT) return 'no-time';
    let fraction = 0;
    const start = ++p;
    for (; isDigit(bytes[p]!) && p - start < 10; p++) fraction = fraction * 10 + bytes[p]! - ZERO;
    this.fractionDigits = p - start;
    if (p === start || p - start > 9 || bytes[p] !== SP) return 'no-time';
    this.seconds = seconds;
    this.fraction = fraction;
    this.at = p;
    return undefined;
  }

  /** Redis 2.4 and earlier, which also print a line feed as a lone backslash: where that is in the way, arguments are split at their quotes. */
  private parseOldRecord(from: number): RejectReason | undefined {
    const { bytes, scanner, traits } = this;
    let p = from;
    this.db = 0;
    if (bytes[p] !== QUOTE) {
      p += DATABASE.length;
      const number = p;
      for (; isDigit(bytes[p]!) && p - number < 9; p++) this.db = this.db * 10 + bytes[p]! - ZERO;
      if (p === number || bytes[p] !== CLOSE_PARENTHESIS) return 'bad-database';
      if (p + 1 === this.end) return 'no-arguments';
      if (bytes[p + 1] !== SP) return 'no-header';
      p += 2;
    }
    const reason = this.parseArguments(p);
    if (reason !== undefined) {
      this.args = scanner.args;
      if (reason !== 'bad-escape' || !this.splitUnquoted(p)) return reason;
    }
    traits.oldHeaders++;
    // No line says which client it was: all are one.
    this.addRecord(scanner.sourceNamed('unknown'), SourceKind.client);
    return undefined;
  }

  /** The number behind `[`, or a namespace of Kvrocks, which gets one. */
  private parseDatabase(from: number): RejectReason | undefined {
    const { bytes } = this;
    let p = from;
    this.db = 0;
    for (; isDigit(bytes[p]!) && p - from < 9; p++) this.db = this.db * 10 + bytes[p]! - ZERO;
    this.at = p;
    if (p > from && bytes[p] === SP) return undefined;
    if (!isLetter(bytes[from]!) && bytes[from] !== UNDERSCORE) return 'bad-database';
    while (isAddressByte(bytes[p]!)) p++;
    if (bytes[p] !== SP) return 'bad-database';
    const namespace = bytes.toString('latin1', from, p);
    const known = this.namespaces.get(namespace);
    if (known === undefined && this.namespaces.size === MAX_NAMESPACES) return 'bad-database';
    this.db = known ?? this.namespaces.size;
    this.namespaces.set(namespace, this.db);
    this.at = p;
    this.kvrocks = true;
    return undefined;
  }

  private parseSourceAndArguments(sourceStart: number): RejectReason | undefined {
    const { bytes, traits } = this;
    const kind = this.parseSource(sourceStart);
    if (kind < 0) return 'bad-source';
    let sourceEnd = this.at;
    const p = sourceEnd + 1;
    if (p === this.end || (bytes[p] === SP && p + 1 === this.end)) return 'no-arguments';
    if (bytes[p] !== SP) return 'bad-source';
    const firstArg = this.args;
    let reason = this.parseArguments(p + 1);
    if (kind === SourceKind.unix && reason !== undefined) {
      // A path may itself hold `] "`: the header ends at the first one behind which there are arguments.
      for (let q = p; reason !== undefined && this.findPathEnd(q, sourceStart); q = this.at + 1) {
        this.args = firstArg;
        sourceEnd = this.at;
        reason = this.parseArguments(sourceEnd + 2);
      }
      if (reason !== undefined) sourceEnd = p - 1;
    }
    if (reason !== undefined || this.ambiguous) {
      reason = this.chooseDialect(p + 1, firstArg, reason);
      if (reason !== undefined) return reason;
    }
    if (this.kvrocks) traits.namespaces++;
    else if (this.fractionDigits > 6) traits.longFractions++;
    else if (this.fractionDigits < 6) traits.shortFractions++;
    if (kind === SourceKind.module) {
      if (sourceEnd === sourceStart) traits.emptySource = true;
      else traits.questionSource = true;
    }
    this.addRecord(this.scanner.sourceNumber(sourceStart, sourceEnd, kind), kind);
    return undefined;
  }

  /** Kind of the source at `p`, with `this.at` on its closing bracket; -1 if it is none. */
  private parseSource(p: number): number {
    const { bytes } = this;
    const byte = bytes[p]!;
    let q = p;
    if (isDigit(byte)) {
      while (isDigit(bytes[q]!) || bytes[q] === DOT) q++;
      return bytes[q] === COLON && this.parsePort(q + 1) ? SourceKind.client : -1;
    }
    if (byte === OPEN) {
      for (q++; isAddressByte(bytes[q]!); q++);
      if (q === p + 1 || bytes[q] !== CLOSE || bytes[q + 1] !== COLON) return -1;
      return this.parsePort(q + 2) ? SourceKind.client : -1;
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
    if (startsWith(bytes, p, REPLICATION)) {
      this.traits.replicationSource = true;
      this.at = p + REPLICATION.length - 1;
      return SourceKind.client;
    }
    return startsWith(bytes, p, UNIX) && this.findPathEnd(p + UNIX.length, p) ? SourceKind.unix : -1;
  }

  private parsePort(p: number): boolean {
    let q = p;
    while (isDigit(this.bytes[q]!)) q++;
    this.at = q;
    return q > p && q - p <= 5 && this.bytes[q] === CLOSE;
  }

  /** Puts `this.at` on the next `] "`: a path is printed as it is, with spaces and brackets. */
  private findPathEnd(p: number, sourceStart: number): boolean {
    const { bytes } = this;
    for (let q = p; bytes[q] !== LF && q - sourceStart < MAX_PATH_BYTES; q++) {
      if (bytes[q] === CLOSE && bytes[q + 1] === SP && bytes[q + 2] === QUOTE) {
        this.at = q;
        return true;
      }
    }
    return false;
  }

  /** The strict grammar; undefined on success. */
  private parseArguments(from: number): RejectReason | undefined {
    const { bytes, end, kvrocks } = this;
    const firstArg = this.args;
    let p = from;
    this.ambiguous = false;
    let ambiguous = false;
    for (;;) {
      if (bytes[p] !== QUOTE) return 'no-opening-quote';
      const start = ++p;
      let surplus = 0;
      for (;;) {
        while (PLAIN[bytes[p]!] === 1) p++;
        if (bytes[p] === QUOTE) break;
        if (bytes[p] !== BACKSLASH) return p === end ? 'no-closing-quote' : 'raw-byte';
        const next = bytes[p + 1]!;
        const escaped = escapeClass(next);
        if (escaped === EscapeClass.hex) {
          if (hexValue(bytes[p + 2]!) < 0 || hexValue(bytes[p + 3]!) < 0) return 'bad-escape';
          p += 4;
          surplus += 3;
          continue;
        }
        if (escaped === EscapeClass.none && !(kvrocks && (next === 0x76 || next === 0x66))) return 'bad-escape';
        ambiguous ||= escaped === EscapeClass.ambiguous;
        p += 2;
        surplus++;
      }
      if (this.args - firstArg === MAX_ARGUMENTS) return 'too-many-arguments';
      this.addArgument(start, p, p - start - surplus);
      p++;
      if (p === end) {
        this.ambiguous = ambiguous;
        return undefined;
      }
      if (bytes[p] !== SP) return 'bytes-after-argument';
      p++;
    }
  }

  /**
   * Valkey 8.1.0 and 8.1.1 do not escape quotes and backslashes. A line shows which dialect the file is in if it has a
   * stray quote, or else an escaped one; where stray quotes prevail, the arguments are what stands between `" "`.
   */
  private chooseDialect(from: number, firstArg: number, strict: RejectReason | undefined): RejectReason | undefined {
    if (strict === undefined) this.strayQuotes--;
    if (strict === 'bytes-after-argument') this.strayQuotes += STRAY_WEIGHT;
    if (this.strayQuotes <= 0 || this.unended || strict === 'too-many-arguments') return strict;
    const { args } = this;
    this.args = firstArg;
    if (this.splitUnquoted(from)) return undefined;
    this.args = args;
    return strict;
  }

  private splitUnquoted(from: number): boolean {
    const { bytes } = this;
    const firstArg = this.args;
    const closing = this.end - 1;
    if (bytes[from] !== QUOTE || bytes[closing] !== QUOTE || closing === from) return false;
    let start = from + 1;
    for (let p = start; p < closing; p++) {
      const byte = bytes[p]!;
      if (byte < SP || byte > 0x7e || this.args - firstArg === MAX_ARGUMENTS) return false;
      if (byte === QUOTE && bytes[p + 1] === SP && bytes[p + 2] === QUOTE && p + 2 < closing) {
        this.addArgument(start, p, UNQUOTED);
        p += 2;
        start = p + 1;
      }
    }
    this.addArgument(start, closing, UNQUOTED);
    this.recovered++;
    return true;
  }

  private addArgument(start: number, end: number, length: number): void {
    const { batch } = this.scanner;
    batch.argStart[this.args] = start;
    batch.argEnd[this.args] = end;
    batch.argLength[this.args++] = length;
  }

  private addRecord(source: number, kind: number): void {
    const { batch } = this.scanner;
    const first = batch.firstArg[batch.count]!;
    const plain = batch.argLength[first] === batch.argEnd[first]! - batch.argStart[first]!;
    const r = batch.count;
    batch.atUs[r] = this.seconds * 1e6 + this.micros();
    batch.line[r] = this.scanner.lines;
    batch.db[r] = this.db;
    batch.source[r] = source;
    batch.kind[r] = kind;
    batch.command[r] = plain ? this.scanner.commandNumber(batch.argStart[first]!, batch.argEnd[first]!) : NO_COMMAND;
    this.scanner.add(this.args);
  }

  /** Kvrocks prints the number of microseconds without leading zeros: there `.42` is 42 µs, elsewhere 420,000. */
  private micros(): number {
    const { fraction, fractionDigits } = this;
    if (fractionDigits > 6) return Math.floor(fraction / 10 ** (fractionDigits - 6));
    return this.kvrocks ? fraction : fraction * 10 ** (6 - fractionDigits);
  }
}
