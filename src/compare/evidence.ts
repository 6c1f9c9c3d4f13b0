/** Turns latency logs into the few numbers per round that rules are judged on, reading each log once. */
import { LatencyHistogram } from '../measure/histogram.ts';
import { type LabelledHistograms, windowCountOf } from '../measure/latency-log.ts';
import { ARMS, type Arm, type Part, type Rehearsal, type Round, type SliceResult } from '../measure/rehearsal.ts';
import { excuses } from './allowances.ts';
import { ALL_FAMILIES, type Budget, type RequestScope, type SloObjective, scopeName } from './budget.ts';
import { globMatcher } from './glob.ts';
import type { Spectrum } from './judgement.ts';

/** The latency log of one slice: round and slice are positions in `Rehearsal.rounds` and `ArmRound.slices`. */
export type LatencyOf = (round: number, arm: Arm, slice: number) => LabelledHistograms[];

/** Percentiles that can be judged, and stepped down to where samples are few. */
export const PERCENTILES = [99.99, 99.9, 99.5, 99, 95, 90, 50];

/** One part of one slice's ops: how many, and their quantiles in µs in the order of `PERCENTILES`. */
interface Quantiles {
  count: number;
  us: number[];
}

type SlicePair = Record<Arm, Record<Part, Quantiles>>;

/** Requests, and those of them that miss an SLO: too slow, answered by an error, or never. */
export interface SloCount {
  total: number;
  bad: number;
}

/** Of one slice, and of the equal parts of its time, empty ones too: at least one. */
export interface SloSlice extends SloCount {
  windows: SloCount[];
}

export interface Evidence {
  rehearsal: Rehearsal;
  budget: Budget;
  /** The rounds that are judged. */
  rounds: Round[];
  /** `scopeName` of an objective → per judged round its slice pairs. */
  latency: Map<string, SlicePair[][]>;
  /** The same for SLOs. */
  slo: Map<string, Record<Arm, SloSlice>[][]>;
  /** All families and rounds together. */
  spectra: Record<Arm, Record<Part, Spectrum>>;
  /** Per judged round: `FAMILY COMMAND` → ops sent. */
  calls: Record<Arm, Map<string, number>[]>;
  families: Set<string>;
}

const PARTS = ['lag', 'service', 'response'] as const satisfies Part[];
const emptyParts = () => ({
  lag: LatencyHistogram.empty(),
  service: LatencyHistogram.empty(),
  response: LatencyHistogram.empty(),
});
const mapParts = <T>(
  parts: Record<Part, LatencyHistogram>,
  of: (histogram: LatencyHistogram) => T,
): Record<Part, T> => ({
  lag: of(parts.lag),
  service: of(parts.service),
  response: of(parts.response),
});
const perArm = <T>(of: (arm: Arm) => T): Record<Arm, T> => ({ baseline: of('baseline'), candidate: of('candidate') });

/** A run has thousands of histograms of some 100 kB: one slice is held at a time and only its quantiles are kept. */
export function gatherEvidence(rehearsal: Rehearsal, rounds: Round[], latencyOf: LatencyOf, budget: Budget): Evidence {
  const scopes = new Map([{ family: ALL_FAMILIES }, ...budget.latency].map((scope) => [scopeName(scope), scope]));
  const latency = new Map([...scopes.keys()].map((name) => [name, [] as SlicePair[][]]));
  const objectives = budget.slo?.objectives ?? [];
  const slo = new Map(objectives.map((objective) => [scopeName(objective), [] as Record<Arm, SloSlice>[][]]));
  const totals = perArm(emptyParts);
  const calls = perArm((): Map<string, number>[] => rounds.map(() => new Map()));
  const families = new Set<string>();

  for (const [k, round] of rounds.entries()) {
    for (const pairs of [...latency.values(), ...slo.values()]) pairs.push([]);
    for (const baseline of round.arms.baseline.slices) {
      const candidate = round.arms.candidate.slices.find(({ pair }) => pair === baseline.pair)!;
      const logs = perArm((arm) =>
        latencyOf(
          rehearsal.rounds.indexOf(round),
          arm,
          round.arms[arm].slices.indexOf(arm === 'baseline' ? baseline : candidate),
        ),
      );
      for (const arm of ARMS) {
        for (const { family, command, lag } of logs[arm]) {
          const label = `${family} ${command}`;
          calls[arm][k]!.set(label, (calls[arm][k]!.get(label) ?? 0) + lag.count);
          families.add(family);
        }
      }
      for (const objective of objectives) {
        slo
          .get(scopeName(objective))!
          [k]!.push(
            perArm((arm) =>
              countSlo(objective, logs[arm], arm === 'baseline' ? baseline : candidate, budget, rehearsal),
            ),
          );
      }
      for (const [name, pairs] of latency) {
        const matches = scopeMatcher(scopes.get(name)!);
        pairs[k]!.push(
          perArm((arm) => {
            const merged = emptyParts();
            for (const entry of logs[arm]) {
              if (matches(entry)) for (const part of PARTS) merged[part].add(entry[part]);
            }
            if (name === ALL_FAMILIES) for (const part of PARTS) totals[arm][part].add(merged[part]);
            return mapParts(merged, (histogram) => ({
              count: histogram.count,
              us: PERCENTILES.map((percentile) => histogram.quantile(percentile / 100)),
            }));
          }),
        );
      }
    }
  }
  return {
    rehearsal,
    budget,
    rounds,
    latency,
    slo,
    calls,
    families,
    spectra: perArm((arm) => mapParts(totals[arm], spectrumOf)),
  };
}

/**
 * Lost replies are not counted by label: a scope has its share of them. Neither they nor errors are counted by window: each
 * window of a label has as large a part of them as of the label's ops without a latency.
 */
function countSlo(
  { thresholdUs, ...scope }: SloObjective,
  log: LabelledHistograms[],
  { errorsByLabel, lost }: SliceResult,
  { allowed }: Budget,
  { startedAt, settings: { sliceSeconds } }: Pick<Rehearsal, 'startedAt' | 'settings'>,
): SloSlice {
  const matches = scopeMatcher(scope);
  const sentInAll = log.reduce((sum, { lag }) => sum + lag.count, 0);
  const windowCount = windowCountOf(sliceSeconds);
  const windows = Array.from({ length: windowCount }, (): SloCount => ({ total: 0, bad: 0 }));
  for (const { family, command, lag, response, windows: parts = [{ fromSeconds: 0, lag, response }] } of log) {
    if (!matches({ family, command })) continue;
    const prefixes = Object.entries(errorsByLabel[`${family} ${command}`] ?? {});
    const failed = prefixes
      .filter(([prefix]) => !excuses(allowed, { command, prefix }, startedAt))
      .reduce((sum, [, times]) => sum + times, 0);
    const missing = failed + (lost === 0 ? 0 : (lost * lag.count) / sentInAll);
    const without = (part: typeof lag, answered: typeof response) => part.count - answered.count;
    const apart = without(lag, response);
    for (const part of parts) {
      const share = apart > 0 ? without(part.lag, part.response) / apart : part.lag.count / lag.count;
      const own = missing > 0 ? missing * share : 0;
      const window = windows[Math.min(windowCount - 1, Math.round((part.fromSeconds / sliceSeconds) * windowCount))]!;
      window.total += part.response.count + own;
      window.bad += part.response.countAbove(thresholdUs) + own;
    }
  }
  return { ...sloTotal(windows), windows };
}

export const sloTotal = (counts: SloCount[]): SloCount => ({
  total: counts.reduce((sum, { total }) => sum + total, 0),
  bad: counts.reduce((sum, { bad }) => sum + bad, 0),
});

function scopeMatcher({ family, commands }: RequestScope): (label: { family: string; command: string }) => boolean {
  const matches = globMatcher(family);
  return (label) => matches(label.family) && (commands?.includes(label.command) ?? true);
}

const spectrumOf = (histogram: LatencyHistogram): Spectrum => ({
  samples: histogram.count,
  p50: histogram.quantile(0.5),
  p90: histogram.quantile(0.9),
  p99: histogram.quantile(0.99),
  p999: histogram.quantile(0.999),
  max: histogram.max,
});
