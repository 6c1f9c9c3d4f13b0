/** A large heap that is not used any more → a small one that stays small, before something else needs the memory. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** As much as the command and a model of usual size take: in a heap of more, garbage may be counted as used. */
const USUAL_BYTES = 32 << 20;

/**
 * Collects this thread's garbage if its heap is large. V8 leaves an idle heap as large as it was at work, and
 * a process is measured by the heaps of all its threads.
 */
export function collectGarbage(): void {
  if (process.memoryUsage().heapTotal < USUAL_BYTES) return;
  // The only way to ask for it without a flag on the command line.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  // What is short-lived would else be given three times 16 MB, as soon as it has filled less.
  setFlagsFromString('--semi-space-growth-factor=1');
}
