/** Bytes of a capture, in whatever pieces they come → batches of records: what all kinds of input have in common. */
import type { Batch } from './batch.ts';
import type { Traits } from './dialect.ts';
import type { RejectReason } from './line.ts';
import { CHUNK_BYTES, TEXT_START } from './scan.ts';
import { Scanner } from './scanner.ts';

export interface Reject {
  count: number;
  /** 1-based line and byte offset of the first one. */
  firstLine: number;
  firstOffset: number;
}

/**
 * Write into `room()`, say how much to `wrote()`, take batches with `next()` until there is none; after the last bytes
 * `finish()`, and `next()` again. A batch is valid until the next call of any of these.
 */
export abstract class Decoder {
  parsed = 0;
  bytesRead = 0;
  tornLastLine = false;
  readonly rejects = new Map<RejectReason, Reject>();
  abstract readonly traits: Traits;
  /** Lines that could be read in more than one way: what they say is approximate. */
  abstract readonly approximateLines: number;

  protected readonly scanner: Scanner;
  protected readonly bytes: Buffer;
  /** What lies in `bytes[at..filled)` is still to be decoded; up to `end` that can be done now. */
  protected at = TEXT_START;
  protected end = TEXT_START;
  protected filled = TEXT_START;
  protected finished = false;
  private readonly maxRecordBytes: number;
  /** What has to be added to a place in `bytes` for that in the capture. */
  private offset = -TEXT_START;
  /** Where the record began whose end is being looked for because it is too long; -1 otherwise. */
  private skippedFrom = -1;

  /** Longer records are counted and skipped. */
  constructor(maxRecordBytes: number) {
    this.maxRecordBytes = maxRecordBytes;
    this.scanner = new Scanner(maxRecordBytes);
    this.bytes = this.scanner.batch.bytes;
  }

  /** Lines so far, also those that are no record. */
  get lines(): number {
    return this.scanner.lines;
  }

  get sourceCount(): number {
    return this.scanner.sourceCount;
  }

  /** Text of a source. */
  source(number: number): string {
    return this.scanner.source(number);
  }

  /** Where the capture's next bytes go; ask for batches first. */
  room(): Buffer {
    if (this.filled - this.at > this.maxRecordBytes && this.skippedFrom < 0) {
      this.skippedFrom = this.offset + this.at;
      this.skip();
    }
    const done = this.at - TEXT_START;
    if (done > 0) {
      this.bytes.copyWithin(TEXT_START, this.at, this.filled);
      this.offset += done;
      this.at -= done;
      this.end -= done;
      this.filled -= done;
    }
    return this.bytes.subarray(this.filled, this.filled + CHUNK_BYTES);
  }

  /** So many bytes were put into the room. */
  wrote(count: number): void {
    const from = this.filled;
    this.bytesRead += count;
    this.filled += count;
    if (this.skippedFrom < 0) this.extend(from);
    else this.skip();
  }

  /** Puts the beginning of a chunk into the room; returns how much of it. */
  push(chunk: Buffer): number {
    const count = chunk.copy(this.room());
    this.wrote(count);
    return count;
  }

  /** There is no more to come. */
  finish(): void {
    this.finished = true;
    if (this.skippedFrom >= 0) this.tornLastLine = true;
    this.extend(this.at);
  }

  /** Records that are whole by now; undefined if more bytes are needed for another. */
  next(): Batch | undefined {
    const { batch } = this.scanner;
    while (this.at < this.end || (this.finished && this.at < this.filled)) {
      this.scanner.clear();
      this.decode();
      this.parsed += batch.count;
      if (batch.count > 0) return batch;
    }
    return undefined;
  }

  /** Sets `end`, knowing that the bytes from there to `filled` are new. */
  protected abstract extend(from: number): void;
  /** Adds records to the scanner's batch, and moves `at` behind them; once `finished`, up to `filled`. */
  protected abstract decode(): void;
  /** Behind the record that `bytes[at..filled)` is a part of; -1 if that is not known yet. */
  protected abstract findEnd(): number;

  /** Counts a line that is no record; `start`: where it begins in `bytes`. */
  protected reject(reason: RejectReason, start: number): void {
    this.rejectAt(reason, this.offset + start);
  }

  /** Forgets the record that is too long, as far as it has come. */
  private skip(): void {
    const end = this.findEnd();
    this.at = end < 0 ? this.filled : end;
    this.end = this.at;
    if (end < 0) return;
    this.scanner.lines++;
    this.rejectAt('too-long', this.skippedFrom);
    this.skippedFrom = -1;
    this.extend(this.at);
  }

  private rejectAt(reason: RejectReason, offset: number): void {
    const known = this.rejects.get(reason);
    if (known) known.count++;
    else this.rejects.set(reason, { count: 1, firstLine: this.lines, firstOffset: offset });
  }
}
