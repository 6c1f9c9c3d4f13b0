/** A file, a stretch of one, or stdin, plain or compressed → its bytes, given to a decoder. */

import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { CutoverError, messageOf } from '../errors.ts';
import type { Decoder } from './decoder.ts';

/** Where a stretch begins and ends, in bytes of the plain file. */
export interface ByteRange {
  start: number;
  end: number;
}

/** So much is looked at to tell what a file is. */
const HEAD_BYTES = 512;
const MAGIC_BYTES = 4;
const STREAM_BYTES = 1 << 20;
/** Files are read synchronously, as there is nothing to do meanwhile; timers and signals get their turn this often. */
const TURN_MS = 25;

type Decompressor = Gunzip | ZstdDecompress;

export class Input {
  /** The first bytes, decompressed. */
  readonly head: Buffer;
  /** When the file was written last, as a Unix time; now, for what is no file. */
  readonly modifiedMs: number;
  /** The file became shorter while it was read. */
  shrank = false;
  private readonly source: { file: FileHandle; range: ByteRange } | { stream: AsyncIterator<Buffer> };

  constructor(head: Buffer, source: Input['source'], modifiedMs = Date.now()) {
    this.head = head;
    this.modifiedMs = modifiedMs;
    this.source = source;
  }

  /** Yields whenever the decoder has got more bytes. */
  async *feed(decoder: Decoder): AsyncGenerator<void> {
    if ('stream' in this.source) {
      for (let chunk: Buffer | undefined = this.head; chunk !== undefined; ) {
        for (let taken = 0; taken < chunk.length; ) {
          taken += decoder.push(chunk.subarray(taken));
          yield;
        }
        const item: IteratorResult<Buffer> = await this.source.stream.next();
        if (chunk !== this.head) giveBack(chunk);
        chunk = item.done ? undefined : item.value;
      }
      return;
    }
    const { file, range } = this.source;
    let turn = performance.now();
    for (let position = range.start; position < range.end; ) {
      const room = decoder.room();
      const count = readSync(file.fd, room, 0, Math.min(room.length, range.end - position), position);
      this.shrank = count === 0;
      if (this.shrank) return;
      position += count;
      decoder.wrote(count);
      yield;
      if (performance.now() - turn < TURN_MS) continue;
      await setImmediate();
      turn = performance.now();
    }
  }

  async close(): Promise<void> {
    if ('file' in this.source) await this.source.file.close();
    else await this.source.stream.return?.();
  }
}

/**
 * Opens a path, or stdin for `-`; `range`: of a plain file. What a growing file gets after this is not read.
 * Throws CutoverError (usage).
 */
export async function openInput(name: string, range?: ByteRange): Promise<Input> {
  if (name === '-') return openStream(name, process.stdin);
  const file = await openFile(name);
  const stat = await file.stat();
  if (!stat.isFile()) return openStream(name, file.createReadStream({ highWaterMark: STREAM_BYTES }));
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await file.read(head, 0, HEAD_BYTES, range?.start ?? 0);
  if (decompressorOf(head)) {
    return openStream(name, file.createReadStream({ start: 0, highWaterMark: STREAM_BYTES }));
  }
  return new Input(head.subarray(0, bytesRead), { file, range: range ?? { start: 0, end: stat.size } }, stat.mtimeMs);
}

/** The size of a file of lines in bytes; undefined for what is compressed, has none, or has no lines. */
export async function sizeOfLines(name: string): Promise<number | undefined> {
  if (name === '-') return undefined;
  await using file = await openFile(name);
  const stat = await file.stat();
  const { buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  return stat.isFile() && !decompressorOf(buffer) && !isAppendOnly(buffer.toString('latin1')) ? stat.size : undefined;
}

async function openFile(name: string): Promise<FileHandle> {
  try {
    const file = await open(name);
    if (!(await file.stat()).isDirectory()) return file;
    await file.close();
    throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
  } catch (error) {
    throw readError(name, error as NodeJS.ErrnoException);
  }
}

async function openStream(name: string, raw: AsyncIterable<Buffer>): Promise<Input> {
  const chunks = decompressed(name, raw);
  const head = await first(chunks, HEAD_BYTES);
  return new Input(head, { stream: chunks });
}

/** The text of a stream, decompressed if its first bytes say so, whatever its name. */
async function* decompressed(name: string, raw: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunks = readable(name, raw);
  let rest = await first(chunks, MAGIC_BYTES);
  let decompressor = decompressorOf(rest);
  try {
    if (!decompressor) {
      if (rest.length > 0) yield rest;
      yield* chunks;
    }
    // Compressed files may stand one behind the other.
    while (decompressor) {
      // It works in a thread of its own, one chunk ahead.
      const filling = fill(decompressor, rest, chunks);
      yield* decompressor;
      rest = await filling;
      if (rest.length < MAGIC_BYTES) rest = await first(chunks, MAGIC_BYTES, rest);
      if (rest.length === 0) return;
      decompressor = decompressorOf(rest);
      if (!decompressor) throw new Error('what follows is not compressed');
    }
  } catch (error) {
    throw error instanceof CutoverError ? error : decompressionError(name, error as NodeJS.ErrnoException);
  } finally {
    decompressor?.destroy();
    await chunks.return(undefined);
  }
}

/** Writes until the compressed data ends; returns what is left of the chunk that it ended in. */
async function fill(decompressor: Decompressor, rest: Buffer, chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  try {
    for (let chunk: Buffer | undefined = rest; chunk !== undefined; ) {
      const before = decompressor.bytesWritten;
      await new Promise<void>((resolve, reject) => {
        decompressor.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
      const taken = decompressor.bytesWritten - before;
      if (taken < chunk.length) return chunk.subarray(taken);
      giveBack(chunk);
      const item = await chunks.next();
      chunk = item.done ? undefined : item.value;
    }
    decompressor.end();
  } catch (error) {
    // What the source throws comes out of the decompressor.
    decompressor.destroy(error as Error);
  }
  return Buffer.alloc(0);
}

/**
 * The memory of a chunk that has been read, and with which a buffer of the stream ends. Outside of the heap garbage waits
 * for long until it is collected: of a compressed capture, 20 MB of it.
 */
function giveBack({ buffer, byteOffset, length }: Buffer): void {
  if (buffer.byteLength === STREAM_BYTES && byteOffset + length === STREAM_BYTES) (buffer as ArrayBuffer).transfer(0);
}

async function* readable(name: string, raw: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* raw;
  } catch (error) {
    throw readError(name, error as NodeJS.ErrnoException);
  }
}

/** At least so many bytes behind those that are there, if there are as many. */
async function first(chunks: AsyncIterator<Buffer>, count: number, before?: Buffer): Promise<Buffer> {
  let head = before ?? Buffer.alloc(0);
  while (head.length < count) {
    const item = await chunks.next();
    if (item.done) break;
    head = head.length === 0 ? item.value : Buffer.concat([head, item.value]);
  }
  return head;
}

/** What an append-only file begins with: a command, a time, or a snapshot. */
const APPEND_ONLY = /^(\*\d+\r\n\$|#TS:\d+\r\n|(REDIS|VALKEY)\d{3})/;

export const isAppendOnly = (head: string) => APPEND_ONLY.test(head);

function decompressorOf(head: Buffer): Decompressor | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip({ chunkSize: STREAM_BYTES });
  const magic = head.length < MAGIC_BYTES ? 0 : head.readUInt32LE(0);
  // A frame, or one to be skipped, as parallel compressors write first.
  const isZstd = magic === 0xfd2fb528 || (magic & 0xfffffff0) === 0x184d2a50;
  return isZstd ? createZstdDecompress({ chunkSize: STREAM_BYTES }) : undefined;
}

function readError(name: string, error: NodeJS.ErrnoException): CutoverError {
  if (error.code === 'ENOENT') {
    return new CutoverError(
      'usage',
      'E_CAPTURE_MISSING',
      `There is no file ${name}.`,
      'Check the path; record a capture with: cutover capture URL, or redis-cli MONITOR > capture.log',
    );
  }
  if (error.code === 'EISDIR') {
    return new CutoverError(
      'usage',
      'E_CAPTURE_DIRECTORY',
      `${name} is a folder, not a capture.`,
      'Name the MONITOR log inside it, or the manifest of an append-only file.',
    );
  }
  return new CutoverError(
    'usage',
    'E_CAPTURE_READ',
    `Cannot read ${name}: ${messageOf(error)}.`,
    'Check the path and its permissions.',
  );
}

function decompressionError(name: string, error: NodeJS.ErrnoException): CutoverError {
  const torn = /unexpected end|Z_BUF_ERROR/i.test(`${messageOf(error)} ${error.code}`);
  return new CutoverError(
    'usage',
    torn ? 'E_CAPTURE_TRUNCATED' : 'E_CAPTURE_CORRUPT',
    `${name} ${torn ? 'ends in the middle of its compressed data' : 'is damaged: its compressed data cannot be read'}.`,
    [
      'Copy it again and compare checksums.',
      'To use what is readable: zcat FILE > part.log (or zstdcat), then give part.log.',
    ],
  );
}
