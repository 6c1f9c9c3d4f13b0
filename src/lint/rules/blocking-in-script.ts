/** H14: commands that wait, in scripts, where nothing can. */
import { findCommand } from '../commands.ts';
import { has, nameServer, type Server } from '../profile.ts';
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';

/** Let scripts call WAITAOF, and XREAD and XREADGROUP with BLOCK. */
const STREAMS_TOO = { redis: '7.4', valkey: '8.0' };

/** The command by which the call would wait. */
function waitingName(call: CommandCall, server: Server): string | undefined {
  return call.names.find((name) => {
    if (!findCommand(server, name)?.flags.has('blocking')) return false;
    if (name !== 'xread' && name !== 'xreadgroup') return true;
    const words = call.literals.map((word) => word?.toUpperCase());
    const streams = words.indexOf('STREAMS');
    return words.slice(0, streams < 0 ? undefined : streams).includes('BLOCK');
  });
}

const refuses = (server: Server, name: string) =>
  ['xread', 'xreadgroup', 'waitaof'].includes(name)
    ? !has(server, STREAMS_TOO)
    : (findCommand(server, name)?.flags.has('noscript') ?? false);

export const blockingInScript = defineRule({
  code: 'H14',
  name: 'blocking-in-script',
  title: 'commands that wait, in scripts',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all; refused by Redis <= 7.0', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'A script cannot wait: while it runs, nobody else could write what it waits for. Redis up to 7.0 refuses BLPOP and the like in scripts; Redis >= 7.2 and every Valkey run them as if the timeout had passed and answer nil at once (WAITAOF, XREAD BLOCK: Redis >= 7.4, Valkey >= 8.0).',
  fix: 'Use the command that does not wait (LPOP, LMOVE, ZPOPMIN, XREAD without BLOCK), and wait in the client.',
  proof:
    'BLPOP k 1 in EVAL: "This Redis command is not allowed from script" on Redis 6.2.16 and 7.0.15, nil at once on Redis 7.2.6 to 8.6.3 and Valkey 7.2.7 to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('BLPOP', KEYS[1], 1)",
        at: 'redis.call',
        proof: { keys: ['none'], from: /not allowed from script/, to: /^null$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('XREAD', 'BLOCK', 100, 'STREAMS', KEYS[1], '$')",
        at: 'redis.call',
        proof: { keys: ['none'], from: /not allowed with BLOCK/, to: /^null$/ },
      },
      {
        profile: '--from redis@6.2 --to redis@7.0',
        lua: "return redis.call('BRPOPLPUSH', KEYS[1], KEYS[2], 0)",
        at: 'redis.call',
        severity: 'error',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('LPOP', KEYS[1])",
        proof: { keys: ['none'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('XREAD', 'COUNT', 10, 'STREAMS', KEYS[1], '0')",
        proof: { keys: ['none'] },
      },
    ],
  },
  check: ({ profile: { from, to }, report }) => ({
    call(call) {
      const name = waitingName(call, to) ?? waitingName(call, from);
      if (name === undefined) return;
      const command = name.toUpperCase();
      if (refuses(to, name)) {
        report(call.node, { message: `scripts may not call ${command} on ${nameServer(to)}`, severity: 'error' });
      } else if (refuses(from, name)) {
        report(call.node, {
          message: `${nameServer(from)} refuses ${command} in scripts, ${nameServer(to)} runs it but does not wait`,
        });
      } else report(call.node, { message: `${command} does not wait in a script: its timeout means nothing` });
    },
  }),
});
