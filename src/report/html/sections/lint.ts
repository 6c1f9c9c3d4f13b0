/** What scripts and commands of the capture do differently on the candidate, the riskiest first. */
import type { Judgement } from '../../../compare/judgement.ts';
import { count } from '../../../compare/wording.ts';
import { html, type Markup, name } from '../markup.ts';
import { left, right, table } from '../table.ts';

export const lintSection = ({
  findings,
}: Judgement): Markup => html`<section id="lint"><h2>Scripts and commands that behave differently</h2>
${findings.length === 0 && html`<p>Nothing found in the capture’s scripts and commands, or there was no capture to look at (a model, standard input).</p>`}
${
  findings.length > 0 &&
  html`<p class="reading">Found by reading, not by measuring: a rule explains what changes between the two servers, “calls” how often the capture does it. Most calls of the most severe kind come first.</p>
${table(
  'Findings',
  [left('rule'), left('severity'), right('calls'), left('what'), left('what to do')],
  findings.map(({ code, rule, severity, calls, message, fix }) => [
    html`${name(`${code} ${rule}`)}`,
    severity,
    count(calls),
    message,
    fix,
  ]),
)}`
}
</section>`;
