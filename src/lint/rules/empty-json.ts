/** H34: empty lists, which cjson writes as objects. */
import { defineRule } from '../rule.ts';

export const emptyJson = defineRule({
  code: 'H34',
  name: 'empty-json-list',
  title: 'empty lists as JSON',
  category: 'incompatible',
  evidence: 'df',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'Lua does not tell an empty list from an empty object: cjson.encode({}) writes {}, and clients that expect [] fail on it, on every release of both products.',
  fix: "Write it yourself: #t == 0 and '[]' or cjson.encode(t).",
  proof: 'cjson.encode({}) is {} on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local names = {}\nfor i = 1, #ARGV do names[#names + 1] = ARGV[i] end\nreturn cjson.encode(names)',
        at: 'cjson.encode',
        proof: { from: /^"\{\}"$/, to: /^"\{\}"$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local names = {}\nfor i = 1, #ARGV do names[#names + 1] = ARGV[i] end\nif #names == 0 then return '[]' end\nreturn cjson.encode(names)",
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local t = { id = ARGV[1] }\nreturn cjson.encode(t)',
        proof: { argv: ['1'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.calls) {
        if (script.libraryOf(node) !== 'cjson.encode') continue;
        const [subject] = script.libraryArguments(node);
        const value = subject && script.valueOf(subject);
        if (!subject || value?.kind !== 'table' || value.node.fields.length > 0) continue;
        const shape = script.tableShape(subject);
        // A list, and one that the script does not know to be filled.
        if (!shape || shape.names.size > 0) continue;
        const counted =
          shape.keys.length > 0 && shape.keys.every(({ kind }) => kind === 'arithmetic' || kind === 'literal');
        const asked = script.guardsAround(node).some(({ condition }) => /#|next/.test(script.textOf(condition)));
        if (!counted || asked) continue;
        report(node, { message: `${script.textOf(subject)} is written as {} when it is empty, not as []` });
      }
    },
  }),
});
