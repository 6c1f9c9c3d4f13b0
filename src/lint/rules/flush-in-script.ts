/** H30: FLUSHALL and FLUSHDB in a script. */
import { defineRule } from '../rule.ts';

export const flushInScript = defineRule({
  code: 'H30',
  name: 'flush-in-script',
  title: 'FLUSHALL and FLUSHDB in a script',
  category: 'blocking',
  evidence: 'ast',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'Every release lets a script empty the database, whatever keys it declares. Redis does it on the one thread that executes commands (70 to 85 ms for 110,000 keys and four large collections), Valkey >= 8.0 hands the memory to another thread (1 to 4 ms) and gives it back later.',
  fix: 'Delete the keys that are meant, or let an operator flush.',
  proof: 'FLUSHALL: Redis 7.0.15 85 ms, 8.0.6 80, 8.6.3 70; Valkey 8.0.1 1.8, 8.1.1 1.1, 9.1.2 4.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('FLUSHDB')",
        at: 'redis.call',
        proof: { from: /OK/, to: /OK/ },
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', lua: "return redis.call('FUNCTION' .. ARGV[1], 'FLUSHALL')" },
    ],
  },
  check: ({ report }) => ({
    call(call) {
      const name = call.names.find((candidate) => candidate === 'flushall' || candidate === 'flushdb');
      if (name)
        report(call.node, { message: `${name.toUpperCase()} empties far more than the keys that the script declares` });
    },
  }),
});
