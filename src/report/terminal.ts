/** Turns a judgement into what a person reads in a terminal of 80 columns, the verdict last. */
import { ALL_FAMILIES } from '../compare/budget.ts';
import type { JudgedRule, Judgement, Verdict } from '../compare/judgement.ts';
import { courseFigures } from '../compare/metrics/memory.ts';
import { allowedOf, changeOf, figureOf, intervalOf, remarksOn, scope } from '../compare/sentence.ts';
import { asSentence, bytes, count, digits, duration, percent, plural, shorten } from '../compare/wording.ts';
import type { Caveat } from '../errors.ts';
import { ARMS, type LintSummary } from '../measure/rehearsal.ts';
import { printable } from '../printable.ts';
import { gatherDistributions } from './html/distributions.ts';
import type { ReportSource } from './source.ts';
import { type Colour, colourFor, plainColour, type Tone, toneOf } from './text/colour.ts';
import { alignTable, wrap } from './text/layout.ts';
import { histogramPictures } from './text/picture.ts';

const WIDTH = 80;

const TONES: Record<Verdict, Tone> = { pass: 'good', fail: 'bad', inconclusive: 'unsure', invalid: 'bad' };

export const reportTerminal = (source: ReportSource, stream?: NodeJS.WriteStream) =>
  terminalText(source, stream ? colourFor(stream) : plainColour);

/** The report in the colours that `colour` gives; sections are separated by empty lines. */
export function terminalText(source: ReportSource, colour: Colour): string {
  const { judgement } = source;
  const arms = ARMS.map((arm) => {
    const { product, version, spec, allocator, primaries } = judgement.arms[arm];
    const cluster = primaries === undefined ? '' : `, cluster of ${primaries}`;
    return shorten(printable(`${arm.padEnd(10)} ${product} ${version}${cluster}, ${spec}, ${allocator}`), WIDTH);
  });
  const sections = [
    arms,
    ruleLines(judgement, colour),
    latencyLines(judgement, colour),
    distributionLines(source, colour),
    memoryLines(judgement, colour),
    courseLines(source, colour),
    caveatLines(judgement.caveats, colour),
    findingLines(judgement.findings),
    wrap(judgement.sentence, WIDTH).map((line) => colour('strong', colour(TONES[judgement.verdict], line))),
    [`folder  ${printable(judgement.rehearsal)}`, `repeat  ${printable(judgement.command)}`],
  ];
  const text = sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
  return `${text.replace(RUNNER_COMMAND, '$1\\x3a')}\n`;
}

/** In a job's log GitHub's runner obeys lines that begin with `::`; words from outside may come to stand there. */
const RUNNER_COMMAND = /^( *):(?=:)/gm;

function ruleLines(judgement: Judgement, colour: Colour): string[] {
  const { verdict, rules, caveats, rounds, level } = judgement;
  if (rules.length === 0) return [];
  // A family's name stands above its rules, because it can be of any length.
  const rows = [...new Set(rules.map(({ family }) => family))].flatMap((family) => {
    const own = rules.filter((rule) => rule.family === family);
    const level = own[0]!.level === 'warn' ? ' (warns only)' : '';
    return [
      ...(family === ALL_FAMILIES ? [] : [{ heading: printable(`${scope({ family })}${level}`) }]),
      ...own.map((rule) => ({ rule })),
    ];
  });
  const columns = [
    { title: plural(rounds.judged, 'round'), align: 'left' },
    { title: 'baseline', align: 'right' },
    { title: 'candidate', align: 'right' },
    { title: `change [${percent(1 - 2 * level)}]`, align: 'left' },
    { title: 'allowed', align: 'right' },
    { title: 'outcome', align: 'left' },
  ] as const;
  const changeWidth = Math.max(...rules.map((rule) => changeOf(rule).length));
  const cells = rows.map((row) =>
    'rule' in row
      ? [
          `${row.rule.family === ALL_FAMILIES ? '' : '  '}${row.rule.label}`,
          figureOf(row.rule, row.rule.baseline),
          figureOf(row.rule, row.rule.candidate),
          `${changeOf(row.rule).padStart(changeWidth)} ${intervalOf(row.rule).replaceAll(' %', '')}`.trimEnd(),
          allowedOf(row.rule),
          // Of an invalid run the figures are shown, but nothing follows from them.
          verdict === 'invalid' ? `(${outcomeOf(row.rule)})` : outcomeOf(row.rule),
        ]
      : columns.map(() => ''),
  );
  const table = alignTable(
    [...columns],
    cells,
    (text, row, column) => {
      const entry = rows[row]!;
      return column === columns.length - 1 && 'rule' in entry
        ? colour(verdict === 'invalid' ? 'quiet' : toneOf(entry.rule), text)
        : text;
    },
    WIDTH,
  );
  const lines = table.map((line, i) => {
    const entry = rows[i - 1];
    return entry && 'heading' in entry ? shorten(entry.heading!, WIDTH) : line;
  });
  const remarks = rules.flatMap((rule) =>
    remarksOn(rule)
      .filter((remark) => !caveats.some(({ message }) => remark.includes(message)))
      .map((remark) => ({ rule, remark })),
  );
  return [
    ...lines,
    ...remarks.flatMap(({ rule, remark }) =>
      wrap(printable(`${rule.family === ALL_FAMILIES ? '' : `${scope(rule)} `}${rule.label}: ${remark}`), WIDTH, '  '),
    ),
    ...wrap(methodOf(judgement), WIDTH).map((line) => colour('quiet', line)),
  ];
}

/** What the rounds could show, and when it was looked. */
function methodOf({ rules, looks, level }: Judgement): string {
  const found = rules.flatMap(({ label, family, resolvable, unit }) =>
    resolvable === undefined || family !== ALL_FAMILIES || unit !== 'us' ? [] : [`${label} by ${percent(resolvable)}`],
  );
  return [
    ...(found.length > 0 ? [`nine times in ten, these rounds find a change of ${found.join(' or ')}`] : []),
    ...(looks
      ? [`planned looks after ${looks.rounds.join(', ')} rounds, this one at a level of ${percent(level)}`]
      : []),
  ].join('; ');
}

const OUTCOMES = { pass: 'pass', fail: 'FAIL', inconclusive: 'inconclusive', 'not-judged': 'not judged' } as const;
/** The figure fell, or rose though by no more than is allowed, and not by chance. */
const BADGES = { improved: ' ↓', regressed: ' ↑' } as const;
const outcomeOf = ({ outcome, badge }: JudgedRule) => `${OUTCOMES[outcome]}${badge ? BADGES[badge] : ''}`;

function latencyLines({ latency }: Judgement, colour: Colour): string[] {
  if (latency.baseline.response.samples === 0) return [];
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const rows = (['response', 'service', 'lag'] as const).flatMap((part) =>
    ARMS.map((arm) => {
      const { p50, p90, p99, p999, max, samples } = latency[arm][part];
      return [part, arm, ...[p50, p90, p99, p999, max].map(duration), count(samples)];
    }),
  );
  return [
    ...alignTable(
      [
        { title: 'latency', align: 'left' },
        { title: '', align: 'left' },
        ...['P50', 'P90', 'P99', 'P99.9', 'max', 'samples'].map(right),
      ],
      rows,
      (text, row) => (row < 2 ? text : colour('quiet', text)),
    ),
    colour('quiet', 'response = lag (ours) + service (the server), from the intended send; pooled'),
  ];
}

const ARM_WIDTH = Math.max(...ARMS.map((arm) => arm.length)) + 2;

function distributionLines(source: ReportSource, colour: Colour): string[] {
  const { total } = gatherDistributions(source);
  const pictures = histogramPictures(
    ARMS.map((arm) => total[arm].response),
    WIDTH - ARM_WIDTH,
  );
  if (!pictures) return [];
  return [
    ...ARMS.map((arm, i) => `${arm.padEnd(ARM_WIDTH)}${pictures.lines[i]}`),
    `${' '.repeat(ARM_WIDTH)}${pictures.axis}`,
    colour('quiet', 'requests by response time (logarithmic); heights by cube root, to show tails'),
  ];
}

function memoryLines({ memory: { baseline, candidate } }: Judgement, colour: Colour): string[] {
  if (!baseline || !candidate) return [];
  const both = [baseline, candidate];
  const rows = [
    ['RSS', ...both.map(({ rssBytes }) => bytes(rssBytes))],
    [
      'RSS growth per preloaded byte',
      ...both.map(({ rssPerLogicalByte: growth }) => (growth === undefined ? '-' : digits(growth))),
    ],
    [
      'active/allocated, fragmentation',
      ...both.map(({ activeBytes, allocatedBytes }) => ratio(activeBytes, allocatedBytes)),
    ],
    [
      'resident/active, kept by the allocator',
      ...both.map(({ residentBytes, activeBytes }) => ratio(residentBytes, activeBytes)),
    ],
    ['mem_fragmentation_ratio', ...both.map(({ memFragmentationRatio }) => digits(memFragmentationRatio))],
    ['allocator_frag_ratio', ...both.map(({ allocatorFragRatio }) => digits(allocatorFragRatio))],
  ];
  const why =
    'Only RSS per preloaded byte is judged. mem_fragmentation_ratio is RSS/used_memory: the server with less overhead looks worse. allocator_frag_ratio means different things in different versions.';
  return [
    ...alignTable(
      [
        { title: `memory at ${baseline.phase}`, align: 'left' },
        { title: 'baseline', align: 'right' },
        { title: 'candidate', align: 'right' },
      ],
      rows,
    ),
    ...wrap(why, WIDTH).map((line) => colour('quiet', line)),
  ];
}

/** What the full memory protocol found: the budget may judge little of it. */
function courseLines({ rehearsal }: ReportSource, colour: Colour): string[] {
  const rows = courseFigures(rehearsal.rounds);
  if (rows.length === 0) return [];
  return [
    ...alignTable(
      [
        { title: 'memory protocol, by phase', align: 'left' },
        { title: 'baseline', align: 'right' },
        { title: 'candidate', align: 'right' },
      ],
      rows.map(({ phase, ...perByte }) => [phase, ...ARMS.map((arm) => digits(perByte[arm]))]),
    ),
    ...wrap(
      'RSS growth per byte of data, on servers of its own, means over rounds. Judged is what the budget names of fill, churn, refill and peak_during_save; docs/memory.md tells the phases.',
      WIDTH,
    ).map((line) => colour('quiet', line)),
  ];
}

const ratio = (a: number, b: number) => (b > 0 ? digits(a / b) : '-');

/** What has one id and one advice is one caveat with several messages. */
function caveatLines(caveats: Caveat[], colour: Colour): string[] {
  const groups = Map.groupBy(caveats, ({ id, advice }) => JSON.stringify([id, advice]));
  return [...groups.values()].flatMap((group) => {
    const { id, advice } = group[0]!;
    const [first, ...more] = group.map(({ message }) => printable(asSentence(message)));
    const [title, ...rest] = wrap(`! ${printable(id)}: ${first}`, WIDTH, '  ');
    const paragraphs = [...more, printable(advice)].flatMap((text) => wrap(text, WIDTH - 2));
    return [colour('unsure', title!), ...rest, ...paragraphs.map((line) => `  ${line}`)];
  });
}

const SHOWN_FINDINGS = 5;

/** What to look at in scripts and commands, the riskiest first; remarks are only counted. */
function findingLines(findings: LintSummary[]): string[] {
  const grave = findings.filter(({ severity }) => severity !== 'info');
  const remarks = findings.length - grave.length;
  const hidden = Math.max(0, grave.length - SHOWN_FINDINGS);
  const rest = [...(hidden > 0 ? [`${hidden} more`] : []), ...(remarks > 0 ? [plural(remarks, 'remark')] : [])].join(
    ' and ',
  );
  if (findings.length === 0) return [];
  return [
    grave.length > 0
      ? 'what scripts and commands of the capture do differently:'
      : 'no script or command of the capture is known to fail or answer differently',
    ...grave
      .slice(0, SHOWN_FINDINGS)
      .flatMap(({ severity, code, message, calls }) =>
        wrap(printable(`${severity} ${code}, called ${plural(calls, 'time')}: ${message}`), WIDTH, '  '),
      ),
    ...(rest === '' ? [] : [`(${rest}: cutover lint CAPTURE)`]),
  ];
}
