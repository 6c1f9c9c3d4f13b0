/** This process → a name that a later process of this machine can look up: is the owner of what it finds still there? */
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** `MACHINE PID STARTED`. */
export function ownName(): string {
  return [machine() ?? 'unknown', process.pid, startOf(process.pid) ?? 0].join(' ');
}

/**
 * False also where it cannot be told: for an owner on another machine or in another container, and on systems that do not
 * say which boot it is.
 */
export function isGone(owner: string): boolean {
  const [where, pid, started] = owner.split(' ');
  const here = machine();
  if (here === undefined || where !== here || !/^\d+$/.test(pid ?? '')) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  // Another process may have the number by now.
  return String(startOf(Number(pid)) ?? 0) !== started;
}

let known: { machine: string | undefined } | undefined;

/**
 * Process ids mean something within one boot and one namespace only. Undefined where the system does not say which: two
 * machines may have one name, and share an engine.
 */
function machine(): string | undefined {
  known ??= { machine: process.platform === 'darwin' ? bootOfMac() : bootAndNamespace() };
  return known.machine;
}

function bootAndNamespace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}/${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`;
  } catch {
    return undefined;
  }
}

/** Not the time of the boot, which moves when the clock is set. */
function bootOfMac(): string | undefined {
  const { stdout } = spawnSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' });
  return /^[\dA-F-]{36}$/i.exec(stdout?.trim() ?? '')?.[0];
}

/** Clock ticks from boot to the process's start; undefined where the system does not say: an id is then taken to be used once. */
function startOf(pid: number): number | undefined {
  try {
    // The name, in parentheses, may hold anything; the start is the 22nd field, the 20th behind it (proc_pid_stat(5)).
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[19]);
  } catch {
    return undefined;
  }
}
