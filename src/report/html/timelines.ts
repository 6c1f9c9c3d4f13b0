/** Turns the time lines of all slices into plots over workload time, the rounds of both arms over each other. */
import { ARMS, type Arm, type Rehearsal } from '../../measure/rehearsal.ts';
import type { Timeline } from '../../measure/timeline.ts';
import type { ReportSource } from '../source.ts';
import type { Axis, Plot, Series } from './plot.ts';

/** More lines over each other are a smear. */
const ROUNDS = 10;

/** More marks than this hide what they mark. */
const STALLS = 100;

const COLUMNS = ['answered', 'p99Us', 'maxUs'] as const;
type Columns = Pick<Timeline, (typeof COLUMNS)[number]>;

/** The figures of one round on one arm, its slices laid end to end as the workload has them. */
interface ArmRoundLine {
  round: number;
  arm: Arm;
  columns: Columns;
}

interface PlacedStall {
  arm: Arm;
  round: number;
  fromSeconds: number;
  toSeconds: number;
  /** The generator's own lag meanwhile. */
  lagUs: number;
}

export interface RoundLines {
  /** Width of a bin, and the seconds of workload time at its middle. */
  binUs: number;
  seconds: number[];
  lines: ArmRoundLine[];
  /** Rounds that are not among the lines. */
  left: number;
  /** The longest first. */
  stalls: PlacedStall[];
}

/** Undefined where no slice has a time line. Of many rounds, those with the longest responses are kept. */
export function gatherRoundLines(source: ReportSource): RoundLines | undefined {
  const { rounds, settings } = source.rehearsal;
  const widths = rounds.flatMap(({ arms }, k) =>
    ARMS.flatMap((arm) => arms[arm].slices.map((_, i) => () => source.timelineOf(k, arm, i)?.binUs)),
  );
  const binUs = firstOf(widths);
  if (binUs === undefined) return undefined;
  const all = rounds.map(({ index }, k) => {
    const lines = ARMS.map((arm): ArmRoundLine => ({ round: index, arm, columns: columnsOf(source, k, arm, binUs) }));
    return { lines, longestUs: Math.max(0, ...lines.flatMap(({ columns }) => columns.maxUs.map((us) => us ?? 0))) };
  });
  const kept = all.toSorted((a, b) => b.longestUs - a.longestUs).slice(0, ROUNDS);
  const bins = Math.ceil((settings.slicePairs * settings.sliceSeconds * 1e6) / binUs);
  return {
    binUs,
    seconds: Array.from({ length: bins }, (_, bin) => Number((((bin + 0.5) * binUs) / 1e6).toPrecision(8))),
    lines: all.filter((round) => kept.includes(round)).flatMap(({ lines }) => lines),
    left: all.length - kept.length,
    stalls: stallsOf(source.rehearsal),
  };
}

function firstOf<Value>(candidates: (() => Value | undefined)[]): Value | undefined {
  for (const candidate of candidates) {
    const value = candidate();
    if (value !== undefined) return value;
  }
  return undefined;
}

function columnsOf({ rehearsal, timelineOf }: ReportSource, k: number, arm: Arm, binUs: number): Columns {
  const columns: Columns = { answered: [], p99Us: [], maxUs: [] };
  for (const [i, { pair }] of rehearsal.rounds[k]!.arms[arm].slices.entries()) {
    const timeline = timelineOf(k, arm, i);
    // Slices of one rehearsal are equally long, and so are their bins.
    if (timeline?.binUs !== binUs) continue;
    const offset = Math.round((pair * rehearsal.settings.sliceSeconds * 1e6) / binUs);
    for (const name of COLUMNS) {
      for (const [bin, value] of timeline[name].entries()) (columns[name] as (number | null)[])[offset + bin] = value;
    }
  }
  return columns;
}

const stallsOf = ({ rounds, settings }: Rehearsal): PlacedStall[] =>
  rounds
    .flatMap(({ index, arms }) =>
      ARMS.flatMap((arm) =>
        arms[arm].slices.flatMap(({ pair, stalls = [] }) =>
          stalls.map(({ startUs, durationUs, lagUs }): PlacedStall => {
            const fromSeconds = pair * settings.sliceSeconds + startUs / 1e6;
            return { arm, round: index, fromSeconds, toSeconds: fromSeconds + durationUs / 1e6, lagUs };
          }),
        ),
      ),
    )
    .sort((a, b) => b.toSeconds - b.fromSeconds - (a.toSeconds - a.fromSeconds))
    .slice(0, STALLS);

/** A figure of one bin of one round; null where there is none. */
export interface TimeMetric {
  title: string;
  axis: Axis;
  of: (columns: Columns, bin: number, binUs: number) => number | null;
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
