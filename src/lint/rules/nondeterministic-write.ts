/** H17: writes that depend on the clock or on chance, where scripts may be replicated as text. */
import { compareVersion, destinations, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Up to 6.2 `lua-replicate-commands no` sends scripts to replicas as text. */
const replicatesText = (server: Server) => server.product === 'redis' && compareVersion(server, '7.0') < 0;

const CHANCE = new Set(['time', 'randomkey', 'spop', 'srandmember']);

export const nondeterministicWrite = defineRule({
  code: 'H17',
  name: 'nondeterministic-write',
  title: 'writes behind TIME or chance',
  category: 'nondeterminism',
  evidence: 'df',
  worst: 'info',
  range: {
    text: 'Redis <= 6.2 as target or way back',
    applies: (profile) => destinations(profile).some(replicatesText),
  },
  severity: () => 'info',
  mechanism:
    'Redis up to 6.2 can be told (lua-replicate-commands no) to replicate scripts as text; it then refuses writes behind TIME, RANDOMKEY, SPOP and SRANDMEMBER. Redis >= 7.0 and every Valkey replicate the effects, always: there such writes are safe.',
  fix: 'Leave lua-replicate-commands at yes, the default.',
  proof:
    'SET behind TIME, RANDOMKEY and SPOP works on Redis 6.2.16 (default settings) to 8.6.3 and Valkey 7.2.7 to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@5.0 --to redis@6.2',
        lua: "local now = redis.call('TIME')[1]\nredis.call('SET', KEYS[1], now)",
        at: "redis.call('SET'",
      },
    ],
    good: [
      {
        profile: '--from redis@5.0 --to redis@6.2',
        lua: "redis.replicate_commands()\nlocal now = redis.call('TIME')[1]\nredis.call('SET', KEYS[1], now)",
        note: 'Replicates effects whatever the setting.',
      },
      {
        profile: '--from redis@5.0 --to redis@6.2',
        lua: "redis.call('SET', KEYS[1], ARGV[1])\nreturn redis.call('TIME')",
        note: 'Written before.',
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const asked = (name: string) => script.scopes.calls.some((node) => script.libraryOf(node) === name);
      if (asked('redis.replicate_commands')) return;
      const from = script.calls.findIndex(({ names }) => names.some((name) => CHANCE.has(name)));
      if (from < 0) return;
      const write = script.calls.slice(from + 1).find((call) => call.writes(profile.to));
      if (!write) return;
      const [chance] = script.calls[from]!.names;
      report(write.node, {
        message: `writes behind ${chance!.toUpperCase()}: refused where lua-replicate-commands is set to no`,
      });
    },
  }),
});
