/** Turns a stored run and a new one into one rehearsal: the baseline measured then, the candidate measured now. */
import { isDeepStrictEqual } from 'node:util';
import { CutoverError } from '../errors.ts';
import type { StoredRehearsal } from '../measure/folder.ts';
import type { Arm, Rehearsal } from '../measure/rehearsal.ts';
import { printable } from '../printable.ts';

/**
 * Pairs the rounds of two runs of the same plan on the same machine: round k of both sent the same bytes.
 * @throws CutoverError E_NOT_COMPARABLE (usage) naming what differs, because the difference would be charged to the server.
 */
export function joinRuns(then: StoredRehearsal, now: StoredRehearsal): StoredRehearsal {
  const [old, recent] = [then.rehearsal, now.rehearsal];
  const differing = differencesOf(then, now);
  if (differing.length > 0) {
    throw new CutoverError(
      'usage',
      'E_NOT_COMPARABLE',
      `${then.path} and ${now.path} cannot be compared: ${differing.join('; ')}.`,
      'Repeat the stored baseline on this machine with the same capture, seed and flags, then compare again.',
    );
  }
  const pairs = old.rounds
    .slice(0, recent.rounds.length)
    .map((round, k) => ({ before: round, after: recent.rounds[k]! }));
  const unequal = pairs.find(({ before, after }) => !isDeepStrictEqual(seedsOf(before), seedsOf(after)));
  if (unequal) {
    throw new CutoverError(
      'usage',
      'E_NOT_COMPARABLE',
      `${then.path} and ${now.path} cannot be compared: round ${unequal.before.index + 1} sent different slices.`,
      'One of the runs was resumed or repeated rounds: run both to their end without interruption.',
    );
  }
  const rehearsal: Rehearsal = {
    ...recent,
    arms: { baseline: old.arms.baseline, candidate: recent.arms.candidate },
    settings: { ...recent.settings, rounds: Math.min(old.settings.rounds, recent.settings.rounds) },
    rounds: pairs.map(({ before, after }) => {
      const invalid = after.invalid ?? before.invalid;
      return {
        ...after,
        arms: { baseline: before.arms.baseline, candidate: after.arms.candidate },
        ...(invalid === undefined ? {} : { invalid }),
      };
    }),
    caveats: [
      ...recent.caveats,
      {
        id: 'separate-runs',
        message: `the baseline was measured at ${printable(old.startedAt)}, the candidate at ${printable(recent.startedAt)}: whatever changed on the machine in between counts as a change of the server`,
        advice: 'Confirm a regression with cutover run, which measures both at the same time.',
      },
    ],
  };
  // A run that was cut short is cut short for the comparison too.
  if (old.stopped && !recent.stopped) rehearsal.stopped = old.stopped;
  if (!old.finishedAt) delete rehearsal.finishedAt;
  const of = (arm: Arm) => (arm === 'baseline' ? then : now);
  return {
    ...now,
    rehearsal,
    latencyOf: (round, arm, slice) => of(arm).latencyOf(round, arm, slice),
    timelineOf: (round, arm, slice) => of(arm).timelineOf(round, arm, slice),
    samplesOf: (round, arm) => of(arm).samplesOf(round, arm),
  };
}

/** What besides the servers and the time is not the same in two runs, each a clause; `except` names what does not matter. */
export function differencesOf(then: StoredRehearsal, now: StoredRehearsal, except: string[] = []): string[] {
  const [old, recent] = [then.rehearsal, now.rehearsal];
  const parts: [string, unknown, unknown][] = [
    ['the model', then.modelText, now.modelText],
    ['the seed', old.seed, recent.seed],
    ...Object.entries(old.settings)
      // Fewer rounds are the same measurement, fewer times.
      .filter(([name]) => name !== 'rounds' && name !== 'looks')
      .map(([name, value]): [string, unknown, unknown] => [
        `the setting ${name}`,
        value,
        recent.settings[name as keyof Rehearsal['settings']],
      ]),
    ['the client', old.client, recent.client],
    ...Object.entries(old.machine).map(([name, value]): [string, unknown, unknown] => [
      `the machine's ${name}`,
      value,
      recent.machine[name as keyof Rehearsal['machine']],
    ]),
  ];
  return parts
    .filter(([name, before, after]) => !except.includes(name) && !isDeepStrictEqual(before, after))
    .map(describe);
}

/** The slices of a round as its seeds, by pair. */
const seedsOf = ({ arms }: Rehearsal['rounds'][number]) =>
  arms.baseline.slices.map(({ pair, seed }) => ({ pair, seed })).sort((a, b) => a.pair - b.pair);

function describe([name, before, after]: [string, unknown, unknown]): string {
  const short = [before, after].every((value) => String(value).length <= 60);
  return short ? `${name} differs (${printable(String(before))}, ${printable(String(after))})` : `${name} differs`;
}
