/** D22: scripts that free a collection and fill it anew. */
import { type Change, gains, nameServer } from '../profile.ts';
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';
import { isSameValue } from '../values.ts';

/** Large values are freed by a thread of their own. */
const LATER: Change = { valkey: '8.0' };
const FREES = new Set(['del']);
const GROWS = new Set(['rpush', 'lpush', 'sadd', 'zadd', 'hset', 'hmset', 'xadd']);

/** Whether the call adds as much as a reply, an argument or a key list holds. */
const addsMuch = (call: CommandCall) =>
  call.open || call.loops.some(({ bound }) => bound.kind === 'reply' || bound.kind === 'argv' || bound.kind === 'open');

export const freeThenAllocate = defineRule({
  code: 'D22',
  name: 'free-then-allocate',
  title: 'collections that are freed and filled in one script',
  category: 'memory',
  evidence: 'df',
  worst: 'info',
  range: { text: 'Redis, Valkey 7.2 -> Valkey >= 8.0', applies: (profile) => gains(profile, LATER) },
  severity: () => 'info',
  mechanism:
    'Valkey 8.0 sets lazyfree-lazy-user-del: DEL of a set of 300,000 members takes 0.2 ms instead of 24 to 43, and its memory comes back a moment later. A script that fills the key again near maxmemory holds both for that moment.',
  fix: 'Leave room for it under maxmemory; or build under a new name and RENAME.',
  proof:
    'Latency of DEL in EVAL on Redis 7.0.15, 8.0.6, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2. That OOM follows is reasoned, not measured.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('DEL', KEYS[1])\nfor i = 1, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end",
        at: "redis.call('DEL'",
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local members = redis.call('SMEMBERS', KEYS[2])\nredis.call('DEL', KEYS[1])\nredis.call('SADD', KEYS[1], unpack(members))",
        at: "redis.call('DEL'",
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end",
        note: 'A lock.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('DEL', KEYS[1])\nfor i = 1, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end",
        note: 'Another key.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('DEL', KEYS[1])\nredis.call('HSET', KEYS[1], 'a', 1)",
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const before: CommandCall[] = [];
      for (const call of script.calls) {
        if (call.name === undefined) continue;
        if (FREES.has(call.name)) before.push(call);
        else if (GROWS.has(call.name) && addsMuch(call)) {
          const key = call.keys[0]?.value;
          const freed = key && before.find(({ keys }) => keys.some(({ value }) => isSameValue(value, key)));
          if (!freed) continue;
          report(freed.node, {
            message: `${nameServer(profile.to)} frees a large value a moment after DEL, and ${call.name.toUpperCase()} fills the key anew`,
          });
        }
      }
    },
  }),
});
