/** What each server did in a rehearsal, beside what the captured server did: the outcome rows. */
import type { ServerCounts } from '../../capture/server-counts.ts';
import { SCRIPT_CALLS } from '../../capture/traits.ts';
import { divergenceOf } from '../../model/fit/clients.ts';
import { descending } from '../../model/fit/summarize.ts';
import type { Model } from '../../model/model.ts';
import { treatmentOf } from '../../model/replayable.ts';
import { tally } from '../../model/tally.ts';
import { MEMORY_METRIC } from './fidelity.ts';

/** Of the buffers of a few clients servers know so many bytes with delay. */
const UNTOLD_BYTES = 100e3;
/** Errors are rare: of a thousand calls, so many more or less make another workload. */
const FAILURES_APART = 1;
/** One in a hundred of the calls of scripts, which may be few. */
const FAILED_SCRIPTS_APART = 10;
/** Twice what independent errors would need: they come in bursts. */
const STANDARD_ERRORS = 6;
/** The most frequent words are told one by one. */
const MAX_WORDS = 10;
/**
 * Scripts are loaded before a round; set-up and ways through a cluster are each client's own. ERR says anything: what the
 * workload's own calls had of it is in the calls that failed, and the rest is set-up that a server does not know.
 */
const NOT_REPLAYED = new Set(['ERR', 'NOSCRIPT', 'NOAUTH', 'WRONGPASS', 'NOPROTO', 'MOVED', 'ASK', 'TRYAGAIN']);

/** What a server did in a rehearsal: its calls and errors, and its lookups. */
export interface Done extends ServerCounts {
  hits: number;
  misses: number;
  /** EXECs that ran, and that a watched key stopped. */
  committed: number;
  aborted: number;
  /** Bytes that each key took when the round began; undefined where nobody looked, or for another server than the captured one. */
  bytesPerKey?: number | undefined;
}

interface OutcomeRow {
  metric: string;
  value: number;
  target: number;
  /** The figures themselves, where `value` is their difference. */
  captured?: number;
  replayed?: number;
}

/** The outcome of a rehearsal beside what the capture says that its own server did. */
export function outcomeOf(model: Model, done: Done): (OutcomeRow & { aspect: string })[] {
  const { calls, hits, misses, committed, aborted, bytesPerKey } = done;
  const captured = new Map(Object.entries(model.commands).map(([name, { count }]) => [name, count]));
  for (const [name, n] of Object.entries(model.scriptCommands)) tally(captured, name, n);
  for (const name of captured.keys()) if (treatmentOf(name) !== 'replay') captured.delete(name);
  const executed = new Map(Object.entries(calls).filter(([name]) => captured.has(name)));
  const { lookups, transactions } = model;
  const rows: OutcomeRow[] = [
    { metric: 'commands executed (JS)', value: divergenceOf(executed, captured), target: 0.02 },
  ];
  const share = (metric: string, target: number, now: [number, number], before: [number, number]) => {
    const [a, b] = [now, before].map(([part, rest]) => part / Math.max(1, part + rest)) as [number, number];
    if (now[0] + now[1] > 0) rows.push({ metric, value: Math.abs(a - b), target, captured: b, replayed: a });
  };
  if (lookups) share('hit ratio', 0.01, [hits, misses], [lookups.hits, lookups.misses]);
  // A capture shows no replies, and nothing between the MULTI and the EXEC of a transaction that did not run.
  const ended: [number, number] = [transactions.empty, transactions.committed];
  if (model.commands.watch) share('transactions aborted', 0.05, [aborted, committed], ended);
  if (model.counted) rows.push(...failureRows(model.counted, done));
  const keys = model.keysAtStart?.reduce((sum, [, n]) => sum + n, 0) ?? 0;
  // Without a sample nobody claims to know what keys hold.
  const { usedBytesAtStart = 0, sampledAtStart } = model;
  if (bytesPerKey !== undefined && usedBytesAtStart > 0 && sampledAtStart && keys > 0) {
    const before = usedBytesAtStart / keys;
    const target = Math.max(0.05, UNTOLD_BYTES / usedBytesAtStart);
    rows.push({ metric: MEMORY_METRIC, value: Math.abs(bytesPerKey / before - 1), target });
  }
  return rows.map((row) => ({ aspect: 'outcome', ...row }));
}

/** Calls that failed, and error replies by first word, in a thousand calls of commands that are replayed. */
function failureRows(captured: NonNullable<Model['counted']>, done: ServerCounts): OutcomeRow[] {
  if (!done.failed) return [];
  const sides = [done, captured] as const;
  const isReplayed = (name: string) => treatmentOf(name) === 'replay';
  const sum = (counts: Record<string, number> = {}, isCounted = isReplayed) =>
    Object.entries(counts).reduce((total, [name, n]) => total + (isCounted(name) ? n : 0), 0);
  const row = (metric: string, least: number, of: (side: ServerCounts) => [number, number]): OutcomeRow[] => {
    const [[now, all], [before, allBefore]] = sides.map(of) as [[number, number], [number, number]];
    if (all === 0 || allBefore === 0) return [];
    const [replayed, atFirst, pooled] = [now / all, before / allBefore, (now + before) / (all + allBefore)];
    const error = Math.sqrt(pooled * Math.max(0, 1 - pooled) * (1 / all + 1 / allBefore));
    return [
      {
        ...{
          metric,
          value: 1000 * Math.abs(replayed - atFirst),
          target: Math.max(least, 1000 * STANDARD_ERRORS * error),
        },
        ...{ captured: 1000 * atFirst, replayed: 1000 * replayed },
      },
    ];
  };
  const words = new Map<string, number>();
  const knowsWords = sides.every(({ errors }) => errors);
  if (knowsWords) {
    for (const { errors } of sides)
      for (const [word, n] of Object.entries(errors!)) if (!NOT_REPLAYED.has(word)) tally(words, word, n);
  }
  const unloaded = ({ errors }: ServerCounts) => (knowsWords ? (errors!.NOSCRIPT ?? 0) : 0);
  const isScript = (name: string) => SCRIPT_CALLS.has(name);
  const failures =
    (isCounted: typeof isReplayed) =>
    (side: ServerCounts): [number, number] => [
      Math.max(0, sum(side.failed, isCounted) - unloaded(side)),
      sum(side.calls, isCounted),
    ];
  return [
    ...row('failed calls per 1,000', FAILURES_APART, failures(isReplayed)),
    ...row('failed script calls per 1,000', FAILED_SCRIPTS_APART, failures(isScript)),
    ...descending(words)
      .slice(0, MAX_WORDS)
      .flatMap(([word]) =>
        row(`${word} errors per 1,000 calls`, FAILURES_APART, ({ errors, calls }) => [errors![word] ?? 0, sum(calls)]),
      ),
  ];
}
