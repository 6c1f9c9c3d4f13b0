/** H21: scripts that only read and do not say so. */
import { findCommand } from '../commands.ts';
import { has } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** `#!lua flags=…` and EVAL_RO. */
const FLAGS = { redis: '7.0', valkey: '7.2' };
/** Neither read nor write, and allowed with no-writes. */
const NEUTRAL = new Set(['time', 'ping', 'echo']);

export const flagsMissing = defineRule({
  code: 'H21',
  name: 'flags-missing',
  title: 'scripts that only read and do not say so',
  category: 'style',
  evidence: 'ast',
  worst: 'info',
  range: { text: 'both sides Redis >= 7.0 or Valkey', applies: ({ from, to }) => has(from, FLAGS) && has(to, FLAGS) },
  severity: () => 'info',
  mechanism:
    'A script that says flags=no-writes, or is sent by EVAL_RO, may run on read-only replicas and while writes are stopped by a full disk, and can always be killed. Without it the server learns at the first write what the script is.',
  fix: 'Begin it with #!lua flags=no-writes, or send it by EVAL_RO; Redis 6.2 does not know the first line. With #!lua a script may use one slot only in a cluster.',
  proof: 'flags=no-writes is accepted by EVAL on Redis >= 7.0 and Valkey >= 7.2, a compile error on Redis 6.2.16.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local stock = redis.call('GET', KEYS[1])\nreturn tonumber(stock or '0')",
        at: 'local stock',
        proof: { keys: ['k'], from: /^0$/, to: /^0$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'EVAL_RO return(redis.call("GET",KEYS[1])) 1 k',
        note: 'Says so by its command.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "#!lua flags=no-writes\nreturn tonumber(redis.call('GET', KEYS[1]) or '0')",
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local stock = redis.call('GET', KEYS[1])\nif stock then redis.call('PUBLISH', 'stock', stock) end",
        note: 'PUBLISH is not allowed with no-writes.',
        proof: { keys: ['k'] },
      },
    ],
  },
  check: ({ profile, reportUnit }) => ({
    script(script) {
      if (
        script.shebang ||
        script.unit.fragment ||
        script.unit.readOnly ||
        script.context === 'function' ||
        script.calls.length === 0
      )
        return;
      let reads = false;
      for (const call of script.calls) {
        if (call.dynamic) return;
        for (const name of call.fullNames) {
          const flags = findCommand(profile.to, name)?.flags;
          if (flags?.has('readonly') && !flags.has('may_replicate')) reads = true;
          else if (!NEUTRAL.has(name)) return;
        }
      }
      if (reads) reportUnit(script.unit, { message: 'this script only reads, and the server is not told' });
    },
  }),
});
