/** H05: commands called once per element of something that grows with the data. */
import type { LoopNode, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

const MAX_NAMED = 3;
/** Elements per turn from which on a loop works in pieces. */
const CHUNK = 10;

/** What bounds a loop, in words; undefined where the request or a constant does. */
function boundOf(script: Script, node: LoopNode): { words: string; severity?: 'info' } | undefined {
  const loop = script.loopOf(node);
  const { bound } = loop;
  // A whole scan has its own rule; a loop in large steps is what H06 asks for.
  if (script.cursorScanOf(loop) || loop.step === undefined || loop.step >= CHUNK) return undefined;
  if (bound.kind === 'reply') {
    const [name] = bound.call.names;
    return { words: `once per element that ${name === undefined ? 'a command' : name.toUpperCase()} answers` };
  }
  if (bound.kind === 'open') return { words: 'for as long as the data lasts' };
  return bound.kind === 'argv' ? { words: 'as often as an argument says', severity: 'info' } : undefined;
}

export const unboundedLoop = defineRule({
  code: 'H05',
  name: 'call-in-unbounded-loop',
  title: 'commands in loops that the data bounds',
  category: 'blocking',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'A script runs to its end on the one thread that executes commands, and other clients wait for all turns of the loop: 20,000 GETs from one EVAL took 4.0 to 4.4 ms on Redis 7.2 to 8.0 and Valkey 7.2 to 8.1, and 7.9 ms on Valkey 9.1.2, where each call costs 0.12 to 0.2 µs more.',
  fix: 'Use the command that takes many arguments (DEL k1 k2 …, MGET), or handle a fixed number per call and let the client come back.',
  proof:
    'Same compiler for all, 20,000 redis.call per EVAL, median of 25, GET: Redis 7.2.6 4.0 ms, 7.4.1 4.0, 8.0.6 4.0; Valkey 7.2.7 3.8, 8.0.1 4.4, 8.1.1 4.3, 9.1.2 7.9.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n  redis.call('DEL', key)\nend",
        at: 'for',
      },
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "while true do\n  local id = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])\n  if not id then break end\nend",
        at: 'while',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "for i = 1, tonumber(ARGV[1]) do redis.call('RPUSH', KEYS[1], i) end",
        at: 'for',
        severity: 'info',
        note: 'The client decides how often.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end",
        note: 'The request bounds it.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local ids = redis.call('SMEMBERS', KEYS[1])\nfor i = 1, #ids, 1000 do\n  redis.call('SREM', KEYS[2], unpack(ids, i, math.min(i + 999, #ids)))\nend",
        note: 'A call per thousand.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, 99)) do redis.call('HDEL', KEYS[2], id) end",
        note: 'A hundred at most.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local n = 0\nfor _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do n = n + #id end\nreturn n",
        note: 'The command is called once, before the loop.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      const called = new Map<LoopNode, Set<string>>();
      for (const call of script.calls) {
        for (const { node } of call.loops) {
          const names = called.get(node) ?? new Set();
          called.set(node, names);
          for (const name of call.names) names.add(name.toUpperCase());
        }
      }
      for (const [node, names] of called) {
        const bound = boundOf(script, node);
        if (!bound) continue;
        const shown = [...names].slice(0, MAX_NAMED).join(', ') || 'commands';
        const more = names.size > MAX_NAMED ? ` and ${names.size - MAX_NAMED} more` : '';
        report(node, {
          message: `this loop calls ${shown}${more} ${bound.words}`,
          ...(bound.severity ? { severity: bound.severity } : {}),
        });
      }
    },
  }),
});
