/** Turns the dates and the allow-list of a budget into a failing rule for each entry that has expired, and words on the rest. */
import type { Caveat } from '../errors.ts';
import { ARMS, type Arm } from '../measure/rehearsal.ts';
import { intern } from '../model/tally.ts';
import { excuses, hasExpired } from './allowances.ts';
import type { Assessment, Metric } from './assessment.ts';
import { ALL_FAMILIES, type AllowedError } from './budget.ts';
import type { Evidence } from './evidence.ts';
import { count } from './wording.ts';

/** Dates are held against the day of the run: the verdict on a stored rehearsal does not change with the calendar. */
export const assessUpkeep: Metric = (evidence) => {
  const { budget, rehearsal, rounds } = evidence;
  const expired = budget.allowed.filter((entry) => hasExpired(entry, rehearsal.startedAt));
  const caveats = excusedErrors(evidence);
  if (budget.reviewOn !== undefined && budget.reviewOn < rehearsal.startedAt.slice(0, 10)) {
    caveats.push({
      id: 'budget-review-due',
      message: `the budget was to be reviewed by ${budget.reviewOn}${budget.owner ? ` (${budget.owner})` : ''}`,
      advice: 'See whether its limits still fit, then move the date.',
    });
  }
  return { assessments: expired.map((entry) => expiredRule(entry, rounds.length)), caveats };
};

/** What the allow-list kept out of the judgement, one caveat per entry that did. */
function excusedErrors({ budget, rehearsal, rounds }: Evidence): Caveat[] {
  const excused = new Map<AllowedError, Record<Arm, number>>();
  for (const arm of ARMS) {
    const labels = rounds.flatMap(({ arms }) =>
      arms[arm].slices.flatMap((slice) => Object.entries(slice.errorsByLabel)),
    );
    for (const [label, prefixes] of labels) {
      const command = label.slice(label.lastIndexOf(' ') + 1);
      for (const [prefix, times] of Object.entries(prefixes)) {
        const entry = excuses(budget.allowed, { command, prefix }, rehearsal.startedAt);
        if (entry) intern(excused, entry, () => ({ baseline: 0, candidate: 0 }))[arm] += times;
      }
    }
  }
  return [...excused].map(([{ id, reason, owner, expires }, { baseline, candidate }]) => ({
    id: 'errors-allowed',
    message: `${id} of the allow-list excuses ${count(candidate)} errors of the candidate and ${count(baseline)} of the baseline: ${reason}`,
    advice: `${owner} answers for it until ${expires}.`,
    numbers: { baseline, candidate },
  }));
}

const expiredRule = ({ id, expires, owner, reason }: AllowedError, rounds: number): Assessment => ({
  ...{ id: `budget.allow/${id}`, label: `allowed ${id}`, family: ALL_FAMILIES, level: 'error', unit: 'count' },
  ...{ scale: 'difference', samples: 1, baseline: 0, candidate: 1 },
  test: { rounds, estimate: 1, low: 1, high: 1, margin: 0, outcome: 'fail', pPass: 1, pFail: 0 },
  note: `${id} of the allow-list expired on ${expires}: ${owner} is to renew it or take it out (${reason})`,
});
