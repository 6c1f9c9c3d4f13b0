/** Turns rows of stacked values into a static SVG of horizontal bars. */
import { html, type Markup } from './markup.ts';

interface Bar {
  label: string;
  segments: { kind: string; value: number }[];
  /** Written at the bar's end. */
  text: string;
}

const WIDTH = 720;
const ROW = 26;
const LABEL = 150;
const TEXT = 90;

export function barsSvg(title: string, bars: Bar[]): Markup {
  const sum = ({ segments }: Bar) => segments.reduce((total, { value }) => total + value, 0);
  const most = Math.max(...bars.map(sum)) || 1;
  const width = (value: number) => Number(((value / most) * (WIDTH - LABEL - TEXT)).toFixed(1));
  return html`<div class="static always"><svg class="plot" viewBox="0 0 ${WIDTH} ${bars.length * ROW + 6}" role="img" aria-label="${title}">
${bars.map((bar, i) => {
  let x = LABEL;
  const y = i * ROW + 3;
  return html`<text class="tick end" x="${LABEL - 8}" y="${y + 15}">${bar.label}</text>${bar.segments.map(
    ({ kind, value }) => {
      const piece = html`<rect class="piece ${kind}" x="${Number(x.toFixed(1))}" y="${y}" width="${width(value)}" height="${ROW - 6}"/>`;
      x += width(value);
      return piece;
    },
  )}<text class="tick" x="${Number((x + 6).toFixed(1))}" y="${y + 15}">${bar.text}</text>`;
})}</svg></div>`;
}
