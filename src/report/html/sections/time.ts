/** Latency and throughput over workload time, the rounds of both arms over each other, stalls marked. */
import { count, duration, plural } from '../../../compare/wording.ts';
import { ARMS } from '../../../measure/rehearsal.ts';
import type { Figures } from '../figure.ts';
import { html, type Markup } from '../markup.ts';
import { left, right, table } from '../table.ts';
import { type RoundLines, type TimeMetric, timePlot } from '../timelines.ts';

const METRICS: (TimeMetric & { id: string; reading: string; show: (value: number) => string })[] = [
  {
    ...{ id: 'time-p99', title: 'P99 of the responses at each moment', show: duration },
    axis: { label: 'response P99', scale: 'log', unit: 'us' },
    of: ({ p99Us }, bin) => p99Us[bin] ?? null,
    reading:
      'Each line is one round. All rounds send the same kind of load at the same moments: a rise that all rounds of both arms share is the workload’s; one that only an arm’s rounds share is that server’s; a rise of a single round is an accident.',
  },
  {
    ...{ id: 'time-longest', title: 'The longest response of each moment', show: duration },
    axis: { label: 'longest response', scale: 'log', unit: 'us' },
    of: ({ maxUs }, bin) => maxUs[bin] ?? null,
    reading:
      'Requests count at the moment they were due. A pause of the server shows as a saw tooth: the first request waits for all of it, the later ones for what is left.',
  },
  {
    ...{ id: 'time-throughput', title: 'Replies a second', show: count },
    axis: { label: 'replies a second', scale: 'linear', unit: 'perSecond' },
    of: ({ answered }, bin, binUs) => (answered[bin]! / binUs) * 1e6,
    reading:
      'The load is open loop: both arms are offered the same requests at the same moments. A gap with a peak after it is a pause; a line that stays below the other is a server that does not keep up.',
  },
];

export function timeSection(lines: RoundLines | undefined, figures: Figures): Markup {
  if (!lines) {
    return html`<section id="time"><h2>Over time</h2><p>This folder keeps no time lines: they were left out of a copy, or the run is older than they are.</p></section>`;
  }
  const { stalls, left: unseen, binUs } = lines;
  return html`<section id="time"><h2>Over time</h2>
<p>One point for each ${duration(binUs)}.${unseen > 0 && ` Of the rounds, the ${new Set(lines.lines.map(({ round }) => round)).size} with the longest responses are drawn; ${plural(unseen, 'round')} are not.`} Rounds that were not judged are drawn too.</p>
${METRICS.map((metric) => figures.draw(metric.id, timePlot(lines, metric), metric.reading, roundTable(lines, metric)))}
<h3 id="stalls">Stalls</h3>
${stalls.length === 0 && html`<p>None: no moment in which a server answered nobody for long.</p>`}
${
  stalls.length > 0 &&
  html`<p class="reading">Moments in which the earliest pending request waited long, the longest first. Where the generator’s own lag is as long, it was the host that stood still, not the server.</p>${table(
    'Stalls',
    [left('arm'), right('round'), right('after'), right('lasted'), right('generator’s own lag')],
    stalls
      .slice(0, 30)
      .map(({ arm, round, fromSeconds, toSeconds, lagUs }) => [
        arm,
        count(round + 1),
        duration(fromSeconds * 1e6),
        duration((toSeconds - fromSeconds) * 1e6),
        duration(lagUs),
      ]),
  )}`
}
</section>`;
}

/** Median and extremes of each round's moments. */
function roundTable({ lines, seconds, binUs }: RoundLines, { title, of, show }: (typeof METRICS)[number]): Markup {
  return table(
    title,
    [
      left('round'),
      ...ARMS.flatMap((arm) => ['lowest', 'median', 'highest'].map((figure) => right(`${arm} ${figure}`))),
    ],
    [...new Set(lines.map(({ round }) => round))]
      .sort((a, b) => a - b)
      .map((round) => [
        `round ${round + 1}`,
        ...ARMS.flatMap((arm) => {
          const line = lines.find((other) => other.round === round && other.arm === arm);
          const values = seconds
            .flatMap((_, bin) => (line && bin in line.columns.answered ? (of(line.columns, bin, binUs) ?? []) : []))
            .sort((a, b) => a - b);
          return values.length === 0
            ? ['–', '–', '–']
            : [values[0]!, values[values.length >> 1]!, values.at(-1)!].map(show);
        }),
      ]),
  );
}
