/** H04: commands that answer a whole collection, whatever its size. */
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';

const WHOLE = new Set(['hgetall', 'hkeys', 'hvals', 'smembers', 'sunion', 'sinter', 'sdiff', 'sort', 'sort_ro']);

/** The command that reads it all, if the call does: SORT with LIMIT or STORE answers little. */
const wholeOf = ({ names, literals }: CommandCall) =>
  names.find(
    (name) =>
      WHOLE.has(name) &&
      !(name.startsWith('sort') && literals.some((word) => /^(limit|store)$/i.test(word ?? 'limit'))),
  );

export const wholeCollection = defineRule({
  code: 'H04',
  name: 'whole-collection-read',
  title: 'commands that read a whole collection',
  category: 'blocking',
  evidence: 'ast',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'Every element becomes a Lua string on the one thread that executes commands: HGETALL of 100,000 fields took 50 to 84 ms, SMEMBERS of 100,000 members 28 to 52 ms on Redis 7.0 to 8.6 and Valkey 8.0 to 9.1. Of a small collection that is nothing; the script does not say how large it is. The order of what comes back differs between releases.',
  fix: 'Ask for what is needed (HMGET, SISMEMBER), or read in pages from the client (HSCAN, SSCAN).',
  proof:
    'Median of 15 inside EVAL, 100,000 elements. HGETALL: Redis 7.0.15 75 ms, 8.0.6 84, 8.6.3 71; Valkey 8.0.1 74, 8.1.1 52, 9.1.2 50. SMEMBERS: 52, 44, 41; 46, 28, 30.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('HGETALL', KEYS[1])",
        at: 'redis.call',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local out = {}\nfor _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do\n  out[#out + 1] = redis.call('HGETALL', 'job:' .. id)\nend\nreturn out",
        at: "redis.call('HGETALL'",
        severity: 'warning',
        note: 'A collection per element of another one.',
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.1', lua: "return redis.call('HMGET', KEYS[1], 'name', 'state')" },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('SORT', KEYS[1], 'LIMIT', 0, 10)",
        note: 'Answers ten.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('SUNIONSTORE', KEYS[1], KEYS[2], KEYS[3])",
      },
    ],
  },
  check: ({ report }) => ({
    call(call) {
      const name = wholeOf(call);
      if (name === undefined) return;
      const loop = call.loops.find(({ bound }) => bound.kind === 'reply' || bound.kind === 'open');
      const answer = `${name.toUpperCase()} answers the whole collection, however large`;
      report(
        call.node,
        loop
          ? { message: `${answer}, once per turn of a loop that the data bounds`, severity: 'warning' }
          : { message: answer },
      );
    },
  }),
});
