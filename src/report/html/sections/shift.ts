/** How far each percentile shifted, with its interval. */
import type { Judgement } from '../../../compare/judgement.ts';
import { duration, percent, percentileName, plural, signedPercent } from '../../../compare/wording.ts';
import type { Distributions } from '../distributions.ts';
import { intervalPicture } from '../interval-picture.ts';
import { html, type Markup } from '../markup.ts';
import { shiftsOf } from '../shift.ts';
import { left, right, table } from '../table.ts';

/** The axis of the pictures, in log ratios, reaches at least this far to either side: noise should look like noise. */
const LEAST_REACH = Math.log(1.1);

export function shiftSection(distributions: Distributions, { level, rounds }: Judgement): Markup {
  const shifts = shiftsOf(distributions, level);
  const interval = `${percent(1 - 2 * level)} interval`;
  const reach = Math.max(LEAST_REACH, ...shifts.map(({ estimate }) => 1.25 * Math.abs(Math.log1p(estimate))));
  const finite = shifts.every(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  return html`<section id="shift"><h2>Shift at each percentile</h2>
${shifts.length === 0 && html`<p>Too few samples for any percentile.</p>`}
${
  shifts.length > 0 &&
  html`<p class="reading">How much slower (right of the line) or faster (left) the candidate is at each percentile: mean of the log ratios of ${plural(rounds.judged, 'round')}, with the interval from their spread. A shift at all percentiles is a slower server; one in the tail alone is pauses, or a few slow commands. ${!finite && 'One round gives no interval. '}These intervals explain; only the rules decide.</p>
${table(
  'Shift at each percentile',
  [left('percentile'), right('baseline'), right('candidate'), right('shift'), right(interval), left('faster | slower')],
  shifts.map(({ percentile, baseline, candidate, estimate, low, high }) => [
    percentileName(percentile),
    duration(baseline),
    duration(candidate),
    signedPercent(estimate),
    finite ? `[${signedPercent(low)}, ${signedPercent(high)}]` : '–',
    intervalPicture(
      {
        ...{ estimate: Math.log1p(estimate), low: Math.log1p(low), high: Math.log1p(high), outcome: '' },
        label: `${percentileName(percentile)}: ${signedPercent(estimate)}`,
      },
      [-reach, reach],
    ),
  ]),
)}`
}
</section>`;
}
