/** D03: commands that the target's own documentation calls deprecated. */
import { findCommand } from '../commands.ts';
import { nameServer, type Profile } from '../profile.ts';
import { defineRule } from '../rule.ts';

function describe({ to }: Profile, name: string): string | undefined {
  const deprecated = findCommand(to, name)?.deprecated;
  if (deprecated === undefined) return undefined;
  const instead = deprecated.replacedBy === '' ? '' : `; instead: ${deprecated.replacedBy}`;
  return `${nameServer(to)} calls ${name.toUpperCase()} deprecated since ${deprecated.since}${instead}`;
}

export const deprecatedCommand = defineRule({
  code: 'D03',
  name: 'deprecated-command',
  title: 'commands that the target calls deprecated',
  category: 'deprecated',
  evidence: 'ast',
  worst: 'info',
  range: { text: 'any, by the command table of the target', applies: () => true },
  severity: () => 'info',
  mechanism:
    'A matter of documentation: nothing was removed, and the commands work on every release up to Redis 8.6 and Valkey 9.1. Valkey 9.0 took the mark off 23 entries (HMSET, SETNX, SETEX, RPOPLPUSH, ZRANGEBYSCORE and others); on 9.1.2 only SLAVEOF and CLUSTER SLAVES carry it.',
  fix: 'Nothing has to be done for the migration; new code uses the replacement.',
  proof: 'deprecated_since in COMMAND DOCS of Redis 7.0.15 to 8.6.3 and Valkey 7.2.7 to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('HMSET', KEYS[1], 'a', 1)",
        at: 'redis.call',
      },
      { profile: '--from redis@7.0 --to valkey@9.1', commands: 'PING\nSLAVEOF NO ONE', at: 'SLAVEOF' },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "return redis.call('HMSET', KEYS[1], 'a', 1)",
        note: 'Not deprecated on Valkey 9.',
        proof: { keys: ['h'] },
      },
      { profile: '--from redis@7.0 --to valkey@8.1', lua: "return redis.call('HSET', KEYS[1], 'HMSET', 1)" },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    script(script) {
      const told = new Set<string>();
      for (const call of script.calls) {
        for (const name of call.fullNames) {
          const message = told.has(name) ? undefined : describe(profile, name);
          if (message === undefined) continue;
          told.add(name);
          report(call.node, { message });
        }
      }
    },
    command(command) {
      const message = describe(profile, command.name);
      if (message) reportCommand(command, { message });
    },
  }),
});
