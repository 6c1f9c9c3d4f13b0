/** What Linux knows of the thread that runs this: its number, and how exactly it is woken. */
import { readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Threads are numbered like processes; undefined where the system is not Linux. */
export function findThreadId(): number | undefined {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')));
  } catch {
    return undefined;
  }
}

/**
 * The kernel may end a sleep up to 50 µs late to save wake-ups; for this thread, to the nanosecond. Linux has the file
 * per thread under its own number only; elsewhere naps are merely less exact.
 */
export function sharpenTimers(): void {
  try {
    writeFileSync(`/proc/${findThreadId()}/timerslack_ns`, '1');
  } catch {
    // Not Linux, or not permitted.
  }
}
