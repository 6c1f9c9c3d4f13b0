/** What drives a rehearsal: a plan, and any window of its ops as a slice, whatever they were made from. */
import type { Caveat } from '../errors.ts';
import type { Plan, Slice } from './plan.ts';

export interface Workload {
  plan: Plan;
  /** What the reader must know of how this workload differs from the captured one. */
  caveats: Caveat[];
  /**
   * The ops of one round between `fromSeconds` and `fromSeconds + seconds` of its time; 0 is where the preload ends.
   * Windows of a round are asked for in order, each once an arm; the same round and window give the same bytes.
   */
  slice(round: number, fromSeconds: number, seconds: number): Slice;
}
