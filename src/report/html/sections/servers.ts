/** What the servers said of themselves each second: resident memory and processor time. */
import { digits } from '../../../compare/wording.ts';
import type { Figures } from '../figure.ts';
import { html, type Markup } from '../markup.ts';
import { coresOf, type ServerLine, type ServerMetric, serverPlot, valuesOf } from '../server-lines.ts';
import { left, right, table } from '../table.ts';

const METRICS: (ServerMetric & { id: string; reading: string })[] = [
  {
    ...{ id: 'server-memory', title: 'Resident memory, MiB' },
    axis: { label: 'resident memory, MiB', scale: 'linear', unit: 'number' },
    of: ({ rssBytes }) => rssBytes / 2 ** 20,
    reading:
      'It rises while the data are loaded. A rise that goes on under load is data that the workload adds, or memory that is not given back; what the budget judges of it is under Memory.',
  },
  {
    ...{ id: 'server-cores', title: 'Processor time, cores in use' },
    axis: { label: 'cores in use', scale: 'linear', unit: 'number' },
    of: coresOf,
    reading:
      'The server’s own time and the kernel’s for it, from one second to the next; near nothing while the other arm has its turn. A server that needs more of it for the same load saturates sooner, whatever its latency is at this rate.',
  },
];

export function serversSection(lines: ServerLine[], figures: Figures): Markup {
  return html`<section id="servers"><h2>Servers</h2>
${lines.length === 0 && html`<p>This folder keeps no samples of the servers: they were left out of a copy, or no round came to its end.</p>`}
${
  lines.length > 0 &&
  METRICS.map((metric) => figures.draw(metric.id, serverPlot(lines, metric), metric.reading, tableOf(lines, metric)))
}
</section>`;
}

function tableOf(lines: ServerLine[], metric: ServerMetric): Markup {
  return table(
    metric.title,
    [left('round'), left('arm'), ...['lowest', 'median', 'highest'].map(right)],
    lines.map((line) => {
      const values = valuesOf(line, metric)
        .filter((value) => value !== null)
        .sort((a, b) => a - b);
      const figures = values.length === 0 ? [] : [values[0]!, values[values.length >> 1]!, values.at(-1)!];
      return [`round ${line.round + 1}`, line.arm, ...(figures.length === 0 ? ['–', '–', '–'] : figures.map(digits))];
    }),
  );
}
