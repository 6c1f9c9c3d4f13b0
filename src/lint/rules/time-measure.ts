/** D13: durations between two TIMEs of one script. */
import { type Change, gains } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { partsOf, type Value } from '../values.ts';

/** Inside a script TIME stands still. */
const FROZEN: Change = { redis: '7.2', valkey: '7.2' };

/** The calls of TIME that a value is made of. */
const timesIn = (value: Value) =>
  new Set(
    [...partsOf(value)].flatMap((part) => (part.kind === 'reply' && part.call.name === 'time' ? [part.call.node] : [])),
  );

export const timeMeasure = defineRule({
  code: 'D13',
  name: 'time-measure',
  title: 'durations between two TIMEs of one script',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'Redis <= 7.0 -> any Valkey', applies: (profile) => gains(profile, FROZEN) },
  severity: () => 'warning',
  mechanism:
    'Since 7.2 (Redis and Valkey) TIME stands still inside a script until busy-reply-threshold (5 s) has passed; on 7.0 and earlier it goes on. The difference of two TIMEs of one script is 0.',
  fix: 'Measure at the client or by SLOWLOG; os.clock() goes on, on Valkey >= 8.0 and Redis >= 7.4.',
  proof:
    'Two TIMEs around 200,000 turns of a loop differ on Redis 6.0.16 and 7.0.15, and are equal on Redis 8.0.2 and 8.6.3 and Valkey 8.0.1, 8.1.1 and 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local before = redis.call('TIME')\nlocal sum = 0\nfor i = 1, 200000 do sum = sum + i end\nlocal after = redis.call('TIME')\nlocal us = (after[1] - before[1]) * 1000000 + (after[2] - before[2])\nreturn us > 0",
        at: 'after[1] - before[1]',
        proof: { from: /^1$/, to: /^null$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local a = redis.call('TIME')\nredis.call('SET', KEYS[1], a[1])\nlocal b = redis.call('TIME')\nredis.call('SET', KEYS[2], b[1])",
        note: 'Two stamps, not compared.',
        proof: { keys: ['a', 'b'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local now = redis.call('TIME')\nreturn tonumber(now[1]) - tonumber(redis.call('GET', KEYS[1]) or now[1])",
        note: 'An age.',
        proof: { keys: ['none'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      if (script.calls.filter(({ name }) => name === 'time').length < 2) return;
      let reported: [number, number] | undefined;
      for (const node of script.scopes.nodes) {
        if (node.type !== 'BinaryExpression' || node.operator !== '-') continue;
        const [after, before] = [timesIn(script.valueOf(node.left)), timesIn(script.valueOf(node.right))];
        if (after.size !== 1 || before.size !== 1 || [...after].some((call) => before.has(call))) continue;
        // Seconds and microseconds of one duration are one finding.
        const [a, b] = [...after, ...before].map((call) => script.scopes.nodes.indexOf(call)) as [number, number];
        if (reported && reported[0] === a && reported[1] === b) continue;
        reported = [a, b];
        report(node, {
          message: 'both TIMEs are of this script, and inside a script TIME stands still: the difference is 0',
        });
      }
    },
  }),
});
