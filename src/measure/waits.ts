/** The slices of a rehearsal → what had expired on the arm that waited while the other was loaded. */
import type { Caveat } from '../errors.ts';
import { ARMS, type Arm, type Round } from './rehearsal.ts';

/** A hit ratio that differs by more is another workload (the target of the scorecard's own). */
const SAME_RATIO = 0.01;
/** One arm waited if it did for so much of a slice longer. */
const MUCH_LONGER = 1 / 2;
/** Standard errors that chance may make of a difference. */
const BY_CHANCE = 3;

/**
 * Of each pair of slices, which are the same bytes, one arm may have gone on at once and the other after two slices of the
 * first: its clock went on meanwhile, though the workload's stood still.
 */
export function waitCaveats(rounds: readonly Round[]): Caveat[] {
  const found = { waited: { hits: 0, misses: 0 }, others: { hits: 0, misses: 0 } };
  let longestSeconds = 0;
  for (const { arms } of rounds) {
    const waits = (arm: Arm) =>
      arms[arm].slices.map(({ startedAtMs }, i, all) => {
        const before = all[i - 1];
        return before ? startedAtMs / 1000 - before.startedAtMs / 1000 - before.seconds : Number.NaN;
      });
    const [a, b] = ARMS.map(waits) as [number[], number[]];
    for (const [pair, wait] of a.entries()) {
      const longer = wait - b[pair]!;
      const slices = ARMS.map((arm) => arms[arm].slices[pair]);
      if (!slices[0] || !slices[1] || !(Math.abs(longer) > MUCH_LONGER * slices[0].seconds)) continue;
      longestSeconds = Math.max(longestSeconds, wait, b[pair]!);
      for (const [who, i] of [['waited', longer > 0 ? 0 : 1] as const, ['others', longer > 0 ? 1 : 0] as const]) {
        found[who].hits += slices[i]!.hits;
        found[who].misses += slices[i]!.misses;
      }
    }
  }
  const ratio = ({ hits, misses }: { hits: number; misses: number }) => hits / (hits + misses);
  const variance = ({ hits, misses }: { hits: number; misses: number }) => (hits * misses) / (hits + misses) ** 3;
  const [waited, others] = [ratio(found.waited), ratio(found.others)];
  const error = Math.sqrt(variance(found.waited) + variance(found.others));
  if (!(others - waited > Math.max(SAME_RATIO, BY_CHANCE * error))) return [];
  return [
    {
      id: 'expired-while-waiting',
      message: `Keys expired on an arm while the other was loaded, for up to ${longestSeconds.toPrecision(2)} s: after such waits ${waited.toFixed(3)} of the lookups found their key, in the same slices without the wait ${others.toFixed(3)}.`,
      advice:
        'Both arms wait alike over the rounds, so the comparison is fair; hit ratios are lower than the workload means. Shorter slices, and more of them, leave keys less time: --slice 1s --slice-pairs 6.',
      numbers: { waited, others, seconds: longestSeconds },
    },
  ];
}
