/** H23: redis.log with a level that does not exist, or in a loop. */
import { hasGlobal } from '../commands.ts';
import { nameServer } from '../profile.ts';
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { numberOf } from '../values.ts';

export const logLevel = defineRule({
  code: 'H23',
  name: 'log-level',
  title: 'redis.log with wrong levels, or in loops',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'redis.log takes the levels 0 to 3 (redis.LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING) and ends the script with an error for anything else, on every release of both products. What it logs is written to the file on the one thread that executes commands.',
  fix: 'Use redis.LOG_NOTICE or redis.LOG_WARNING; in a loop, log once behind it.',
  proof:
    'redis.log(redis.LOG_ERROR, x): "First argument must be a number (log level)" on Redis 7.0.15 and Valkey 8.0.1; redis.log(9, x): "Invalid debug level", "Invalid log level".',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.log(redis.LOG_ERROR, 'no stock')",
        at: 'redis.LOG_ERROR',
        proof: { from: /must be a number/, to: /must be a number/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n  redis.log(redis.LOG_NOTICE, id)\nend",
        at: 'redis.log',
        severity: 'warning',
        note: 'A line in the log per member.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.log(redis.LOG_WARNING, 'no stock')\nredis.log(2, ARGV[1])",
        proof: { argv: ['x'] },
      },
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'redis.log(tonumber(ARGV[1]), ARGV[2])' },
    ],
  },
  check({ profile, report }) {
    const problemOf = (script: Script, level: Expression): string | undefined => {
      const value = script.valueOf(level);
      if (value.kind === 'global' && /^(redis|server)\.\w+$/.test(value.name)) {
        return hasGlobal(profile.to, value.name) || hasGlobal(profile.from, value.name)
          ? undefined
          : `${value.name} does not exist on ${nameServer(profile.to)}: the level is nil`;
      }
      if (value.kind !== 'literal') return undefined;
      const number = numberOf(value);
      if (number === undefined) return `${script.textOf(level)} is no log level`;
      return number >= 0 && number <= 3 ? undefined : `${number} is no log level: they are 0 to 3`;
    };
    return {
      script(script) {
        for (const node of script.scopes.calls) {
          const name = script.libraryOf(node);
          if (name !== 'redis.log' && name !== 'server.log') continue;
          const [level] = script.libraryArguments(node);
          const message = level && problemOf(script, level);
          if (level && message) {
            report(level, { message });
            continue;
          }
          const loop = script.loopsAround(node).find(({ bound }) => bound.kind === 'reply' || bound.kind === 'open');
          if (loop) report(node, { message: 'writes to the log in a loop that the data bounds', severity: 'warning' });
        }
      },
    };
  },
});
