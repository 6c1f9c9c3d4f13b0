/** Turns an estimate with its interval into a picture on an axis that all rows of a table share. */
import { html, type Markup } from './markup.ts';

const WIDTH = 240;
const HEIGHT = 26;
const EDGE = 8;

export interface Interval {
  /** Said to readers that hear the page. */
  label: string;
  estimate: number;
  low: number;
  high: number;
  /** The largest value that is allowed: all left of it is shaded. */
  limit?: number;
  /** Kind of outcome, for its colour. */
  outcome: string;
}

/** Ends of the axis; what lies outside gets an arrow. 0 is inside. */
export function intervalPicture(
  { label, estimate, low, high, limit, outcome }: Interval,
  [from, to]: [number, number],
): Markup {
  const place = (value: number) => {
    const x = EDGE + ((WIDTH - 2 * EDGE) * (Math.min(to, Math.max(from, value)) - from)) / (to - from);
    return Number(x.toFixed(1));
  };
  const middle = HEIGHT / 2;
  return html`<svg class="interval ${outcome}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
${limit !== undefined && html`<rect class="allowed" x="0" y="2" width="${place(limit)}" height="${HEIGHT - 4}"/><path class="limit" d="M${place(limit)} 0V${HEIGHT}"/>`}
<path class="zero" d="M${place(0)} 2V${HEIGHT - 2}"/><path class="range" d="M${place(low)} ${middle}H${place(high)}"/>
${high > to && html`<path class="head" d="M${WIDTH} ${middle}l-9 -5v10z"/>`}${low < from && html`<path class="head" d="M0 ${middle}l9 -5v10z"/>`}
${estimate >= from && estimate <= to && html`<circle class="estimate" cx="${place(estimate)}" cy="${middle}" r="4.5"/>`}
</svg>`;
}
