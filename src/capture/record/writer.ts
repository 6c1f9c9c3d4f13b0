/** Chunks of a log → a file, compressed by its name. One stream for all bursts: not every reader goes on behind the end of one. */
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { PassThrough, type Transform } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { constants, createGzip, createZstdCompress, type Gzip, type ZstdCompress } from 'node:zlib';

/** Compressing runs beside production traffic: speed before size. */
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 3;
const BUFFER_BYTES = 1 << 20;

export class LogWriter {
  private readonly compressor: Transform;
  private readonly file: WriteStream;
  private readonly done: Promise<void>;
  private failure: Error | undefined;

  /** Makes `path`, which must not be there; `a` takes what is. */
  constructor(path: string, flags: 'wx' | 'a' = 'wx') {
    this.compressor = compressorFor(path);
    this.file = createWriteStream(path, { flags, mode: 0o600, highWaterMark: BUFFER_BYTES });
    this.compressor.pipe(this.file);
    const fail = (error: Error) => {
      this.failure ??= error;
      this.compressor.destroy();
    };
    this.compressor.on('error', fail);
    this.file.on('error', fail);
    this.done = finished(this.file).catch(fail);
  }

  /** In the file. */
  get bytesWritten(): number {
    return this.file.bytesWritten;
  }

  /** Resolves when there is room for more. Throws what the disk answers. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.failure) throw this.failure;
    if (this.compressor.write(chunk)) return;
    await Promise.race([once(this.compressor, 'drain'), this.done]);
    if (this.failure) throw this.failure;
  }

  /** Brings what was written into the file, so that a recorder that is killed later leaves it there. Throws what the disk answers. */
  async flush(): Promise<void> {
    const { compressor } = this;
    if (!this.failure && !(compressor instanceof PassThrough)) {
      const flushed = new Promise<void>((resolve) => (compressor as Gzip | ZstdCompress).flush(resolve));
      await Promise.race([flushed, this.done]);
    }
    // What has left the compressor is still on its way into the file.
    while (!this.failure && compressor.writableLength + compressor.readableLength + this.file.writableLength > 0) {
      await setImmediate();
    }
    if (this.failure) throw this.failure;
  }

  /** Ends the file. Throws what the disk answers. */
  async close(): Promise<void> {
    this.compressor.end();
    await this.done;
    if (this.failure) throw this.failure;
  }
}

function compressorFor(path: string): Transform {
  if (path.endsWith('.zst')) {
    return createZstdCompress({
      params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
      chunkSize: BUFFER_BYTES,
    });
  }
  if (path.endsWith('.gz')) return createGzip({ level: GZIP_LEVEL, chunkSize: BUFFER_BYTES });
  return new PassThrough({ highWaterMark: BUFFER_BYTES });
}
