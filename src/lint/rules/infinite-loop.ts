/** H09: loops that nothing ends. */
import type { LoopNode, Node, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

/** Whether something in the loop can end the script: an error is a way out too. */
function raises(script: Script, loop: Node): boolean {
  const asksFunction = script.scopes
    .inside(loop)
    .some(
      (node) => 'base' in node && node.type.endsWith('CallExpression') && script.valueOf(node.base).kind === 'function',
    );
  const scope = asksFunction
    ? script.scopes.calls
    : script.scopes.calls.filter((call) => script.scopes.isInside(call, loop));
  return scope.some((call) => ['error', 'assert'].includes(script.libraryOf(call) ?? ''));
}

/** Whether the condition is made of locals alone that nothing in the loop changes. */
function standsStill(script: Script, loop: Extract<LoopNode, { type: 'WhileStatement' | 'RepeatStatement' }>): boolean {
  let locals = 0;
  for (const node of script.scopes.inside(loop.condition)) {
    switch (node.type) {
      case 'Identifier': {
        const variable = script.scopes.variableOf(node);
        if (variable === undefined || script.scopes.isInside(variable.node, loop)) return false;
        const changes = variable.writes.some(
          ({ by }) =>
            script.scopes.isInside(by, loop) || script.scopes.functionOf(by) !== script.scopes.functionOf(loop),
        );
        const value = script.valueOf(node);
        // A table can change without its variable being written.
        if (changes || value.kind === 'table' || value.kind === 'unknown') return false;
        locals++;
        break;
      }
      case 'BinaryExpression':
      case 'LogicalExpression':
      case 'NumericLiteral':
      case 'StringLiteral':
      case 'BooleanLiteral':
      case 'NilLiteral':
        break;
      default:
        return false;
    }
  }
  return locals > 0;
}

export const infiniteLoop = defineRule({
  code: 'H09',
  name: 'infinite-loop-shape',
  title: 'loops that nothing ends',
  category: 'blocking',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'No server interrupts a script: after lua-time-limit (5 s) others are answered BUSY, and go on waiting. SCRIPT KILL ends a script that has only read; one that wrote is UNKILLABLE on every release tested, Redis 6.2 to 8.6 and Valkey 7.2 to 9.1, and only SHUTDOWN NOSAVE is left.',
  fix: 'End the loop when the data is used up (if not v then break end), and count its turns.',
  proof: 'An endless script with a write answered SCRIPT KILL with UNKILLABLE on all ten releases.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "while true do\n  local id = redis.call('LPOP', KEYS[1])\n  if id then redis.call('RPUSH', KEYS[2], id) end\nend",
        at: 'while',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local left = tonumber(redis.call('GET', KEYS[1]))\nwhile left > 0 do\n  redis.call('DECR', KEYS[1])\nend",
        at: 'while',
        note: 'left is never read again.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "while true do\n  local id = redis.call('LPOP', KEYS[1])\n  if not id then break end\n  redis.call('RPUSH', KEYS[2], id)\nend",
        proof: { keys: ['a', 'b'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "repeat\n  local id = redis.call('LPOP', KEYS[1])\nuntil not id",
        proof: { keys: ['a'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.loops) {
        if (node.type !== 'WhileStatement' && node.type !== 'RepeatStatement') continue;
        const { exits } = script.loopOf(node);
        if (exits.length > 0 || raises(script, node)) continue;
        const { condition } = node;
        const value = script.valueOf(condition);
        const holds = value.kind === 'literal' && value.value !== false && value.value !== null;
        const endless = value.kind === 'literal' && holds === (node.type === 'WhileStatement');
        if (endless)
          report(node, { message: 'nothing ends this loop: no break, no return, a condition that never changes' });
        else if (value.kind !== 'literal' && standsStill(script, node)) {
          report(node, {
            message: `nothing in this loop changes ${script.textOf(condition)}: once begun it never ends`,
          });
        }
      }
    },
  }),
});
