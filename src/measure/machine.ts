/** What this machine is, for comparing rehearsals that may come from different ones. */
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { Machine } from './rehearsal.ts';

export function describeMachine(): Machine {
  return {
    platform: `${platform()} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
  };
}
