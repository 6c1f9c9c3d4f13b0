/** Append-only files of Redis and Valkey → the writes that they hold, as batches of records: commands as the server made them. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Caveat, CutoverError } from '../errors.ts';
import { SourceKind } from './batch.ts';
import { Decoder } from './decoder.ts';
import { noTraits } from './dialect.ts';
import { startsWith } from './line.ts';
import { RdbPreamble } from './rdb-preamble.ts';
import { MAX_ARGUMENTS, MAX_LINE_BYTES } from './scan.ts';

/** Commands are spread over their second as fast as those of the second before, and so from the first one on. */
const FIRST_STEP_US = 1000;
const SECOND_US = 1_000_000;

const KNOWN_BY_USE = 'Keys that exist at the beginning are known only by the commands that use them.';

const LF = 0x0a;
const CR = 0x0d;
const HASH = 0x23;
const DOLLAR = 0x24;
const STAR = 0x2a;
const ZERO = 0x30;
const TIMESTAMP = Buffer.from('#TS:');
const NEXT_COMMAND = Buffer.from('\r\n*');
const SELECT = Buffer.from('SELECT');
const INCOMPLETE = -1;
const DAMAGED = -2;

export class AofDecoder extends Decoder {
  readonly traits = noTraits();
  readonly approximateLines = 0;
  /** `#TS:` annotations. */
  private timestamps = 0;
  private secondUs: number;
  private stepUs = FIRST_STEP_US;
  /** Commands since the annotation. */
  private inSecond = 0;
  private db = 0;
  /** The snapshot at the beginning, until its end is found. */
  private preamble: RdbPreamble | undefined;
  private skippedBytes = 0;
  /** Where the number ended that was read last. */
  private numberEnd = 0;
  private sourceNumber = -1;

  /** `head`: the first bytes. `startMs`: Unix time that commands get for want of annotations. */
  constructor(head: Buffer, startMs: number) {
    super(MAX_LINE_BYTES);
    this.secondUs = Math.floor(startMs / 1000) * SECOND_US;
    if (!startsWith(head, 0, TIMESTAMP) && head[0] !== STAR) this.preamble = new RdbPreamble();
  }

  /** What follows from where the records come from. */
  get caveats(): Caveat[] {
    const caveats: Caveat[] = [
      {
        id: 'aof-writes',
        message:
          'An append-only file holds writes only, as the server made them: no reads, no clients, scripts as what they did, expiry as deletions.',
        advice: 'For the whole workload capture with MONITOR: cutover capture URL',
      },
    ];
    if (this.timestamps === 0) {
      caveats.push({
        id: 'aof-no-times',
        message: 'The append-only file has no times (aof-timestamp-enabled): one command per millisecond is assumed.',
        advice: 'Set the rate: --rate',
      });
    }
    if (this.skippedBytes > 0) {
      caveats.push({
        id: 'aof-snapshot',
        message: `The snapshot at the beginning (${this.skippedBytes} bytes) was skipped: what it holds was written before.`,
        advice: KNOWN_BY_USE,
        numbers: { bytes: this.skippedBytes },
      });
    }
    return caveats;
  }

  protected override extend(): void {
    this.end = this.filled;
  }

  protected override findEnd(): number {
    const next = this.bytes.subarray(this.at, this.filled).indexOf(NEXT_COMMAND, 1);
    return next < 0 ? -1 : this.at + next + 2;
  }

  protected override decode(): void {
    if (this.preamble) this.skipPreamble(this.preamble);
    while (!this.preamble && this.at < this.end && !this.scanner.full) {
      const next = this.bytes[this.at] === HASH ? this.readAnnotation() : this.readCommand();
      if (next === INCOMPLETE) {
        this.end = this.at;
        break;
      }
      if (next === DAMAGED) {
        this.scanner.lines++;
        this.reject('no-command', this.at);
        const end = this.findEnd();
        this.at = end < 0 ? this.filled : end;
      } else this.at = next;
    }
    if (!this.finished || this.at < this.end || this.at === this.filled) return;
    this.tornLastLine = true;
    this.at = this.filled;
  }

  private skipPreamble(preamble: RdbPreamble): void {
    const end = preamble.findEnd(this.bytes, this.at, this.filled, this.finished);
    const done = end < 0 ? -end : end;
    this.skippedBytes += done - this.at;
    this.at = done;
    if (end >= 0) this.preamble = undefined;
    else this.end = this.at;
  }

  /** Where what is behind the annotation begins. */
  private readAnnotation(): number {
    const { bytes, at } = this;
    const lineFeed = bytes.subarray(at, this.filled).indexOf(LF);
    if (lineFeed < 0) return INCOMPLETE;
    if (startsWith(bytes, at, TIMESTAMP)) {
      const secondUs = Number.parseInt(bytes.toString('latin1', at + TIMESTAMP.length, at + lineFeed), 10) * SECOND_US;
      if (secondUs > 0) {
        if (this.inSecond > 0) this.stepUs = SECOND_US / this.inSecond;
        this.secondUs = secondUs;
        this.inSecond = 0;
        this.timestamps++;
      }
    }
    return at + lineFeed + 1;
  }

  /** Adds a record, if it is one; returns where the next command begins, INCOMPLETE or DAMAGED. */
  private readCommand(): number {
    const { bytes, scanner } = this;
    const { batch } = scanner;
    const count = this.readNumber(this.at, STAR);
    if (count < 0) return count;
    if (count === 0 || count > MAX_ARGUMENTS) return DAMAGED;
    let { args } = scanner;
    for (let i = 0; i < count; i++) {
      const length = this.readNumber(i === 0 ? this.numberEnd : batch.argEnd[args - 1]! + 2, DOLLAR);
      if (length < 0) return length;
      const start = this.numberEnd;
      const end = start + length;
      if (end + 2 > this.filled) return INCOMPLETE;
      if (bytes[end] !== CR || bytes[end + 1] !== LF) return DAMAGED;
      batch.argStart[args] = start;
      batch.argEnd[args] = end;
      batch.argLength[args++] = length;
    }
    const end = batch.argEnd[args - 1]! + 2;
    scanner.lines++;
    if (!this.isSelect(count)) this.addRecord(args, end - this.at);
    return end;
  }

  /** `*3\r\n` or `$12\r\n` at `p`: the number, with `numberEnd` behind it. */
  private readNumber(p: number, sign: number): number {
    const { bytes, filled } = this;
    if (p >= filled) return INCOMPLETE;
    if (bytes[p] !== sign) return DAMAGED;
    let number = 0;
    let q = p + 1;
    for (; q < filled && q - p < 11 && bytes[q]! >= ZERO && bytes[q]! <= ZERO + 9; q++) {
      number = number * 10 + bytes[q]! - ZERO;
    }
    if (q + 1 >= filled) return INCOMPLETE;
    this.numberEnd = q + 2;
    return q === p + 1 || bytes[q] !== CR || bytes[q + 1] !== LF ? DAMAGED : number;
  }

  /** The server writes SELECT where the database changes; no client sent it. */
  private isSelect(count: number): boolean {
    const { batch, args } = this.scanner;
    const start = batch.argStart[args]!;
    if (count !== 2 || batch.argLength[args] !== SELECT.length) return false;
    if (this.bytes.toString('latin1', start, start + SELECT.length).toUpperCase() !== SELECT.toString()) return false;
    this.db = Number(this.bytes.toString('latin1', batch.argStart[args + 1], batch.argEnd[args + 1])) || 0;
    return true;
  }

  private addRecord(args: number, length: number): void {
    const { scanner } = this;
    const { batch } = scanner;
    const r = batch.count;
    const steps = this.inSecond++ * this.stepUs;
    batch.atUs[r] = this.secondUs + Math.floor(this.timestamps > 0 ? Math.min(steps, SECOND_US - 1) : steps);
    batch.line[r] = scanner.lines;
    batch.length[r] = length;
    batch.db[r] = this.db;
    if (this.sourceNumber < 0) this.sourceNumber = scanner.sourceNamed('aof');
    batch.source[r] = this.sourceNumber;
    batch.kind[r] = SourceKind.client;
    const name = batch.firstArg[r]!;
    batch.command[r] = scanner.commandNumber(batch.argStart[name]!, batch.argEnd[name]!);
    scanner.add(args);
  }
}

/**
 * The files with commands of a multi-part append-only file, in their order, from its manifest or the folder that it is in;
 * undefined for anything else. Throws CutoverError (usage).
 */
export async function readManifest(name: string): Promise<{ files: string[]; caveats: Caveat[] } | undefined> {
  const path = name.endsWith('.manifest') ? name : await findManifest(name);
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch(() => '');
  const parts = [...text.matchAll(/^file (\S+) seq (\d+) type ([a-z])/gm)].map(([, file, seq, type]) => ({
    path: join(dirname(path), basename(file!)),
    seq: Number(seq),
    type,
  }));
  const files = parts.filter(({ type }) => type === 'i').sort((a, b) => a.seq - b.seq);
  if (files.length === 0) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_FORMAT',
      `${path} names no file of commands.`,
      'Give the manifest of a multi-part append-only file, or record with: cutover capture URL',
    );
  }
  const base = parts.find(({ type }) => type === 'b');
  const caveat = base && {
    id: 'aof-snapshot',
    message: `The snapshot ${basename(base.path)} was skipped: what it holds was written before.`,
    advice: KNOWN_BY_USE,
  };
  return { files: files.map((file) => file.path), caveats: caveat ? [caveat] : [] };
}

async function findManifest(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => []);
  const manifests = names.filter((name) => name.endsWith('.aof.manifest'));
  return manifests.length === 1 ? join(folder, manifests[0]!) : undefined;
}
