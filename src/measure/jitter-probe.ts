/** A quiet thread that asks to be woken every millisecond → how late the host lets it run, in the seconds of a slice. */
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { LatencyHistogram } from './histogram.ts';
import type { Quantiles } from './rehearsal.ts';
import { findThreadId, sharpenTimers } from './thread.ts';

const INTERVAL_MS = 1;
const LOWEST_PRIORITY = 19;

/**
 * Uses some percent of a core, at the lowest priority: it takes no time from what is measured, and so waits for that too.
 * What it sees is the most that the host can have cost a thread of normal priority.
 */
export class JitterProbe implements AsyncDisposable {
  readonly #worker = new Worker(new URL(import.meta.url));

  /** Forgets what was seen so far. */
  begin(): void {
    this.#worker.postMessage('begin');
  }

  /** How late the thread was woken since `begin`, in microseconds. */
  async take(): Promise<Quantiles> {
    this.#worker.postMessage('take');
    const [quantiles] = (await once(this.#worker, 'message')) as [Quantiles];
    return quantiles;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

function probe(): void {
  const threadId = findThreadId();
  // Elsewhere than on Linux this would be the whole process.
  if (threadId !== undefined) setPriority(threadId, LOWEST_PRIORITY);
  sharpenTimers();
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let late = LatencyHistogram.empty();
  parentPort!.on('message', (message: 'begin' | 'take') => {
    if (message === 'take') parentPort!.postMessage(late.quantiles());
    else late = LatencyHistogram.empty();
  });
  const nap = () => {
    const dueMs = performance.now() + INTERVAL_MS;
    Atomics.wait(cell, 0, 0, INTERVAL_MS);
    late.record((performance.now() - dueMs) * 1000);
    setImmediate(nap);
  };
  nap();
}

if (!isMainThread && parentPort) probe();
