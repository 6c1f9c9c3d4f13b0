/** Turns several rehearsals into what a person reads in a terminal of 80 columns. */
import { ALL_FAMILIES } from '../../compare/budget.ts';
import { allowedOf, changeOf, figureOf, intervalOf, scope } from '../../compare/sentence.ts';
import { plural, shorten } from '../../compare/wording.ts';
import { printable } from '../../printable.ts';
import { alignTable, wrap } from '../text/layout.ts';
import { type History, serversOf, startOf } from './history.ts';

const WIDTH = 80;
/** Characters of a server's name and version. */
const SERVER = 19;

export function historyTerminal({ episodes, rules, notes }: History): string {
  const left = (title: string) => ({ title, align: 'left' }) as const;
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const runs = alignTable(
    [right(''), left('started'), left('baseline'), left('candidate'), left('verdict')],
    episodes.map((one) => [
      `${one.number}`,
      printable(startOf(one)),
      ...serversOf(one).map((server) => shorten(printable(server), SERVER)),
      one.source.judgement.verdict,
    ]),
  );
  const byRule = rules.flatMap(({ id, label, family }) => {
    const rows = episodes.map(({ number, source }) => {
      const rule = source.judgement.rules.find((other) => other.id === id);
      if (!rule) return [`${number}`, '-', '', '', '', '', 'no such rule'];
      return [
        `${number}`,
        figureOf(rule, rule.baseline),
        figureOf(rule, rule.candidate),
        changeOf(rule),
        intervalOf(rule),
        allowedOf(rule),
        rule.outcome.replace('-', ' '),
      ];
    });
    return [
      '',
      shorten(printable(family === ALL_FAMILIES ? label : `${label}, ${scope({ family })}`), WIDTH),
      ...alignTable(
        [right(' '), ...['baseline', 'candidate', 'change', 'interval', 'allowed'].map(right), left('outcome')],
        rows,
      ),
    ];
  });
  const folders = episodes.map(({ number, source }) => `folder ${number}  ${printable(source.path)}`);
  const remarks = notes.flatMap((note) => wrap(printable(note), WIDTH, '  '));
  return `${[
    `${plural(episodes.length, 'rehearsal')}, oldest first`,
    '',
    ...runs,
    ...byRule,
    ...(remarks.length > 0 ? ['', ...remarks] : []),
    '',
    ...folders,
  ].join('\n')}\n`;
}
