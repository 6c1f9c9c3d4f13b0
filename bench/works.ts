/** What `parse` measures: a process that does one kind of work, as often as it is told to, and says how long it took and what memory. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { splitCapture } from '../src/capture/split.ts';
import { buildModel } from '../src/model/build.ts';
import { countFamilies } from './count.ts';
import type { Stretch } from './count-thread.ts';
import { peakRssBytes } from './peak.ts';
import { tokenize } from './tokenize.ts';

const THREADS = 2;

type Work = (path: string) => Promise<unknown>;

const WORKS: Record<string, () => Work> = {
  tokenize: () => tokenize,
  'tokenize, two threads': () => inThreads('tokenize'),
  'count by family': () => countFamilies,
  'count by family, two threads': () => inThreads('count'),
  'whole model': () => (path) => buildModel(path, { minStretchBytes: Number.POSITIVE_INFINITY }),
  // Threads that learn are started each time, as they are by the commands.
  'whole model, two threads': () => (path) => buildModel(path, { minStretchBytes: 1 << 20 }),
};

/** What the process answers, and that it is ready at first. */
export type WorkMessage = { type: 'ready' } | { type: 'done'; seconds: number; rssBytes: number };

if (process.send) {
  const work = WORKS[process.argv[2]!]!();
  const say = (message: WorkMessage) => process.send!(message);
  process.on('message', async (path: string) => {
    const start = performance.now();
    await work(path);
    say({ type: 'done', seconds: (performance.now() - start) / 1000, rssBytes: peakRssBytes() });
  });
  say({ type: 'ready' });
}

/** Each stretch of the file by a thread of its own, which has been started before. */
function inThreads(work: Stretch['work']): Work {
  const threads = Array.from({ length: THREADS }, () => new Worker(new URL('./count-thread.ts', import.meta.url)));
  return async (path) =>
    Promise.all(
      (await splitCapture(path, THREADS)).map(async (range, i) => {
        threads[i]!.postMessage({ work, path, range } satisfies Stretch);
        await once(threads[i]!, 'message');
      }),
    );
}
