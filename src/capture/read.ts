/** A file or stdin, plain or compressed → batches of ops, and what can be said of the whole capture at its end. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Caveat, CutoverError, messageOf } from '../errors.ts';
import { type Clock, Dialect } from './dialect.ts';
import { OpState, OpView } from './ops.ts';
import { type Reject, Tokenizer } from './tokenize.ts';

const CHUNK_BYTES = 1 << 20;
/** More rejects than this share of the lines: the file is damaged, or not what it seems. */
const MAX_REJECTED = 0.01;
const DEGRADED_REJECTED = 0.0001;

export interface CaptureOptions {
  /** Accept the capture of a replica, whose writes are effects of the primary's commands. */
  replica?: boolean;
}

export interface CaptureSummary {
  lines: number;
  parsed: number;
  rejected: Record<string, Reject>;
  /** Unix time in µs of the first and last op in the file. */
  firstUs: number;
  lastUs: number;
  clock: Clock;
  server: string;
  sources: number;
  scriptChildren: number;
  moduleChildren: number;
  orphans: number;
  tornLastLine: boolean;
  /** Lines that Valkey 8.1.0 or 8.1.1 printed ambiguously: sizes and values are approximate in the whole file. */
  approximateLines: number;
  bytes: number;
  caveats: Caveat[];
}

/** One pass over a capture: iterate `batches`, then ask for `summary`. */
export class Capture {
  /** As the user named it. */
  readonly name: string;
  private readonly options: CaptureOptions;
  private readonly tokenizer = new Tokenizer();
  private readonly state = new OpState();
  private readonly dialect = new Dialect();
  private firstUs = 0;
  private lastUs = 0;

  /** `name`: a path, or `-` for stdin. */
  constructor(name: string, options: CaptureOptions = {}) {
    this.name = name;
    this.options = options;
  }

  /**
   * A cursor for every batch, valid until the next one. Throws CutoverError (usage) for what is no capture, is damaged,
   * or came from a replica; the last two when the end is reached.
   */
  async *batches(): AsyncGenerator<OpView> {
    let head: Buffer | undefined;
    for await (const chunk of this.chunks()) {
      head ??= Buffer.from(chunk.subarray(0, 512));
      yield* this.cursor(this.tokenizer.push(chunk));
      if (this.tokenizer.parsed === 0 && this.tokenizer.lines > 10_000) break;
    }
    yield* this.cursor(this.tokenizer.end());
    this.check(head);
  }

  /** What a client's number stands for: its address as the server printed it. */
  client(clientId: number): string {
    return this.tokenizer.sources[clientId] ?? '';
  }

  /** Valid after the last batch. */
  summary(): CaptureSummary {
    const { tokenizer, state, dialect } = this;
    const summary: CaptureSummary = {
      lines: tokenizer.lines,
      parsed: tokenizer.parsed,
      rejected: Object.fromEntries(tokenizer.rejects),
      firstUs: this.firstUs,
      lastUs: this.lastUs,
      clock: dialect.clock,
      server: dialect.server(tokenizer.sources),
      sources: tokenizer.sources.length,
      scriptChildren: state.scriptChildren,
      moduleChildren: state.moduleChildren,
      orphans: state.orphans,
      tornLastLine: tokenizer.tornLastLine,
      approximateLines: tokenizer.recovered,
      bytes: tokenizer.bytesRead,
      caveats: [],
    };
    summary.caveats = caveatsOf(summary);
    return summary;
  }

  private *cursor(batch: ReturnType<Tokenizer['push']>): Generator<OpView> {
    if (batch.count === 0) return;
    this.firstUs ||= batch.atUs[0]!;
    this.lastUs = batch.atUs[batch.count - 1]!;
    // The dialect watches through a cursor of its own, so that the consumer's stays at the beginning.
    const watcher = new OpView(batch, new OpState());
    while (watcher.next()) this.dialect.see(watcher);
    yield new OpView(batch, this.state);
  }

  private async *chunks(): AsyncGenerator<Buffer> {
    const raw = await this.open();
    const iterator = raw[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const first = await this.reading(() => iterator.next());
    if (first.done) return;
    const magic = first.value;
    const rest = async function* () {
      yield magic;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    };
    const decompress =
      magic[0] === 0x1f && magic[1] === 0x8b
        ? createGunzip({ chunkSize: CHUNK_BYTES })
        : magic.length >= 4 && magic.readUInt32LE(0) === 0xfd2fb528
          ? createZstdDecompress({ chunkSize: CHUNK_BYTES })
          : undefined;
    if (!decompress) {
      const plain = rest();
      for (let next = await this.reading(() => plain.next()); !next.done; next = await this.reading(() => plain.next()))
        yield next.value;
      return;
    }
    const { Readable: From, pipeline } = await import('node:stream');
    pipeline(From.from(rest(), { objectMode: true }), decompress, () => {});
    const chunks = decompress[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    for (
      let next = await this.inflating(() => chunks.next());
      !next.done;
      next = await this.inflating(() => chunks.next())
    )
      yield next.value;
  }

  private async open(): Promise<Readable> {
    if (this.name === '-') return process.stdin;
    const stats = await this.reading(() => stat(this.name));
    if (stats.isDirectory()) {
      throw new CutoverError(
        'usage',
        'E_CAPTURE_DIRECTORY',
        `${this.name} is a folder, not a capture.`,
        'Name the MONITOR log inside it.',
      );
    }
    return createReadStream(this.name, { highWaterMark: CHUNK_BYTES });
  }

  private async reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') {
        throw new CutoverError('usage', 'E_CAPTURE_MISSING', `There is no file ${this.name}.`, [
          'Check the path; record a capture with: redis-cli MONITOR > capture.log',
        ]);
      }
      throw new CutoverError(
        'usage',
        'E_CAPTURE_READ',
        `Cannot read ${this.name}: ${messageOf(error)}.`,
        'Check the path and its permissions.',
      );
    }
  }

  private async inflating<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const torn = /unexpected end|Z_BUF_ERROR/i.test(`${messageOf(error)} ${(error as NodeJS.ErrnoException).code}`);
      throw new CutoverError(
        'usage',
        torn ? 'E_CAPTURE_TRUNCATED' : 'E_CAPTURE_CORRUPT',
        `${this.name} ${torn ? 'ends in the middle of its compressed data' : 'is damaged: its compressed data cannot be read'} (after ${this.tokenizer.lines} lines).`,
        [
          'Copy it again and compare checksums.',
          'To use what is readable: zcat FILE > part.log (or zstdcat), then give part.log.',
        ],
      );
    }
  }

  private check(head: Buffer | undefined): void {
    const { tokenizer } = this;
    if (tokenizer.bytesRead === 0) {
      throw new CutoverError(
        'usage',
        'E_CAPTURE_EMPTY',
        `${this.name} is empty.`,
        'Record again while clients are at work: redis-cli MONITOR > capture.log',
      );
    }
    if (tokenizer.parsed === 0)
      throw notACapture(this.name, head, tokenizer.rejects.size === 0 && !tokenizer.tornLastLine);
    const rejected = [...tokenizer.rejects.values()].reduce((sum, reject) => sum + reject.count, 0);
    if (rejected > MAX_REJECTED * tokenizer.lines) {
      const reasons = [...tokenizer.rejects].map(
        ([reason, { count, firstLine }]) => `${reason} ${count} (first in line ${firstLine})`,
      );
      throw new CutoverError(
        'usage',
        'E_CAPTURE_REJECTED',
        `${rejected} of ${tokenizer.lines} lines of ${this.name} are no MONITOR output: ${reasons.join(', ')}.`,
        'Look at the first of these lines (sed -n LINEp). Was the file edited, or were several outputs written into it?',
      );
    }
    const link = this.dialect.primaryLink;
    if (link !== undefined && !this.options.replica) {
      throw new CutoverError(
        'usage',
        'E_CAPTURE_REPLICA',
        `${this.name} was captured on a replica: all its writes come from one address (${this.client(link)}), as effects of commands that the primary executed.`,
        [
          "It holds none of the primary's reads and not the commands that clients sent. Capture on the primary, in short bursts.",
          'To model the replica itself all the same: --replica-capture',
        ],
      );
    }
  }
}

function notACapture(name: string, head: Buffer | undefined, onlyOk: boolean): CutoverError {
  const text = head?.toString('latin1') ?? '';
  const record = 'Record one with: redis-cli MONITOR > capture.log';
  if (onlyOk) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_EMPTY',
      `${name} holds no command: MONITOR was started, but nothing happened.`,
      'Record while clients are at work.',
    );
  }
  if (/NOAUTH|NOPERM|Authentication required/.test(text)) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_NOAUTH',
      `${name} holds the server's refusal, not a capture: redis-cli was not allowed to MONITOR.`,
      ['Give redis-cli a user that may: redis-cli --user NAME --askpass MONITOR > capture.log'],
    );
  }
  const what =
    text.startsWith('REDIS0') || text.startsWith('VALKEY')
      ? 'an RDB snapshot'
      : /^\*\d+\r\n\$/.test(text)
        ? 'an append-only file'
        : undefined;
  return new CutoverError(
    'usage',
    'E_CAPTURE_FORMAT',
    `${name} is ${what ?? 'not a MONITOR capture: no line of it is MONITOR output'}.`,
    record,
  );
}

function caveatsOf(summary: CaptureSummary): Caveat[] {
  const caveats: Caveat[] = [];
  const rejected = Object.values(summary.rejected).reduce((sum, reject) => sum + reject.count, 0);
  if (rejected > DEGRADED_REJECTED * summary.lines) {
    caveats.push({
      id: 'capture-rejects',
      message: `${rejected} of ${summary.lines} lines were not understood (${Object.keys(summary.rejected).join(', ')}) and are left out.`,
      advice: 'See `cutover model --json` for the first line of each kind.',
      numbers: { rejected, lines: summary.lines },
    });
  }
  if (summary.approximateLines > 0) {
    caveats.push({
      id: 'capture-unescaped',
      message: `The server did not escape quotes (Valkey 8.1.0 and 8.1.1 do not): ${summary.approximateLines} lines had to be guessed, sizes are approximate.`,
      advice: 'Capture on another version if you can; JSON values are affected most.',
      numbers: { lines: summary.approximateLines },
    });
  }
  if (summary.orphans > 0) {
    caveats.push({
      id: 'script-orphans',
      message: `${summary.orphans} commands were executed by scripts whose call is not in the capture (Redis 7.0.0 to 7.0.5 do not print FCALL).`,
      advice: 'They are not replayed. Capture on 7.0.6 or later.',
      numbers: { orphans: summary.orphans },
    });
  }
  return caveats;
}
