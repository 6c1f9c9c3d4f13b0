/** H26: integers beyond 2^53, which Lua cannot hold. */
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { numberOf, type Value } from '../values.ts';

const DIGITS = /^\d{16,}$/;

/** Whether the digits are another number once Lua has read them. */
const changes = (digits: string) => DIGITS.test(digits) && BigInt(Number(digits)) !== BigInt(digits);

/** Seconds since 1970 times this are beyond 2^53. */
const FINEST = 2 ** 53 / 1_700_000_000;

/** Whether a value is the seconds of TIME. */
const isSeconds = (value: Value): boolean =>
  (value.kind === 'library' && value.name === 'tonumber' && value.args[0] !== undefined && isSeconds(value.args[0])) ||
  (value.kind === 'element' && value.of.kind === 'reply' && value.of.call.name === 'time' && numberOf(value.key) === 1);

function problemOf(script: Script, node: Expression): string | undefined {
  if (node.type === 'NumericLiteral') {
    const text = script.textOf(node);
    return changes(text) ? `${text} becomes ${BigInt(Number(text))}` : undefined;
  }
  if (node.type === 'StringLiteral') {
    const digits = node.value ?? '';
    if (!changes(digits)) return undefined;
    const counted = script
      .usesOf(node, { concatenation: false })
      .some((use) => use.kind === 'arithmetic' || (use.kind === 'library' && use.name === 'tonumber'));
    return counted ? `${digits} becomes ${BigInt(Number(digits))} as a number` : undefined;
  }
  const value = node.type === 'BinaryExpression' && node.operator === '*' ? script.valueOf(node) : undefined;
  if (value?.kind !== 'arithmetic') return undefined;
  const [a, b] = value.operands as [Value, Value];
  for (const [seconds, factor] of [
    [a, b],
    [b, a],
  ] as const) {
    if (isSeconds(seconds) && (numberOf(factor) ?? 0) > FINEST) {
      return `${script.textOf(node)} is beyond 2^53: its last digits are lost`;
    }
  }
  return undefined;
}

export const largeInteger = defineRule({
  code: 'H26',
  name: 'large-integer',
  title: 'integers beyond 2^53',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'Numbers of Lua 5.1 are doubles: integers beyond 2^53 (9007199254740992) lose their last digits in literals, arithmetic, tonumber and cjson, on every release of both products.',
  fix: 'Keep such numbers as strings, and let commands count (INCRBY works with 64 bits).',
  proof: 'SET k 12345678901234567 from a script stores 12345678901234568 on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SET', KEYS[1], 12345678901234567)\nreturn redis.call('GET', KEYS[1])",
        at: '12345678901234567',
        proof: { keys: ['k'], from: /^"12345678901234568"$/, to: /^"12345678901234568"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local t = redis.call('TIME')\nreturn tostring(t[1] * 1000000000 + t[2] * 1000)",
        at: 't[1] *',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SET', KEYS[1], '12345678901234567')\nreturn redis.call('GET', KEYS[1])",
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local t = redis.call('TIME')\nreturn t[1] * 1000000 + t[2] > 9007199254740992",
        note: 'Microseconds fit until the year 2255.',
        proof: {},
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (node.type !== 'NumericLiteral' && node.type !== 'StringLiteral' && node.type !== 'BinaryExpression')
          continue;
        const message = problemOf(script, node);
        if (message) report(node, { message });
      }
    },
  }),
});
