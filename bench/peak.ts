/** This process → the most memory that it has had. */
import { readFileSync } from 'node:fs';

/** Peak of the resident set in bytes. */
export function peakRssBytes(): number {
  // What getrusage says includes the process that this one was forked from.
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))![1]) * 1024;
}
