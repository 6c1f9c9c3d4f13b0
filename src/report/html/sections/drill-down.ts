/** Latency by family and command: where to look first. */
import { count, duration, plural, quote, signedPercent } from '../../../compare/wording.ts';
import { LatencyHistogram } from '../../../measure/histogram.ts';
import type { Arm } from '../../../measure/rehearsal.ts';
import { type Distributions, defendedUntil, type Labelled } from '../distributions.ts';
import type { Figures } from '../figure.ts';
import { anchor, html, type Markup, name } from '../markup.ts';
import { armLines, spectrumPlot, spectrumTable } from '../spectrum.ts';
import { left, right, table } from '../table.ts';

/** Families in the table, and those that also get a picture and their commands. */
const LISTED = 40;
const DRAWN = 10;
const COMMANDS = 25;

type Responses = Labelled['response'];

export function drillDownSection({ labels }: Distributions, figures: Figures): Markup {
  const families = [...Map.groupBy(labels, ({ family }) => family)]
    .map(([family, commands]) => ({ family, commands, response: addUp(commands) }))
    .filter(({ response }) => samplesOf(response) > 0)
    .sort((a, b) => samplesOf(b.response) - samplesOf(a.response));
  const commands = [...Map.groupBy(labels, ({ command }) => command)]
    .map(([command, entries]) => ({ command, response: addUp(entries) }))
    .filter(({ response }) => samplesOf(response) > 0)
    .sort((a, b) => samplesOf(b.response) - samplesOf(a.response));
  if (families.length === 0)
    return html`<section id="drill-down"><h2>By family and command</h2><p>No request was answered.</p></section>`;
  const title = 'Response by family';
  return html`<section id="drill-down"><h2>By family and command</h2>
<p class="reading">All rounds together, without intervals: this tells where to look, not what is proven. A rule for a family in the budget judges it. A dash stands where fewer than 100 samples lie beyond a percentile.</p>
<h3 id="families">Families</h3>
${table(
  title,
  [left('family'), ...COLUMNS],
  families
    .slice(0, LISTED)
    .map(({ family, response }, i) => [
      i < DRAWN ? html`<a href="#${anchor('family', family)}">${name(family)}</a>` : name(family),
      ...figuresOf(response),
    ]),
)}
${families.length > LISTED && html`<p>${plural(families.length - LISTED, 'family').replace('familys', 'families')} with fewer requests left out.</p>`}
<h3 id="commands">Commands</h3>
${table(
  'Response by command',
  [left('command'), ...COLUMNS],
  commands.slice(0, COMMANDS).map(({ command, response }) => [name(command), ...figuresOf(response)]),
)}
${commands.length > COMMANDS && html`<p>${plural(commands.length - COMMANDS, 'command')} with fewer requests left out.</p>`}
${families.slice(0, DRAWN).map(({ family, commands, response }, i) => {
  const lines = armLines((arm) => response[arm]);
  const title = `Response of ${quote(family)}`;
  return html`<details class="family" id="${anchor('family', family)}"><summary>${name(family)} <span class="quiet">${plural(samplesOf(response), 'answer')}</span></summary>
${table(
  `Commands of ${quote(family)}`,
  [left('command'), ...COLUMNS],
  commands.slice(0, COMMANDS).map((entry) => [name(entry.command), ...figuresOf(entry.response)]),
)}
${figures.draw(`family-spectrum-${i + 1}`, spectrumPlot(title, lines), 'Read as the spectrum of all requests above.', spectrumTable(title, lines))}
</details>`;
})}
</section>`;
}

const COLUMNS = [
  right('answers'),
  ...['P50', 'P99', 'P99.9'].flatMap((percentile) => [
    right(`${percentile} baseline`),
    right(`${percentile} candidate`),
    right('change'),
  ]),
];

const samplesOf = ({ baseline, candidate }: Responses) => baseline.count + candidate.count;

/** Answers, then of each percentile both arms and the change. */
function figuresOf(response: Responses): string[] {
  return [
    count(samplesOf(response)),
    ...[0.5, 0.99, 0.999].flatMap((q) => {
      const figure = (arm: Arm) =>
        1 / (1 - q) > defendedUntil(response[arm].count) ? undefined : response[arm].quantile(q);
      const [baseline, candidate] = [figure('baseline'), figure('candidate')];
      const change =
        baseline === undefined || candidate === undefined ? '–' : signedPercent(candidate / Math.max(1, baseline) - 1);
      return [baseline, candidate].map((us) => (us === undefined ? '–' : duration(us))).concat(change);
    }),
  ];
}

function addUp(entries: { response: Responses }[]): Responses {
  const sum = (arm: Arm) => {
    const all = LatencyHistogram.empty();
    for (const { response } of entries) all.add(response[arm]);
    return all;
  };
  return { baseline: sum('baseline'), candidate: sum('candidate') };
}
