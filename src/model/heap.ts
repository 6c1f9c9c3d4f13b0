/** Work for a thread → its result, with as little memory as it can do with: little garbage is left lying about. */
import { totalmem } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';
import { CutoverError } from '../errors.ts';

/**
 * In MB. The less the young generation holds, the sooner what is short-lived is collected; and the lower the limit of the
 * old one (V8's default is gigabytes), the less it grows before it is. What is learnt stands in typed arrays, outside of
 * both; clients, of which a capture may have millions, do not.
 */
const YOUNG_MB = 2;
const OLD_MB = 256;
const GROWTH = 4;
/** Share of the machine's memory that one thread may take. */
const MOST = 1 / 2;

/**
 * Calls `run`, which starts a thread with these limits; again with four times as much whenever that was too little.
 * `what`: whose memory it is, for the error. Throws CutoverError (cannotRun) when the machine has no more.
 */
export async function withSmallHeap<T>(
  what: string,
  run: (limits: ResourceLimits) => Promise<T>,
  mostBytes = totalmem() * MOST,
): Promise<T> {
  for (let mb = OLD_MB; ; mb *= GROWTH) {
    try {
      return await run({ maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: mb });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
      if (mb * GROWTH * 2 ** 20 <= mostBytes) continue;
      throw new CutoverError(
        'cannotRun',
        'E_MODEL_MEMORY',
        `The model of ${what} needs more than ${mb} MB of this machine's ${Math.round(totalmem() / 2 ** 20)} MB.`,
        [
          'Model parts of it and merge them: split -l 2000000 app.log part., cutover model part.aa --output a.json, …, then cutover model a.json b.json',
          'A capture of millions of connections is one of clients without a pool: a shorter one shows the same.',
        ],
        { cause: error },
      );
    }
  }
}
