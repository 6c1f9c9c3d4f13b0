/** D18: the table `server`, which only Valkey has. */
import { destinations, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

export const serverNamespace = defineRule({
  code: 'D18',
  name: 'server-namespace',
  title: 'the table server of Valkey',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'Valkey -> any Redis; Redis -> Valkey and back',
    applies: (profile) => destinations(profile).some(({ product }) => product === 'redis'),
  },
  severity: ({ to }) => (to.product === 'redis' ? 'error' : 'warning'),
  mechanism:
    'server.call, server.log and the rest are names of Valkey (all releases) for what redis.call and redis.log are everywhere; on Redis the global server does not exist, and reading it is an error.',
  fix: 'Keep redis.call and the like: they work on every Valkey.',
  proof: "server.call('PING') on Redis 6.0.16 to 8.6.3 (error) and Valkey 8.0.1, 8.1.1, 9.1.2.",
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "return server.call('GET', KEYS[1])",
        at: 'server',
        proof: { setup: [['SET', 'k', 'v']], keys: ['k'], from: /nonexistent global variable 'server'/, to: /^"v"$/ },
      },
      {
        profile: '--from valkey@8.1 --to redis@8.0',
        lua: "local call = server.call\nreturn call('PING')",
        at: 'server',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "local server = { call = redis.call }\nreturn server.call('GET', KEYS[1])",
        note: 'A table of the script.',
        proof: { keys: ['none'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "local api = rawget(_G, 'server') or redis\nreturn api.call('GET', KEYS[1])",
        note: 'Asks first.',
        proof: { keys: ['none'] },
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      if (script.unit.fragment || script.scopes.globalWrites.some(({ name }) => name === 'server')) return;
      const server = destinations(profile).find(({ product }) => product === 'redis')!;
      const reads = script.scopes.globalReads.filter(
        (node) => node.name === 'server' && !script.isVersionGuarded(node),
      );
      const more = reads.length > 1 ? ` (read in ${reads.length} places)` : '';
      // The first is where the script ends.
      if (reads[0]) report(reads[0], { message: `scripts on ${nameServer(server)} have no global server${more}` });
    },
  }),
});
