/** Turns a judged rehearsal into one HTML file that is read, shown and kept: offline, explorable, printable. */
import { gatherDistributions } from './html/distributions.ts';
import { Figures } from './html/figure.ts';
import { html } from './html/markup.ts';
import { renderPage } from './html/page.ts';
import { caveatsSection } from './html/sections/caveats.ts';
import { drillDownSection } from './html/sections/drill-down.ts';
import { environmentSection } from './html/sections/environment.ts';
import { errorsSection } from './html/sections/errors.ts';
import { lintSection } from './html/sections/lint.ts';
import { memorySection } from './html/sections/memory.ts';
import { readingSection } from './html/sections/reading.ts';
import { rulesSection } from './html/sections/rules.ts';
import { serversSection } from './html/sections/servers.ts';
import { shiftSection } from './html/sections/shift.ts';
import { partsSection, spectrumSection } from './html/sections/spectrum.ts';
import { timeSection } from './html/sections/time.ts';
import { verdictSection } from './html/sections/verdict.ts';
import { workloadSection } from './html/sections/workload.ts';
import { gatherServerLines } from './html/server-lines.ts';
import { gatherRoundLines } from './html/timelines.ts';
import type { ReportSource } from './source.ts';

const CONTENTS: [string, string][] = [
  ['verdict', 'Verdict'],
  ['rules', 'Rules'],
  ['caveats', 'Caveats'],
  ['latency', 'Latency'],
  ['parts', 'Parts'],
  ['time', 'Over time'],
  ['servers', 'Servers'],
  ['drill-down', 'Families'],
  ['shift', 'Shift'],
  ['memory', 'Memory'],
  ['errors', 'Errors'],
  ['workload', 'Workload'],
  ['lint', 'Lint'],
  ['environment', 'Environment'],
  ['reading', 'Words'],
];

export function reportHtml(source: ReportSource): string {
  const { judgement, rehearsal } = source;
  const { baseline, candidate } = judgement.arms;
  const figures = new Figures();
  const distributions = gatherDistributions(source);
  const answered = judgement.latency.baseline.response.samples > 0 && judgement.latency.candidate.response.samples > 0;
  const pair = `${baseline.product} ${baseline.version} to ${candidate.product} ${candidate.version}`;
  return renderPage({
    title: `${judgement.verdict.toUpperCase()}: ${pair}`,
    heading: html`<h1>Rehearsal: ${pair}</h1><span class="quiet">${rehearsal.startedAt}</span>`,
    contents: CONTENTS,
    sections: [
      verdictSection(judgement),
      rulesSection(judgement),
      caveatsSection(judgement),
      ...(answered
        ? [spectrumSection(distributions, figures), partsSection(distributions, judgement, figures)]
        : [
            html`<section id="latency"><h2>Latency by percentile</h2><p>No request of a judged round was answered on both arms: there is nothing to draw.</p></section><section id="parts"></section>`,
          ]),
      timeSection(gatherRoundLines(source), figures),
      serversSection(gatherServerLines(source), figures),
      drillDownSection(distributions, figures),
      shiftSection(distributions, judgement),
      memorySection(rehearsal),
      errorsSection(rehearsal),
      workloadSection(source),
      lintSection(judgement),
      environmentSection(rehearsal, judgement),
      readingSection(),
    ],
    footer: html`Made by cutover ${rehearsal.cutover}. This file is complete in itself: it loads nothing and sends nothing.`,
    plots: figures.plots,
  });
}
