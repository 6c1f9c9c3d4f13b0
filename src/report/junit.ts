/** Turns a judgement into JUnit XML: one test case per rule, so that a CI page shows which one blocks. */
import { detailOf } from '../compare/sentence.ts';
import { asSentence } from '../compare/wording.ts';
import { printable } from '../printable.ts';
import type { ReportSource } from './source.ts';

export function reportJunit({ judgement }: ReportSource): string {
  const { verdict, rules, reasons, sentence, caveats } = judgement;
  // What no rule says must not be lost: an invalid run is an error, a run that cannot pass is not green.
  const whole = reasons.map((reason) =>
    testCase('rehearsal', 'rehearsal', verdict === 'invalid' ? 'error' : 'skipped', reason),
  );
  const cases = [
    ...whole,
    ...rules.map((rule) => {
      const text = detailOf(rule);
      if (verdict === 'invalid') return testCase(rule.metric, rule.id, 'skipped', `invalid run; ${text}`);
      if (rule.outcome === 'pass') return testCase(rule.metric, rule.id, 'system-out', text);
      if (rule.outcome !== 'fail') return testCase(rule.metric, rule.id, 'skipped', text);
      if (rule.level === 'warn') return testCase(rule.metric, rule.id, 'system-out', `over, level warn; ${text}`);
      return testCase(rule.metric, rule.id, 'failure', text);
    }),
  ];
  const tally = (kind: string) => cases.filter((xml) => xml.includes(`<${kind}`)).length;
  const notes = [sentence, ...caveats.map(({ id, message, advice }) => `${id}: ${asSentence(message)} ${advice}`)];
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites><testsuite name="cutover" tests="${cases.length}" failures="${tally('failure')}" errors="${tally('error')}" skipped="${tally('skipped')}">`,
    ...cases,
    `  <system-out>${notes.map(escapeXml).join('\n')}</system-out>`,
    '</testsuite></testsuites>',
    '',
  ].join('\n');
}

type Kind = 'failure' | 'error' | 'skipped' | 'system-out';

function testCase(className: string, name: string, kind: Kind, text: string): string {
  const open = `  <testcase classname="cutover.${escapeXml(className)}" name="${escapeXml(name)}">`;
  const inner =
    kind === 'system-out' ? `<system-out>${escapeXml(text)}</system-out>` : `<${kind} message="${escapeXml(text)}"/>`;
  return `${open}${inner}</testcase>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Printable text has no character that XML 1.0 forbids, and no line break. */
const escapeXml = (text: string) => printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
