/** A file or stdin, plain or compressed → batches of ops, and what can be said of the whole capture at its end. */
import { createReadStream } from 'node:fs';
import { pipeline, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Caveat, CutoverError, messageOf } from '../errors.ts';
import type { Clock } from './dialect.ts';
import { OpState, OpView } from './ops.ts';
import { type Batch, type Reject, Tokenizer } from './tokenize.ts';

const CHUNK_BYTES = 1 << 20;
const MAGIC_BYTES = 4;
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
    const { tokenizer, state } = this;
    const summary: CaptureSummary = {
      lines: tokenizer.lines,
      parsed: tokenizer.parsed,
      rejected: Object.fromEntries(tokenizer.rejects),
      firstUs: this.firstUs,
      lastUs: this.lastUs,
      clock: state.dialect.clock,
      server: state.dialect.server(tokenizer.sources),
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

  private *cursor(batch: Batch): Generator<OpView> {
    if (batch.count === 0) return;
    this.firstUs ||= batch.atUs[0]!;
    this.lastUs = batch.atUs[batch.count - 1]!;
    const view = new OpView(batch, this.state);
    yield view;
    // Ops that the reader left are seen all the same: parents and dialect depend on them.
    while (view.next());
  }

  /** The capture's text, decompressed if its first bytes say so, whatever its name. */
  private async *chunks(): AsyncGenerator<Buffer> {
    const raw = this.rawChunks();
    const first = await raw.next();
    if (first.done) return;
    const decompressor = decompressorOf(first.value);
    const whole = async function* () {
      yield first.value;
      yield* raw;
    };
    if (!decompressor) {
      yield* whole();
      return;
    }
    // What the source throws comes out of the decompressor.
    pipeline(whole(), decompressor, () => {});
    try {
      yield* decompressor;
    } catch (error) {
      throw error instanceof CutoverError ? error : this.decompressionError(error as NodeJS.ErrnoException);
    }
  }

  /** The bytes of the file; the first chunk has at least the bytes that tell a compressed one. */
  private async *rawChunks(): AsyncGenerator<Buffer> {
    let head: Buffer | undefined = Buffer.alloc(0);
    try {
      const stream = this.name === '-' ? process.stdin : createReadStream(this.name, { highWaterMark: CHUNK_BYTES });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (head === undefined) {
          yield chunk;
          continue;
        }
        head = Buffer.concat([head, chunk]);
        if (head.length < MAGIC_BYTES) continue;
        yield head;
        head = undefined;
      }
    } catch (error) {
      throw this.readError(error as NodeJS.ErrnoException);
    }
    if (head !== undefined && head.length > 0) yield head;
  }

  private readError(error: NodeJS.ErrnoException): CutoverError {
    const { name } = this;
    if (error.code === 'ENOENT') {
      return new CutoverError(
        'usage',
        'E_CAPTURE_MISSING',
        `There is no file ${name}.`,
        'Check the path; record a capture with: redis-cli MONITOR > capture.log',
      );
    }
    if (error.code === 'EISDIR') {
      return new CutoverError(
        'usage',
        'E_CAPTURE_DIRECTORY',
        `${name} is a folder, not a capture.`,
        'Name the MONITOR log inside it.',
      );
    }
    return new CutoverError(
      'usage',
      'E_CAPTURE_READ',
      `Cannot read ${name}: ${messageOf(error)}.`,
      'Check the path and its permissions.',
    );
  }

  private decompressionError(error: NodeJS.ErrnoException): CutoverError {
    const torn = /unexpected end|Z_BUF_ERROR/i.test(`${messageOf(error)} ${error.code}`);
    return new CutoverError(
      'usage',
      torn ? 'E_CAPTURE_TRUNCATED' : 'E_CAPTURE_CORRUPT',
      `${this.name} ${torn ? 'ends in the middle of its compressed data' : 'is damaged: its compressed data cannot be read'} (after ${this.tokenizer.lines} lines).`,
      [
        'Copy it again and compare checksums.',
        'To use what is readable: zcat FILE > part.log (or zstdcat), then give part.log.',
      ],
    );
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
      throw new CutoverError(
        'usage',
        'E_CAPTURE_REJECTED',
        `${rejected} of ${tokenizer.lines} lines of ${this.name} are no MONITOR output: ${listRejects(tokenizer.rejects)}.`,
        'Look at the first of these lines (sed -n LINEp). Was the file edited, or were several outputs written into it?',
      );
    }
    const link = this.state.dialect.primaryLink;
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

function decompressorOf(head: Buffer): Transform | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip({ chunkSize: CHUNK_BYTES });
  if (head.length >= MAGIC_BYTES && head.readUInt32LE(0) === 0xfd2fb528) {
    return createZstdDecompress({ chunkSize: CHUNK_BYTES });
  }
  return undefined;
}

function listRejects(rejects: Iterable<[string, Reject]>): string {
  return [...rejects]
    .map(([reason, { count, firstLine }]) => `${reason} ${count} (first in line ${firstLine})`)
    .join(', ');
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
  const [refusal, kind] = /^(?:\(error\) |-)?((?:NO)?([A-Z]+) [^\r\n]*)/m.exec(text)?.slice(1) ?? [];
  if (refusal !== undefined && ['AUTH', 'PERM', 'WRONGPASS'].includes(kind!)) {
    return new CutoverError(
      'usage',
      'E_CAPTURE_NOAUTH',
      `${name} holds the server's refusal, not a capture: ${refusal}`,
      'Give redis-cli a user that may MONITOR: redis-cli --user NAME --askpass MONITOR > capture.log',
    );
  }
  if (refusal !== undefined && kind === 'ERR') {
    return new CutoverError(
      'usage',
      'E_CAPTURE_REFUSED',
      `${name} holds the server's refusal, not a capture: ${refusal}`,
      'Some managed services and compatible servers do not offer MONITOR: capture on one that does.',
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
      message: `${rejected} of ${summary.lines} lines are no MONITOR output and were left out: ${listRejects(Object.entries(summary.rejected))}.`,
      advice: 'Look at the first of these lines: was the file edited, or were several outputs written into it?',
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
