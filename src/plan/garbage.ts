/** Memory that is not used any more → the system, before a thread needs as much. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Less is not worth the time that a collection takes. */
const MIN_UNUSED_BYTES = 16 << 20;

/**
 * Collects this thread's garbage if there is much room in its heap. V8 leaves an idle heap as large as it was at work, and
 * a process is measured by the heaps of all its threads.
 */
export function collectGarbage(): void {
  const { heapTotal, heapUsed } = process.memoryUsage();
  if (heapTotal - heapUsed < MIN_UNUSED_BYTES) return;
  // The only way to ask for it without a flag on the command line.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
