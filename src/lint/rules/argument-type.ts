/** H27: booleans, nil and tables among the arguments of a command. */
import type { Expression } from '../program.ts';
import { defineRule } from '../rule.ts';
import type { Value } from '../values.ts';

/** What a value is if commands do not take it, whatever happens; undefined if they may. */
function refused(value: Value): string | undefined {
  switch (value.kind) {
    case 'literal':
      return value.value === null ? 'nil' : typeof value.value === 'boolean' ? 'a boolean' : undefined;
    case 'boolean':
      return 'a boolean';
    case 'table':
    case 'function':
      return `a ${value.kind}`;
    case 'global':
      return value.name === 'KEYS' || value.name === 'ARGV' ? 'a table' : undefined;
    case 'union': {
      const kinds = value.options.map(refused);
      return kinds.every((kind) => kind !== undefined) ? kinds[0] : undefined;
    }
    default:
      return undefined;
  }
}

/** `nil`, `true`: what they are need not be said. */
const isConstant = ({ type }: Expression) => type === 'NilLiteral' || type === 'BooleanLiteral';

export const argumentType = defineRule({
  code: 'H27',
  name: 'argument-type',
  title: 'arguments that are neither strings nor numbers',
  category: 'incompatible',
  evidence: 'df',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'redis.call takes strings and numbers only. A boolean, nil or a table among the arguments ends the script with an error, on every release of both products.',
  fix: "Pass text: tostring(x), x and '1' or '0', cjson.encode(t), or unpack(t); test for nil before.",
  proof: '"arguments must be strings or integers" for true, nil and {1} on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('HSET', KEYS[1], 'done', true)",
        at: 'true',
        proof: { keys: ['h'], from: /strings or integers/, to: /strings or integers/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local tags = { 'a', 'b' }\nreturn redis.call('SADD', KEYS[1], tags)",
        at: 'tags)',
        proof: { keys: ['s'], from: /strings or integers/, to: /strings or integers/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('DEL', KEYS)",
        at: 'KEYS)',
        proof: { keys: ['s'], from: /strings or integers/, to: /strings or integers/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('HSET', KEYS[1], 'done', tostring(true), 'n', 1.5)",
        proof: { keys: ['h'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local done = ARGV[1] == 'x' and '1' or '0'\nreturn redis.call('HSET', KEYS[1], 'done', done)",
        proof: { keys: ['h'], argv: ['x'] },
      },
    ],
  },
  check: ({ report }) => ({
    call(call, script) {
      for (const [i, value] of call.args.entries()) {
        const kind = refused(value);
        if (kind === undefined) continue;
        const node = call.argumentNode(i);
        const text =
          node === undefined || isConstant(node) ? `an argument is ${kind}` : `${script.textOf(node)} is ${kind}`;
        report(node ?? call.node, { message: `${text}: commands take strings and numbers only` });
        return;
      }
    },
  }),
});
