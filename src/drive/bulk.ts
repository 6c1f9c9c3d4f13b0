/** Turns a mass of RESP commands into a filled server: as fast as it reads, with every reply counted. */
import { setImmediate } from 'node:timers/promises';
import { CutoverError } from '../errors.ts';
import type { ServerAddress } from '../servers/server.ts';
import { ErrorPrefixes } from './error-prefixes.ts';
import { Wire } from './wire.ts';

/** Written at once before waiting for the socket to take it: with the kernel's buffers, the bound on what is under way. */
const WINDOW_BYTES = 256 * 1024;

/** Sends `chunks` of RESP commands over one connection, as `Bulk` does, and returns the error replies by first word. */
export async function sendBulk(
  address: ServerAddress,
  db: number,
  chunks: Iterable<Uint8Array>,
  commands: number,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  await using bulk = await Bulk.open(address, db, signal);
  for (const chunk of chunks) await bulk.write(chunk);
  return await bulk.end(commands);
}

/**
 * A connection that is written to as fast as the server reads. All methods throw E_CONNECTION_LOST when the server goes
 * away meanwhile, and the signal's reason when it aborts.
 */
export class Bulk implements AsyncDisposable {
  readonly #wire: Wire;
  readonly #signal: AbortSignal | undefined;
  readonly #words: string[] = [];
  readonly #errorCounts: number[] = [];
  readonly #finished = Promise.withResolvers<void>();
  #isOver = false;
  #replied = 0;
  #commands = Number.POSITIVE_INFINITY;

  static async open(address: ServerAddress, db: number, signal?: AbortSignal): Promise<Bulk> {
    return new Bulk(await Wire.open(address, db), signal);
  }

  private constructor(wire: Wire, signal: AbortSignal | undefined) {
    this.#wire = wire;
    this.#signal = signal;
    const prefixes = new ErrorPrefixes((_, word) => this.#words.push(word));
    wire.onReply = (reply) => {
      if (reply.isError) {
        const id = prefixes.idOf(reply.errorWord, reply.errorWordLength);
        this.#errorCounts[id] = (this.#errorCounts[id] ?? 0) + 1;
      }
      if (++this.#replied === this.#commands) this.#finished.resolve();
    };
    wire.onLost = (reason) =>
      this.#finished.reject(
        new CutoverError(
          'cannotRun',
          'E_CONNECTION_LOST',
          `the server went away after ${this.#replied} commands of the preload: ${reason}`,
          "See the server's log. It may have run out of memory: give it more, or preload less (--dataset-limit).",
        ),
      );
    // It is awaited behind the writing.
    this.#finished.promise.catch(() => {
      this.#isOver = true;
    });
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  /** Whole commands, or parts of them. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += WINDOW_BYTES) {
      if (this.#isOver) await this.#finished.promise;
      const full = !this.#wire.write(bytes.subarray(start, start + WINDOW_BYTES));
      // Replies are read meanwhile, even where the kernel takes all that is written.
      await Promise.race([full ? this.#wire.drained() : setImmediate(), this.#finished.promise]);
    }
  }

  /** Waits for the replies to all `commands` that were written; error replies by first word. */
  async end(commands: number): Promise<Record<string, number>> {
    this.#commands = commands;
    if (this.#replied === commands) this.#finished.resolve();
    await this.#finished.promise;
    await this.#wire.close();
    return Object.fromEntries(this.#errorCounts.map((count, id) => [this.#words[id]!, count]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#wire.destroy();
  }

  readonly #abort = () => this.#finished.reject(this.#signal!.reason);
}
