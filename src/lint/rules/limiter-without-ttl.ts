/** H38: counters that limit something and never expire. */
import type { CommandCall, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { numberOf, partsOf } from '../values.ts';

const COUNTS = new Set(['incr', 'incrby']);
/** What gives a key an end, or takes the count back. */
const ENDS = /^(p?expire(at)?|p?setex|getex|decr|decrby|del|unlink|set|restore|persist)$/;

/** Whether the count is held against a limit: an argument, or a number above one. */
function isLimited(script: Script, call: CommandCall): boolean {
  const uses = script.usesOf(call.node, { library: (name) => name === 'tonumber' });
  return uses.some((use) => {
    if (use.kind !== 'compared' || !/^[<>]=?$/.test(use.node.operator)) return false;
    const limit = script.valueOf(use.other);
    return (numberOf(limit) ?? 0) > 1 || [...partsOf(limit)].some(({ kind }) => kind === 'argv');
  });
}

export const limiterWithoutTtl = defineRule({
  code: 'H38',
  name: 'limiter-without-ttl',
  title: 'limiters that never forget',
  category: 'memory',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'A key that INCR creates lives for ever. A counter that is held against a limit and gets no expiry in the script, nor is ever lowered or deleted by it, blocks its user for good once the limit is reached, and the keys pile up.',
  fix: "Expire it when it is new: if n == 1 then redis.call('PEXPIRE', KEYS[1], window) end",
  proof: 'The key of the example has TTL -1 on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local n = redis.call('INCR', KEYS[1])\nif n > tonumber(ARGV[1]) then return 0 end\nreturn redis.call('TTL', KEYS[1])",
        at: 'redis.call',
        proof: { keys: ['rate:1'], argv: ['10'], from: /^-1$/, to: /^-1$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local n = redis.call('INCR', KEYS[1])\nif n == 1 then redis.call('EXPIRE', KEYS[1], 60) end\nif n > tonumber(ARGV[1]) then return 0 end\nreturn 1",
        proof: { keys: ['rate:1'], argv: ['10'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local id = redis.call('INCR', KEYS[1])\nreturn redis.call('HSET', 'job:' .. id, 'data', ARGV[1])",
        note: 'A counter of ids.',
        proof: { keys: ['id'], argv: ['x'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.call('INCR', KEYS[1]) > tonumber(ARGV[1]) then\n  redis.call('DECR', KEYS[1])\n  return 0\nend\nreturn 1",
        note: 'A semaphore: it is given back.',
        proof: { keys: ['slots'], argv: ['3'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      if (
        script.unit.fragment ||
        script.calls.some(({ dynamic, names }) => dynamic || names.some((name) => ENDS.test(name)))
      )
        return;
      for (const call of script.calls) {
        if (call.name === undefined || !COUNTS.has(call.name) || !isLimited(script, call)) continue;
        report(call.node, {
          message: `${call.name.toUpperCase()} counts towards a limit, and nothing in the script ever ends the count`,
        });
      }
    },
  }),
});
