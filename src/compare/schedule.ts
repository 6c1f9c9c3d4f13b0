/** A time budget and a rate → how many rounds, how long their slices and when to look: decided before anything is judged. */
import type { Looks } from '../measure/rehearsal.ts';

/** What of a round is not load: starting, loading and stopping both servers. */
const ROUND_OVERHEAD_SECONDS = 4;

/** A P99.9 is judged on so many ops per arm and round: 20 are beyond it then. */
const OPS_A_ROUND = 20_000;
const SHORTEST_SLICE_SECONDS = 1;
const LONGEST_SLICE_SECONDS = 30;

/** Looks with which 20 rounds that are needed cost ten on average, where the servers are equal. */
const LOOKS = [6, 10, 15, 20];
/** Where so many are left beside them, rounds of the baseline against itself say first what this host can resolve. */
const CALIBRATION_ROUNDS = 3;
/** Fewer give intervals that only a gross change leaves: t with two degrees of freedom is 2.9. */
const FEWEST_ROUNDS = 3;

export interface Schedule {
  /** Of the baseline against itself, before the first. */
  calibrationRounds: number;
  /** At most. */
  rounds: number;
  sliceSeconds: number;
  /** Absent where there are too few rounds to look at them twice. */
  looks?: Looks;
}

/**
 * Slices are as long as a P99.9 needs, but never so long that fewer rounds than the first look's remain: the round is the
 * unit of replication, and a percentile that steps down is better than an interval without rounds.
 * @param seconds for everything from the first round on.
 * @param rate ops per second.
 * @returns undefined where the time is too short for three rounds of the shortest slices.
 */
export function planSchedule(
  seconds: number,
  { rate, slicePairs, warmupSeconds }: { rate: number; slicePairs: number; warmupSeconds: number },
): Schedule | undefined {
  const roundSeconds = (slice: number) => 2 * (slicePairs * slice + warmupSeconds) + ROUND_OVERHEAD_SECONDS;
  const sliceOf = (round: number) => ((round - ROUND_OVERHEAD_SECONDS) / 2 - warmupSeconds) / slicePairs;
  const wanted = OPS_A_ROUND / (rate * slicePairs);
  const affordable = sliceOf(seconds / (LOOKS[0]! + CALIBRATION_ROUNDS));
  const between = Math.min(Math.max(wanted, SHORTEST_SLICE_SECONDS), LONGEST_SLICE_SECONDS, affordable);
  const sliceSeconds = Math.max(SHORTEST_SLICE_SECONDS, Math.floor(between * 10) / 10);
  const affordableRounds = Math.floor(seconds / roundSeconds(sliceSeconds));
  if (affordableRounds < FEWEST_ROUNDS) return undefined;
  const calibrationRounds = affordableRounds >= LOOKS[0]! + CALIBRATION_ROUNDS ? CALIBRATION_ROUNDS : 0;
  const rounds = Math.min(LOOKS.at(-1)!, affordableRounds - calibrationRounds);
  const looks = [...LOOKS.filter((look) => look < rounds), rounds];
  return {
    calibrationRounds,
    rounds,
    sliceSeconds,
    ...(looks.length > 1 ? { looks: { rounds: looks, method: 'pocock' } } : {}),
  };
}

/** The shortest time that `planSchedule` makes something of, in seconds. */
export function shortestTime({ slicePairs, warmupSeconds }: { slicePairs: number; warmupSeconds: number }): number {
  return FEWEST_ROUNDS * (2 * (slicePairs * SHORTEST_SLICE_SECONDS + warmupSeconds) + ROUND_OVERHEAD_SECONDS);
}
