/** H15: assignments to globals, which no server allows. */
import type { Identifier } from '../program.ts';
import { defineRule } from '../rule.ts';

export const globalWrite = defineRule({
  code: 'H15',
  name: 'global-write',
  title: 'assignments to globals',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'Scripts share one Lua state, so every release of both products refuses to create or change a global: the script ends with an error at that line, after what it has already written.',
  fix: 'Declare it: local x = …, local function f() … end.',
  proof:
    '"Attempt to modify a readonly table" on Redis 7.0.15 to 8.6.3 and every Valkey, "Script attempted to create global variable" on Redis 6.2.16.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'count = #KEYS\nreturn count',
        at: 'count',
        proof: { from: /readonly table/, to: /readonly table/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'function double(x) return x * 2 end\nreturn double(2)',
        at: 'double',
        proof: { from: /readonly table/, to: /readonly table/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local t = {}\nt.count = 1\nlocal x\nx = t.count\nKEYS[1] = x\nreturn x',
        note: 'Fields of tables, KEYS among them, and locals.',
        proof: { keys: ['k'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      if (script.unit.fragment) return;
      const refuse = (node: Identifier, name: string) =>
        report(node, { message: `${name} is a global here, and scripts may not write globals` });
      for (const node of script.scopes.globalWrites) {
        if (!script.unit.declaredNearby?.(node.name)) refuse(node, node.name);
      }
      for (const node of script.scopes.nodes) {
        if (node.type !== 'AssignmentStatement') continue;
        for (const target of node.variables) {
          if (target.type !== 'MemberExpression' || target.base.type !== 'Identifier') continue;
          const base = script.valueOf(target.base);
          if (base.kind === 'global' && base.name === '_G') refuse(target.base, target.identifier.name);
        }
      }
    },
  }),
});
