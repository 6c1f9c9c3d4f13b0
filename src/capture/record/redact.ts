/** A MONITOR stream as the server sends it → the log that is kept: credentials gone, values noise, keys kept or hashed. */
import { type Batch, REDACTED, UNQUOTED } from '../batch.ts';
import { encodeArgument } from '../encode.ts';
import { OpState, OpView } from '../ops.ts';
import { Tokenizer } from '../tokenize.ts';
import { isOption, isStructure, Kind, kindsOf } from './layouts.ts';
import type { Pseudonyms } from './pseudonym.ts';

export interface Redaction {
  /** `noise`: letters of the same number, digits for digits in numbers. */
  values: 'noise' | 'keep';
  keys: 'keep' | 'hash';
  secret: Uint8Array;
}

/** Lines of one command: sent by clients, and on behalf of a script or module. */
export interface Seen {
  lines: number;
  children: number;
}

/** Longer values are told apart by their text, without decoding all of it. */
const MAX_DECODED_BYTES = 256;
/** Whether a byte stands for itself between quotes. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte <= 0x7e && byte !== 0x22 && byte !== 0x5c ? 1 : 0,
);
const OUTPUT_BYTES = 1 << 17;
const SP = 0x20;
const LF = 0x0a;
const QUOTE = 0x22;
const OPEN = 0x5b;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const MAX_NUMBER_BYTES = 32;
/** Shorter runs are copied faster byte by byte. */
const SHORT_COPY = 24;

export class Redactor {
  lines = 0;
  /** Lines that the server sent but that are no MONITOR output; none of them is kept. */
  get rejected(): number {
    let count = 0;
    for (const reject of this.tokenizer.rejects.values()) count += reject.count;
    return count;
  }
  /** Lines of Valkey 8.1.0 and 8.1.1, whose quotes had to be guessed. */
  get approximate(): number {
    return this.tokenizer.approximateLines;
  }
  /** Lines of the recorder's own connections seen so far; they are not kept. */
  ownLines = 0;
  /** Command → lines since it was last cleared. */
  readonly seen = new Map<string, Seen>();
  /** Called for every line of the recorder's own, when it is met. */
  onOwnLine: (() => void) | undefined;

  private readonly redaction: Redaction;
  private readonly pseudonyms: Pseudonyms;
  private readonly ownAddress: string | undefined;
  private readonly tokenizer: Tokenizer;
  private readonly state = new OpState();
  /** By number of the source: 1 for those of the recorder. */
  private readonly own: boolean[] = [];
  private readonly keepsAll: boolean;
  /** By number of the source: what stands behind the database. */
  private readonly headers: Buffer[] = [];
  private second = -1;
  private secondText = Buffer.alloc(0);
  private out = Buffer.allocUnsafe(OUTPUT_BYTES);
  private length = 0;

  /**
   * `ownAddress`: of the recorder's own connection, as the server prints it. `unescaped`: the server is known to leave
   * quotes as they are.
   */
  constructor(
    redaction: Redaction,
    pseudonyms: Pseudonyms,
    { ownAddress, unescaped = false }: { ownAddress?: string | undefined; unescaped?: boolean } = {},
  ) {
    this.redaction = redaction;
    this.keepsAll = redaction.values === 'keep' && redaction.keys === 'keep';
    this.pseudonyms = pseudonyms;
    this.ownAddress = ownAddress;
    this.tokenizer = new Tokenizer({ unescaped });
  }

  /** The log's text for all lines that end in this chunk; a copy that the caller owns. */
  push(chunk: Uint8Array): Buffer {
    this.length = 0;
    for (let taken = 0; taken < chunk.length; ) {
      const room = this.tokenizer.room();
      const part = chunk.subarray(taken, taken + room.length);
      room.set(part);
      this.tokenizer.wrote(part.length);
      taken += part.length;
      for (let batch = this.tokenizer.next(); batch; batch = this.tokenizer.next()) this.redact(batch);
    }
    return Buffer.from(this.out.subarray(0, this.length));
  }

  private redact(batch: Batch): void {
    const view = new OpView(batch, this.state);
    for (let r = 0; view.next(); r++) {
      const source = batch.source[r]!;
      this.own[source] ??= this.tokenizer.source(source) === this.ownAddress;
      if (this.own[source]) {
        this.ownLines++;
        this.onOwnLine?.();
        continue;
      }
      this.count(view);
      this.lines++;
      this.write(batch, r, view);
    }
  }

  private count({ command, kind }: OpView): void {
    let seen = this.seen.get(command);
    if (seen === undefined) {
      seen = { lines: 0, children: 0 };
      this.seen.set(command, seen);
    }
    if (kind === 'command') seen.lines++;
    else seen.children++;
  }

  private write(batch: Batch, r: number, op: OpView): void {
    const first = batch.firstArg[r]!;
    const kinds = this.keepsAll ? undefined : kindsOf(op);
    const secretive = mayHoldSecrets(op);
    this.writeHeader(batch.atUs[r]!, batch.db[r]!, batch.source[r]!);
    for (let index = 0; index < op.argCount; index++) {
      const given = kinds?.[index] ?? Kind.keep;
      const kind = this.resolve(op, index, given);
      // No stand-in is longer than the text that it stands for; quotes and the end of line come on top.
      this.reserve(op.argEnd(index) - op.argStart(index) + 8);
      this.out[this.length++] = SP;
      this.out[this.length++] = QUOTE;
      if (secretive && REDACTED.equals(op.arg(index))) this.writeDecoded(REDACTED);
      else if (kind !== Kind.keep) this.replace(kind, given, op, index);
      else if (op.isPlain(index) || (!secretive && batch.argLength[first + index] !== UNQUOTED)) {
        this.copy(op.bytes, op.argStart(index), op.argEnd(index));
      } else this.writeDecoded(op.arg(index));
      this.out[this.length++] = QUOTE;
    }
    this.out[this.length++] = LF;
  }

  /** `1700000000.000001 [0 127.0.0.1:6379]`. */
  private writeHeader(atUs: number, db: number, source: number): void {
    this.headers[source] ??= Buffer.from(` ${this.tokenizer.source(source)}]`, 'latin1');
    const tail = this.headers[source]!;
    this.reserve(tail.length + 64);
    const seconds = Math.floor(atUs / 1e6);
    if (seconds !== this.second) {
      this.second = seconds;
      this.secondText = Buffer.from(`${seconds}.`);
    }
    this.copy(this.secondText, 0, this.secondText.length);
    let micros = atUs - seconds * 1e6;
    for (let i = 5; i >= 0; i--) {
      this.out[this.length + i] = 0x30 + (micros % 10);
      micros = Math.floor(micros / 10);
    }
    this.length += 6;
    this.out[this.length++] = SP;
    this.out[this.length++] = OPEN;
    if (db < 10) this.out[this.length++] = 0x30 + db;
    else this.length += this.out.write(`${db}`, this.length, 'latin1');
    this.copy(tail, 0, tail.length);
  }

  /** What becomes of an argument in the end: keep, key, data or coordinate. */
  private resolve(op: OpView, index: number, kind: number): number {
    const { values, keys } = this.redaction;
    if (kind === Kind.key) return keys === 'hash' ? Kind.key : Kind.keep;
    if (kind === Kind.keep || values === 'keep') return Kind.keep;
    if (kind === Kind.option) return isStructure(op, index) ? Kind.keep : Kind.data;
    if (kind === Kind.word) return isOption(op, index) ? Kind.keep : Kind.data;
    return kind;
  }

  /** Writes what stands for the argument. */
  private replace(kind: number, given: number, op: OpView, index: number): void {
    const { pseudonyms } = this;
    let { bytes }: { bytes: Uint8Array } = op;
    let start = op.argStart(index);
    let end = op.argEnd(index);
    let length = end - start;
    if (!op.isPlain(index)) {
      length = op.argLength(index);
      if (kind === Kind.key || length <= MAX_DECODED_BYTES) {
        bytes = op.arg(index);
        start = 0;
        end = length;
      }
      this.reserve(length + 8);
    }
    if (kind === Kind.key) {
      this.writeKey(bytes, start, end);
      return;
    }
    const { out } = this;
    const at = this.length;
    this.length += length;
    if (isNumber(bytes, start, end)) {
      pseudonyms.number(bytes, start, end, out, at);
      if (kind === Kind.coordinate) keepOnEarth(out, at, this.length);
      return;
    }
    // The bound of a lexical range keeps the mark that begins it.
    const mark = given === Kind.option && isBound(bytes[start]) ? 1 : 0;
    if (mark > 0) out[at] = bytes[start]!;
    pseudonyms.noise(bytes, start + mark, end, length - mark, out, at + mark);
  }

  private writeKey(bytes: Uint8Array, start: number, end: number): void {
    const { out, pseudonyms } = this;
    const at = this.length;
    pseudonyms.key(bytes, start, end, out, at);
    this.length += end - start;
    for (let q = at; q < this.length; q++) {
      if (PLAIN[out[q]!] === 1) continue;
      const decoded = Buffer.from(out.subarray(at, this.length));
      this.length = at;
      this.writeDecoded(decoded);
      return;
    }
  }

  private writeDecoded(decoded: Uint8Array): void {
    const text = encodeArgument(decoded);
    this.reserve(text.length + 8);
    this.length += this.out.write(text, this.length, 'latin1');
  }

  private copy(bytes: Uint8Array, start: number, end: number): void {
    const { out } = this;
    if (end - start < SHORT_COPY) {
      for (let p = start, q = this.length; p < end; p++, q++) out[q] = bytes[p]!;
    } else out.set(bytes.subarray(start, end), this.length);
    this.length += end - start;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.length + more, 2 * this.out.length));
    this.out.copy(grown, 0, 0, this.length);
    this.out = grown;
  }
}

/** Commands among whose arguments the capture's reader looks for credentials. */
const mayHoldSecrets = ({ command, info }: OpView) =>
  info?.group === 'connection' || info?.group === 'server' || command === 'migrate';

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;

/** Some other place with as many digits: no longitude or latitude beyond 79 degrees. */
function keepOnEarth(text: Buffer, start: number, end: number): void {
  let first = text[start] === DASH || text[start] === PLUS ? start + 1 : start;
  let digits = 0;
  while (first + digits < end && isDigit(text[first + digits]!)) digits++;
  for (; digits > 2; digits--) text[first++] = 0x30;
  if (digits === 2 && text[first]! > 0x37) text[first]! -= 2;
}

/** `17`, `-3.5`, `1e9`: digits that may stand between a sign, a point and an exponent. */
function isNumber(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > MAX_NUMBER_BYTES || end === start) return false;
  let p = bytes[start] === DASH || bytes[start] === PLUS ? start + 1 : start;
  const integer = p;
  while (p < end && isDigit(bytes[p]!)) p++;
  let digits = p - integer;
  if (p < end && bytes[p] === DOT) {
    const fraction = ++p;
    while (p < end && isDigit(bytes[p]!)) p++;
    digits += p - fraction;
  }
  if (digits === 0) return false;
  if (p < end && (bytes[p]! | SP) === 0x65) {
    if (++p < end && (bytes[p] === DASH || bytes[p] === PLUS)) p++;
    if (p === end) return false;
    while (p < end && isDigit(bytes[p]!)) p++;
  }
  return p === end;
}

/** `[member` or `(member`. */
const isBound = (byte: number | undefined) => byte === 0x5b || byte === 0x28;
