/** H37: PUBLISH in scripts of a cluster, which every node hears. */
import { findCommand } from '../commands.ts';
import { defineRule } from '../rule.ts';

export const clusterPublish = defineRule({
  code: 'H37',
  name: 'cluster-publish',
  title: 'PUBLISH in a cluster',
  category: 'cluster-unsafe',
  evidence: 'ast',
  worst: 'info',
  range: {
    text: 'clusters of Redis >= 7.0 and Valkey',
    applies: ({ cluster, to }) => cluster && findCommand(to, 'spublish') !== undefined,
  },
  severity: () => 'info',
  mechanism:
    'In a cluster PUBLISH goes to every node, SPUBLISH (Redis >= 7.0, every Valkey) only to the nodes of the slot of the channel: its cost does not grow with the cluster. Subscribers must then use SSUBSCRIBE.',
  fix: 'If publisher and subscribers are yours, use SPUBLISH and SSUBSCRIBE with the hash tag of the keys.',
  proof: 'Documentation of both products; sharded channels are kept per slot.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "redis.call('SET', KEYS[1], ARGV[1])\nredis.call('PUBLISH', 'changed', KEYS[1])",
        at: "redis.call('PUBLISH'",
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "redis.call('SPUBLISH', KEYS[1], ARGV[1])",
      },
    ],
  },
  check: ({ report }) => ({
    call(call) {
      if (call.name === 'publish') report(call.node, { message: 'PUBLISH goes to every node of the cluster' });
    },
  }),
});
