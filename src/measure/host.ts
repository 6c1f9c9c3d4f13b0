/** What this machine does to whoever measures on it: stolen time, late timers, settings of the kernel. */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Gaps shorter than this are the loop's own work, not somebody else's. */
const GAP_FLOOR_US = 20;

export interface HostJitter {
  /** The longest time for which a busy thread was not running. */
  maxGapUs: number;
  /** What something due at a random moment waits at least, once in a thousand times. */
  delayP999Us: number;
  /** Part of the time in which the thread was not running, 0 to 1. */
  lostShare: number;
}

/** Keeps one core busy for `durationMs`, blocking this thread, and notes when the core was taken away. */
export function probeJitter(durationMs: number): HostJitter {
  const gapsUs: number[] = [];
  const startMs = performance.now();
  let lastMs = startMs;
  while (lastMs - startMs < durationMs) {
    const nowMs = performance.now();
    const gapUs = (nowMs - lastMs) * 1000;
    if (gapUs > GAP_FLOOR_US) gapsUs.push(gapUs);
    lastMs = nowMs;
  }
  const totalUs = (lastMs - startMs) * 1000;
  return {
    maxGapUs: Math.max(0, ...gapsUs),
    delayP999Us: delayAt(gapsUs, totalUs, 0.001),
    lostShare: gapsUs.reduce((sum, gapUs) => sum + gapUs, 0) / totalUs,
  };
}

/**
 * The delay d that something due at a uniformly random moment of `totalUs` exceeds with the given probability:
 * Σ max(0, gap − d) = probability · total, because a moment inside a gap waits for the rest of it. 0 where the gaps
 * together are rarer than that.
 */
export function delayAt(gapsUs: readonly number[], totalUs: number, probability: number): number {
  const descending = [...gapsUs].sort((a, b) => b - a);
  let sumUs = 0;
  for (const [i, gapUs] of descending.entries()) {
    sumUs += gapUs;
    const delayUs = (sumUs - probability * totalUs) / (i + 1);
    if (delayUs >= (descending[i + 1] ?? 0)) return Math.max(0, delayUs);
  }
  return 0;
}

/** How late, in microseconds, a timer of one millisecond comes: median and the worst of `count`. */
export async function probeTimer(count: number): Promise<{ p50Us: number; maxUs: number }> {
  const lateUs: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await sleep(1);
    lateUs.push(Math.max(0, (performance.now() - startMs - 1) * 1000));
  }
  lateUs.sort((a, b) => a - b);
  return { p50Us: lateUs[count >> 1]!, maxUs: lateUs.at(-1)! };
}

/** Settings of the kernel; absent where the platform has no such thing or does not show it. */
export interface KernelSettings {
  /** `always`, `madvise` or `never`. */
  hugepages?: string;
  /** The frequency governor of the first core. */
  governor?: string;
}

export function readKernelSettings(): KernelSettings {
  const hugepages = /\[(\w+)\]/.exec(readText('/sys/kernel/mm/transparent_hugepage/enabled'))?.[1];
  const governor = readText('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor').trim();
  return { ...(hugepages ? { hugepages } : {}), ...(governor ? { governor } : {}) };
}

/** Bytes that programs can still get without swapping. */
export function availableMemoryBytes(): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(readText('/proc/meminfo'))?.[1];
  return kib ? Number(kib) * 1024 : freemem();
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Ever-growing counters of what the host took away: by the hypervisor, and by a limit on this process's group. */
export interface HostCounters {
  stolenTicks: number;
  ticks: number;
  throttledMs: number;
}

/** Zeros where the platform does not count. */
export function readHostCounters(): HostCounters {
  // user nice system idle iowait irq softirq steal; what follows is contained in user and nice (proc_stat(5)).
  const ticks = (/^cpu +(.+)$/m.exec(readText('/proc/stat'))?.[1] ?? '').split(' ').slice(0, 8).map(Number);
  return {
    stolenTicks: ticks[7] ?? 0,
    ticks: ticks.reduce((sum, count) => sum + count, 0),
    throttledMs: readThrottledMs(),
  };
}

/** How long a CPU limit stopped this process's group: microseconds in version 2 of cgroups, nanoseconds in version 1. */
function readThrottledMs(): number {
  for (const [, controllers, path] of readText('/proc/self/cgroup').matchAll(/^\d+:([^:]*):(.*)$/gm)) {
    if (controllers !== '' && !controllers!.split(',').includes('cpu')) continue;
    for (const folder of [`/sys/fs/cgroup${controllers === '' ? '' : '/cpu'}`, '/sys/fs/cgroup/unified']) {
      const text = readText(`${folder}${path}/cpu.stat`);
      const [, unit, count] = /^throttled_(usec|time) (\d+)$/m.exec(text) ?? [];
      if (count !== undefined) return Number(count) / (unit === 'usec' ? 1e3 : 1e6);
    }
  }
  return 0;
}

/** What the host took between two readings. */
export function hostLoss(before: HostCounters, after: HostCounters): { stealShare: number; throttledMs: number } {
  return {
    stealShare: (after.stolenTicks - before.stolenTicks) / Math.max(1, after.ticks - before.ticks),
    throttledMs: after.throttledMs - before.throttledMs,
  };
}
