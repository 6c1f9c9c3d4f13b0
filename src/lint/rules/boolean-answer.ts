/** H28: booleans that a script answers. */
import { defineRule } from '../rule.ts';

export const booleanAnswer = defineRule({
  code: 'H28',
  name: 'boolean-answer',
  title: 'booleans that are answered',
  category: 'style',
  evidence: 'df',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'RESP2 has no booleans: true is answered as 1 and false as nil, not as 0, on every release of both products.',
  fix: 'Return 1 and 0 if the client shall see numbers.',
  proof: 'return true answers 1, return false nil on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return #KEYS > 1',
        at: '#KEYS > 1',
        proof: { keys: ['k'], from: /^null$/, to: /^null$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return true',
        at: 'true',
        proof: { from: /^1$/, to: /^1$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local function many() return #KEYS > 1 end\nreturn many() and 1 or 0',
        note: 'A boolean between functions.',
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'redis.setresp(3)\nreturn true',
        note: 'RESP3 has booleans.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      if (script.text.includes('setresp')) return;
      for (const node of script.scopes.nodes) {
        if (node.type !== 'ReturnStatement' || !script.isAnswer(node)) continue;
        const [answer] = node.arguments;
        const value = answer && script.valueOf(answer);
        if (!answer || !value) continue;
        if (value.kind === 'literal' && typeof value.value === 'boolean') {
          report(answer, { message: `${value.value} is answered as ${value.value ? '1' : 'nil'}` });
        } else if (value.kind === 'boolean' && answer.type === 'BinaryExpression') {
          report(answer, { message: 'this comparison is answered as 1 or nil' });
        }
      }
    },
  }),
});
