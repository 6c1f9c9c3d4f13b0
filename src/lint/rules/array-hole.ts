/** H24: nil inside an array that a script answers. */
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

/** The first item that is nil and has others behind it. */
function holeIn(
  script: Script,
  table: Extract<Expression, { type: 'TableConstructorExpression' }>,
): Expression | undefined {
  const items = table.fields.flatMap((field) => (field.type === 'TableValue' ? [field.value] : []));
  const isNil = (item: Expression) => {
    const value = script.valueOf(item);
    return value.kind === 'literal' && value.value === null;
  };
  const hole = items.findIndex(isNil);
  return hole < 0 || items.slice(hole).every(isNil) ? undefined : items[hole];
}

export const arrayHole = defineRule({
  code: 'H24',
  name: 'array-hole',
  title: 'nil inside an array that is answered',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'An array that a script returns ends at its first nil: return {1, nil, 3} answers one element, on every release of both products.',
  fix: 'Put false in its place: it becomes nil in the answer and the array goes on.',
  proof: 'return {1, nil, 3} answers [1] on Redis 7.0.15 and Valkey 8.0.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return {1, nil, 3}',
        at: 'nil',
        proof: { from: /^\[1\]$/, to: /^\[1\]$/ },
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'return {1, false, 3}', proof: {} },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'return {1, 2, nil}',
        note: 'Nothing comes behind it.',
        proof: {},
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.nodes) {
        if (node.type !== 'ReturnStatement' || !script.isAnswer(node)) continue;
        for (const answer of node.arguments) {
          const value = script.valueOf(answer);
          const hole = value.kind === 'table' ? holeIn(script, value.node) : undefined;
          if (hole) report(hole, { message: 'the array that the client gets ends here, at nil' });
        }
      }
    },
  }),
});
