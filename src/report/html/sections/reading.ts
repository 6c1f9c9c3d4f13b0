/** What the page's words mean, for who sees them for the first time. */
import { html, type Markup } from '../markup.ts';

export const readingSection = (): Markup => html`<section id="reading"><h2>Understanding this report</h2>
<dl class="words">
<dt>round</dt><dd>Fresh servers, the same preload, a warm-up, then slices in the order baseline, candidate, candidate, baseline (or mirrored). The unit of replication: intervals come from the spread between rounds, never from the number of requests.</dd>
<dt>slice</dt><dd>A few seconds of planned load. The same bytes go to both servers at the same relative times.</dd>
<dt>response, service, lag</dt><dd>Response is the reply minus the <em>intended</em> send; service the reply minus the actual send; lag what lies between the two sends. Response is judged, because it is what a user who does not wait politely would see.</dd>
<dt>allowed</dt><dd>A relative margin with an absolute floor, from the budget: 40 µs instead of 30 µs is no regression of 33 %.</dd>
<dt>pass, fail, inconclusive</dt><dd>The whole interval below what is allowed; the whole interval above; neither. Inconclusive is a result: it says what is in the way, noise, nearness to the limit, or too few samples.</dd>
<dt>invalid</dt><dd>The generator, the host or the configuration spoiled the measurement: nothing follows from its figures.</dd>
<dt>what it cannot say</dt><dd>Production’s absolute latency. A rehearsal compares two servers under the shape of a workload, on this machine.</dd>
</dl></section>`;
