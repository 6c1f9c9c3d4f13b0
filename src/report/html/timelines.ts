/** Turns the time lines of all slices into plots over workload time, the rounds of both arms over each other. */
import { ARMS, type Arm } from '../../measure/rehearsal.ts';
import type { Timeline } from '../../measure/timeline.ts';
import type { ReportSource } from '../source.ts';
import type { Axis, Plot, Series } from './plot.ts';

/** More lines over each other are a smear. */
const ROUNDS = 10;

/** The figures of one round on one arm, its slices laid end to end as the workload has them. */
interface ArmRoundLine {
  round: number;
  arm: Arm;
  columns: Pick<Timeline, 'answered' | 'p50Us' | 'p99Us' | 'maxUs' | 'waitUs'>;
}

export interface RoundLines {
  /** Width of a bin, and the seconds of workload time at its middle. */
  binUs: number;
  seconds: number[];
  lines: ArmRoundLine[];
  /** Rounds that are not among the lines. */
  left: number;
  stalls: { arm: Arm; round: number; fromSeconds: number; toSeconds: number; lagUs: number }[];
}

/** Undefined where no slice has a time line. Of many rounds, those with the longest responses are kept. */
export function gatherRoundLines({ rehearsal, timelineOf }: ReportSource): RoundLines | undefined {
  const { slicePairs, sliceSeconds } = rehearsal.settings;
  let binUs: number | undefined;
  const all: ArmRoundLine[] = [];
  const stalls: RoundLines['stalls'] = [];
  for (const [k, { index, arms }] of rehearsal.rounds.entries()) {
    for (const arm of ARMS) {
      const line: ArmRoundLine = {
        round: index,
        arm,
        columns: { answered: [], p50Us: [], p99Us: [], maxUs: [], waitUs: [] },
      };
      for (const [i, slice] of arms[arm].slices.entries()) {
        for (const { startUs, durationUs, lagUs } of slice.stalls ?? []) {
          const fromSeconds = slice.pair * sliceSeconds + startUs / 1e6;
          stalls.push({ arm, round: index, fromSeconds, toSeconds: fromSeconds + durationUs / 1e6, lagUs });
        }
        const timeline = timelineOf(k, arm, i);
        if (!timeline) continue;
        binUs ??= timeline.binUs;
        // Slices of one rehearsal are equally long, and so are their bins.
        if (timeline.binUs !== binUs) continue;
        const offset = Math.round((slice.pair * sliceSeconds * 1e6) / binUs);
        for (const [b, answered] of timeline.answered.entries()) {
          line.columns.answered[offset + b] = answered;
          line.columns.waitUs[offset + b] = timeline.waitUs[b]!;
          for (const name of ['p50Us', 'p99Us', 'maxUs'] as const) line.columns[name][offset + b] = timeline[name][b]!;
        }
      }
      all.push(line);
    }
  }
  if (binUs === undefined) return undefined;
  const width = binUs;
  const bins = Math.ceil((slicePairs * sliceSeconds * 1e6) / width);
  const worst = (round: number) =>
    Math.max(
      ...all.filter((line) => line.round === round).flatMap(({ columns }) => columns.maxUs.map((us) => us ?? 0)),
    );
  const rounds = [...new Set(all.map(({ round }) => round))]
    .map((round) => ({ round, us: worst(round) }))
    .sort((a, b) => b.us - a.us);
  const kept = new Set(rounds.slice(0, ROUNDS).map(({ round }) => round));
  return {
    binUs: width,
    seconds: Array.from({ length: bins }, (_, bin) => Number((((bin + 0.5) * width) / 1e6).toPrecision(8))),
    lines: all.filter(({ round }) => kept.has(round)),
    left: rounds.length - kept.size,
    stalls,
  };
}

/** A figure of one bin of one round; null where there is none. */
export interface TimeMetric {
  title: string;
  axis: Axis;
  of: (columns: ArmRoundLine['columns'], bin: number, binUs: number) => number | null;
}

export function timePlot({ seconds, binUs, lines, stalls }: RoundLines, { title, axis, of }: TimeMetric): Plot {
  return {
    title,
    x: { label: 'workload time in a round', scale: 'linear', unit: 'seconds', values: seconds },
    y: axis,
    series: lines.map(
      ({ round, arm, columns }): Series => ({
        label: `${arm}, round ${round + 1}`,
        group: arm,
        colour: arm,
        style: 'thin',
        y: seconds.map((_, bin) => (bin in columns.answered ? of(columns, bin, binUs) : null)),
      }),
    ),
    marks: stalls.map(({ arm, fromSeconds, toSeconds }) => ({
      ...{ from: fromSeconds, to: toSeconds, colour: arm, label: `stall of the ${arm}` },
    })),
  };
}
