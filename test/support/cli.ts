/** The command line as a user has it: a process of its own, from the sources. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running extends Promise<Finished> {
  child: ChildProcess;
  /** Resolves when stderr and stdout together have printed the pattern; rejects when the process ends before. */
  prints(pattern: RegExp): Promise<void>;
}

/** Runs `cutover ARGS`; `env` adds to this process's own environment. */
export function cutover(
  args: string[],
  { env = {}, cwd = root, input }: { env?: Record<string, string>; cwd?: string; input?: string | Uint8Array } = {},
): Running {
  const child = spawn(process.execPath, [join(root, 'bin/dev.js'), ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let closed = false;
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of waiting) check();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
    wake();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
    wake();
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => {
      closed = true;
      resolve({ code, stdout, stderr });
      wake();
    });
  });
  return Object.assign(finished, {
    child,
    prints: (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        const check = () => {
          if (pattern.test(stderr + stdout)) resolve();
          else if (closed) reject(new Error(`ended without printing ${pattern}:\n${stderr}${stdout}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
  });
}
