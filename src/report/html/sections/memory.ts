/** Memory by phase: resident bytes per byte of the dataset, what they are made of, and what is shown but not judged. */
import { meanOf } from '../../../compare/statistics.ts';
import { assessValidity } from '../../../compare/validity.ts';
import { bytes, digits } from '../../../compare/wording.ts';
import {
  ARMS,
  type Arm,
  type MemoryPhase,
  type MemorySample,
  type Rehearsal,
  type Round,
} from '../../../measure/rehearsal.ts';
import { barsSvg } from '../bars-svg.ts';
import { html, type Markup } from '../markup.ts';
import { left, right, table } from '../table.ts';

type Figures = MemorySample & { rssPerLogicalByte: number | undefined };

export function memorySection(rehearsal: Rehearsal): Markup {
  const { rounds } = assessValidity(rehearsal);
  const phases = phasesOf(rounds);
  const rows = phases.flatMap((phase) => ARMS.map((arm) => ({ phase, arm, figures: meanFigures(rounds, arm, phase) })));
  if (rows.length === 0) return html`<section id="memory"><h2>Memory</h2><p>Memory was not sampled.</p></section>`;
  const grown = rows.filter(({ figures }) => figures.rssPerLogicalByte !== undefined);
  return html`<section id="memory"><h2>Memory</h2>
${
  grown.length > 0 &&
  html`<figure id="memory-per-byte"><figcaption><h3>Resident bytes per byte of the dataset</h3>
<p class="reading">How much the server’s resident memory grew from when it was empty, for each byte of keys and values that the plan loaded; the same bytes on both arms. This is what the budget judges: it is what must be paid for.</p></figcaption>
${barsSvg(
  'Resident bytes per byte of the dataset',
  grown.map(({ phase, arm, figures }) => ({
    label: `${phase}, ${arm}`,
    segments: [{ kind: arm, value: figures.rssPerLogicalByte! }],
    text: digits(figures.rssPerLogicalByte!),
  })),
)}</figure>`
}
<figure id="memory-decomposition"><figcaption><h3>What the resident memory is made of</h3>
<p class="reading">Allocated is what the server asked for: data and its own structures. The rest is not data: free room inside the pages that data touch (the real fragmentation), pages that the allocator keeps, and what lies outside of it (code, stacks, buffers of the system).</p></figcaption>
<p class="legend">${PIECES.map(({ kind, label }) => html`<span><svg class="key" viewBox="0 0 28 8" aria-hidden="true"><rect class="piece ${kind}" width="28" height="8"/></svg>${label}</span>`)}</p>
${barsSvg(
  'What the resident memory is made of',
  rows.map(({ phase, arm, figures }) => ({
    label: `${phase}, ${arm}`,
    segments: PIECES.map(({ kind, of }) => ({ kind, value: Math.max(0, of(figures)) })),
    text: bytes(figures.rssBytes),
  })),
)}</figure>
${table(
  'Memory figures, means over rounds',
  [
    left('phase'),
    left('arm'),
    ...[
      'RSS',
      'per byte',
      'dataset',
      'used_memory',
      'allocated',
      'active',
      'resident',
      'mem_fragmentation_ratio',
      'allocator_frag_ratio',
    ].map(right),
  ],
  rows.map(({ phase, arm, figures }) => [
    phase,
    arm,
    bytes(figures.rssBytes),
    figures.rssPerLogicalByte === undefined ? '–' : digits(figures.rssPerLogicalByte),
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
)}
<p class="reading" id="fragmentation">The fragmentation ratios are shown and never judged. <code>mem_fragmentation_ratio</code> is RSS divided by <code>used_memory</code>: a server that stores the same data in fewer bytes has a smaller divisor and is called more fragmented for it. <code>allocator_frag_ratio</code> is active over allocated, and versions count different arenas into it. Between two products or versions neither says who needs more memory; RSS per byte of the dataset does.</p>
</section>`;
}

/** From the bottom of a bar to its top. */
const PIECES: { kind: string; label: string; of: (sample: MemorySample) => number }[] = [
  { kind: 'allocated', label: 'allocated', of: ({ allocatedBytes }) => allocatedBytes },
  { kind: 'fragmented', label: 'free inside active pages', of: (s) => s.activeBytes - s.allocatedBytes },
  { kind: 'kept', label: 'kept by the allocator', of: (s) => s.residentBytes - s.activeBytes },
  { kind: 'outside', label: 'outside the allocator', of: (s) => s.rssBytes - Math.max(s.residentBytes, s.activeBytes) },
];

/** In the order in which they were sampled, those that every judged round has. */
function phasesOf(rounds: Round[]): MemoryPhase[] {
  const [first] = rounds;
  if (!first) return [];
  return (Object.keys(first.arms.baseline.memory) as MemoryPhase[]).filter((phase) =>
    rounds.every((round) => ARMS.every((arm) => round.arms[arm].memory[phase])),
  );
}

function meanFigures(rounds: Round[], arm: Arm, phase: MemoryPhase): Figures {
  const mean = (of: (sample: MemorySample, round: Round) => number) =>
    meanOf(rounds.map((round) => of(round.arms[arm].memory[phase]!, round)));
  const grew =
    phase !== 'start' &&
    rounds.every(({ arms }) => arms[arm].memory.start && arms[arm].memory[phase]!.logicalBytes > 0);
  return {
    rssBytes: mean(({ rssBytes }) => rssBytes),
    usedBytes: mean(({ usedBytes }) => usedBytes),
    allocatedBytes: mean(({ allocatedBytes }) => allocatedBytes),
    activeBytes: mean(({ activeBytes }) => activeBytes),
    residentBytes: mean(({ residentBytes }) => residentBytes),
    memFragmentationRatio: mean(({ memFragmentationRatio }) => memFragmentationRatio),
    allocatorFragRatio: mean(({ allocatorFragRatio }) => allocatorFragRatio),
    logicalBytes: mean(({ logicalBytes }) => logicalBytes),
    rssPerLogicalByte: grew
      ? mean(({ rssBytes, logicalBytes }, { arms }) => (rssBytes - arms[arm].memory.start!.rssBytes) / logicalBytes)
      : undefined,
  };
}
