/** A rule → its page: what it means, examples, look-alikes, fix, evidence. For docs/lint and `--explain`. */
import { nameServer, parseProfile } from '../profile.ts';
import { type BadExample, type Example, kindOf, type Rule } from '../rule.ts';

const FENCES = { javascript: 'js', python: 'python', ruby: 'ruby', go: 'go', java: 'java', php: 'php' };
const EVIDENCE = { lex: 'a token', ast: 'the syntax', df: 'the flow of data' };

/** No example that is to be read has one. */
const LONG_LINE = /.{400,}/g;

/** Markdown. */
export function rulePage(rule: Rule): string {
  const { code, name, title, category, range, mechanism, fix, proof, evidence, examples, worst } = rule;
  return [
    `# ${code} ${name}`,
    `${capital(title)}.`,
    `${capital(kindOf(rule))} · ${category} · at worst ${worst} · ${range.text} · rests on ${EVIDENCE[evidence]}`,
    '## Why',
    mechanism,
    '## Flagged',
    ...examples.bad.map((example) =>
      exampleBlock(example, `${capital(severityOf(rule, example))}, ${directionOf(example)}`),
    ),
    '## Not flagged',
    ...examples.good.map((example) => exampleBlock(example, capital(directionOf(example)))),
    '## Fix',
    fix,
    '## Evidence',
    proof,
    ...('unprovable' in rule && rule.unprovable ? [rule.unprovable] : []),
    `Not in your case? \`-- cutover-ignore ${code}: reason\` on the line or the line above.`,
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

const severityOf = (rule: Rule, example: BadExample) =>
  example.severity ?? rule.severity(parseProfile(example.profile));

/** `redis 7.0 → valkey 8.0 and back`. */
function directionOf({ profile }: Example): string {
  const { from, to, rollback, cluster } = parseProfile(profile);
  return `${nameServer(from)} → ${nameServer(to)}${rollback ? ' and back' : ''}${cluster ? ', cluster' : ''}`;
}

function exampleBlock(example: Example, caption: string): string {
  const [language, text] =
    'lua' in example
      ? ['lua', example.lua]
      : 'commands' in example
        ? ['', example.commands]
        : 'config' in example
          ? ['', example.config]
          : [FENCES[example.language], example.client];
  const note = example.note === undefined ? '' : ` ${example.note}`;
  const shown = text.replace(
    LONG_LINE,
    (line) => `${line.slice(0, 80)} … (${line.length.toLocaleString('en')} characters)`,
  );
  return `${caption}.${note}\n\n\`\`\`${language}\n${shown}\n\`\`\``;
}

/** The table of all rules, for docs/lint.md and the README. */
export function ruleTable(rules: readonly Rule[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  return [
    '| rule | about | at worst | where |',
    '|---|---|---|---|',
    ...rules.map(
      ({ code, name, title, worst, range }) =>
        `| [${code}](lint/${code}.md) \`${name}\` | ${cell(title)} | ${worst} | ${cell(range.text)} |`,
    ),
  ].join('\n');
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
