/** MONITOR text in any dialect → batches of records, with every line accounted for. */
import { SourceKind, UNQUOTED } from './batch.ts';
import { Decoder } from './decoder.ts';
import { noTraits } from './dialect.ts';
import { LineParser, type RejectReason, startsWith } from './line.ts';
import { MAX_LINE_BYTES } from './scan.ts';
import { findRecord, noticeAt, unwrap } from './wrapping.ts';

/** So much text of module children waits for the command behind them. */
const MAX_WAITING_BYTES = 1 << 20;
/** No number of lines outweighs what is known from elsewhere. */
const CERTAIN = 2 ** 52;
/** Names of containers in front of the lines that are told apart. */
const MAX_CONTAINERS = 16;

const LF = 0x0a;
const CR = 0x0d;
const PLUS = 0x2b;
const PIPE = 0x7c;
const OK = Buffer.from('OK');
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf);
const PROXY = Buffer.from('[ proxy');

export interface TokenizerOptions {
  /** The server is known to leave quotes as they are (Valkey 8.1.0 and 8.1.1). */
  unescaped?: boolean;
  maxLineBytes?: number;
}

export class Tokenizer extends Decoder {
  readonly traits = noTraits();

  private readonly parser: LineParser;
  private readonly maxLineBytes: number;

  constructor({ unescaped = false, maxLineBytes = MAX_LINE_BYTES }: TokenizerOptions = {}) {
    super(maxLineBytes);
    this.maxLineBytes = maxLineBytes;
    this.parser = new LineParser(this.scanner, this.traits);
    if (unescaped) this.parser.strayQuotes = CERTAIN;
  }

  get approximateLines(): number {
    return this.parser.recovered;
  }

  protected override extend(from: number): void {
    const last = this.bytes.subarray(from, this.filled).lastIndexOf(LF);
    if (last >= 0) this.end = from + last + 1;
  }

  protected override findEnd(): number {
    const lineFeed = this.bytes.subarray(this.at, this.filled).indexOf(LF);
    return lineFeed < 0 ? -1 : this.at + lineFeed + 1;
  }

  protected override decode(): void {
    const { scanner, parser } = this;
    while (this.at < this.end && !scanner.full) {
      this.at = scanner.scan(this.at, this.end, parser.strayQuotes > 0);
      parser.strayQuotes -= scanner.takeAmbiguousLines();
      if (this.at < this.end && !scanner.full) this.at = this.readLine(this.at);
    }
    if (this.at < this.end || !this.finished) this.leaveOpenChildren();
    else if (this.at < this.filled && !scanner.full) this.readLastLine();
  }

  /** Takes back module children at the end: their parent is in the line behind them, which comes with the next batch. */
  private leaveOpenChildren(): void {
    const { scanner } = this;
    const { batch } = scanner;
    let { count } = batch;
    let line = scanner.lines;
    let bytes = 0;
    // Only whole lines one behind the other, and none that would be counted twice.
    while (
      count > 0 &&
      batch.kind[count - 1] === SourceKind.module &&
      batch.line[count - 1] === line &&
      batch.argLength[batch.firstArg[count - 1]!] !== UNQUOTED
    ) {
      bytes += batch.length[--count]!;
      line--;
    }
    if (bytes === 0 || bytes > MAX_WAITING_BYTES || (count === 0 && scanner.full)) return;
    if (this.at === this.end) this.end -= bytes;
    this.at -= bytes;
    scanner.lines = line;
    scanner.takeBack(count);
  }

  /** A last line that nothing ends is a record if it is whole; else it was torn, which is no damage. */
  private readLastLine(): void {
    const { bytes, parser } = this;
    bytes[this.filled] = LF;
    parser.unended = true;
    this.at = this.end = this.readLine(this.at) - 1;
  }

  /** Reads the line at `start`; returns where the next one begins. */
  private readLine(start: number): number {
    const { bytes, scanner } = this;
    const { batch } = scanner;
    const lineFeed = bytes.indexOf(LF, start);
    let end = lineFeed;
    while (end > start && bytes[end - 1] === CR) end--;
    scanner.lines++;
    const from = scanner.lines === 1 && startsWith(bytes, start, BYTE_ORDER_MARK) ? start + 3 : start;
    const records = batch.count;
    const reason = lineFeed + 1 - start > this.maxLineBytes ? 'too-long' : this.readRecord(from, end);
    if (batch.count > records) batch.length[records] = lineFeed + 1 - start;
    else if (reason !== undefined && this.parser.unended) {
      this.tornLastLine = true;
      scanner.lines--;
    } else if (reason !== undefined) this.reject(reason, start);
    return lineFeed + 1;
  }

  /** Adds the record in `bytes[from..end)`; undefined also for lines that mean nothing. */
  private readRecord(from: number, end: number): RejectReason | undefined {
    const { bytes, parser } = this;
    if (this.isStart(from, end)) return undefined;
    const reason = parser.parse(from, end);
    if (reason !== 'no-time') return reason;
    const unwrapped = unwrap(bytes, from, end);
    if (unwrapped >= 0) return this.isStart(from, unwrapped) ? undefined : parser.parse(from, unwrapped);
    const record = findRecord(bytes, from, end);
    if (record >= 0) {
      this.notePrefix(from, record);
      return parser.parse(record, end);
    }
    const notice = noticeAt(bytes, from, end);
    if (notice === undefined) return reason;
    this.traits.notices++;
    this.traits.closed ||= notice === 'closed';
    return undefined;
  }

  /** Whether the line is blank, or the OK with which a recording begins. */
  private isStart(from: number, end: number): boolean {
    const p = this.bytes[from] === PLUS ? from + 1 : from;
    if (from === end) this.traits.blanks++;
    else if (end - p === OK.length && startsWith(this.bytes, p, OK)) this.traits.starts++;
    else return false;
    return true;
  }

  private notePrefix(from: number, record: number): void {
    const { bytes, traits } = this;
    if (startsWith(bytes, from, PROXY)) traits.proxied++;
    const pipe = record - 2;
    if (bytes[pipe] !== PIPE || traits.containers.length === MAX_CONTAINERS) return;
    const container = bytes.toString('latin1', from, pipe).trim();
    if (!traits.containers.includes(container)) traits.containers.push(container);
  }
}
