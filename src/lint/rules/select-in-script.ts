/** H29: SELECT in a script. */
import { destinations, has, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { numberOf } from '../values.ts';

/** Clusters can have more than one database (cluster-databases). */
const NUMBERED = { valkey: '9.0' };

export const selectInScript = defineRule({
  code: 'H29',
  name: 'select-in-script',
  title: 'SELECT in a script',
  category: 'cluster-unsafe',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'SELECT in a script moves the script to another database, and keys there are not those that the client declared. A cluster has database 0 only, except Valkey >= 9.0 with cluster-databases above 1.',
  fix: 'Let the client select the database, or put both into one with key prefixes.',
  proof:
    'SELECT is allowed in scripts on all ten releases; "SELECT is not allowed in cluster mode" on cluster nodes of Redis 6.2 to 8.6 and Valkey 7.2 to 8.1, "DB index is out of range" on 9.1.2 with one database.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SELECT', 1)\nreturn redis.call('GET', KEYS[1])",
        at: 'redis.call',
        proof: { keys: ['k'], from: /^null$/, to: /^null$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "redis.call('SELECT', 1)\nreturn redis.call('GET', KEYS[1])",
        at: 'redis.call',
        severity: 'error',
      },
    ],
    good: [{ profile: '--from redis@7.0 --to valkey@8.1', lua: "return redis.call('GET', 'SELECT')" }],
  },
  check: ({ profile, report }) => ({
    call(call) {
      if (call.name !== 'select') return;
      const database = numberOf(call.args[0]);
      const refusing = profile.cluster && destinations(profile).find((server) => !has(server, NUMBERED));
      if (refusing && database !== undefined && database !== 0) {
        report(call.node, {
          message: `a cluster of ${nameServer(refusing)} has no database ${database}`,
          severity: 'error',
        });
      } else report(call.node, { message: 'the script goes on in another database than its client' });
    },
  }),
});
