/** Turns two distributions into their percentile spectra on an axis where every nine takes the same room. */
import { count, duration, percentileName } from '../../compare/wording.ts';
import type { LatencyHistogram } from '../../measure/histogram.ts';
import { ARMS, type Arm } from '../../measure/rehearsal.ts';
import { defendedUntil } from './distributions.ts';
import type { Markup } from './markup.ts';
import type { Colour, Plot, Series } from './plot.ts';
import { right, table } from './table.ts';

/** Points per decade of 1/(1 − p). */
const PER_DECADE = 16;

export interface SpectrumLine {
  label: string;
  colour: Colour;
  style: 'solid' | 'dashed' | 'dotted' | 'thin';
  histogram: LatencyHistogram;
}

/** Up to one sample beyond; a line goes on faint where fewer than 100 samples lie beyond. */
export function spectrumPlot(title: string, lines: SpectrumLine[]): Plot {
  const most = Math.max(2, ...lines.map(({ histogram }) => histogram.count));
  const steps = Math.ceil(Math.log10(most) * PER_DECADE);
  const values = Array.from({ length: steps + 1 }, (_, i) =>
    Number((10 ** ((i / steps) * Math.log10(most))).toPrecision(6)),
  );
  const series = lines.flatMap(({ histogram, ...line }): Series[] => {
    const limit = defendedUntil(histogram.count);
    const at = (from: number, to: number) =>
      values.map((x) => (x < from || x > to ? null : histogram.quantile(1 - 1 / x)));
    const last = values.findLast((x) => x <= limit) ?? 1;
    const group = line.label;
    return [
      { ...line, group, y: at(1, limit) },
      { ...line, group, style: 'faint', y: at(last, histogram.count) },
    ];
  });
  const undefended = Math.min(...lines.map(({ histogram }) => defendedUntil(histogram.count)));
  return {
    title,
    x: { label: 'percentile', scale: 'percentile', unit: 'percentile', values },
    y: { label: 'response', scale: 'log', unit: 'us' },
    series: series.filter(({ y }) => y.some((value) => value !== null)),
    marks: [{ from: undefended, to: most, label: 'fewer than 100 samples beyond' }],
  };
}

const ROWS = [50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999];

/** The percentiles that one of the lines has at least one sample beyond of, then the maximum. */
export function spectrumTable(title: string, lines: SpectrumLine[]): Markup {
  const most = Math.max(...lines.map(({ histogram }) => histogram.count));
  const cell = ({ histogram }: SpectrumLine, p: number) => {
    const beyond = histogram.count * (1 - p / 100);
    if (beyond < 1) return '–';
    const figure = duration(histogram.quantile(p / 100));
    return beyond < 99.5 ? `${figure} (${count(beyond)} beyond)` : figure;
  };
  return table(
    title,
    [{ title: 'percentile' }, ...lines.map(({ label }) => right(label))],
    [
      ...ROWS.filter((p) => most * (1 - p / 100) >= 1).map((p) => [
        percentileName(p),
        ...lines.map((line) => cell(line, p)),
      ]),
      ['maximum', ...lines.map(({ histogram }) => duration(histogram.max))],
      ['samples', ...lines.map(({ histogram }) => count(histogram.count))],
    ],
  );
}

/** The same part of both arms. */
export const armLines = (of: (arm: Arm) => LatencyHistogram): SpectrumLine[] =>
  ARMS.map((arm) => ({ label: arm, colour: arm, style: arm === 'baseline' ? 'dashed' : 'solid', histogram: of(arm) }));
