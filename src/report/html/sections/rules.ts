/** The rules of the budget, each with its interval drawn against what is allowed. */
import { ALL_FAMILIES } from '../../../compare/budget.ts';
import type { JudgedRule, Judgement, Verdict } from '../../../compare/judgement.ts';
import { allowedOf, changeOf, figureOf, intervalOf, remarksOn } from '../../../compare/sentence.ts';
import { count, percent } from '../../../compare/wording.ts';
import { intervalPicture } from '../interval-picture.ts';
import { anchor, html, type Markup, name } from '../markup.ts';

/** A sign beside the word: colour is never the only signal. */
export const SIGNS: Record<Verdict | 'not-judged', string> = {
  pass: '✓',
  fail: '✗',
  inconclusive: '?',
  invalid: '!',
  'not-judged': '–',
};

/** The axis of the pictures, in units of what a rule allows: 0 is no change, 1 the limit, whatever the rule's own unit. */
const AXIS: [number, number] = [-1.5, 2.5];

export function rulePicture(rule: JudgedRule, invalid = false): Markup | string {
  const { label, change, allowed, outcome } = rule;
  if (change.estimate === null || allowed === null || allowed <= 0) return '';
  const [estimate, low, high] = [change.estimate, change.low ?? change.estimate, change.high ?? change.estimate].map(
    (value) => value / allowed,
  ) as [number, number, number];
  const text = `${label}: change ${changeOf(rule)} ${intervalOf(rule)}, allowed ${allowedOf(rule)}`;
  return intervalPicture({ label: text, estimate, low, high, limit: 1, outcome: invalid ? '' : outcome }, AXIS);
}

/** Of an invalid run the outcomes are shown, but nothing follows from them. */
export const outcomeOf = (outcome: keyof typeof SIGNS, invalid = false): Markup =>
  invalid
    ? html`<span class="outcome not-judged">(${outcome.replace('-', ' ')})</span>`
    : html`<span class="outcome ${outcome}"><span aria-hidden="true">${SIGNS[outcome]}</span> ${outcome.replace('-', ' ')}</span>`;

export const ruleAnchor = ({ id }: Pick<JudgedRule, 'id'>) => anchor('rule', id);

export function rulesSection({ rules, level, looks, verdict }: Judgement): Markup {
  const invalid = verdict === 'invalid';
  const interval = `${percent(1 - 2 * level)} interval`;
  const cell = (title: string, content: Markup | string, kind = 'number') =>
    html`<td class="${kind}" data-title="${title}">${content}</td>`;
  return html`<section id="rules"><h2>Rules</h2>
${rules.length === 0 && html`<p>No rule could be judged.</p>`}
${
  rules.length > 0 &&
  html`<p class="reading">The dot is the estimated change, the bar its interval from the spread between rounds. The left line is no change, the right line what the budget allows: <b>pass</b> when the whole bar is left of that line, <b>fail</b> when it is right of it, <b>inconclusive</b> when the bar crosses it. “Finds from”: the smallest change that rounds like these find nine times in ten.${looks && ` Planned looks after ${looks.rounds.join(', ')} rounds, this one at a level of ${percent(level)}.`}${invalid && ' This run is invalid: nothing follows from its figures.'}</p>
<div class="scroll" role="region" tabindex="0" aria-label="Rules"><table class="rules">
<thead><tr><th scope="col">rule</th><th scope="col">outcome</th><th scope="col">no change | limit</th><th scope="col" class="number">change</th><th scope="col" class="number">${interval}</th><th scope="col" class="number">allowed</th><th scope="col" class="number">baseline</th><th scope="col" class="number">candidate</th><th scope="col" class="number">samples</th><th scope="col" class="number">finds from</th></tr></thead>
<tbody>${rules.map((rule) => {
    const remarks = remarksOn(rule);
    return html`<tr id="${ruleAnchor(rule)}"><th scope="row">${rule.label}${rule.family !== ALL_FAMILIES && html`<br>${name(rule.family)}`}${rule.level === 'warn' && html` <span class="quiet">warns only</span>`}</th>
${cell('outcome', html`<span>${outcomeOf(rule.outcome, invalid)}${rule.badge && html` <span class="quiet">${rule.badge}</span>`}</span>`, '')}
${cell('', rulePicture(rule, invalid), 'picture')}
${cell('change', changeOf(rule))}${cell(interval, intervalOf(rule))}${cell('allowed', allowedOf(rule))}
${cell('baseline', figureOf(rule, rule.baseline))}${cell('candidate', figureOf(rule, rule.candidate))}${cell('samples', count(rule.samples))}${cell('finds from', rule.resolvable === undefined ? '' : percent(rule.resolvable))}</tr>
${remarks.length > 0 && html`<tr class="remark"><td colspan="10">${rule.label}: ${remarks.join('; ')}</td></tr>`}`;
  })}</tbody></table></div>`
}
</section>`;
}
