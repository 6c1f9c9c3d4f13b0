/** H07: a string that grows in a loop and is copied at every turn. */
import { has } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** MurmurHash3 made long strings cheaper to intern. */
const CHEAPER = { valkey: '8.1' };

export const concatInLoop = defineRule({
  code: 'H07',
  name: 'concat-in-loop',
  title: 'strings that grow in a loop',
  category: 'memory',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all; cheaper on Valkey >= 8.1', applies: () => true },
  severity: ({ to }) => (has(to, CHEAPER) ? 'info' : 'warning'),
  mechanism:
    's = s .. x makes a new string and copies the old one, so the work grows with the square of the turns: 20,000 appends took 239 to 244 ms on Redis 7.0 to 8.6 and Valkey 8.0, and 69 ms on Valkey 8.1 and 9.1, on the one thread that executes commands.',
  fix: 'Collect the pieces in a table and join them once: table.concat(pieces).',
  proof:
    "s = s .. 'x' 20,000 times inside EVAL, median of 15: Redis 7.0.15 239 ms, 8.0.6 243, 8.6.3 244; Valkey 8.0.1 240, 8.1.1 69, 9.1.2 69.",
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local text = ''\nfor _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n  text = text .. id .. ','\nend\nreturn text",
        at: 'text = text',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local out = {}\nfor _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n  local key = 'job:' .. id\n  out[#out + 1] = key\nend\nreturn table.concat(out, ',')",
        note: 'A new string each turn.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local text = ''\nfor i = 1, 10 do text = text .. i end\nreturn text",
        note: 'Ten turns.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (node.type !== 'AssignmentStatement') continue;
        const [target] = node.variables;
        const [value] = node.init;
        if (target?.type !== 'Identifier' || value?.type !== 'BinaryExpression' || value.operator !== '..') continue;
        const variable = script.scopes.variableOf(target);
        if (!variable?.reads.some((read) => script.scopes.isInside(read, value))) continue;
        // The loop in which it grows: it is neither declared nor set anew inside.
        const loop = script
          .loopsAround(node)
          .find(
            ({ node: around }) =>
              script.scopes.isInside(node, around) && !script.scopes.isInside(variable.node, around),
          );
        if (!loop || variable.writes.some(({ by }) => by !== node && script.scopes.isInside(by, loop.node))) continue;
        const { kind } = loop.bound;
        if (kind !== 'reply' && kind !== 'open' && kind !== 'argv') continue;
        report(node, {
          message: `${variable.name} is copied at every turn of a loop that ${kind === 'argv' ? 'the client' : 'the data'} bounds`,
          ...(kind === 'argv' ? { severity: 'info' } : {}),
        });
      }
    },
  }),
});
