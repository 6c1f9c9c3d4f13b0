/** Turns one slice's op times and the load threads' own figures into how well the generator did its part. */
import type { Slice } from '../plan/plan.ts';
import type { Priority } from '../servers/priority.ts';
import { LatencyHistogram } from './histogram.ts';
import { leavableUs, OpStatus, type OpTimes } from './latency-log.ts';
import type { GeneratorHealth } from './rehearsal.ts';

export type GcPauses = GeneratorHealth['gcPauses'];

/** What one load thread knows about itself after a slice. */
export interface ThreadHealth {
  eventLoopDelayUs: GeneratorHealth['eventLoopDelayUs'];
  gcPauses: GcPauses;
  /** Processor time that the thread used. */
  cpuUs: number;
  /** Latencies of the thread's probe connection, encoded; undefined without one. */
  probe: string | undefined;
  /** What the thread ran at; undefined where the system does not say. */
  priority: Priority | undefined;
}

/**
 * Lag over all ops that were sent; the worst thread's event loop; all threads' GC pauses (count and total are sums) and
 * probes; real-time priority only if every thread had it. The achieved rate is ops sent per second of sending: the
 * slice's duration, or until the last op left if that was later.
 */
export function assessGenerator(
  slice: Pick<Slice, 'count' | 'durationUs' | 'intendedUs' | 'connection' | 'flags' | 'order'>,
  times: OpTimes,
  threads: ThreadHealth[],
  cpu: { usedUs: number; seconds: number },
): GeneratorHealth {
  const lag = LatencyHistogram.empty();
  let lastSentUs = 0;
  for (let op = 0; op < slice.count; op++) {
    if (times.status[op] === OpStatus.unsent) continue;
    const sentUs = times.sentUs[op]!;
    lag.record(sentUs - leavableUs(op, slice, times));
    if (sentUs > lastSentUs) lastSentUs = sentUs;
  }
  const probe = LatencyHistogram.empty();
  for (const thread of threads) if (thread.probe) probe.add(LatencyHistogram.decode(thread.probe));
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const priorities = new Set(threads.map(({ priority }) => priority));
  return {
    achievedRate: (lag.count / Math.max(slice.durationUs, lastSentUs)) * 1e6,
    plannedRate: (slice.count / slice.durationUs) * 1e6,
    lagUs: lag.quantiles(),
    eventLoopDelayUs: {
      p99: Math.max(0, ...threads.map(({ eventLoopDelayUs }) => eventLoopDelayUs.p99)),
      max: Math.max(0, ...threads.map(({ eventLoopDelayUs }) => eventLoopDelayUs.max)),
    },
    gcPauses: {
      count: sum(threads.map(({ gcPauses }) => gcPauses.count)),
      totalMs: sum(threads.map(({ gcPauses }) => gcPauses.totalMs)),
      maxMs: Math.max(0, ...threads.map(({ gcPauses }) => gcPauses.maxMs)),
    },
    cpuCores: cpu.usedUs / 1e6 / cpu.seconds,
    threadCores: threads.map(({ cpuUs }) => cpuUs / 1e6 / cpu.seconds),
    ...(priorities.size === 1 && priorities.has('realtime') ? { priority: 'realtime' } : {}),
    ...(priorities.has('normal') ? { priority: 'normal' } : {}),
    ...(probe.count > 0 ? { probeUs: { ...probe.quantiles(), count: probe.count } } : {}),
  };
}
