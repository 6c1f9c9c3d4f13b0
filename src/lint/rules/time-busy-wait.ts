/** D12: loops that wait for TIME to go on. */
import { type Change, gains } from '../profile.ts';
import type { Expression, Loop, Node, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { partsOf } from '../values.ts';

/** Inside a script TIME stands still. */
const FROZEN: Change = { redis: '7.2', valkey: '7.2' };

/** Identifiers that a condition reads. */
const readsIn = (script: Script, node: Node) =>
  script.scopes
    .inside(node)
    .filter((child) => child.type === 'Identifier' && script.scopes.variableOf(child) !== undefined);

/** Whether a node lies in the loop. */
const isInside = (script: Script, node: Node, loop: Loop) => script.scopes.isInside(node, loop.node);

/** Whether an expression changes from turn to turn only by what TIME answers. */
function waitsForTime(script: Script, condition: Expression, loop: Loop): boolean {
  let waits = false;
  const asksTime = (node: Expression) =>
    [...partsOf(script.valueOf(node))].some(
      (part) => part.kind === 'reply' && part.call.name === 'time' && isInside(script, part.call.node, loop),
    );
  for (const node of script.scopes.inside(condition)) {
    if (script.commandCallOf(node)) {
      if (script.commandCallOf(node)!.name !== 'time') return false;
      waits = true;
    }
  }
  for (const read of readsIn(script, condition)) {
    const variable = script.scopes.variableOf(read as Extract<Node, { type: 'Identifier' }>)!;
    const written = variable.writes.some(({ by }) => isInside(script, by, loop));
    if (!written) continue;
    if (!asksTime(read as Expression)) return false;
    waits = true;
  }
  return waits;
}

export const timeBusyWait = defineRule({
  code: 'D12',
  name: 'time-busy-wait',
  title: 'loops that wait for TIME',
  category: 'blocking',
  evidence: 'df',
  worst: 'error',
  range: { text: 'Redis <= 7.0 -> any Valkey', applies: (profile) => gains(profile, FROZEN) },
  severity: () => 'error',
  mechanism:
    'Since 7.2 (Redis and Valkey) TIME stands still inside a script until busy-reply-threshold (lua-time-limit, 5 s) has passed; on 7.0 and earlier it goes on. A loop that waits 20 ms there takes 5 s, or never ends where the threshold is 0, and as scripts run on the one thread that executes commands, the server serves nobody meanwhile.',
  fix: 'Never wait in a script: return, and let the client come back later.',
  proof:
    'The example ends after 20 ms on Redis 6.0.16 and 7.0.15, and after 5.01 to 5.03 s on Redis 8.0.2 and Valkey 8.0.1, 8.1.1, 9.1.2; with lua-time-limit 0 Valkey 8.0.1 had to be killed.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local start = redis.call('TIME')\nlocal deadline = start[1] * 1000000 + start[2] + 20000\nrepeat\n  local t = redis.call('TIME')\nuntil t[1] * 1000000 + t[2] >= deadline\nreturn 'waited'",
        at: 'repeat',
        proof: { from: /^"waited"$/, to: /^\(no answer/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local now = tonumber(redis.call('TIME')[1])\nlocal stop = now + 1\nwhile now < stop do\n  now = tonumber(redis.call('TIME')[1])\nend",
        at: 'while',
      },
      {
        profile: '--from redis@6.2 --to valkey@9.1',
        lua: "while true do\n  local t = redis.call('TIME')\n  if tonumber(t[1]) > tonumber(ARGV[1]) then break end\nend",
        at: 'while',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local t = redis.call('TIME')\nlocal n = 0\nwhile n < 10 do n = n + 1 end\nreturn n",
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local turns = 0\nlocal t\nrepeat\n  t = redis.call('TIME')\n  turns = turns + 1\nuntil t[2] == 'never' or turns > 100\nreturn turns",
        note: 'A counter ends it as well.',
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "for i = 1, #ARGV do\n  local t = redis.call('TIME')\n  redis.call('ZADD', KEYS[1], t[1], ARGV[i])\nend",
        note: 'TIME as a stamp.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.loops) {
        if (node.type !== 'WhileStatement' && node.type !== 'RepeatStatement') continue;
        const loop = script.loopOf(node);
        const constant = script.valueOf(node.condition).kind === 'literal';
        // Every way out must wait for TIME; one that does not ends the loop.
        const ways = constant ? [] : [node.condition];
        let other = false;
        for (const exit of loop.exits) {
          const guard = script
            .guardsAround(exit)
            .find(({ condition }) => isInside(script, condition, loop) && condition !== node.condition);
          if (guard) ways.push(guard.condition);
          else other = true;
        }
        if (other || ways.length === 0 || !ways.every((way) => waitsForTime(script, way, loop))) continue;
        report(node, {
          message: 'this loop ends only when TIME goes on, and inside a script it stands still for 5 s, or for good',
        });
      }
    },
  }),
});
