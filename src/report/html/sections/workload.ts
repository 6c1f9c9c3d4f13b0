/** The workload: what the capture held, how faithful the rehearsed workload is, and what the servers did of it. */
import { count, digits, percent, plural } from '../../../compare/wording.ts';
import { ARMS, type Rehearsal } from '../../../measure/rehearsal.ts';
import { busiestFamilies } from '../../../model/busiest.ts';
import { type Model, modelSchema } from '../../../model/model.ts';
import type { ReportSource } from '../../source.ts';
import { html, type Markup, name } from '../markup.ts';
import { type Cell, left, right, table } from '../table.ts';

const FAMILIES = 25;
const COMMANDS = 15;
const SCRIPTS = 10;
/** Characters shown of a script. */
const BODY = 1500;

export function workloadSection({ rehearsal, modelText }: ReportSource): Markup {
  const model = readModel(modelText);
  return html`<section id="workload"><h2>Workload</h2>
${model ? summary(model, rehearsal) : html`<p>The model in this folder is of another version of cutover and is not summarised.</p>`}
${fidelity(rehearsal)}
${outcome(rehearsal)}
${model && scripts(model)}
</section>`;
}

/** Undefined of a model that is not of this version: the rest of the report does not need it. */
function readModel(text: string): Model | undefined {
  try {
    return modelSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function summary(model: Model, { settings }: Rehearsal): Markup {
  const { source, clients, commands } = model;
  const rejected = Object.values(source.rejected).reduce((sum, n) => sum + n, 0);
  const byRequests = busiestFamilies(model);
  const byCount = Object.entries(commands).sort(([, a], [, b]) => b.count - a.count);
  return html`<dl class="facts">
<div><dt>capture</dt><dd>${plural(source.lines, 'line')}, ${count(rejected)} rejected, ${digits(source.spanSeconds)} s from ${new Date(source.first * 1000).toISOString()}</dd></div>
<div><dt>server</dt><dd>${source.server}</dd></div>
<div><dt>clients</dt><dd>${plural(clients.connections, 'connection')}</dd></div>
<div><dt>rate</dt><dd>${count(settings.rate)} requests a second rehearsed, ${count(settings.capturedRate)} captured</dd></div>
</dl>
<h3 id="capture-families">Families of keys in the capture</h3>
${table(
  'Families of keys in the capture',
  [left('family'), left('type'), right('keys'), right('requests'), right('share'), right('Zipf exponent')],
  byRequests
    .slice(0, FAMILIES)
    .map(({ template, db, type, keys, requests, share, zipf }) => [
      html`${name(template)}${db > 0 && html` <span class="quiet">database ${db}</span>`}`,
      type,
      count(keys),
      count(requests),
      percent(share),
      zipf === null ? '–' : digits(zipf),
    ]),
)}
${byRequests.length > FAMILIES && html`<p>${count(byRequests.length - FAMILIES)} smaller families left out.</p>`}
<h3 id="capture-commands">Commands in the capture</h3>
${table(
  'Commands in the capture',
  [left('command'), right('count'), right('share')],
  byCount.slice(0, COMMANDS).map(([command, { count: times, share }]) => [name(command), count(times), percent(share)]),
)}
${byCount.length > COMMANDS && html`<p>${count(byCount.length - COMMANDS)} rarer commands left out.</p>`}`;
}

/** Signs and words of the scorecard. */
const MARKS = { ok: '✓ ok', missed: '✗ missed', unknown: '– unknown' };

function fidelity({ fidelity: rows = [] }: Rehearsal): Markup {
  const figure = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(3));
  return html`<h3 id="fidelity">How faithful the workload is</h3>
${rows.length === 0 && html`<p>No scorecard: the captured requests themselves were replayed, or the run is older than the card.</p>`}
${
  rows.length > 0 &&
  html`<p class="reading">The rehearsed workload was modelled in its turn and compared with the capture’s model; 0 is the same. “Halves” is the same distance between the capture’s own halves: no copy can be asked to be closer. “Independent draws” is what a benchmark with the same mix would reach.</p>
${table(
  'How faithful the workload is',
  [
    left('aspect'),
    left('metric'),
    right('distance'),
    right('target'),
    right('halves'),
    right('independent draws'),
    left('outcome'),
  ],
  rows.map((row) => [
    row.aspect,
    row.metric,
    figure(row.value),
    figure(row.target),
    figure(row.noise),
    figure(row.naive),
    html`<span class="outcome ${row.outcome === 'ok' ? 'pass' : row.outcome === 'missed' ? 'inconclusive' : 'not-judged'}">${MARKS[row.outcome]}</span>`,
  ]),
)}`
}`;
}

function outcome({ outcome: rows, rounds }: Rehearsal): Markup {
  const lookups = ARMS.map((arm) => {
    const slices = rounds.flatMap(({ arms }) => arms[arm].slices);
    const hits = slices.reduce((sum, slice) => sum + slice.hits, 0);
    const all = slices.reduce((sum, slice) => sum + slice.hits + slice.misses, 0);
    return all === 0 ? '–' : percent(hits / all);
  });
  const transactions = ARMS.map((arm) => {
    const all = rounds.flatMap(({ arms }) => arms[arm].slices.flatMap((slice) => slice.transactions ?? []));
    const aborted = all.reduce((sum, slice) => sum + slice.aborted, 0);
    const answered = all.reduce((sum, slice) => sum + slice.aborted + slice.committed, 0);
    return answered === 0 ? undefined : `${count(aborted)} of ${count(answered)}`;
  });
  const messages = ARMS.map((arm) => {
    const all = rounds.flatMap(({ arms }) => arms[arm].slices.flatMap((slice) => slice.messages ?? []));
    return all.length === 0 ? undefined : count(all.reduce((sum, { received }) => sum + received, 0));
  });
  const walks = ARMS.map((arm) => {
    const all = rounds.flatMap(({ arms }) => arms[arm].slices.flatMap((slice) => slice.walks ?? []));
    return all.length === 0 ? undefined : count(all.reduce((sum, { ended }) => sum + ended, 0));
  });
  const row = (name: string, figures: (string | undefined)[]) =>
    figures.some((figure) => figure) ? [[name, '', ...figures.map((figure) => figure ?? '–'), '']] : [];
  // What a server of another kind spends on a key is no figure of the workload: not every row is of both arms.
  const compared = Map.groupBy(
    ARMS.flatMap((arm) => rows?.[arm] ?? []),
    ({ metric }) => metric,
  );
  return html`<h3 id="replay">Capture against replay</h3>
<p class="reading">What the servers did in the rehearsal, beside what the captured server did. Figures further apart than the target (✗) mean that the servers were not asked the same.</p>
${table(
  'Capture against replay',
  [left('figure'), right('capture'), ...ARMS.map(right), right('target')],
  [
    ...[...compared].map(([metric, [first, ...others]]) => [
      first!.captured === undefined ? `${metric}: distance from the capture` : metric,
      first!.captured === undefined ? '' : short(first!.captured),
      ...ARMS.map((arm) => replayedCell(rows?.[arm].find((own) => own.metric === metric))),
      [...new Set([first!, ...others].map(({ target }) => short(target)))].join(' / '),
    ]),
    ...(compared.has('hit ratio') ? [] : row('hit ratio', lookups)),
    ...row('transactions stopped by a watched key (EXEC nil)', transactions),
    ...row('messages received by subscribers', messages),
    ...row('walks of SCAN, HSCAN, SSCAN and ZSCAN that came to their end', walks),
  ],
)}`;
}

/** Three decimals of a ratio, fewer of what is counted by the thousand. */
const short = (value: number) => value.toFixed(value < 10 ? 3 : 1);

/** What an arm did, and how far that is from the capture, if that is not the same. */
function replayedCell(row: NonNullable<Rehearsal['outcome']>['baseline'][number] | undefined): Cell {
  if (!row) return '–';
  const { value, target, replayed } = row;
  const figure = short(replayed ?? value);
  return html`${value > target ? html`<span class="outcome inconclusive">✗ ${figure}</span>` : figure}${replayed !== undefined && html` <span class="quiet">(${short(value)} apart)</span>`}`;
}

function scripts({ scripts }: Model): Markup | undefined {
  const called = scripts.filter(({ calls }) => calls > 0).sort((a, b) => b.calls - a.calls);
  if (called.length === 0) return undefined;
  return html`<h3 id="scripts">Scripts</h3>
${called.slice(0, SCRIPTS).map(
  ({ sha1, kind, calls, body }) => html`<details><summary>${kind} ${name(sha1)}, ${plural(calls, 'call')}</summary>
${body === null ? html`<p>The capture does not hold its source.</p>` : html`<pre tabindex="0">${Buffer.from(body, 'latin1').toString('utf8').slice(0, BODY)}${body.length > BODY && '\n…'}</pre>`}</details>`,
)}
${called.length > SCRIPTS && html`<p>${count(called.length - SCRIPTS)} scripts with fewer calls left out.</p>`}`;
}
