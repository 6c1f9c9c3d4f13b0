/** Turns the latency logs of the judged rounds into the distributions that the page draws, one log in memory at a time. */
import { assessValidity } from '../../compare/validity.ts';
import { LatencyHistogram } from '../../measure/histogram.ts';
import { ARMS, type Arm, type Part } from '../../measure/rehearsal.ts';
import type { ReportSource } from '../source.ts';

type PerArm<T> = Record<Arm, T>;

export const PARTS = ['response', 'service', 'lag'] as const satisfies Part[];

/** Percentiles whose shift is shown. */
export const SHIFT_PERCENTILES = [10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99];

/** The responses of one slice, small enough to be kept for all. */
interface SliceQuantiles {
  count: number;
  /** µs, in the order of `SHIFT_PERCENTILES`. */
  us: number[];
}

export interface Labelled {
  family: string;
  command: string;
  response: PerArm<LatencyHistogram>;
}

export interface Distributions {
  total: PerArm<Record<Part, LatencyHistogram>>;
  /** By family and command, the most requests first. */
  labels: Labelled[];
  /** Per judged round its slice pairs. */
  rounds: PerArm<SliceQuantiles>[][];
}

const perArm = <T>(of: (arm: Arm) => T): PerArm<T> => ({ baseline: of('baseline'), candidate: of('candidate') });
const empty = LatencyHistogram.empty;

/** Reading all logs takes seconds for a long run, and every run makes two reports of the same source. */
const gathered = new WeakMap<ReportSource, Distributions>();

export function gatherDistributions(source: ReportSource): Distributions {
  const known = gathered.get(source) ?? gather(source);
  gathered.set(source, known);
  return known;
}

function gather({ rehearsal, latencyOf }: ReportSource): Distributions {
  const total = perArm(() => ({ response: empty(), service: empty(), lag: empty() }));
  const labels = new Map<string, Labelled>();
  const rounds = assessValidity(rehearsal).rounds.map((round) => {
    const index = rehearsal.rounds.indexOf(round);
    return round.arms.baseline.slices.map(({ pair }) =>
      perArm((arm): SliceQuantiles => {
        const slice = round.arms[arm].slices.findIndex((other) => other.pair === pair);
        const responses = empty();
        for (const entry of latencyOf(index, arm, slice)) {
          const { family, command } = entry;
          const key = JSON.stringify([family, command]);
          const known = labels.get(key) ?? { family, command, response: perArm(empty) };
          labels.set(key, known);
          known.response[arm].add(entry.response);
          responses.add(entry.response);
          for (const part of PARTS) total[arm][part].add(entry[part]);
        }
        return { count: responses.count, us: SHIFT_PERCENTILES.map((p) => responses.quantile(p / 100)) };
      }),
    );
  });
  return { total, labels: [...labels.values()].sort((a, b) => requestsOf(b) - requestsOf(a)), rounds };
}

const requestsOf = ({ response }: Labelled) => ARMS.reduce((sum, arm) => sum + response[arm].count, 0);

/** Samples beyond a percentile that make it worth defending: the relative error of a quantile is then 5 to 10 %. */
const BEYOND = 100;

/** The highest 1/(1 − p) that `count` samples defend. */
export const defendedUntil = (count: number) => Math.max(1, count / BEYOND);
