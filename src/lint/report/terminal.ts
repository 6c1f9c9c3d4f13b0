/** Findings → what a person reads in a terminal: by script, worst first, each with its line and a caret. */
import { styleText } from 'node:util';
import { printable } from '../../printable.ts';
import type { Finding, LintResult } from '../engine.ts';
import { nameServer } from '../profile.ts';
import { SEVERITIES, type Severity } from '../rule.ts';
import { decode, type ParseError } from '../sources/unit.ts';

const WIDTH = 100;
const STYLES = { error: 'red', warning: 'yellow', info: 'cyan', strong: 'bold', quiet: 'dim' } as const;
type Colour = (tone: keyof typeof STYLES, text: string) => string;
/** Places of one rule in one script that are listed by line only. */
const MAX_PLACES = 12;
const MAX_PROBLEMS = 10;

export function reportTerminal(result: LintResult, stream?: NodeJS.WriteStream): string {
  const colour: Colour = (tone, text) => (stream ? styleText(STYLES[tone], text, { stream }) : text);
  const groups = new Map<string, Finding[]>();
  for (const finding of result.findings) {
    const group = groups.get(finding.unit);
    if (group) group.push(finding);
    else groups.set(finding.unit, [finding]);
  }
  const explained = new Set<string>();
  const sections = [
    ...[...groups.values()].map((findings) => groupLines(findings, explained, colour)),
    problemLines(
      result.parseErrors,
      (scripts, them) => `${scripts} could not be read as Lua 5.1, and nothing is said of ${them}:`,
      colour,
    ),
    ...verificationLines(result, colour),
    result.notes.flatMap((note) => wrap(`note: ${printable(note)}`, '      ')),
    summaryLines(result, colour),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** A page in Markdown → the same with its paragraphs broken; examples stay as they are. */
export function reflow(page: string): string {
  let inExample = false;
  const lines = page.split('\n').flatMap((line) => {
    if (line.startsWith('```')) inExample = !inExample;
    return inExample ? [line] : wrap(line, '');
  });
  return lines.join('\n');
}

function groupLines(findings: Finding[], explained: Set<string>, colour: Colour): string[] {
  const [first] = findings as [Finding];
  const lines = [colour('strong', printable(first.unit)) + colour('quiet', circumstances(first))];
  const rules = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.code, finding.severity, finding.message]);
    rules.set(key, [...(rules.get(key) ?? []), finding]);
  }
  for (const same of rules.values()) {
    const [finding, ...others] = same as [Finding, ...Finding[]];
    const { severity, code, rule, message, fix } = finding;
    const elsewhere = others.slice(0, MAX_PLACES).map(placeIn);
    if (others.length > MAX_PLACES) elsewhere.push(`${others.length - MAX_PLACES} more`);
    lines.push(
      `  ${colour(severity, severity)} ${code} ${rule}`,
      ...wrap(printable(decode(message)), '    ').map((line, i) => (i === 0 ? `    ${line}` : line)),
      ...excerpt(finding, colour),
      ...(elsewhere.length > 0
        ? wrap(`also at ${elsewhere.join(', ')}`, '    ').map((line, i) => (i === 0 ? `    ${line}` : line))
        : []),
    );
    if (!explained.has(fix)) {
      explained.add(fix);
      lines.push(...wrap(`→ ${fix}`, '      ').map((line, i) => (i === 0 ? `    ${line}` : line)));
    }
  }
  return lines;
}

const placeIn = ({ script, line, column }: Finding) =>
  script ? `${script.line}:${script.column}` : `${line}:${column}`;

function circumstances({ script, calls, clients, copies }: Finding): string {
  const parts: string[] = [];
  if (script && calls !== undefined) {
    parts.push(`called ${times(calls)}${clients ? ` by ${clients} ${clients === 1 ? 'client' : 'clients'}` : ''}`);
  }
  if (copies) parts.push(`and ${copies.length} ${copies.length === 1 ? 'copy' : 'copies'} in other files`);
  return parts.length > 0 ? `  ${parts.join(', ')}` : '';
}

const times = (count: number) => (count === 1 ? 'once' : `${count.toLocaleString('en')} times`);

/** The line with a caret under the place; of a long line only what is around it. */
function excerpt(finding: Finding, colour: Colour): string[] {
  const { line, column } = finding.script ?? finding;
  const show = (bytes: string) => printable(decode(bytes).replaceAll('\t', ' '));
  const before = show(finding.source.slice(0, column - 1));
  const at = show(finding.source.slice(column - 1, column - 1 + finding.length));
  const after = show(finding.source.slice(column - 1 + finding.length, column - 1 + finding.length + WIDTH));
  const room = WIDTH - 12 - String(line).length;
  const indent = before.length - before.trimStart().length;
  const cut = before.length + at.length > room ? Math.max(0, before.length - 20) : indent;
  const lead = cut > indent ? '…' : '';
  const shown = `${lead}${before.slice(cut)}${at}${after}`.slice(0, room);
  const start = before.length - cut + lead.length;
  const caret = '^'.repeat(Math.max(1, Math.min(at.length, room - start)));
  const gutter = String(line);
  const calls =
    finding.script === undefined && finding.calls !== undefined ? colour('quiet', `  (${times(finding.calls)})`) : '';
  return [
    `    ${colour('quiet', `${gutter} │`)} ${shown}${calls}`,
    `    ${colour('quiet', `${' '.repeat(gutter.length)} │`)} ${' '.repeat(start)}${colour(finding.severity, caret)}`,
  ];
}

/** Where and why, under a title that counts. */
function problemLines(
  errors: ParseError[],
  title: (scripts: string, them: string) => string,
  colour: Colour,
): string[] {
  if (errors.length === 0) return [];
  const shown = errors.slice(0, MAX_PROBLEMS);
  return [
    errors.length === 1 ? title('1 script', 'it') : title(`${errors.length} scripts`, 'them'),
    ...shown.map(({ file, line, column, message }) =>
      colour('quiet', `  ${printable(`${file}:${line}:${column}`)}  ${printable(decode(message))}`.slice(0, 2 * WIDTH)),
    ),
    ...(errors.length > shown.length
      ? [colour('quiet', `  and ${errors.length - shown.length} more; --json has all`)]
      : []),
  ];
}

function verificationLines({ verification }: LintResult, colour: Colour): string[][] {
  if (!verification) return [];
  const { server, scripts, compiled, refused, unread } = verification;
  return [
    problemLines(refused, (some) => `${server} does not compile ${some}:`, colour),
    problemLines(
      unread,
      (some, them) => `${server} compiles ${some} that could not be read here (please report ${them}):`,
      colour,
    ),
    [
      `${server} was asked about ${scripts === 1 ? '1 complete script' : `${scripts} complete scripts`} (SCRIPT LOAD) and compiles ${compiled === scripts ? 'all' : compiled}.`,
    ],
  ];
}

function summaryLines({ findings, scripts, suppressed, known, profile }: LintResult, colour: Colour): string[] {
  const counts = SEVERITIES.map((severity) => ({
    severity,
    count: findings.filter((finding) => finding.severity === severity).length,
  })).filter(({ count }) => count > 0);
  const plural = (count: number, severity: Severity) =>
    `${count} ${severity}${count === 1 || severity === 'info' ? '' : 's'}`;
  const found =
    counts.length === 0
      ? 'nothing found'
      : counts.map(({ severity, count }) => colour(severity, plural(count, severity))).join(', ');
  const aside = [
    ...(suppressed.length > 0 ? [`${suppressed.length} suppressed`] : []),
    ...(known > 0 ? [`${known} known`] : []),
  ];
  const rules = [...new Set(findings.map(({ code }) => code))].sort();
  return [
    `${nameServer(profile.from)} → ${nameServer(profile.to)}${profile.rollback ? ' and back' : ''}${profile.cluster ? ', cluster' : ''}: ` +
      `${scripts} ${scripts === 1 ? 'script' : 'scripts'}, ${found}${aside.length > 0 ? ` (${aside.join(', ')})` : ''}`,
    ...(rules.length > 0
      ? wrap(`Why: cutover lint --explain ${rules.length === 1 ? rules[0] : `RULE  (${rules.join(', ')})`}`, '  ')
      : []),
  ];
}

/** Breaks between words; later lines are indented by `indent`. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH - indent.length) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
