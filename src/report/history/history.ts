/** Turns several judged rehearsals into one story, oldest first, and what keeps their figures from being compared. */
import { differencesOf } from '../../compare/stored-baseline.ts';
import type { StoredRehearsal } from '../../measure/folder.ts';
import { ARMS } from '../../measure/rehearsal.ts';
import type { ReportSource } from '../source.ts';

interface Episode {
  /** From 1, in order of time. */
  number: number;
  source: ReportSource & StoredRehearsal;
  /** Conditions that were not those of the newest, each a clause. Changes can still be read side by side; figures cannot. */
  differs: string[];
}

export interface History {
  episodes: Episode[];
  newest: Episode;
  /** Ids of all rules, in the order of the newest's budget. */
  rules: { id: string; label: string; family: string }[];
  /** What a reader must know before comparing, each a sentence. */
  notes: string[];
}

/** A difference between the arms of one rehearsal stays true on any host; what differs between rehearsals may be the host's. */
export function historyOf(sources: (ReportSource & StoredRehearsal)[]): History {
  const inOrder = sources.toSorted((a, b) => a.rehearsal.startedAt.localeCompare(b.rehearsal.startedAt));
  const last = inOrder.at(-1)!;
  const episodes = inOrder.map(
    (source, i): Episode => ({
      number: i + 1,
      source,
      // Other draws of one workload are that workload; looks decide when to stop, not what is measured.
      differs: differencesOf(source, last, ['the seed', 'the setting looks']),
    }),
  );
  const rules = new Map(
    episodes
      .toReversed()
      .flatMap(({ source }) => source.judgement.rules.map(({ id, label, family }) => [id, { id, label, family }])),
  );
  return {
    episodes,
    newest: episodes.at(-1)!,
    rules: [...rules.values()],
    notes: episodes.flatMap((one) => notesOn(one, last)),
  };
}

function notesOn({ number, source, differs }: Episode, newest: Episode['source']): string[] {
  const notes: string[] = [];
  if (differs.length > 0) {
    notes.push(
      `Rehearsal ${number} ran under other conditions than the newest: ${differs.join('; ')}. Its change is between two servers on one host and can be read beside the others; its figures cannot be compared with theirs.`,
    );
  }
  if (source.rehearsal.budgetSha256 !== newest.rehearsal.budgetSha256) {
    notes.push(`Rehearsal ${number} is judged by its own budget, which is not the newest’s.`);
  }
  if (source.judgement.verdict === 'invalid') {
    notes.push(`Rehearsal ${number} is invalid: nothing follows from its figures.`);
  }
  return notes;
}

/** `redis 7.0.15` of each arm. */
export const serversOf = ({ source }: Episode) =>
  ARMS.map((arm) => `${source.judgement.arms[arm].product} ${source.judgement.arms[arm].version}`);

/** `2026-11-23 14:05`. */
export const startOf = ({ source }: Episode) => source.rehearsal.startedAt.slice(0, 16).replace('T', ' ');

/** Those whose figures may stand in one picture: under the newest's conditions, with answers on both arms. */
export const comparable = ({ episodes }: History) =>
  episodes.filter(
    ({ differs, source }) =>
      differs.length === 0 && ARMS.every((arm) => source.judgement.latency[arm].response.samples > 0),
  );
