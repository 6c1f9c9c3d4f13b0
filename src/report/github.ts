/** Turns a judgement into annotations of a GitHub workflow: the verdict, and each rule that did not pass. */
import type { JudgedRule, Verdict } from '../compare/judgement.ts';
import { detailOf } from '../compare/sentence.ts';
import { annotation } from '../printable.ts';
import type { ReportSource } from './source.ts';

const KINDS = { pass: 'notice', inconclusive: 'warning', fail: 'error', invalid: 'error' } as const satisfies Record<
  Verdict,
  string
>;

const kindOf = ({ outcome, level }: JudgedRule) => {
  if (outcome === 'fail') return level === 'error' ? 'error' : 'warning';
  return outcome === 'inconclusive' && level === 'error' ? 'warning' : undefined;
};

export function reportGithub({ judgement }: ReportSource): string {
  const { verdict, sentence, rules } = judgement;
  // Of an invalid run no rule means anything.
  const open = verdict === 'invalid' ? [] : rules;
  return [
    annotation(KINDS[verdict], { title: `cutover: ${verdict}` }, sentence),
    ...open.flatMap((rule) => {
      const kind = kindOf(rule);
      return kind ? [annotation(kind, { title: `${rule.outcome}: ${rule.id}` }, detailOf(rule))] : [];
    }),
  ].join('');
}
