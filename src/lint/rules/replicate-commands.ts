/** H18: redis.replicate_commands(), which has nothing left to do. */
import { has } from '../profile.ts';
import { defineRule } from '../rule.ts';

export const replicateCommands = defineRule({
  code: 'H18',
  name: 'replicate-commands',
  title: 'redis.replicate_commands()',
  category: 'deprecated',
  evidence: 'ast',
  worst: 'info',
  range: {
    text: 'Redis >= 7.0 and every Valkey as target',
    applies: ({ to }) => has(to, { redis: '7.0', valkey: '7.2' }),
  },
  severity: () => 'info',
  mechanism:
    'Since Redis 7.0, and on every Valkey, scripts are replicated by their effects only: the function does nothing and answers true. Nothing breaks.',
  fix: 'Delete the call once no server before Redis 5.0 is left.',
  proof: 'Answers true on Redis 7.0.15 to 8.6.3 and Valkey 7.2.7 to 9.1.2; on Redis 6.2.16 false after a write.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.replicate_commands()\nreturn redis.call('TIME')[1] ~= nil",
        at: 'redis.replicate_commands',
        proof: { from: /^1$/, to: /^1$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'if redis.replicate_commands then redis.replicate_commands() end\nreturn 1',
        note: 'Asked for first: meant for very old servers.',
        proof: {},
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.calls) {
        if (script.libraryOf(node) !== 'redis.replicate_commands') continue;
        const asked = script.guardsAround(node).some(({ condition }) => {
          const value = script.valueOf(condition);
          return value.kind === 'global' && value.name === 'redis.replicate_commands';
        });
        if (!asked) report(node, { message: 'redis.replicate_commands() does nothing any more' });
      }
    },
  }),
});
