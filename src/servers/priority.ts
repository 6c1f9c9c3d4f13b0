/** `realtime` or `normal` → the scheduling of threads and processes on Linux, and what it really is afterwards. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { CutoverError } from '../errors.ts';

/** `realtime`: SCHED_FIFO, which runs before everything that is not real-time; `normal`: the system's default. */
export type Priority = 'realtime' | 'normal';

/** Any real-time level goes before all normal threads; a low one leaves the kernel's own real-time threads alone. */
export const REALTIME_LEVEL = 10;
/**
 * A thread that only sends goes before servers and whoever reads their replies: at one level with them it had to wait until
 * they slept, 20 µs at a time. At 20,000 ops/s the P99 of lag was 46 instead of 69 µs, the servers' response no longer.
 */
export const REALTIME_SENDERS_LEVEL = REALTIME_LEVEL + 1;
/** The part of each core that the load threads leave free under FIFO; the kernel must let them have the rest. */
export const REALTIME_IDLE_SHARE = 0.1;

/** What runs a program at real-time priority; ends in exec, so the process that one watches is the program. */
export const REALTIME_LAUNCHER: readonly string[] = ['chrt', '--fifo', `${REALTIME_LEVEL}`];

let refusal: { reason: string | undefined } | undefined;

/** Why nothing can have real-time priority here, as a clause; undefined when it can be had. Tried once. */
export function realtimeRefusal(): string | undefined {
  refusal ??= { reason: tryRealtime() };
  return refusal.reason;
}

function tryRealtime(): string | undefined {
  const { error, status, stderr } = spawnSync('chrt', ['--fifo', `${REALTIME_SENDERS_LEVEL}`, 'true'], {
    encoding: 'utf8',
  });
  if (error) return 'there is no chrt (Linux, package util-linux)';
  if (status !== 0)
    return `it is not permitted (${stderr.trim().split('\n')[0]}): it needs root, CAP_SYS_NICE or an rtprio limit`;
  // Beyond its share the kernel stops every real-time thread for the rest of a second; −1 means no limit.
  const [runtime, period] = ['runtime', 'period'].map((name) =>
    Number(readText(`/proc/sys/kernel/sched_rt_${name}_us`)),
  );
  if (runtime && period && runtime > 0 && runtime < (1 - REALTIME_IDLE_SHARE) * period)
    return `the kernel gives real-time threads only ${Math.round((runtime / period) * 100)} % of a core (sched_rt_runtime_us)`;
  return undefined;
}

/** @throws CutoverError E_PRIORITY (cannotRun) where nothing can have real-time priority. */
export function requireRealtime(spec: string): void {
  const reason = realtimeRefusal();
  if (reason !== undefined) throw cannotRaise(spec, reason);
}

export const cannotRaise = (spec: string, reason: string) =>
  new CutoverError('cannotRun', 'E_PRIORITY', `${spec} cannot have real-time priority: ${reason}.`, [
    'Leave --priority out: all threads then run at normal priority wherever one of them must.',
  ]);

/** Short options, which busybox has too. */
const changeTo = (level: number, allThreads: boolean) =>
  ['chrt', ...(allThreads ? ['-a'] : []), '-f', '-p', `${level}`] as const;

/** With a process id behind it: gives all its threads real-time priority. */
export const REALTIME_ALL_THREADS: readonly string[] = changeTo(REALTIME_LEVEL, true);

/** Gives a thread, or a process with all its threads, real-time priority; false where that is not permitted. */
export function makeRealtime(id: number, { allThreads = false, level = REALTIME_LEVEL } = {}): boolean {
  const [command, ...args] = changeTo(level, allThreads);
  return spawnSync(command, [...args, `${id}`], { stdio: 'ignore' }).status === 0;
}

/** What the kernel says of a thread or process of this machine; undefined where it does not say. */
export function priorityOf(id: number): Priority | undefined {
  // The name, in parentheses, may hold anything; policy is the 41st field, the 39th behind it (proc_pid_stat(5)).
  const policy = readText(`/proc/${id}/stat`).split(') ').at(-1)?.split(' ')[38];
  if (policy === undefined) return undefined;
  return policy === '1' || policy === '2' ? 'realtime' : 'normal';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
