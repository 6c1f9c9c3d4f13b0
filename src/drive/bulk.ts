/** Turns a mass of RESP commands into a filled server: as fast as it reads, with every reply counted. */
import { CutoverError } from '../errors.ts';
import type { ServerAddress } from '../servers/server.ts';
import { ErrorPrefixes } from './error-prefixes.ts';
import { Wire } from './wire.ts';

/** Written at once before waiting for the socket to take it: with the kernel's buffers, the bound on what is under way. */
const WINDOW_BYTES = 256 * 1024;

/**
 * Sends `bytes`, which hold `commands` RESP commands, over one connection, waits for every reply, and returns
 * the error replies by first word.
 * Throws E_CONNECTION_LOST when the server goes away meanwhile, and the signal's reason when it aborts.
 */
export async function sendBulk(
  address: ServerAddress,
  db: number,
  bytes: Uint8Array,
  commands: number,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const wire = await Wire.open(address, db);
  const words: string[] = [];
  const prefixes = new ErrorPrefixes((_, word) => words.push(word));
  const errorCounts: number[] = [];
  let replied = 0;
  const finished = Promise.withResolvers<void>();
  wire.onReply = (reply) => {
    if (reply.isError) {
      const id = prefixes.idOf(reply.errorWord, reply.errorWordLength);
      errorCounts[id] = (errorCounts[id] ?? 0) + 1;
    }
    if (++replied === commands) finished.resolve();
  };
  wire.onLost = (reason) =>
    finished.reject(
      new CutoverError(
        'cannotRun',
        'E_CONNECTION_LOST',
        `the server went away after ${replied} of ${commands} commands of the preload: ${reason}`,
        "See the server's log. It may have run out of memory: preload less, or give it more.",
      ),
    );
  const onAbort = () => finished.reject(signal!.reason);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  if (commands === 0) finished.resolve();
  let ended = false;
  const outcome = finished.promise.finally(() => {
    ended = true;
  });
  // It is awaited below, after the writing.
  outcome.catch(() => {});
  try {
    for (let start = 0; start < bytes.length && !ended; start += WINDOW_BYTES) {
      const full = !wire.write(bytes.subarray(start, start + WINDOW_BYTES));
      if (full) await Promise.race([wire.drained(), outcome]);
    }
    await outcome;
    await wire.close();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    wire.destroy();
  }
  return Object.fromEntries(errorCounts.map((count, id) => [words[id]!, count]));
}
