/** The verdict in one sentence, which servers it is about, and the rule that decides. */
import type { Judgement } from '../../../compare/judgement.ts';
import { decidingRules } from '../../../compare/sentence.ts';
import { count, plural } from '../../../compare/wording.ts';
import { ARMS } from '../../../measure/rehearsal.ts';
import { html, type Markup, name } from '../markup.ts';
import { ruleAnchor, SIGNS } from './rules.ts';

export function verdictSection(judgement: Judgement): Markup {
  const { verdict, sentence, rounds, latency, seed, reasons } = judgement;
  const [rule] = decidingRules(judgement);
  const [word, ...rest] = sentence.split(': ');
  return html`<section id="verdict" class="verdict ${verdict}">
<p class="word"><span aria-hidden="true">${SIGNS[verdict]}</span> ${word!}</p>
<p class="sentence">${rest.join(': ')}</p>
${reasons.length > 1 && html`<ul>${reasons.slice(1).map((reason) => html`<li>${reason}</li>`)}</ul>`}
${rule && html`<p>Deciding rule: <a href="#${ruleAnchor(rule)}">${name(rule.id)}</a></p>`}
<dl class="facts">
${ARMS.map((arm) => {
  const { product, version, spec } = judgement.arms[arm];
  return html`<div><dt class="${arm}">${arm}</dt><dd>${product} ${version} <span class="quiet">${spec}</span></dd></div>`;
})}
<div><dt>measured</dt><dd>${plural(rounds.judged, 'round')} judged of ${count(rounds.planned)}, ${plural(latency.candidate.response.samples, 'request')} an arm, seed ${seed}</dd></div>
</dl>
</section>`;
}
