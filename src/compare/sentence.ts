/** Turns a judgement into the one sentence that its reader takes to a meeting, and a rule into its figures. */

import { printable } from '../printable.ts';
import { ALL_FAMILIES } from './budget.ts';
import type { JudgedRule, Judgement } from './judgement.ts';
import { bytes, count, digits, duration, percent, plural, quote, signedPercent } from './wording.ts';

/** `P99.9 rose by 240 % [180 %, 310 %] where 25 % is allowed`. */
export function sentenceOf({ verdict, reasons, rules, rounds }: Omit<Judgement, 'sentence'>): string {
  const gating = rules.filter(({ level }) => level === 'error');
  const name = verdict.toUpperCase();
  const over = plural(rounds.judged, 'round');
  const [first, ...more] = decidingRules({ verdict, reasons, rules });
  if (verdict === 'invalid') return `${name}: ${reasons[0]}`;
  if (verdict === 'fail') {
    return `${name}: ${claim(first!)} (${scope(first!)}, ${over})${others(more.length, 'fails', 'fail')}`;
  }
  if (verdict === 'inconclusive') {
    if (reasons[0]) return `${name}: ${reasons[0]}`;
    const why = remarksOn(first!).at(-1);
    return `${name}: ${claim(first!)} (${scope(first!)}, ${over}): ${why}${others(more.length, 'is open', 'are open')}`;
  }
  const judged = gating.filter(({ outcome }) => outcome === 'pass');
  const nearest = first ? `; nearest to its limit: ${claim(first)} (${scope(first)})` : '';
  const unjudged = [...new Set(gating.filter(({ outcome }) => outcome === 'not-judged').map(({ metric }) => metric))];
  const gap = unjudged.length > 0 ? `; not judged: ${unjudged.join(', ')}` : '';
  return `${name}: ${plural(judged.length, 'rule')} inside the budget over ${over}${nearest}${gap}`;
}

/**
 * The rules that make the verdict, the one that matters most first: those that fail, those that are open, or of a pass
 * those that have a limit to be near to. None where the whole run is the reason.
 */
export function decidingRules({ verdict, reasons, rules }: Pick<Judgement, 'verdict' | 'reasons' | 'rules'>) {
  const gating = (wanted: JudgedRule['outcome']) =>
    rules.filter(({ level, outcome }) => level === 'error' && outcome === wanted);
  const byExcess = (a: JudgedRule, b: JudgedRule) => excess(b) - excess(a);
  if (verdict === 'fail') return gating('fail').sort(byExcess);
  if (verdict === 'inconclusive') return reasons.length > 0 ? [] : gating('inconclusive');
  if (verdict === 'invalid') return [];
  return gating('pass')
    .filter(({ change }) => change.unit === 'ratio')
    .sort(byExcess);
}

/** How much of the allowance the estimate uses up, to find the rule that matters most. */
const excess = ({ change, allowed }: JudgedRule) => ((change.estimate ?? 0) + 1e-9) / ((allowed ?? 0) + 1e-9);

const others = (n: number, one: string, many: string) =>
  n === 0 ? '' : `; ${n} more ${n === 1 ? `rule ${one}` : `rules ${many}`}`;

/** `all families` or `family "session:*"`. */
export const scope = ({ family }: Pick<JudgedRule, 'family'>) =>
  family === ALL_FAMILIES ? 'all families' : `family ${quote(family)}`;

/** What the figures of a rule do not say; the reason why it cannot be told comes last. */
export function remarksOn({ note, inconclusive }: JudgedRule): string[] {
  const remarks = note ? [note] : [];
  if (!inconclusive) return remarks;
  const { message, roundsNeeded, minutesNeeded } = inconclusive;
  const time = minutesNeeded ? ` (${plural(minutesNeeded, 'more minute')})` : '';
  const cure = roundsNeeded ? `; about ${plural(roundsNeeded, 'round')}${time} would decide` : '';
  return [...remarks, `${message}${cure}`];
}

function claim(rule: JudgedRule): string {
  const { change, label, note, unit } = rule;
  if (change.estimate === null || unit === 'count') return printable(note ?? `${label} could not be measured`);
  const size = percent(Math.abs(change.estimate));
  const moved = size === '0 %' ? 'did not move' : `${change.estimate < 0 ? 'fell' : 'rose'} by ${size}`;
  const interval = intervalOf(rule);
  const because = change.unit === 'difference' && note ? ` (${printable(note)})` : '';
  return `${subject(label)} ${moved}${interval && ` ${interval}`} where ${allowedOf(rule)} is allowed${because}`;
}

const subject = (label: string) => (label === 'failed' ? 'the share of failed requests' : label);

/** A baseline or candidate figure in its unit. */
export function figureOf({ unit }: JudgedRule, value: number | null): string {
  if (value === null) return '-';
  if (unit === 'us') return duration(value);
  if (unit === 'share') return percent(value);
  if (unit === 'perHour') return `${digits(value)}/h`;
  return unit === 'count' ? count(value) : digits(value);
}

/** `+25 %`; counts as they are: they have no baseline. */
export function changeOf({ change, unit }: JudgedRule): string {
  if (change.estimate === null) return '-';
  return unit === 'count' ? count(change.estimate) : signedPercent(change.estimate);
}

/** `[20 %, 31 %]`; empty where there is no interval, and for counts, which have none. */
export function intervalOf({ change, unit }: JudgedRule): string {
  if (change.low === null || change.high === null || unit === 'count') return '';
  return `[${percent(change.low)}, ${percent(change.high)}]`;
}

/** `25 %`, or the floor where that allows more: `100 µs`. */
export function allowedOf({ allowed, floor, unit }: JudgedRule): string {
  if (allowed === null) return '-';
  if (floor !== undefined) return unit === 'us' ? duration(floor) : bytes(floor);
  return unit === 'count' ? count(allowed) : percent(allowed);
}

/** All figures and remarks of a rule in one line; holds names from outside. */
export function detailOf(rule: JudgedRule): string {
  const figures =
    rule.change.estimate === null
      ? []
      : [
          `${figureOf(rule, rule.baseline)} → ${figureOf(rule, rule.candidate)}`,
          `${changeOf(rule)} ${intervalOf(rule)}`.trim(),
          `allowed ${allowedOf(rule)}`,
          plural(rule.rounds, 'round'),
        ];
  return [...figures, ...remarksOn(rule)].join('; ');
}
