/** H13: commands that no server lets a script call. */
import { findCommand } from '../commands.ts';
import { nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

export const noscriptCommand = defineRule({
  code: 'H13',
  name: 'noscript-command',
  title: 'commands that scripts may not call',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'Commands with the flag noscript are refused when a script calls them, on every release of both products: those that change the connection or the server, and those that run scripts.',
  fix: 'Let the client send the command.',
  proof:
    '"This Redis command is not allowed from script" on Redis 7.0.15 and Valkey 8.0.1, "This Valkey command …" on 9.1.2. PUBLISH, INFO, SLOWLOG GET, SELECT, FLUSHALL, OBJECT and MEMORY USAGE are allowed.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('CONFIG', 'SET', 'maxmemory', '0')",
        at: 'redis.call',
        proof: { from: /not allowed from script/, to: /not allowed from script/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local run = redis.pcall\nreturn run('MULTI')",
        at: 'run(',
        proof: { from: /not allowed from script/, to: /not allowed from script/ },
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', lua: "return redis.call('PUBLISH', 'news', 'x')", proof: {} },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('HSET', KEYS[1], 'CONFIG', 'MULTI')",
        proof: { keys: ['h'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('BLPOP', KEYS[1], 1)",
        note: 'Refused up to Redis 7.0 only: rule H14.',
      },
    ],
  },
  check: ({ profile, report }) => ({
    call(call) {
      for (const name of call.fullNames) {
        const command = findCommand(profile.to, name);
        if (!command?.flags.has('noscript') || command.flags.has('blocking')) continue;
        report(call.node, {
          message: `scripts may not call ${name.toUpperCase()}, on ${nameServer(profile.to)} as elsewhere`,
        });
      }
    },
  }),
});
