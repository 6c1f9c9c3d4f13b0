/** Turns a plot into a static SVG: what paper shows, and a page whose scripts do not run. */
import { count, duration } from '../../compare/wording.ts';
import { html, type Markup } from './markup.ts';
import { type Axis, downsample, type Plot, rangeOf, type Series } from './plot.ts';

const WIDTH = 720;
const HEIGHT = 300;
const MARGIN = { top: 12, right: 28, bottom: 44, left: 76 };
/** Points that a printed line of this width shows. */
const POINTS = 240;

/** Value → place, and the values that get a label. */
interface Scale {
  place: (value: number) => number;
  ticks: number[];
}

export function plotSvg(whole: Plot): Markup {
  const plot = downsample(whole, POINTS);
  const x = scaleOf(plot.x, plot.x.values, MARGIN.left, WIDTH - MARGIN.right);
  const values = plot.series.flatMap(({ y }) => y);
  const y = scaleOf(plot.y, values, HEIGHT - MARGIN.bottom, MARGIN.top);
  const bottom = HEIGHT - MARGIN.bottom;
  return html`<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${plot.title}">
${plot.marks.map(({ from, to, label, colour }) => {
  const at = x.place(Math.max(from, plot.x.values[0]!));
  const width = Math.max(1, x.place(Math.min(to, plot.x.values.at(-1)!)) - at);
  return html`<rect class="mark ${colour ?? ''}" x="${round(at)}" y="${MARGIN.top}" width="${round(width)}" height="${bottom - MARGIN.top}"><title>${label}</title></rect>`;
})}
${y.ticks.map((value) => html`<path class="grid" d="M${MARGIN.left} ${round(y.place(value))}H${WIDTH - MARGIN.right}"/><text class="tick end" x="${MARGIN.left - 6}" y="${round(y.place(value) + 4)}">${labelOf(plot.y, value)}</text>`)}
${x.ticks.map((value) => html`<path class="grid" d="M${round(x.place(value))} ${MARGIN.top}V${bottom}"/><text class="tick middle" x="${round(x.place(value))}" y="${bottom + 16}">${labelOf(plot.x, value)}</text>`)}
${plot.series.map((series) => line(series, plot.x.values, x, y))}
<text class="axis middle" x="${(MARGIN.left + WIDTH - MARGIN.right) / 2}" y="${HEIGHT - 8}">${plot.x.label}</text>
<text class="axis middle" transform="translate(14 ${(MARGIN.top + bottom) / 2}) rotate(-90)">${plot.y.label}</text>
</svg>`;
}

function line({ colour, style, label, y }: Series, values: number[], xScale: Scale, yScale: Scale): Markup {
  let path = '';
  let pen = 'M';
  let single = true;
  for (const [i, value] of y.entries()) {
    if (value === null) {
      // A point without neighbours would have no length and no ink.
      if (pen === 'L' && single) path += 'h0.1';
      pen = 'M';
      continue;
    }
    single = pen === 'M';
    path += `${pen}${round(xScale.place(values[i]!))} ${round(yScale.place(value))}`;
    pen = 'L';
  }
  if (pen === 'L' && single) path += 'h0.1';
  return html`<path class="line ${colour} ${style}" d="${path}"><title>${label}</title></path>`;
}

const round = (value: number) => Number(value.toFixed(1));

function scaleOf({ scale, unit }: Axis, values: readonly (number | null)[], from: number, to: number): Scale {
  const [least, most] = rangeOf(values) ?? [0, 1];
  if (scale !== 'linear') {
    const low = Math.max(least, 1);
    const high = Math.max(most, low * 2);
    const place = (value: number) => from + ((to - from) * Math.log(Math.max(value, low) / low)) / Math.log(high / low);
    return { place, ticks: scale === 'percentile' ? NINES.filter((x) => x >= low && x <= high) : decades(low, high) };
  }
  const low = unit === 'perSecond' || unit === 'number' ? Math.min(0, least) : least;
  const high = most > low ? most : low + 1;
  const place = (value: number) => from + ((to - from) * (value - low)) / (high - low);
  return { place, ticks: unit === 'ordinal' ? values.flatMap((value) => value ?? []) : rounds(low, high) };
}

/** 1/(1 − p) of P0, P50, P90, P99 … */
const NINES = [1, 2, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7];

/** Round numbers, as far apart as the range is wide. */
function decades(low: number, high: number): number[] {
  const ticks: number[] = [];
  const steps = high / low > 2000 ? [1] : high / low > 5 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
    for (const step of steps) if (decade * step >= low && decade * step <= high) ticks.push(decade * step);
  }
  return ticks;
}

/** Four to eight round numbers. */
function rounds(low: number, high: number): number[] {
  const raw = (high - low) / 5;
  const decade = 10 ** Math.floor(Math.log10(raw));
  const step = decade * ([1, 2, 5].find((factor) => factor * decade >= raw) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function labelOf({ unit }: Axis, value: number): string {
  if (unit === 'us') return duration(value).replace(/\.?0+(?= )/, (zeros) => (zeros.startsWith('.') ? '' : zeros));
  if (unit === 'percentile') return percentileOf(value);
  if (unit === 'seconds') return `${Number(value.toPrecision(3))} s`;
  if (unit === 'ordinal') return String(value);
  return value >= 10 || Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(3)));
}

/** 1000 → `99.9`. */
const percentileOf = (x: number) => String(Number((100 - 100 / x).toPrecision(8)));
