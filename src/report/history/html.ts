/** Turns several rehearsals into one HTML file that lays them over each other. */
import { ALL_FAMILIES } from '../../compare/budget.ts';
import { allowedOf, changeOf, figureOf, intervalOf } from '../../compare/sentence.ts';
import { duration, percentileName, plural, shorten } from '../../compare/wording.ts';
import { ARMS } from '../../measure/rehearsal.ts';
import { printable } from '../../printable.ts';
import { gatherDistributions } from '../html/distributions.ts';
import { Figures } from '../html/figure.ts';
import { anchor, html, type Markup, name } from '../html/markup.ts';
import { renderPage } from '../html/page.ts';
import type { Plot } from '../html/plot.ts';
import { outcomeOf, rulePicture } from '../html/sections/rules.ts';
import { type SpectrumLine, spectrumPlot, spectrumTable } from '../html/spectrum.ts';
import { left, right, table } from '../html/table.ts';
import { comparable, type History, serversOf, startOf } from './history.ts';

export function historyHtml(history: History): string {
  const { episodes, newest } = history;
  const figures = new Figures();
  return renderPage({
    title: `${plural(episodes.length, 'rehearsal')}: ${serversOf(newest).join(' to ')}`,
    heading: html`<h1>${plural(episodes.length, 'rehearsal')}, oldest first</h1>`,
    contents: [
      ['verdict', 'Verdicts'],
      ['rules', 'Rules'],
      ['trend', 'Figures over time'],
      ['spectrum', 'Percentiles'],
    ],
    sections: [verdicts(history), rules(history), trend(history, figures), spectra(history, figures)],
    footer: html`Made by cutover ${newest.source.rehearsal.cutover}. This file is complete in itself: it loads nothing and sends nothing.`,
    plots: figures.plots,
  });
}

const verdicts = ({ episodes, notes }: History): Markup => html`<section id="verdict"><h2>Verdicts</h2>
${table(
  'Verdicts',
  [
    left('rehearsal'),
    left('started'),
    left('baseline'),
    left('candidate'),
    left('verdict'),
    left('why'),
    left('folder'),
  ],
  episodes.map((one) => [
    `${one.number}`,
    startOf(one),
    ...serversOf(one),
    outcomeOf(one.source.judgement.verdict),
    one.source.judgement.sentence.replace(/^[A-Z]+: /, ''),
    name(one.source.path),
  ]),
)}
${notes.length > 0 && html`<h3 id="caveats">Before comparing</h3><ul class="caveats">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
</section>`;

const rules = ({ episodes, rules: all }: History): Markup => html`<section id="rules"><h2>Rules</h2>
<p class="reading">Each row is the change from baseline to candidate within one rehearsal, so a slower host does not move it. The dot is the estimate, the bar its interval, the left line no change, the right line what the budget allows.</p>
${all.map(({ id, label, family }) => {
  const title = family === ALL_FAMILIES ? html`${label}` : html`${label} ${name(family)}`;
  return html`<h3 id="${anchor('rule', id)}">${title}</h3>
${table(
  `Rule ${label}`,
  [
    left('rehearsal'),
    left('outcome'),
    left('no change | limit'),
    right('change'),
    right('interval'),
    right('allowed'),
    right('baseline'),
    right('candidate'),
  ],
  episodes.map((one) => {
    const rule = one.source.judgement.rules.find((other) => other.id === id);
    const title = `${one.number}: ${serversOf(one)[1]}`;
    if (!rule) return [title, 'no such rule', '', '', '', '', '', ''];
    return [
      title,
      outcomeOf(rule.outcome, one.source.judgement.verdict === 'invalid'),
      rulePicture(rule, one.source.judgement.verdict === 'invalid'),
      changeOf(rule),
      intervalOf(rule),
      allowedOf(rule),
      figureOf(rule, rule.baseline),
      figureOf(rule, rule.candidate),
    ];
  }),
)}`;
})}
</section>`;

const PERCENTILES = [
  { key: 'p50', name: percentileName(50), style: 'dotted' },
  { key: 'p99', name: percentileName(99), style: 'dashed' },
  { key: 'p999', name: percentileName(99.9), style: 'solid' },
] as const;

function trend(history: History, figures: Figures): Markup {
  const shown = comparable(history);
  if (shown.length < 2) return html`<section id="trend"><h2>Figures over time</h2><p>${ALONE}</p></section>`;
  const title = 'Response over the rehearsals';
  const lines = ARMS.flatMap((arm) =>
    PERCENTILES.map(({ key, name, style }) => ({
      ...{ label: `${arm} ${name}`, group: `${arm} ${name}`, colour: arm, style },
      y: shown.map(({ source }) => source.judgement.latency[arm].response[key]),
    })),
  );
  const plot: Plot = {
    title,
    x: { label: 'rehearsal', scale: 'linear', unit: 'ordinal', values: shown.map(({ number }) => number) },
    y: { label: 'response', scale: 'log', unit: 'us' },
    series: lines,
    marks: [],
  };
  return html`<section id="trend"><h2>Figures over time</h2>${figures.draw(
    'trend-response',
    plot,
    `Only rehearsals under the newest’s conditions (${shown.map(({ number }) => number).join(', ')}). Where both arms move together the machine or the workload moved; where only the candidate does, its version did. Pooled over rounds, without intervals.`,
    table(
      title,
      [left('rehearsal'), ...lines.map(({ label }) => right(label))],
      shown.map(({ number }, i) => [`${number}`, ...lines.map(({ y }) => duration(y[i]!))]),
    ),
  )}</section>`;
}

const ALONE =
  'No other rehearsal ran under the conditions of the newest, so there are no figures to lay over each other. The changes above can be read side by side.';

function spectra(history: History, figures: Figures): Markup {
  const shown = comparable(history);
  if (shown.length < 2) return html`<section id="spectrum"><h2>Percentiles</h2><p>${ALONE}</p></section>`;
  const lines = shown.flatMap((one): SpectrumLine[] => {
    const { total } = gatherDistributions(one.source);
    const [baseline, candidate] = serversOf(one).map(
      (server) => `${one.number}: ${shorten(printable(server), 40)}`,
    ) as [string, string];
    if (one !== history.newest) {
      return [{ label: candidate, colour: 'older', style: 'thin', histogram: total.candidate.response }];
    }
    return [
      { label: `${baseline}, baseline`, colour: 'baseline', style: 'dashed', histogram: total.baseline.response },
      { label: candidate, colour: 'candidate', style: 'solid', histogram: total.candidate.response },
    ];
  });
  const title = 'Response of the candidates by percentile';
  return html`<section id="spectrum"><h2>Percentiles</h2>${figures.draw(
    'spectrum-candidates',
    spectrumPlot(title, lines),
    'The candidates of all rehearsals under the newest’s conditions, older ones thin, and the newest’s baseline. A line of the legend hides its server.',
    spectrumTable(title, lines),
  )}</section>`;
}
