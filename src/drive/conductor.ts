/** Two server specs and a workload → rounds of measurements, until enough of them decide or all are done. */
import { CutoverError } from '../errors.ts';
import { JitterProbe } from '../measure/jitter-probe.ts';
import { ARMS, type Round } from '../measure/rehearsal.ts';
import { spoiledBy } from '../measure/spoiled.ts';
import { hasMemoryProtocol, measureMemory } from './memory-protocol.ts';
import { conductRound, type RoundOptions } from './round.ts';
import { ServerDied } from './server-death.ts';

export interface ConductOptions extends RoundOptions {
  /** Real-time priority was not asked for by name: without it where a server cannot have it. */
  mayFallBack: boolean;
  /** Asked after each round: whether the rounds so far decide. */
  isDecided: () => Promise<boolean>;
}

/**
 * Runs the rounds that are still to be run, keeping `rehearsal` up to date on disk. Throws CutoverError E_SERVER_DIED when
 * a server dies (what was measured is saved before), E_INTERRUPTED when the signal fires, and what providers throw when a
 * server does not start.
 */
export async function conduct(options: ConductOptions): Promise<void> {
  const { rehearsal, signal } = options;
  const { rounds } = rehearsal.settings;
  await using probe = new JitterProbe();
  try {
    // A run that goes on has rounds already.
    for (let index = rehearsal.rounds.length; index < roundsToRun(options); index++) {
      signal.throwIfAborted();
      await conductRound(options, probe, index).catch((error) => {
        if (index > 0 || !fallBack(options, error)) throw error;
        return conductRound(options, probe, index);
      });
      await conductMemory(options, index);
      if (await options.isDecided()) break;
    }
  } catch (error) {
    if (signal.aborted) {
      rehearsal.stopped = { reason: 'interrupted', message: 'interrupted by the user' };
    } else if (error instanceof ServerDied) {
      rehearsal.stopped = { reason: 'server-died', message: error.message };
    } else {
      throw error;
    }
    await options.save(rehearsal);
    if (error instanceof ServerDied) throw await error.explain();
    throw new CutoverError(
      'interrupted',
      'E_INTERRUPTED',
      `Interrupted in round ${rehearsal.rounds.length || 1} of ${rounds}.`,
      'What was measured is kept.',
    );
  }
}

/** Rounds that were spoiled though their slices were repeated, and are replaced by others; more are the host's usual state. */
const REPLACED_AT_MOST = 2;

/** Those that were planned, and one more for each that was spoiled; shards cannot know what the others saw. */
function roundsToRun({ rehearsal: { settings, rounds }, schedule }: ConductOptions): number {
  return settings.rounds + (schedule ? 0 : Math.min(REPLACED_AT_MOST, rounds.filter(isSpoiled).length));
}

const isSpoiled = ({ invalid, arms }: Round) =>
  invalid !== undefined || ARMS.some((arm) => arms[arm].slices.some((slice) => spoiledBy(slice)));

/** Where a container cannot have real-time priority and the user did not insist on it, nothing of the run has it. */
function fallBack({ rehearsal, mayFallBack }: ConductOptions, error: unknown): boolean {
  if (!mayFallBack || !(error instanceof CutoverError) || error.code !== 'E_PRIORITY') return false;
  rehearsal.settings.priority = 'normal';
  return true;
}

/** The full protocol, where the round has it. */
async function conductMemory(options: ConductOptions, index: number): Promise<void> {
  const { rehearsal, workload, specs, limits, signal } = options;
  const { rate, sliceSeconds } = rehearsal.settings;
  const round = rehearsal.rounds[index];
  // Shards share servers, and their rounds begin together.
  if (options.schedule || !round || !hasMemoryProtocol(rehearsal, index)) return;
  const courses = await measureMemory({
    ...{ specs, limits, plan: workload.plan, round: index, order: round.order.slice(0, 2), rate, signal },
    saveSeconds: sliceSeconds,
    onStage: (doing, plannedSeconds) => options.onStage({ round: index, doing, plannedSeconds }),
  });
  for (const arm of ARMS) round.arms[arm].memoryProtocol = courses[arm];
  await options.save(rehearsal);
}
