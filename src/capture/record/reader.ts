/** Chunks of one MONITOR stream → its file, through a bounded buffer: the socket never waits for the disk. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../errors.ts';
import type { Redactor, Seen } from './redact.ts';
import type { LogWriter } from './writer.ts';

/** More waiting than this means that the disk, or this process, cannot keep up. */
const MAX_QUEUED_BYTES = 64 << 20;
/** Lines that the server has executed are here after so long, unless it or the network is overloaded. */
const SETTLE_MS = 250;
/** As redis-cli prints it: whoever reads the log knows by it that a burst begins. */
const OK = Buffer.from('OK\n');

export class Reader {
  /** As received. */
  bytes = 0;
  queuedBytes = 0;
  /** Lines between the two marks; until the first mark, since the beginning. */
  counted: ReadonlyMap<string, Seen> | undefined;
  readonly redactor: Redactor;

  private readonly writer: LogWriter;
  private readonly stop: (reason: 'buffer-full' | 'disk', message: string) => void;
  private queue: Buffer[] = [];
  private pumping: Promise<void> | undefined;
  private begun = false;
  private closed = false;
  /** Which of the recorder's own lines are the marks. */
  private firstMark = 0;
  private lastMark = 0;
  private reached: (() => void) | undefined;

  /** `stop` is called once something keeps the log from being written. */
  constructor(writer: LogWriter, redactor: Redactor, stop: (reason: 'buffer-full' | 'disk', message: string) => void) {
    this.writer = writer;
    this.stop = stop;
    this.redactor = redactor;
    this.redactor.onOwnLine = () => {
      if (this.redactor.ownLines === this.firstMark) this.redactor.seen.clear();
      if (this.redactor.ownLines === this.lastMark) this.finishCount();
    };
  }

  take(chunk: Buffer): void {
    if (this.closed) return;
    this.bytes += chunk.length;
    this.queuedBytes += chunk.length;
    this.queue.push(chunk);
    if (this.queuedBytes > MAX_QUEUED_BYTES) {
      this.closed = true;
      this.stop('buffer-full', `${MAX_QUEUED_BYTES >> 20} MiB waited to be written: disk or machine cannot keep up`);
    }
    this.pumping ??= this.pump();
  }

  /** Counting begins behind the recorder's own line of this number, or at once where own lines cannot be told. */
  markFirst(ownLine: number | undefined): void {
    if (ownLine === undefined) this.redactor.seen.clear();
    else this.firstMark = ownLine;
  }

  /**
   * Counting ends at that line, or, where own lines cannot be told, with what comes in a moment. False if it has not
   * come within `timeoutMs`: there is more on its way than was counted.
   */
  async markLast(ownLine: number | undefined, timeoutMs: number): Promise<boolean> {
    let whole = true;
    if (ownLine === undefined) {
      await sleep(SETTLE_MS);
      await this.pumping;
    } else if (this.redactor.ownLines < ownLine) {
      this.lastMark = ownLine;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      this.reached = () => resolve(true);
      const timer = setTimeout(() => resolve(false), timeoutMs);
      whole = await promise;
      clearTimeout(timer);
    }
    if (!this.counted) this.finishCount();
    return whole;
  }

  /** Writes what has been taken. Throws what the disk answers. */
  async finish(): Promise<void> {
    this.closed = true;
    this.pumping ??= this.pump();
    await this.pumping;
    await this.writer.flush();
  }

  private finishCount(): void {
    this.counted ??= structuredClone(this.redactor.seen);
    this.reached?.();
  }

  private async pump(): Promise<void> {
    try {
      if (!this.begun) await this.writer.write(OK);
      this.begun = true;
      while (this.queue.length > 0) {
        const chunks = this.queue;
        this.queue = [];
        for (const chunk of chunks) {
          await this.writer.write(this.redactor.push(chunk));
          this.queuedBytes -= chunk.length;
          // Redacting a chunk takes a millisecond or two: the socket has its turn in between.
          await nextTurn();
        }
      }
      this.pumping = undefined;
    } catch (error) {
      this.closed = true;
      this.stop('disk', `the log cannot be written: ${messageOf(error)}`);
    }
  }
}
