/** The memory of a capture: its text, and the records that are found in it, by the program for common lines or by a parser. */
import { type Batch, NO_COMMAND, SourceKind } from './batch.ts';
import { hashOf } from './byte-table.ts';
import { assembleScan, LAYOUT, type ScanProgram } from './scan.ts';
import { NOTABLE_TRAITS, traitsOf } from './traits.ts';

/** What the types of Node leave out. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: object };
};

let compiled: object | undefined;

/** Memory for one capture's text and for the records found in it; the pages that nothing is written to take none. */
export class Scanner {
  readonly batch: Batch;
  private readonly program: ScanProgram;
  private readonly words: Uint32Array;
  private readonly lineNumber: Float64Array;

  /** Longer lines stop the program. */
  constructor(maxLineBytes: number) {
    compiled ??= new WebAssembly.Module(assembleScan());
    this.program = new WebAssembly.Instance(compiled).exports as ScanProgram;
    const { buffer } = this.program.memory;
    this.words = new Uint32Array(buffer);
    this.lineNumber = new Float64Array(buffer, LAYOUT.LINE, 1);
    this.set(LAYOUT.MAX_LINE, maxLineBytes);
    const records = (at: number) => new Uint32Array(buffer, at, LAYOUT.RECORDS);
    const args = (at: number) => new Uint32Array(buffer, at, LAYOUT.ALL_ARGUMENTS);
    this.batch = {
      bytes: Buffer.from(buffer),
      count: 0,
      atUs: new Float64Array(buffer, LAYOUT.AT_US, LAYOUT.RECORDS),
      line: new Float64Array(buffer, LAYOUT.LINES, LAYOUT.RECORDS),
      length: records(LAYOUT.LENGTH),
      db: records(LAYOUT.DB),
      source: records(LAYOUT.SOURCE),
      kind: new Uint8Array(buffer, LAYOUT.KIND, LAYOUT.RECORDS),
      command: new Int32Array(buffer, LAYOUT.COMMAND, LAYOUT.RECORDS),
      keyLow: new Int32Array(buffer, LAYOUT.KEY_LOW, LAYOUT.RECORDS),
      keyHigh: new Int32Array(buffer, LAYOUT.KEY_HIGH, LAYOUT.RECORDS),
      parentLine: new Float64Array(LAYOUT.RECORDS),
      notable: records(LAYOUT.NOTABLE),
      dbBefore: new Int32Array(buffer, LAYOUT.DB_BEFORE, LAYOUT.RECORDS),
      notableCount: 0,
      firstArg: new Uint32Array(buffer, LAYOUT.FIRST_ARG, LAYOUT.RECORDS + 1),
      argStart: args(LAYOUT.ARG_START),
      argEnd: args(LAYOUT.ARG_END),
      argLength: args(LAYOUT.ARG_LENGTH),
      redactedAt: LAYOUT.REDACTED_AT,
      keysHashed: false,
      hashKeys: () => {
        this.program.hashKeys(this.batch.count);
        this.batch.keysHashed = true;
      },
      setDb: (source, db) => this.set(dbOf(source), db),
    };
  }

  /** Number of the last line read. */
  get lines(): number {
    return this.lineNumber[0]!;
  }

  set lines(lines: number) {
    this.lineNumber[0] = lines;
  }

  /** Arguments of the batch so far. */
  get args(): number {
    return this.get(LAYOUT.ARGUMENTS);
  }

  /** Whether the batch takes no other record. */
  get full(): boolean {
    return this.batch.count >= LAYOUT.RECORDS || this.args >= LAYOUT.FULL_ARGUMENTS;
  }

  /** Begins another batch. */
  clear(): void {
    this.batch.count = 0;
    this.batch.notableCount = 0;
    this.batch.keysHashed = false;
    this.commit(0);
  }

  /**
   * Adds records of the lines in `bytes[start..end)`, which begin and end there, to the batch; returns where the first
   * line begins that is not of the common form, `end` if there is none, or where the batch is full.
   */
  scan(start: number, end: number, stopAtAmbiguous: boolean): number {
    this.set(LAYOUT.COUNT, this.batch.count);
    this.set(LAYOUT.NOTABLE_COUNT, this.batch.notableCount);
    this.set(LAYOUT.STOP_AT_AMBIGUOUS, stopAtAmbiguous ? 1 : 0);
    const stop = this.program.scan(start, end);
    this.batch.count = this.get(LAYOUT.COUNT);
    this.batch.notableCount = this.get(LAYOUT.NOTABLE_COUNT);
    this.batch.firstArg[this.batch.count] = this.args;
    return stop;
  }

  /** Lines with an escaped quote or backslash that `scan` took since this was asked last. */
  takeAmbiguousLines(): number {
    const lines = this.get(LAYOUT.AMBIGUOUS_LINES);
    this.set(LAYOUT.AMBIGUOUS_LINES, 0);
    return lines;
  }

  /** The batch's last record has its arguments up to `args`; those that are added go behind them. */
  commit(args: number): void {
    this.set(LAYOUT.ARGUMENTS, args);
    this.batch.firstArg[this.batch.count] = args;
  }

  /** Adds the record behind the last one, of which all but its arguments and those that are notable is set. */
  add(args: number): void {
    const { batch } = this;
    const r = batch.count++;
    const db = dbOf(batch.source[r]!);
    batch.notable[batch.notableCount] = r;
    batch.dbBefore[batch.notableCount++] = this.get(db);
    this.set(db, batch.db[r]!);
    this.commit(args);
  }

  /** Takes back the records from that one on. */
  takeBack(count: number): void {
    const { batch } = this;
    batch.count = count;
    while (batch.notableCount > 0 && batch.notable[batch.notableCount - 1]! >= count) batch.notableCount--;
    this.commit(batch.firstArg[count]!);
  }

  /** Number of the source `bytes[start..end)`. Beyond a million of them, several share one. */
  sourceNumber(start: number, end: number, kind: number): number {
    const known = this.program.findSource(start, end - start);
    if (known >= 0) return known;
    const added = this.program.addSource(start, end - start, kind);
    return added >= 0 ? added : hashOf(this.batch.bytes, start, end) % this.sourceCount;
  }

  /** Number of a source that the input does not name. */
  sourceNamed(text: string): number {
    const length = this.batch.bytes.write(text, LAYOUT.NAME_AT, LAYOUT.MAX_NAME_BYTES, 'latin1');
    return this.sourceNumber(LAYOUT.NAME_AT, LAYOUT.NAME_AT + length, SourceKind.client);
  }

  get sourceCount(): number {
    return this.get(LAYOUT.SOURCES.size);
  }

  /** Text of a source. */
  source(number: number): string {
    const entry = LAYOUT.SOURCES.entries + number * LAYOUT.ENTRY_BYTES;
    const start = this.get(entry + LAYOUT.ENTRY_TEXT);
    return this.batch.bytes.toString('latin1', start, start + this.get(entry + LAYOUT.ENTRY_LENGTH));
  }

  /** Number of the spelling `bytes[start..end)`; NO_COMMAND if it is too long for one, or there are too many. */
  commandNumber(start: number, end: number): number {
    if (end - start > LAYOUT.MAX_NAME_BYTES) return NO_COMMAND;
    const known = this.program.findCommand(start, end - start);
    const number = known >= 0 ? known : this.addCommand(start, end);
    return number < 0 ? NO_COMMAND : number;
  }

  private addCommand(start: number, end: number): number {
    const name = this.batch.bytes.toString('latin1', start, end).toLowerCase();
    return this.program.addCommand(start, end - start, traitsOf(name) & NOTABLE_TRAITS);
  }

  private get(address: number): number {
    return this.words[address / 4]!;
  }

  private set(address: number, value: number): void {
    this.words[address / 4] = value;
  }
}

/** Address of the database that a source was seen in last. */
const dbOf = (source: number) => LAYOUT.SOURCES.entries + source * LAYOUT.ENTRY_BYTES + LAYOUT.ENTRY_DB;
