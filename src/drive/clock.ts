/** Turns performance.now(), whose origin is the thread's own, into microseconds that all threads of the process share. */
import { performance } from 'node:perf_hooks';

/**
 * hrtime − performance.now(), both monotonic: constant for the thread's life. Of some readings the one with the
 * shortest bracket is taken, so that being descheduled between the two clocks does not shift a thread's times.
 */
const offsetUs = (() => {
  let offset = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 50; i++) {
    const before = performance.now();
    const hrtimeNs = Number(process.hrtime.bigint());
    const after = performance.now();
    if (after - before < shortest) {
      shortest = after - before;
      offset = hrtimeNs / 1000 - (before + after) * 500;
    }
  }
  return offset;
})();

/** Microseconds since an arbitrary moment that is the same in every thread; allocates nothing. */
export const nowUs = (): number => performance.now() * 1000 + offsetUs;
