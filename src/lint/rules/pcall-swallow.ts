/** H19: errors that a script catches and does not look at. */
import type { CommandCall, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { rangeOf } from '../syntax.ts';

/** Whether nothing reads what the call yields. */
function isDropped(script: Script, call: CommandCall): boolean {
  const parent = script.scopes.parentOf(call.node);
  if (parent?.type === 'CallStatement') return true;
  return (
    parent?.type === 'LocalStatement' &&
    parent.variables.every((variable) => script.scopes.variableOf(variable)?.reads.length === 0)
  );
}

/** An error of these is expected: the group is there already. */
const EXPECTED = new Set(['xgroup create']);

export const pcallSwallow = defineRule({
  code: 'H19',
  name: 'pcall-swallow',
  title: 'errors that are caught and forgotten',
  category: 'atomicity',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'redis.pcall turns an error into a value and the script goes on: WRONGTYPE, OOM or a command that the new server does not have leaves no trace, and what is written afterwards stays, because scripts do not roll back.',
  fix: 'Look at it (local r = redis.pcall(…); if r.err then return r end), or use redis.call.',
  proof: 'The example answers OK on Redis 7.0.15 and Valkey 8.0.1 although its first write failed with WRONGTYPE.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.pcall('SADD', KEYS[1], ARGV[1])\nreturn redis.call('SET', KEYS[2], ARGV[1])",
        at: 'redis.pcall',
        proof: { setup: [['SET', 'a', 'text']], keys: ['a', 'b'], argv: ['1'], from: /^"OK"$/, to: /^"OK"$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local r = redis.pcall('SADD', KEYS[1], ARGV[1])\nif r.err then return r.err end\nreturn redis.call('SET', KEYS[2], ARGV[1])",
        proof: { setup: [['SET', 'a', 'text']], keys: ['a', 'b'], argv: ['1'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.pcall('SADD', KEYS[1], ARGV[1])",
        note: 'The client gets the error.',
        proof: { keys: ['a'], argv: ['1'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.pcall('XGROUP', 'CREATE', KEYS[1], 'g', '$', 'MKSTREAM')\nredis.call('XADD', KEYS[1], '*', 'a', '1')",
        note: 'That the group exists already is no error to look at.',
      },
    ],
  },
  check: ({ profile, report }) => ({
    call(call, script) {
      if (call.protectedBy === undefined || !call.writes(profile.to) || !isDropped(script, call)) return;
      if (call.fullNames.some((name) => EXPECTED.has(name))) return;
      const [, end] = rangeOf(call.node);
      const later = script.calls.find((other) => rangeOf(other.node)[0] >= end && other.writes(profile.to));
      if (!later) return;
      report(call.node, {
        message: `an error of ${call.names[0]!.toUpperCase()} is dropped, and ${later.names[0]!.toUpperCase()} writes all the same`,
      });
    },
  }),
});
