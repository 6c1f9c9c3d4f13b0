/** H33: the length of a table that has holes. */
import type { Expression, Node, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

const isNil = (script: Script, node: Expression) => {
  const value = script.valueOf(node);
  return value.kind === 'literal' && value.value === null;
};

/** Whether the table is made with nil between other items. */
function madeWithHole(script: Script, table: Extract<Node, { type: 'TableConstructorExpression' }>): boolean {
  const items = table.fields.flatMap((field) => (field.type === 'TableValue' ? [field.value] : []));
  const last = items.findLastIndex((item) => !isNil(script, item));
  return items.some(
    (item, i) => isNil(script, item) && (i < last || i === items.length - 1) && items.length > 1 && last > 0,
  );
}

/** Where the script sets an element that need not be the last to nil: `t[i] = nil`, not `t[#t] = nil`. */
function dug(script: Script, subject: Expression): boolean {
  const variable = subject.type === 'Identifier' ? script.scopes.variableOf(subject) : undefined;
  return (variable?.reads ?? []).some((read) => {
    const access = script.scopes.parentOf(read);
    const statement = access && script.scopes.parentOf(access);
    if (access?.type !== 'IndexExpression' || access.base !== read || statement?.type !== 'AssignmentStatement')
      return false;
    const i = statement.variables.indexOf(access);
    const value = i < 0 ? undefined : statement.init[i];
    const key = script.valueOf(access.index);
    // A counter of a loop over the table: anywhere in it.
    return value !== undefined && isNil(script, value) && key.kind === 'item' && key.of === undefined;
  });
}

export const lengthOfHoles = defineRule({
  code: 'H33',
  name: 'length-of-holes',
  title: 'the length of tables with holes',
  category: 'nondeterminism',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'For a table with nil inside, # is any index that a nil follows: #{1, nil, 3} is 3 and #{1, nil, 3, nil} is 1, on every release of both products.',
  fix: 'Count while filling, use table.remove, or put false where there is nothing.',
  proof: '#{1, nil, 3} is 3, #{1, nil, 3, nil} is 1 on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local t = { 1, nil, 3, nil }\nreturn #t',
        at: '#t',
        proof: { from: /^1$/, to: /^1$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local t = redis.call('LRANGE', KEYS[1], 0, 9)\nfor i = 1, 10 do\n  if t[i] == ARGV[1] then t[i] = nil end\nend\nreturn #t",
        at: '#t',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'local t = { 1, 2, 3 }\nt[#t] = nil\nreturn #t',
        note: 'The last one.',
        proof: {},
      },
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'local t = { 1, false, 3 }\nreturn #t', proof: {} },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (node.type !== 'UnaryExpression' || node.operator !== '#') continue;
        const value = script.valueOf(node.argument);
        const holes = (value.kind === 'table' && madeWithHole(script, value.node)) || dug(script, node.argument);
        if (holes)
          report(node, {
            message: `${script.textOf(node.argument)} has holes: its length may be any place before one`,
          });
      }
    },
  }),
});
