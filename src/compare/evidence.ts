/** Turns latency logs into the few numbers per round that rules are judged on, reading each log once. */
import { LatencyHistogram } from '../measure/histogram.ts';
import type { LabelledHistograms } from '../measure/latency-log.ts';
import { ARMS, type Arm, type Part, type Rehearsal, type Round } from '../measure/rehearsal.ts';
import { ALL_FAMILIES, type Budget } from './budget.ts';
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

export interface Evidence {
  rehearsal: Rehearsal;
  budget: Budget;
  /** The rounds that are judged. */
  rounds: Round[];
  /** Family glob of an objective → per judged round its slice pairs. */
  latency: Map<string, SlicePair[][]>;
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
  const globs = new Set([ALL_FAMILIES, ...budget.latency.map(({ family }) => family)]);
  const latency = new Map([...globs].map((glob) => [glob, [] as SlicePair[][]]));
  const totals = perArm(emptyParts);
  const calls = perArm((): Map<string, number>[] => rounds.map(() => new Map()));
  const families = new Set<string>();

  for (const [k, round] of rounds.entries()) {
    for (const pairs of latency.values()) pairs.push([]);
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
      for (const [glob, pairs] of latency) {
        const matches = familyMatcher(glob);
        pairs[k]!.push(
          perArm((arm) => {
            const merged = emptyParts();
            for (const entry of logs[arm]) {
              if (matches(entry.family)) for (const part of PARTS) merged[part].add(entry[part]);
            }
            if (glob === ALL_FAMILIES) for (const part of PARTS) totals[arm][part].add(merged[part]);
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
    calls,
    families,
    spectra: perArm((arm) => mapParts(totals[arm], spectrumOf)),
  };
}

const spectrumOf = (histogram: LatencyHistogram): Spectrum => ({
  samples: histogram.count,
  p50: histogram.quantile(0.5),
  p90: histogram.quantile(0.9),
  p99: histogram.quantile(0.99),
  p999: histogram.quantile(0.999),
  max: histogram.max,
});

/** `*` stands for any text. Matched piece by piece: a glob made into a regular expression can be made to run for ever. */
export function familyMatcher(glob: string): (family: string) => boolean {
  const [head, ...pieces] = glob.split('*') as [string, ...string[]];
  const tail = pieces.pop();
  if (tail === undefined) return (family) => family === head;
  return (family) => {
    if (!family.startsWith(head) || !family.endsWith(tail) || family.length < head.length + tail.length) return false;
    let from = head.length;
    for (const piece of pieces) {
      const at = family.indexOf(piece, from);
      if (at < 0) return false;
      from = at + piece.length;
    }
    return from <= family.length - tail.length;
  };
}
