/** What the reader must know about this measurement, each with what to do about it. */
import type { Judgement } from '../../../compare/judgement.ts';
import { asSentence } from '../../../compare/wording.ts';
import { html, type Markup, name } from '../markup.ts';

/** No line ends after its hyphens. */
const FLAG = /(--[a-z][a-z-]*)/;

const withFlags = (text: string) =>
  text.split(FLAG).map((part, i) => (i % 2 === 1 ? html`<code class="flag">${part}</code>` : part));

export const caveatsSection = ({ caveats }: Judgement): Markup => html`<section id="caveats"><h2>Caveats</h2>
${caveats.length === 0 && html`<p>None: nothing was noticed that a reader would have to know.</p>`}
<ul class="caveats">${caveats.map(
  ({ id, message, advice }) =>
    html`<li><b>${name(id)}</b> ${asSentence(message)} <span class="advice">${withFlags(advice)}</span></li>`,
)}</ul></section>`;
