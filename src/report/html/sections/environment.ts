/** Where and how it was measured: servers, machine, settings, generator, configuration, and the command that repeats it. */
import type { Judgement } from '../../../compare/judgement.ts';
import { asSentence, bytes, count, digits, duration, percent } from '../../../compare/wording.ts';
import { ARMS, type Arm, type Rehearsal } from '../../../measure/rehearsal.ts';
import { html, type Markup, name } from '../markup.ts';
import { left, right, table } from '../table.ts';

export function environmentSection(rehearsal: Rehearsal, { rehearsal: folder }: Judgement): Markup {
  const { arms, machine, settings, calibration, configDifferences, command, seed, client, cutover, node } = rehearsal;
  const facts: [string, string][] = [
    ['started', rehearsal.startedAt],
    ['finished', rehearsal.finishedAt ?? 'never: it was stopped'],
    ['machine', `${machine.cpu}, ${count(machine.cores)} cores, ${bytes(machine.memoryBytes)}, ${machine.platform}`],
    [
      'tool',
      `cutover ${cutover}, node ${node}, client ${client}, ${count(settings.workers)} load threads, ${count(settings.connections)} connections`,
    ],
    [
      'plan',
      `${count(settings.rounds)} rounds of ${count(settings.slicePairs)} slice pairs, ${digits(settings.sliceSeconds)} s each after ${digits(settings.warmupSeconds)} s of warm-up, ${count(settings.rate)} requests a second`,
    ],
    ['seed', seed],
    ['budget', `SHA-256 ${rehearsal.budgetSha256}`],
    ['folder', folder],
  ];
  return html`<section id="environment"><h2>Environment</h2>
<dl class="facts">${facts.map(([term, text]) => html`<div><dt>${term}</dt><dd>${text}</dd></div>`)}</dl>
${table(
  'Servers',
  [left('arm'), left('product'), left('version'), left('server'), left('allocator'), left('artefact')],
  ARMS.map((arm) => [
    arm,
    arms[arm].product,
    arms[arm].version,
    arms[arm].spec,
    arms[arm].allocator,
    arms[arm].artefact ?? '–',
  ]),
)}
<h3 id="generator">The generator’s health</h3>
<p class="reading">Whether the load that was planned is the load that was sent. Below 99 % of the planned rate a round is not judged.</p>
${table(
  'The generator’s health',
  [
    left('arm'),
    ...['planned rate', 'sent', 'worst lag P99', 'longest lag', 'longest pause of its own', 'cores used'].map(right),
  ],
  ARMS.map((arm) => healthOf(rehearsal, arm)),
)}
${
  calibration &&
  html`<h3 id="calibration">Calibration</h3>
<p class="reading">Before the rehearsal, ${count(calibration.rounds)} rounds of the baseline against itself, to see what this host can resolve.</p>
<ul>${[...calibration.biased, ...calibration.unresolvable].map((clause) => html`<li>${asSentence(clause)}</li>`)}</ul>
${calibration.biased.length + calibration.unresolvable.length === 0 && html`<p>No bias, and every change that the budget asks for can be resolved.</p>`}`
}
<h3 id="configuration">Configuration differences</h3>
${configDifferences.length === 0 && html`<p>None: every setting that both servers have is the same.</p>`}
${
  configDifferences.length > 0 &&
  table(
    'Configuration differences',
    [left('setting'), left('baseline'), left('candidate')],
    configDifferences.map(({ name: setting, baseline, candidate }) => [
      name(setting),
      setTo(baseline),
      setTo(candidate),
    ]),
  )
}
<h3 id="repeat">Repeat it</h3>
<pre tabindex="0">${command}</pre>
</section>`;
}

const setTo = (value: string | undefined) => (value === undefined ? '–' : name(value === '' ? '""' : value));

function healthOf({ rounds }: Rehearsal, arm: Arm): string[] {
  const health = rounds.flatMap(({ arms }) => arms[arm].slices.map(({ generator }) => generator));
  if (health.length === 0) return [arm, '–', '–', '–', '–', '–', '–'];
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const planned = sum(health.map(({ plannedRate }) => plannedRate));
  return [
    arm,
    count(planned / health.length),
    percent(sum(health.map(({ achievedRate }) => achievedRate)) / planned),
    duration(Math.max(...health.map(({ lagUs }) => lagUs.p99))),
    duration(Math.max(...health.map(({ lagUs }) => lagUs.max))),
    duration(Math.max(...health.map(({ gcPauses }) => gcPauses.maxMs * 1000))),
    digits(sum(health.map(({ cpuCores }) => cpuCores)) / health.length),
  ];
}
