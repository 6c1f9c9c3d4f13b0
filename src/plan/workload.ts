/** What drives a rehearsal: a plan, and any window of its ops as a slice, whatever they were made from. */
import type { Caveat } from '../errors.ts';
import type { Plan, Slice } from './plan.ts';

export interface Workload {
  plan: Plan;
  /** What the reader must know of how this workload differs from the captured one. */
  caveats: Caveat[];
  /**
   * The ops of one round between `fromSeconds` and `fromSeconds + seconds` of its time; 0 is where the preload ends.
   * Windows of a round are asked for in order, each once an arm; the same arguments give the same bytes. Times in
   * arguments that are made up are `laterSeconds` later than the workload's epoch: a round begins when it begins, and what
   * expires at a time must not have expired by then.
   */
  slice(round: number, fromSeconds: number, seconds: number, laterSeconds?: number): Slice;
}
