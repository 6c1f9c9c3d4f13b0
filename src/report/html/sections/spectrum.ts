/** The spectrum of both arms' responses, and of each arm what its response is made of. */
import type { Judgement } from '../../../compare/judgement.ts';
import { count, duration } from '../../../compare/wording.ts';
import { ARMS } from '../../../measure/rehearsal.ts';
import { type Distributions, PARTS } from '../distributions.ts';
import type { Figures } from '../figure.ts';
import { html, type Markup } from '../markup.ts';
import { armLines, type SpectrumLine, spectrumPlot, spectrumTable } from '../spectrum.ts';
import { left, right, table } from '../table.ts';

export function spectrumSection({ total }: Distributions, figures: Figures): Markup {
  const lines = armLines((arm) => total[arm].response);
  const title = 'Response by percentile';
  return html`<section id="latency"><h2>Latency by percentile</h2>
${figures.draw(
  'spectrum',
  spectrumPlot(title, lines),
  'Every nine of the percentile takes the same room. Response is the reply minus the intended send, so a server that stalls cannot hide it. Where the candidate’s line is above the baseline’s, that share of the requests became slower. In the shaded part fewer than 100 samples lie beyond: it shows what happened, not what to expect.',
  spectrumTable(title, lines),
)}</section>`;
}

const STYLES = { response: 'solid', service: 'dashed', lag: 'dotted' } as const;

export function partsSection({ total }: Distributions, { latency }: Judgement, figures: Figures): Markup {
  return html`<section id="parts"><h2>Response against service and lag</h2>
<p class="reading">Response = lag + service. Service is the reply minus the actual send: the server and the way to it. Lag is the actual send minus the moment at which the request could leave: the generator’s own lateness. The rules judge the response; where lag is a large part of it, its figures say more about the generator and its host than about the servers.</p>
${table(
  'Response, service and lag',
  [left('part'), left('arm'), ...['P50', 'P90', 'P99', 'P99.9', 'maximum', 'samples'].map(right)],
  PARTS.flatMap((part) =>
    ARMS.map((arm) => {
      const { p50, p90, p99, p999, max, samples } = latency[arm][part];
      return [part, arm, ...[p50, p90, p99, p999, max].map(duration), count(samples)];
    }),
  ),
)}
${ARMS.map((arm) => {
  const title = `What the ${arm}’s response is made of`;
  const lines = PARTS.map(
    (part): SpectrumLine => ({ label: part, colour: arm, style: STYLES[part], histogram: total[arm][part] }),
  );
  return figures.draw(
    `parts-${arm}`,
    spectrumPlot(title, lines),
    'Where response and service lie on each other the server makes the time; where the response leaves the service, requests waited to be sent.',
    spectrumTable(title, lines),
  );
})}
</section>`;
}
