/** What a line chart shows, as data: drawn as SVG for paper and as uPlot for exploring. */
import type { Arm } from '../../measure/rehearsal.ts';

/** `percentile`: 1/(1 − p) on a logarithmic scale, so that each nine takes the same room. */
export interface Axis {
  label: string;
  scale: 'linear' | 'log' | 'percentile';
  unit: 'us' | 'seconds' | 'perSecond' | 'number' | 'percentile' | 'ordinal';
}

/** By name in the page's style: an arm has the same colour everywhere; `older` are rehearsals before the newest. */
export type Colour = Arm | 'older';

export interface Series {
  /** Fit to be shown, as all text of a plot: the page's script shows it as it is. */
  label: string;
  /** Lines of one group share an entry of the legend, and are hidden together. */
  group: string;
  colour: Colour;
  /** `thin`: one of many that lie over each other. `faint`: beyond what the data defend. */
  style: 'solid' | 'dashed' | 'dotted' | 'thin' | 'faint';
  /** As long as the plot's `x`. */
  y: (number | null)[];
}

/** A stretch of the x axis that needs a look. */
interface Mark {
  from: number;
  to: number;
  label: string;
  colour?: Colour;
}

export interface Plot {
  title: string;
  x: Axis & { values: number[] };
  y: Axis;
  series: Series[];
  marks: Mark[];
}

/** Points of a series that a screen can tell apart. */
const POINTS = 600;

/**
 * At most `points` x values. Neighbours share a bucket, of which each series keeps its smallest and its largest value in
 * their order: no extreme is lost, whatever the length of the run.
 */
export function downsample(plot: Plot, points = POINTS): Plot {
  const { values } = plot.x;
  if (values.length <= points) return plot;
  const size = Math.ceil(values.length / Math.floor(points / 2));
  const starts = Array.from({ length: Math.ceil(values.length / size) }, (_, bucket) => bucket * size);
  return {
    ...plot,
    x: {
      ...plot.x,
      values: starts.flatMap((from) => [values[from]!, values[Math.min(from + (size >> 1), values.length - 1)]!]),
    },
    series: plot.series.map((series) => ({
      ...series,
      y: starts.flatMap((from) => extremes(series.y.slice(from, from + size))),
    })),
  };
}

function extremes(values: (number | null)[]): [number | null, number | null] {
  let [low, high] = [-1, -1];
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    if (low < 0 || value < values[low]!) low = i;
    if (high < 0 || value > values[high]!) high = i;
  }
  if (low < 0) return [null, null];
  return low < high ? [values[low]!, values[high]!] : [values[high]!, values[low]!];
}

/** Smallest and largest of what is drawn; undefined where nothing is. */
export function rangeOf(values: readonly (number | null)[]): [number, number] | undefined {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value === null) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : undefined;
}
