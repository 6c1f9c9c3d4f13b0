/** Turns a run that is going on into whether its verdict is in. */
import type { Rehearsal } from '../measure/rehearsal.ts';
import type { Budget } from './budget.ts';
import type { LatencyOf } from './evidence.ts';
import { judge } from './judge.ts';
import type { Verdict } from './judgement.ts';

/** Whether a run may stop, and what it says so far. */
export interface LookDecision {
  /** Only ever true where a look is planned and the verdict is in, or where the run is invalid and no round cures that. */
  stop: boolean;
  verdict: Verdict;
  /** Rounds that were judged, and the nominal one-sided level that this look had. */
  rounds: number;
  level: number;
}

/**
 * To be asked after each round; pure, and cheap where no look is planned. Looks are those of `rehearsal.settings.looks`:
 * they were registered before the first round. A round that was spoiled does not count, so a look comes a round later.
 * "Inconclusive, but good so far" never stops a run: that would be a look that costs nothing.
 * @param rehearsal as it is now; it need not be finished.
 * @param latencyOf reads the latency logs of its rounds.
 * @returns undefined where no look is planned at the number of rounds that can be judged.
 */
export function decideLook(rehearsal: Rehearsal, latencyOf: LatencyOf, budget: Budget): LookDecision | undefined {
  const { looks } = rehearsal.settings;
  const done = rehearsal.rounds.filter(({ invalid }) => invalid === undefined).length;
  // More rounds can be done than judged; never fewer.
  if (!looks || looks.method === 'fixed' || done < looks.rounds[0]!) return undefined;
  // A run that is going on is judged as if it ended here.
  const soFar = { ...rehearsal, finishedAt: rehearsal.finishedAt ?? rehearsal.startedAt };
  const { verdict, rounds, level, reasons, caveats } = judge(soFar, latencyOf, budget, '');
  // Too many spoiled rounds may still become few.
  const spoiled = caveats.find(({ id }) => id === 'rounds-spoiled')?.message;
  const isHopeless = verdict === 'invalid' && reasons.some((reason) => reason !== spoiled);
  if (!isHopeless && !looks.rounds.includes(rounds.judged)) return undefined;
  return { stop: verdict === 'pass' || verdict === 'fail' || isHopeless, verdict, rounds: rounds.judged, level };
}
