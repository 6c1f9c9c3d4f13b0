/** Turns a judgement into Markdown for a pull request comment or a job summary. */
import { ALL_FAMILIES } from '../compare/budget.ts';
import type { JudgedRule } from '../compare/judgement.ts';
import { allowedOf, changeOf, figureOf, intervalOf, remarksOn, scope } from '../compare/sentence.ts';
import { asSentence, count, duration, percent, plural } from '../compare/wording.ts';
import { ARMS } from '../measure/rehearsal.ts';
import { printable } from '../printable.ts';
import type { ReportSource } from './source.ts';

export function reportMarkdown({ judgement }: ReportSource): string {
  const { rules, caveats, rounds, level, latency } = judgement;
  const [baseline, candidate] = ARMS.map((arm) => {
    const { product, version, spec } = judgement.arms[arm];
    return escapeMarkup(`${product} ${version} (${spec})`);
  });
  const remarks = rules.flatMap((rule) =>
    remarksOn(rule).map((remark) => `- ${escapeMarkup(`${nameOf(rule)}: ${remark}`)}`),
  );
  const spectrum = ARMS.map((arm) => {
    const { p50, p90, p99, p999, max, samples } = latency[arm].response;
    return tableRow([arm, ...[p50, p90, p99, p999, max].map(duration), count(samples)]);
  });
  const blocks = [
    `## cutover: ${judgement.verdict}`,
    `**${escapeMarkup(judgement.sentence)}**`,
    `Baseline ${baseline}, candidate ${candidate}, ${plural(rounds.judged, 'round')}, seed ${escapeMarkup(judgement.seed)}.`,
    rules.length > 0 &&
      [
        tableRow([
          'rule',
          'baseline',
          'candidate',
          'change',
          `${percent(1 - 2 * level)} interval`,
          'allowed',
          'outcome',
        ]),
        '|---|--:|--:|--:|---|--:|---|',
        ...rules.map((rule) =>
          tableRow([
            nameOf(rule),
            figureOf(rule, rule.baseline),
            figureOf(rule, rule.candidate),
            changeOf(rule),
            intervalOf(rule),
            allowedOf(rule),
            [rule.outcome, rule.badge, rule.level === 'warn' && 'warns only'].filter(Boolean).join(', '),
          ]),
        ),
      ].join('\n'),
    remarks.join('\n'),
    latency.baseline.response.samples > 0 &&
      [
        tableRow(['response', 'P50', 'P90', 'P99', 'P99.9', 'max', 'samples']),
        '|---|--:|--:|--:|--:|--:|--:|',
        ...spectrum,
      ].join('\n'),
    caveats.length > 0 &&
      [
        '### Caveats',
        '',
        ...caveats.map(
          ({ id, message, advice }) =>
            `- **${escapeMarkup(id)}**: ${escapeMarkup(asSentence(message))} ${escapeMarkup(advice)}`,
        ),
      ].join('\n'),
    judgement.findings.length > 0 &&
      [
        '### What scripts and commands of the capture do differently',
        '',
        tableRow(['severity', 'rule', 'calls', 'what']),
        '|---|---|--:|---|',
        ...judgement.findings.map(({ severity, code, rule, calls, message }) =>
          tableRow([severity, `${code} ${rule}`, count(calls), message]),
        ),
      ].join('\n'),
    `Folder ${escapeMarkup(judgement.rehearsal)}. Repeat with:`,
    codeBlock(judgement.command),
  ];
  return `${blocks.filter((block) => block !== false && block !== '').join('\n\n')}\n`;
}

const nameOf = (rule: JudgedRule) => (rule.family === ALL_FAMILIES ? rule.label : `${rule.label}, ${scope(rule)}`);

const tableRow = (cells: string[]) => `| ${cells.map(escapeMarkup).join(' | ')} |`;

/**
 * Every character that Markdown or HTML could act on becomes a numeric entity (CommonMark 0.31 §2.5: an entity is never
 * structure). An invisible word joiner keeps GitHub from turning a key into a mention, an issue number or a link.
 */
const escapeMarkup = (text: string) =>
  printable(text)
    .replace(/[\\`*_{}[\]<>&|~@#$]/g, (character) => `&#${character.codePointAt(0)};`)
    .replace(/&#64;|&#35;(?=\d)|:(?=\/\/)|(?<=www)\./gi, '$&&#8288;');

/** A fence longer than any run of backticks inside cannot be closed from inside. */
function codeBlock(text: string): string {
  const line = printable(text);
  const fence = '`'.repeat(Math.max(3, 1 + Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length))));
  return `${fence}sh\n${line}\n${fence}`;
}
