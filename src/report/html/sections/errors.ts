/** What was not answered well: error replies by prefix and place, requests that were lost, blocked or never sent. */
import { count } from '../../../compare/wording.ts';
import { ARMS, type Arm, type Rehearsal } from '../../../measure/rehearsal.ts';
import { html, type Markup, name } from '../markup.ts';
import { left, right, table } from '../table.ts';

const LISTED = 50;

export function errorsSection({ rounds }: Rehearsal): Markup {
  const slices = (arm: Arm) => rounds.flatMap(({ arms }) => arms[arm].slices);
  const totals = (['planned', 'replied', 'lost', 'blocked', 'unsent'] as const).map((fate) => ({
    fate,
    counts: ARMS.map((arm) => slices(arm).reduce((sum, slice) => sum + slice[fate], 0)),
  }));
  /** Place and prefix → count by arm. */
  const tallies = new Map<string, { place: string; prefix: string; counts: Record<Arm, number> }>();
  for (const arm of ARMS) {
    for (const { errorsByLabel } of slices(arm)) {
      for (const [place, prefixes] of Object.entries(errorsByLabel)) {
        for (const [prefix, times] of Object.entries(prefixes)) {
          const key = JSON.stringify([place, prefix]);
          const tally = tallies.get(key) ?? { place, prefix, counts: { baseline: 0, candidate: 0 } };
          tally.counts[arm] += times;
          tallies.set(key, tally);
        }
      }
    }
  }
  const rows = [...tallies.values()].sort(
    (a, b) => b.counts.candidate + b.counts.baseline - a.counts.candidate - a.counts.baseline,
  );
  return html`<section id="errors"><h2>Errors</h2>
<p class="reading">Error replies by their first word and by the family and command that got them. What both servers answer alike comes from the workload; what only the candidate answers is a change that applications will see.</p>
${rows.length === 0 && html`<p>No error reply on either arm.</p>`}
${
  rows.length > 0 &&
  table(
    'Error replies',
    [left('error'), left('family and command'), right('baseline'), right('candidate')],
    rows
      .slice(0, LISTED)
      .map(({ place, prefix, counts }) => [name(prefix), name(place), count(counts.baseline), count(counts.candidate)]),
  )
}
${rows.length > LISTED && html`<p>${count(rows.length - LISTED)} rarer kinds left out.</p>`}
${table(
  'What became of the requests',
  [left('requests'), ...ARMS.map(right)],
  totals.map(({ fate, counts }) => [FATES[fate], ...counts.map(count)]),
)}
</section>`;
}

const FATES = {
  planned: 'planned',
  replied: 'answered',
  lost: 'sent, never answered',
  blocked: 'blocking, still waiting at the end',
  unsent: 'never sent',
};
