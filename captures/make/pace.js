// Starts work at intended times, whether or not earlier work has finished.
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/**
 * Poisson arrivals for `seconds`; `perSecond` is a number or a function of the elapsed seconds.
 * Resolves when everything that was started has settled; a failure of any of it rejects.
 */
export async function openLoop({ seconds, perSecond, random, start }) {
  const rate = typeof perSecond === 'function' ? perSecond : () => perSecond;
  const begin = performance.now();
  const started = [];
  let due = random.exponential(1 / rate(0));
  while (due < seconds) {
    const waitMs = due * 1000 - (performance.now() - begin);
    if (waitMs > 0) await sleep(waitMs);
    const work = start();
    work.catch(() => {}); // reported by Promise.all below, not as an unhandled rejection
    started.push(work);
    due += random.exponential(1 / rate(due));
  }
  await Promise.all(started);
}
