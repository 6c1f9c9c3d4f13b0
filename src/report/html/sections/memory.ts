/** Memory by phase: resident bytes per byte of the dataset, what they are made of, and what is shown but not judged. */
import { meanOf } from '../../../compare/statistics.ts';
import { assessValidity } from '../../../compare/validity.ts';
import { bytes, digits } from '../../../compare/wording.ts';
import {
  ARMS,
  type Arm,
  type ArmRound,
  type MemorySample,
  type Rehearsal,
  type Round,
} from '../../../measure/rehearsal.ts';
import { barsSvg } from '../bars-svg.ts';
import { html, type Markup } from '../markup.ts';
import { left, right, table } from '../table.ts';

/** Memory samples of one arm in one round by phase, in the order in which they were taken; `start`: the empty server. */
type Phases = Partial<Record<string, MemorySample>>;

export function memorySection(rehearsal: Rehearsal): Markup {
  const { rounds } = assessValidity(rehearsal);
  const groups = [
    group('rehearsal', 'In the rehearsal', rounds, ({ memory }) => memory),
    group('course', 'In the memory protocol, on servers of its own', rounds, (arm) => arm.memoryProtocol?.phases ?? {}),
  ].filter((markup) => markup !== undefined);
  return html`<section id="memory"><h2>Memory</h2>
${groups.length === 0 && html`<p>Memory was not sampled.</p>`}
${
  groups.length > 0 &&
  html`<p class="reading">Resident bytes per byte of the dataset: how much the server’s resident memory grew from when it was empty, for each byte of keys and values that the plan loaded, the same on both arms. This is what the budget judges, because it is what must be paid for.</p>
<p class="reading">Below, what the resident memory is made of. Allocated is what the server asked for: data and its own structures. The rest is not data: free room inside the pages that data touch (the real fragmentation), pages that the allocator keeps, and what lies outside of it (code, stacks, buffers of the system).</p>
${groups}
<p class="reading" id="fragmentation">The fragmentation ratios are shown and never judged. <code>mem_fragmentation_ratio</code> is RSS divided by <code>used_memory</code>: a server that stores the same data in fewer bytes has a smaller divisor and is called more fragmented for it. <code>allocator_frag_ratio</code> is active over allocated, and versions count different arenas into it. Between two products or versions neither says who needs more memory; RSS per byte of the dataset does.</p>`
}
</section>`;
}

/** Undefined where no phase was sampled in all rounds on both arms. */
function group(id: string, title: string, rounds: Round[], phasesOf: (arm: ArmRound) => Phases): Markup | undefined {
  const samplesOf = (arm: Arm, phase: string) => rounds.map(({ arms }) => phasesOf(arms[arm])[phase]);
  const phases = Object.keys(rounds[0] ? phasesOf(rounds[0].arms.baseline) : {}).filter((phase) =>
    ARMS.every((arm) => samplesOf(arm, phase).every((sample) => sample)),
  );
  if (phases.length === 0) return undefined;
  const rows = phases.flatMap((phase) =>
    ARMS.map((arm) => ({
      label: `${phase}, ${arm}`,
      ...{ phase, arm },
      figures: meanFigures(samplesOf(arm, phase) as MemorySample[], samplesOf(arm, 'start')),
    })),
  );
  const grown = rows.flatMap(({ label, arm, figures }) =>
    figures.perByte === undefined ? [] : [{ label, arm, perByte: figures.perByte }],
  );
  return html`<h3 id="memory-${id}">${title}</h3>
${
  grown.length > 0 &&
  html`<figure id="memory-${id}-per-byte"><figcaption>Resident bytes per byte of the dataset</figcaption>
${barsSvg(
  'Resident bytes per byte of the dataset',
  grown.map(({ label, arm, perByte }) => ({
    label,
    segments: [{ kind: arm, value: Math.max(0, perByte) }],
    text: digits(perByte),
  })),
)}</figure>`
}
<figure id="memory-${id}-parts"><figcaption>What the resident memory is made of</figcaption>
<p class="legend">${PIECES.map(
    ({ kind, label }) =>
      html`<span><svg class="key" viewBox="0 0 28 8" aria-hidden="true"><rect class="piece ${kind}" width="28" height="8"/></svg>${label}</span>`,
  )}</p>
${barsSvg(
  'What the resident memory is made of',
  rows.map(({ label, figures }) => ({
    label,
    segments: PIECES.map(({ kind, of }) => ({ kind, value: Math.max(0, of(figures)) })),
    text: bytes(figures.rssBytes),
  })),
)}</figure>
${table(
  `Memory figures, means over rounds: ${title}`,
  [left('phase'), left('arm'), ...COLUMNS.map(right)],
  rows.map(({ phase, arm, figures }) => [
    phase,
    arm,
    bytes(figures.rssBytes),
    figures.perByte === undefined ? '–' : digits(figures.perByte),
    ...[
      figures.logicalBytes,
      figures.usedBytes,
      figures.allocatedBytes,
      figures.activeBytes,
      figures.residentBytes,
    ].map(bytes),
    digits(figures.memFragmentationRatio),
    digits(figures.allocatorFragRatio),
  ]),
)}`;
}

const COLUMNS = [
  ...['RSS', 'RSS per byte', 'dataset', 'used memory', 'allocated', 'active', 'resident'],
  ...['mem fragmentation ratio', 'allocator frag ratio'],
];

/** From the bottom of a bar to its top. */
const PIECES: { kind: string; label: string; of: (sample: MeanFigures) => number }[] = [
  { kind: 'allocated', label: 'allocated', of: ({ allocatedBytes }) => allocatedBytes },
  { kind: 'fragmented', label: 'free inside active pages', of: (s) => s.activeBytes - s.allocatedBytes },
  { kind: 'kept', label: 'kept by the allocator', of: (s) => s.residentBytes - s.activeBytes },
  { kind: 'outside', label: 'outside the allocator', of: (s) => s.rssBytes - Math.max(s.residentBytes, s.activeBytes) },
];

const FIGURES = [
  ...(['rssBytes', 'usedBytes', 'allocatedBytes', 'activeBytes', 'residentBytes'] as const),
  ...(['memFragmentationRatio', 'allocatorFragRatio', 'logicalBytes'] as const),
];

/** `perByte`: growth of RSS since the empty server; undefined of that server itself. */
type MeanFigures = Pick<MemorySample, (typeof FIGURES)[number]> & { perByte: number | undefined };

function meanFigures(samples: MemorySample[], starts: (MemorySample | undefined)[]): MeanFigures {
  const grew = samples.every((sample, k) => starts[k] && starts[k] !== sample && sample.logicalBytes > 0);
  const perByte = grew
    ? meanOf(samples.map(({ rssBytes, logicalBytes }, k) => (rssBytes - starts[k]!.rssBytes) / logicalBytes))
    : undefined;
  const means = FIGURES.map((figure) => [figure, meanOf(samples.map((sample) => sample[figure]))]);
  return { ...(Object.fromEntries(means) as Pick<MemorySample, (typeof FIGURES)[number]>), perByte };
}
