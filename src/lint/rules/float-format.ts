/** D14: numbers with a fraction whose text is compared or names something. */
import { type Change, differs, has, nameServer, type Server } from '../profile.ts';
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { partsOf, type Value } from '../values.ts';

/** Numbers are written with as few digits as tell them apart. */
const SHORTEST: Change = { redis: '7.2', valkey: '7.2' };

/** Commands whose reply is a score. */
const SCORES = new Set(['zscore', 'zincrby', 'zmscore', 'zadd']);

/** From which argument on a command takes what it compares byte by byte: members, elements, fields. */
const MEMBERS: Record<string, number> = {
  sadd: 1,
  srem: 1,
  sismember: 1,
  smove: 2,
  zrem: 1,
  zscore: 1,
  zrank: 1,
  zrevrank: 1,
  lrem: 2,
  lpos: 1,
  hget: 1,
  hdel: 1,
  hexists: 1,
};

/** How Redis up to 7.0 writes it: %.17g of C. */
function longForm(number: number): string {
  const [digits = '', exponent = '0'] = number.toExponential(16).split('e');
  const withoutZeros = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  const power = Number(exponent);
  if (power >= -4 && power < 17) return withoutZeros(number.toPrecision(17));
  return `${withoutZeros(digits)}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}

/** Beyond, both write an exponent. */
const LARGEST_PLAIN = 1e21;

/** Whether the two formats write the number differently; whole numbers below 1e17 are alike. */
const isWrittenDifferently = (number: number) =>
  Math.abs(number) < LARGEST_PLAIN && longForm(number) !== String(number);

/** How the server writes the number. */
const formOf = (server: Server, number: number) => (has(server, SHORTEST) ? String(number) : longForm(number));

/** A score as a command answers it: nothing has made it a number in between. */
function isScore(value: Value): boolean {
  if (value.kind === 'reply') return value.call.name !== undefined && SCORES.has(value.call.name);
  return value.kind === 'element' && value.of.kind === 'reply' && value.of.call.name === 'zmscore';
}

export const floatFormat = defineRule({
  code: 'D14',
  name: 'float-format',
  title: 'numbers with a fraction used as text',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: {
    text: 'Redis <= 7.0 -> any Valkey, Redis >= 7.2, and back',
    applies: (profile) => differs(profile, SHORTEST),
  },
  severity: () => 'warning',
  mechanism:
    'Since 7.2 (Redis and Valkey) scores in replies, and numbers that a script passes to a command, are written with as few digits as tell them apart: 0.1 and 100000000000000000, where 7.0 and earlier write 0.10000000000000001 and 1e+17. A text made before no longer equals one made after.',
  fix: "Compare numbers (tonumber), and write fractions yourself: string.format('%.17g', x).",
  proof:
    'ZSCORE of 0.1, and SADD of 3.1 from a script, on Redis 6.0.16, 7.0.15 (long) and 8.0.2, 8.6.3, Valkey 8.0.1, 8.1.1, 9.1.2 (short). Texts that Lua itself makes (.., tostring, cjson.encode) are the same on all.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.call('ZSCORE', KEYS[1], 'm') == '0.10000000000000001' then return 'known' end\nreturn 'changed'",
        at: "redis.call('ZSCORE'",
        proof: { setup: [['ZADD', 'z', '0.1', 'm']], keys: ['z'], from: /^"known"$/, to: /^"changed"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SADD', KEYS[1], 3.1)\nreturn redis.call('SMEMBERS', KEYS[1])",
        at: '3.1',
        proof: { keys: ['s'], from: /^\["3\.1000000000000001"\]$/, to: /^\["3\.1"\]$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local score = redis.call('ZSCORE', KEYS[1], ARGV[1])\nreturn redis.sha1hex(score)",
        at: 'redis.sha1hex',
        severity: 'info',
        note: 'Only where scores have a fraction.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return tonumber(redis.call('ZSCORE', KEYS[1], 'm')) == 0.1",
        proof: { setup: [['ZADD', 'z', '0.1', 'm']], keys: ['z'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.call('ZSCORE', KEYS[1], 'm') == '5' then return 1 end",
        note: 'Whole numbers are written alike.',
        proof: { setup: [['ZADD', 'z', '5', 'm']], keys: ['z'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SADD', KEYS[1], 'v' .. 3.1)\nreturn redis.call('SMEMBERS', KEYS[1])",
        note: 'Lua makes this text.',
        proof: { keys: ['s'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('ZADD', KEYS[1], 3.1, 'm')\nreturn redis.call('ZCOUNT', KEYS[1], 3.1, 3.1)",
        note: 'A score is a number again.',
        proof: { keys: ['z'] },
      },
    ],
  },
  check({ profile: { from, to }, report }) {
    const compared = (script: Script, node: Expression, side: Expression, other: Expression) => {
      const text = script.valueOf(other);
      const literal = text.kind === 'literal' && typeof text.value === 'string' ? text.value : undefined;
      if (literal === undefined || literal.trim() === '' || !isScore(script.valueOf(side))) return;
      const number = Number(literal);
      if (!isWrittenDifferently(number)) return;
      const form = (server: Server) => formOf(server, number);
      report(node, {
        message: `${nameServer(from)} answers ${form(from)} and ${nameServer(to)} answers ${form(to)}: as texts they are not equal`,
      });
    };
    return {
      script(script) {
        for (const node of script.scopes.nodes) {
          if (node.type === 'BinaryExpression' && (node.operator === '==' || node.operator === '~=')) {
            compared(script, node, node.left, node.right);
            compared(script, node, node.right, node.left);
          }
        }
        for (const node of script.scopes.calls) {
          if (script.libraryOf(node) !== 'redis.sha1hex') continue;
          const [subject] = script.libraryArguments(node);
          if (subject && [...partsOf(script.valueOf(subject))].some(isScore)) {
            report(node, {
              message: `a score is hashed: one with a fraction is not written alike by ${nameServer(from)} and ${nameServer(to)}`,
              severity: 'info',
            });
          }
        }
      },
      call(call) {
        const first = call.name === undefined ? undefined : MEMBERS[call.name];
        for (const [index, value] of call.args.entries()) {
          const named = call.keys.some((key) => key.index === index) || (first !== undefined && index >= first);
          if (!named || value.kind !== 'literal' || typeof value.value !== 'number') continue;
          if (!isWrittenDifferently(value.value)) continue;
          report(call.argumentNode(index) ?? call.node, {
            message: `${nameServer(from)} makes ${formOf(from, value.value)} of it, ${nameServer(to)} ${formOf(to, value.value)}`,
          });
        }
      },
    };
  },
});
