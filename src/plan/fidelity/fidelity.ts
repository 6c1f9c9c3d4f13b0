/** How faithful a synthesized workload is: it is modelled in its turn, and the two models are compared. */
import type { Caveat } from '../../errors.ts';
import { compareModels, type Difference } from '../../model/difference.ts';
import { Fit } from '../../model/fit/fit.ts';
import { summarize } from '../../model/fit/summarize.ts';
import type { Model } from '../../model/model.ts';
import { type Ops, PlannedOps } from '../planned-ops.ts';
import { isSameSpeed } from '../speed.ts';
import { connectionsOf, Synthesis, type SynthesisOptions } from '../synthesis/synthesize.ts';

export interface FidelityRow extends Difference {
  /** The same difference between the capture's first and second half: no copy can be asked to be closer. */
  noise: number | undefined;
  /** The same difference with independent draws of keys and commands: what a benchmark would do. */
  naive: number | undefined;
  outcome: 'ok' | 'missed' | 'unknown';
}

/** As much is synthesized as was captured, but not more than this. */
const MAX_OPS = 1 << 18;
/** Made and modelled at a time, so that memory does not grow with the capture. */
const WINDOW_OPS = 1000;
/** What a part of a long workload cannot show: how its keys come again. */
const NEEDS_ALL = new Set(['locality', 'popularity']);

/** The scorecard of a model; `halves`: models of the capture's first and second half, where they can be had. */
export function fidelityOf(
  model: Model,
  halves?: [Model, Model],
  options: Partial<SynthesisOptions> = {},
): FidelityRow[] {
  return scorecardOf(model, halves && compareModels(...halves), {
    own: distancesOf(model, options),
    naive: distancesOf(model, { ...options, independent: true }),
  });
}

/** How far a workload that was synthesized from a model is from it. */
function distancesOf(model: Model, options: Partial<SynthesisOptions>): Difference[] {
  return compareModels(model, remodel(model, options));
}

/** `noise`: how far the capture's halves are apart; `own` and `naive`: how far what was synthesized, in either way, is from the model. */
export function scorecardOf(
  model: Model,
  noise: Difference[] | undefined,
  { own, naive }: Record<'own' | 'naive', Difference[]>,
): FidelityRow[] {
  const whole = secondsOf(model, Synthesis.capturedRate(model)) >= model.source.spanSeconds;
  return own.map((row, i): FidelityRow => {
    const self = noise?.[i]?.value;
    const unknown = row.value === undefined || (!whole && NEEDS_ALL.has(row.aspect));
    if (unknown) return { ...row, value: undefined, noise: self, naive: undefined, outcome: 'unknown' };
    const outcome = row.value! <= Math.max(row.target, row.chance, self ?? 0) ? 'ok' : 'missed';
    return { ...row, noise: self, naive: naive[i]?.value, outcome };
  });
}

const secondsOf = ({ source }: Model, rate: number) => Math.min(source.spanSeconds, MAX_OPS / rate) || 1;

/** A part of what is synthesized, whose time 0 is `startUs` (Unix µs). */
export interface Part {
  slice: Ops;
  startUs: number;
}

/** What is synthesized from a model for its scorecard, part by part. */
export function* partsOf(model: Model, options: Partial<SynthesisOptions> = {}): Generator<Part> {
  const { first } = model.source;
  const synthesis = new Synthesis(model, {
    ...{ seed: 'fidelity', epochSeconds: Math.floor(first), sameNames: true },
    ...options,
  });
  const { rate } = synthesis.plan;
  const seconds = secondsOf(model, rate);
  const windowSeconds = WINDOW_OPS / rate;
  for (let from = 0; from < seconds; from += windowSeconds) {
    const slice = synthesis.slice(0, from, Math.min(windowSeconds, seconds - from));
    yield { slice, startUs: Math.floor(first) * 1e6 + Math.round(from * 1e6) };
  }
}

/** Parts of what was synthesized from a model → its model. */
export class Remodel {
  private readonly model: Model;
  private readonly seconds: number;
  private readonly ops: PlannedOps;
  private readonly fit: Fit;

  constructor(model: Model, rate = Synthesis.capturedRate(model)) {
    this.model = model;
    this.ops = new PlannedOps(connectionsOf(model));
    this.seconds = secondsOf(model, rate);
    const bodies = model.scripts.flatMap(({ body }) => (body === null ? [] : Buffer.from(body, 'latin1')));
    // What needs more memory than this is of no use in a part, see `NEEDS_ALL`.
    this.fit = new Fit({ bodies, parts: this.seconds < model.source.spanSeconds ? 2 : 1 });
  }

  add({ slice, startUs }: Part): void {
    const { ops, fit } = this;
    ops.open(slice, startUs);
    while (ops.next()) fit.add(ops);
  }

  end(): Model {
    const { model, fit, seconds } = this;
    fit.end();
    return summarize(fit, { ...model.source, last: model.source.first + seconds, spanSeconds: seconds });
  }
}

/** The model of a workload that was synthesized from a model. */
export function remodel(model: Model, options: Partial<SynthesisOptions> = {}): Model {
  const again = new Remodel(model, options.rate);
  for (const part of partsOf(model, options)) again.add(part);
  return again.end();
}

type MissedRow = Pick<FidelityRow, 'aspect' | 'metric' | 'value' | 'target'> & {
  captured?: number;
  replayed?: number;
};

export const MEMORY_METRIC = 'used_memory per key at first, relative';
const ERRORS_METRIC = /^\S+ errors per/;

/** Of one metric and target, by aspect or by arm. */
function missedFigures(rows: MissedRow[]): string {
  const [{ metric, target, captured }] = rows as [MissedRow];
  const most = Number(target.toFixed(3));
  const figures = rows.map(({ aspect, value, replayed = value! }) => `${aspect} ${replayed.toFixed(3)}`).join(', ');
  return captured === undefined
    ? `${metric}: ${figures} (target ${most})`
    : `${metric}: captured ${captured.toFixed(3)}, ${figures} (target: ${most} apart)`;
}

/**
 * Missed targets, as the reader of a verdict must know them. Of what was replayed, `speed` is in captured rates, `whole`
 * says whether it was what the capture shows, not another part of such a workload, and `others` are other reasons.
 */
export function fidelityCaveats(
  missed: MissedRow[],
  {
    id = 'fidelity-missed',
    speed = 1,
    whole = true,
    others = [],
  }: { id?: string; speed?: number; whole?: boolean; others?: string[] } = {},
): Caveat[] {
  if (missed.length === 0) return [];
  const list = [...Map.groupBy(missed, ({ metric, target }) => `${metric} ${target}`).values()].map(missedFigures);
  const reasons = [
    ...(isSameSpeed(speed) ? [] : ['the rate: expiries and delays last as long as they did']),
    ...(whole
      ? []
      : [
          'that slices were of another part of the workload than the capture: caches that fill are hit more often later',
        ]),
    ...(missed.some(({ metric, captured = 0, replayed = 0 }) => ERRORS_METRIC.test(metric) && captured > replayed)
      ? [
          'perhaps commands that were refused before they ran (unknown ones, for want of memory or rights): MONITOR shows none of them',
        ]
      : []),
    ...others,
  ];
  return [
    {
      id,
      message: isSameSpeed(speed)
        ? `The synthesized workload differs from the captured one by more than it should: ${list.join('; ')}.`
        : `At ${speed.toPrecision(2)} times its rate the workload differs from the captured one by more than it should at its own: ${list.join('; ')}.`,
      advice: missed.every(({ metric }) => metric === MEMORY_METRIC)
        ? 'Capture with a larger --sample where memory decides, or read it as that of other keys.'
        : reasons.length > 0
          ? `Part of it is ${reasons.join('; and ')}. --mode exact with the same slices shows what the captured ops themselves do there; --rate 1x with a short warm-up, and slices as long as the capture in all, what the model does with the whole.`
          : 'Rehearse with --mode exact as well, or capture for longer; cutover model CAPTURE shows the whole scorecard.',
      numbers: Object.fromEntries(missed.map(({ aspect, metric, value }) => [`${aspect}: ${metric}`, value!])),
    },
  ];
}
