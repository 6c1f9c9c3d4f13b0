/** A server → the refusal to use it if it holds data that we did not put there. */
import { CutoverError } from '../errors.ts';
import type { RunningServer } from './server.ts';

/** Throws `E_SERVER_NOT_EMPTY` if any database of the server holds a key. Reads INFO only. */
export async function assertEmpty(server: RunningServer): Promise<void> {
  const databases = Object.entries(await server.info('keyspace')).flatMap(([name, value]) => {
    const keys = Number(/\bkeys=(\d+)/.exec(value)?.[1] ?? 0);
    return keys > 0 ? [{ name, keys }] : [];
  });
  if (databases.length === 0) return;
  const keys = databases.reduce((sum, database) => sum + database.keys, 0);
  throw new CutoverError(
    'cannotRun',
    'E_SERVER_NOT_EMPTY',
    `${server.identity.spec} is not empty: ${keys} keys in ${databases.map((database) => database.name).join(', ')}.`,
    [
      'A rehearsal writes to the server: point it at an empty one.',
      'If those keys may be overwritten, say --allow-nonempty; nothing is ever flushed on a server that cutover did not start.',
    ],
  );
}
