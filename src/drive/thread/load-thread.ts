/** A thread that makes load: its scheduling, and what it costs and suffers in a slice. */
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { GcPauses, ThreadHealth } from '../../measure/generator.ts';
import { findThreadId, sharpenTimers } from '../../measure/thread.ts';
import { makeRealtime, type Priority, priorityOf, REALTIME_LEVEL } from '../../servers/priority.ts';

/**
 * Of each load thread and of its sender. Left alone, V8 doubles a young generation up to 128 MiB each time that enough has
 * survived: in runs of minutes and hours a thread took ever more memory, for nothing, since what a slice leaves behind is
 * collected before the next one. With this it has at most 16 MiB, soon; half of it made client libraries collect twice as often.
 */
export const LOAD_HEAP = { maxYoungGenerationSizeMb: 24 };

/** Before threads that make load are started: V8 reads most of its settings when a thread begins. */
export function calmGarbageCollection(): void {
  // V8's helper threads wait for a core like everybody else, and the load thread for them: pauses were three times as long.
  setFlagsFromString('--no-parallel-scavenge');
  // V8 tidies up isolates that have been quiet for seconds, with the help of its normal threads: real-time threads of the
  // arm at rest did so on all cores at once, spinning, so that neither those helpers nor the arm under load ran for a second.
  // The timer for it would be a busy thread's, too, and be set and taken back whenever its event loop sleeps.
  setFlagsFromString('--no-memory-reducer');
  setFlagsFromString('--expose-gc');
}

/**
 * V8 forgets what it has compiled for a class when a collection finds none of its objects. Of those that Node makes by the
 * thousand while a thread naps one is kept, always.
 */
const kept = new Set<object>();

export class LoadThread {
  /** What the thread really runs at; undefined where the system does not say. */
  readonly priority: Priority | undefined;
  readonly #collectGarbage: () => void;
  readonly #gcEntries: { startTime: number; duration: number }[] = [];
  readonly #gcObserver: PerformanceObserver;
  #startedAt = 0;
  #cpuBefore = process.threadCpuUsage();

  /** Of the thread that calls it. */
  constructor(priority: Priority, realtimeLevel = REALTIME_LEVEL) {
    this.#collectGarbage = runInNewContext('gc') as () => void;
    const threadId = findThreadId();
    sharpenTimers();
    kept.add(setImmediate(() => {}));
    if (priority === 'realtime' && threadId !== undefined) makeRealtime(threadId, { level: realtimeLevel });
    this.priority = threadId === undefined ? undefined : priorityOf(threadId);
    this.#gcObserver = new PerformanceObserver((list) => this.#gcEntries.push(...list.getEntries()));
    this.#gcObserver.observe({ entryTypes: ['gc'] });
  }

  /**
   * A slice is prepared: what the last one and the preparation left behind is not collected while something is timed. The
   * objects that will run it must exist by now, or their code is forgotten (`kept`) and made anew in each slice by V8's own
   * threads, on the load threads' cores: at 20,000 ops/s and normal priority the P99 of lag was three times as high.
   */
  begin(): void {
    this.#collectGarbage();
    this.#startedAt = performance.now();
    this.#cpuBefore = process.threadCpuUsage();
  }

  /** What it cost since `begin`. */
  end(): Pick<ThreadHealth, 'cpuUs' | 'gcPauses' | 'priority'> {
    const { user, system } = process.threadCpuUsage(this.#cpuBefore);
    return { cpuUs: user + system, gcPauses: this.#gcPauses(), priority: this.priority };
  }

  close(): void {
    this.#gcObserver.disconnect();
  }

  #gcPauses(): GcPauses {
    this.#gcEntries.push(...this.#gcObserver.takeRecords());
    const durations = this.#gcEntries
      .filter(({ startTime }) => startTime >= this.#startedAt)
      .map(({ duration }) => duration);
    this.#gcEntries.length = 0;
    return {
      count: durations.length,
      totalMs: durations.reduce((sum, ms) => sum + ms, 0),
      maxMs: Math.max(0, ...durations),
    };
  }
}
