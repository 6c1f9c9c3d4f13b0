/** H25: numbers with a fraction that a script answers. */
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

/** Why the number that is answered can have a fraction; undefined where nothing says so. */
function fractionOf(script: Script, node: Expression): { message: string; severity?: 'info' } | undefined {
  const value = script.valueOf(node);
  if (value.kind === 'literal' && typeof value.value === 'number' && !Number.isInteger(value.value)) {
    return { message: `${value.value} is answered as ${Math.trunc(value.value)}` };
  }
  if (value.kind === 'arithmetic' && value.operator === '/') {
    return { message: `the quotient ${script.textOf(node)} is answered without its fraction`, severity: 'info' };
  }
  const source = value.kind === 'library' && value.name === 'tonumber' ? value.args[0] : undefined;
  if (source?.kind === 'reply' && SCORES.has(source.call.name ?? '')) {
    return {
      message: `a number of ${source.call.name!.toUpperCase()} is answered without its fraction`,
      severity: 'info',
    };
  }
  return undefined;
}

const SCORES = new Set(['zscore', 'zincrby', 'incrbyfloat', 'hincrbyfloat', 'geodist']);

export const floatAnswer = defineRule({
  code: 'H25',
  name: 'float-answer',
  title: 'numbers with a fraction that are answered',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'A number that a script returns is cut to an integer: return 3.99 answers 3, on every release of both products.',
  fix: 'Return text: tostring(x), or string.format; or say that it is meant: math.floor(x).',
  proof: 'return 3.99 answers 3, return {1.5, 2} answers [1, 2] on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return 3.99',
        at: '3.99',
        proof: { from: /^3$/, to: /^3$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local sum, n = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])\nreturn { 'mean', sum / n }",
        at: 'sum / n',
        severity: 'info',
        proof: {
          setup: [['MSET', 'a', '7', 'b', '2']],
          keys: ['a', 'b'],
          from: /^\["mean",3\]$/,
          to: /^\["mean",3\]$/,
        },
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'return tostring(3.99)', proof: {} },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return math.floor(tonumber(ARGV[1]) / 1000)',
        note: 'Says that it is meant.',
        proof: { argv: ['3990'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('ZSCORE', KEYS[1], ARGV[1])",
        note: 'Text, as the server stores it.',
        proof: { keys: ['z'], argv: ['m'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (node.type !== 'ReturnStatement' || !script.isAnswer(node)) continue;
        const items = node.arguments.flatMap((answer) =>
          answer.type === 'TableConstructorExpression'
            ? answer.fields.flatMap((field) => (field.type === 'TableValue' ? [field.value] : []))
            : [answer],
        );
        for (const item of items) {
          const found = fractionOf(script, item);
          if (found) report(item, found);
        }
      }
    },
  }),
});
