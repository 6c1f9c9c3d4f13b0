/** How faithful a synthesized workload is: it is modelled in its turn, and the two models are compared. */
import type { Caveat } from '../errors.ts';
import { compareModels, type Difference } from '../model/difference.ts';
import { Fit } from '../model/fit.ts';
import type { Model } from '../model/model.ts';
import { summarize } from '../model/summarize.ts';
import { plannedOps } from './planned-ops.ts';
import { Synthesis, type SynthesisOptions } from './synthesize.ts';

export interface FidelityRow extends Difference {
  /** The same difference between the capture's first and second half: no copy can be asked to be closer. */
  noise: number | undefined;
  /** The same difference with independent draws of keys and commands: what a benchmark would do. */
  naive: number | undefined;
  outcome: 'ok' | 'missed' | 'unknown';
}

/** As much is synthesized as was captured, but not more than this. */
const MAX_OPS = 300_000;

/** The scorecard of a model; `halves`: models of the capture's first and second half, where they can be had. */
export function fidelityOf(
  model: Model,
  halves?: [Model, Model],
  options: Partial<SynthesisOptions> = {},
): FidelityRow[] {
  const noise = halves ? compareModels(...halves) : [];
  const naive = compareModels(model, remodel(model, { ...options, independent: true }));
  return compareModels(model, remodel(model, options)).map((row, i): FidelityRow => {
    const self = noise[i]?.value;
    const beside = { noise: self, naive: naive[i]?.value };
    if (row.value === undefined) return { ...row, ...beside, outcome: 'unknown' };
    return { ...row, ...beside, outcome: row.value <= Math.max(row.target, row.chance, self ?? 0) ? 'ok' : 'missed' };
  });
}

/** The model of a workload that was synthesized from a model. */
export function remodel(model: Model, options: Partial<SynthesisOptions> = {}): Model {
  const synthesis = new Synthesis(model, {
    ...{ seed: 'fidelity', epochSeconds: Math.floor(model.source.first) },
    ...options,
  });
  const seconds = Math.min(model.source.spanSeconds, MAX_OPS / synthesis.plan.rate) || 1;
  const fit = new Fit(model.scripts.flatMap(({ body }) => (body === null ? [] : Buffer.from(body, 'latin1'))));
  const slice = synthesis.slice(0, 0, seconds);
  for (const op of plannedOps(synthesis.plan, slice, Math.floor(model.source.first) * 1e6)) fit.add(op);
  fit.end();
  return summarize(fit, { ...model.source, last: model.source.first + seconds, spanSeconds: seconds });
}

/** Missed targets, as the reader of a verdict must know them. */
export function fidelityCaveats(rows: FidelityRow[]): Caveat[] {
  const missed = rows.filter((row) => row.outcome === 'missed');
  if (missed.length === 0) return [];
  const list = missed.map(
    ({ aspect, metric, value, target }) => `${aspect}: ${metric} ${value!.toFixed(3)} (target ${target})`,
  );
  return [
    {
      id: 'fidelity-missed',
      message: `The synthesized workload differs from the captured one by more than it should: ${list.join('; ')}.`,
      advice:
        'Rehearse with --mode exact as well, or capture for longer; cutover model CAPTURE shows the whole scorecard.',
      numbers: Object.fromEntries(missed.map(({ aspect, metric, value }) => [`${aspect}: ${metric}`, value!])),
    },
  ];
}
