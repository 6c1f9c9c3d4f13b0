/** Turns the dates in a budget into a failing rule for every allow-list entry that has expired, and a word on its review. */
import type { Caveat } from '../errors.ts';
import { hasExpired } from './allowances.ts';
import type { Assessment, Metric } from './assessment.ts';
import { ALL_FAMILIES, type AllowedError } from './budget.ts';

/** Dates are held against the day of the run: the verdict on a stored rehearsal does not change with the calendar. */
export const assessUpkeep: Metric = ({ budget, rehearsal, rounds }) => {
  const expired = budget.allowed.filter((entry) => hasExpired(entry, rehearsal.startedAt));
  const assessments = expired.map((entry) => expiredRule(entry, rounds.length));
  const today = rehearsal.startedAt.slice(0, 10);
  if (budget.reviewOn === undefined || budget.reviewOn >= today) return { assessments, caveats: [] };
  const caveat: Caveat = {
    id: 'budget-review-due',
    message: `the budget was to be reviewed by ${budget.reviewOn}${budget.owner ? ` (${budget.owner})` : ''}`,
    advice: 'See whether its limits still fit, then move the date.',
  };
  return { assessments, caveats: [caveat] };
};

const expiredRule = ({ id, expires, owner, reason }: AllowedError, rounds: number): Assessment => ({
  ...{ id: `budget.allow/${id}`, label: `allowed ${id}`, family: ALL_FAMILIES, level: 'error', unit: 'count' },
  ...{ scale: 'difference', samples: 1, baseline: 0, candidate: 1 },
  test: { rounds, estimate: 1, low: 1, high: 1, margin: 0, outcome: 'fail', pPass: 1, pFail: 0 },
  note: `${id} of the allow-list expired on ${expires}: ${owner} is to renew it or take it out (${reason})`,
});
