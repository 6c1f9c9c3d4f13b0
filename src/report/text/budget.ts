/** A budget → what it means, for people. */
import { hasExpired } from '../../compare/allowances.ts';
import {
  ALL_FAMILIES,
  type Budget,
  type LatencyLimit,
  memoryProtocolFor,
  type RequestScope,
} from '../../compare/budget.ts';
import { bytes, count, duration, percent, percentileName, quote } from '../../compare/wording.ts';
import { printable } from '../../printable.ts';
import { wrap } from './layout.ts';

const WIDTH = 80;

/** At most 80 columns; `today` is an ISO date. */
export function describeBudget(budget: Budget, today: string): string {
  const { alpha, looks, onInconclusive, latency, stalls, slo, memory, errors, allowed } = budget;
  const lines: string[] = [];
  const say = (text: string) => lines.push(...wrap(printable(text), WIDTH, '  '));
  const title = [budget.name, budget.owner && `answered for by ${budget.owner}`].filter(Boolean).join(', ');
  if (title) say(title);
  if (budget.reviewOn) say(`To be reviewed by ${budget.reviewOn}${budget.reviewOn < today ? ': that is over' : ''}.`);
  say(`A wrong pass and a wrong fail have a chance of at most ${percent(alpha)} each.`);
  if (looks) {
    const corrected = {
      pocock: 'at the same corrected level each time (Pocock)',
      obf: 'at levels that begin strict (O’Brien and Fleming)',
      fixed: 'and judges at the last alone',
    };
    say(`The run looks after ${looks.rounds.join(', ')} rounds, ${corrected[looks.method]}.`);
  }
  if (onInconclusive) say(`A verdict that cannot be told counts as ${onInconclusive}.`);
  for (const { level, limits, ...scope } of latency) {
    say(`${verb(level)} if response time of ${scopeOf(scope)} rises: ${limits.map(limitOf).join('; ')}.`);
  }
  if (latency.length === 0) say('Latency is not judged.');
  for (const one of slo?.objectives ?? []) {
    const { target, thresholdUs, windowDays, extraBurn, peakBurn } = one;
    const weight = one.isKey ? 'decides by itself' : `counts with weight ${one.weight}`;
    say(
      `${verb(one.level)} if ${scopeOf(one)} would use up ${percent(extraBurn)} more of the error budget of "${plain(100 * target)} % within ${duration(thresholdUs)}" over ${plain(windowDays)} days, or burn it ${plain(peakBurn)} times too fast at any moment; it ${weight}.`,
    );
  }
  if (slo && slo.objectives.length > 1) {
    say(`Fails if all objectives together, by weight and traffic, would use up ${percent(slo.extraBurn)} more.`);
  }
  say(
    stalls
      ? `${verb(stalls.level)} if stalls of more than ${duration(stalls.longerThanUs)} are more than ${plain(stalls.maxRateRatio)} times as frequent.`
      : 'Stalls are not judged.',
  );
  const { rss, peakDuringSave } = memory ?? {};
  const growth = ({ maxIncrease, floorBytes }: { maxIncrease: number; floorBytes: number }) =>
    `more than ${percent(maxIncrease)}, or ${bytes(floorBytes)} if that is more`;
  if (rss) say(`Fails if RSS per byte of data is ${growth(rss)}, at: ${rss.phases.join(', ')}.`);
  if (peakDuringSave) say(`Fails if the peak while saving is ${growth(peakDuringSave)}.`);
  if (!rss && !peakDuringSave) say('Memory is not judged.');
  else if (memoryProtocolFor(budget) === 'full')
    say('Memory has servers of its own: a minute and a half more in each of five rounds.');
  if (memory?.allocatorsDifferBecause) {
    say(`Memory of different allocators is compared, because ${quote(memory.allocatorsDifferBecause)}.`);
  }
  say(
    errors
      ? `Fails if ${errors.newPrefixes === 0 ? 'any kind of error is' : `more than ${count(errors.newPrefixes)} kinds of error are`} new, or more than ${percent(errors.maxIncrease)} more of the requests fail.`
      : 'Errors are not judged.',
  );
  for (const entry of allowed) {
    const end = hasExpired(entry, today) ? `expired on ${entry.expires}: THE RUN FAILS` : `until ${entry.expires}`;
    say(
      `Allowed ${end}: ${entry.id}, errors like ${quote(entry.match)}, because ${quote(entry.reason)} (${entry.owner}).`,
    );
  }
  return lines.join('\n');
}

const verb = (level: 'warn' | 'error') => (level === 'warn' ? 'Warns' : 'Fails');

const scopeOf = ({ family, commands }: RequestScope) =>
  `${commands ? `${commands.map((name) => name.toUpperCase()).join(' and ')} of ` : ''}${family === ALL_FAMILIES ? 'all families together' : `family ${quote(family)}`}`;

const limitOf = ({ percentile, maxIncrease, floorUs }: LatencyLimit) =>
  `${percentileName(percentile)} by more than ${percent(maxIncrease)}, or ${duration(floorUs)} if that is more`;

/** As it was written: 99.95, not 100. */
const plain = (value: number) => String(Number(value.toPrecision(8)));
