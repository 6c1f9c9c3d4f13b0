/** H32: functions of Lua 5.0 that 5.1 keeps for compatibility. */
import { defineRule } from '../rule.ts';

const REPLACED: Record<string, string> = {
  'table.getn': '#t',
  'table.foreach': 'for k, v in pairs(t)',
  'table.foreachi': 'for i, v in ipairs(t)',
  'table.setn': 'nothing: #t knows',
};

export const legacyTableFunction = defineRule({
  code: 'H32',
  name: 'legacy-table-function',
  title: 'functions of Lua 5.0',
  category: 'style',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'table.getn, foreach and foreachi are left from Lua 5.0 and work on every release of both products; table.setn is left too, and only raises an error.',
  fix: 'Use #t, pairs and ipairs.',
  proof: 'table.getn({1, 2}) is 2, table.setn({}, 3) raises "\'setn\' is obsolete" on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return table.getn(KEYS)',
        at: 'table.getn',
        proof: { keys: ['a', 'b'], from: /^2$/, to: /^2$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local t = {}\ntable.setn(t, 3)',
        at: 'table.setn',
        severity: 'error',
        proof: { from: /obsolete/, to: /obsolete/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local table = { getn = function() return 0 end }\nreturn table.getn()',
        note: 'A table of its own.',
        proof: {},
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.calls) {
        const name = script.libraryOf(node);
        const instead = name !== undefined && Object.hasOwn(REPLACED, name) ? REPLACED[name] : undefined;
        if (instead === undefined) continue;
        report(node, {
          message: name === 'table.setn' ? 'table.setn raises an error' : `${name} is of Lua 5.0: ${instead}`,
          ...(name === 'table.setn' ? { severity: 'error' } : {}),
        });
      }
    },
  }),
});
