/** H12: scripts that use more keys than their callers declare. */
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';

/** Whether the script is prepared for the key to be missing, or fails where it is. */
function needs(script: Script, node: Expression): boolean {
  const aware = script
    .guardsAround(node)
    .some(({ condition }) =>
      script.scopes.inside(condition).some((part) => part.type === 'Identifier' && part.name === 'KEYS'),
    );
  if (aware || script.scopes.parentOf(node)?.type === 'LogicalExpression') return false;
  const uses = script.usesOf(node, { concatenation: false });
  if (uses.some(({ kind }) => kind === 'tested' || kind === 'compared')) return false;
  return uses.some((use) =>
    use.kind === 'argument' ? use.call.protectedBy === undefined : use.kind === 'concatenated',
  );
}

export const numkeysMismatch = defineRule({
  code: 'H12',
  name: 'numkeys-mismatch',
  title: 'scripts that use more keys than are declared',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'KEYS[n] beyond the number of keys that the caller declares is nil, and a command with nil among its arguments ends the script with an error, on every release of both products.',
  fix: 'Raise the number of keys in the call, or take the value from ARGV if it is no key.',
  proof:
    '"arguments must be strings or integers" on Redis 7.0.15 and Valkey 8.0.1 for KEYS[2] of a call that declares one key; "attempt to concatenate field \'?\' (a nil value)" for KEYS[2] .. x.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        client: "await redis.eval(\"return redis.call('RENAME', KEYS[1], KEYS[2])\", 1, 'draft');",
        language: 'javascript',
        at: 'KEYS[2]',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SET', KEYS[1], ARGV[1])\nreturn redis.call('SADD', KEYS[3], ARGV[2])",
        file: 'addJob-2.lua',
        at: 'KEYS[3]',
        severity: 'warning',
        note: 'In a file named addJob-2.lua: the 2 declares two keys, if it is meant so.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        client: "await redis.eval(\"return redis.call('RENAME', KEYS[1], KEYS[2])\", 2, 'draft', 'final');",
        language: 'javascript',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.call('SET', KEYS[1], ARGV[1])\nif KEYS[2] then redis.call('SADD', KEYS[2], ARGV[1]) end",
        file: 'save-1.lua',
        note: 'An optional key.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      const { declaredKeys, name } = script.unit;
      if (declaredKeys === undefined || script.context === 'function') return;
      const declared = `${declaredKeys} ${declaredKeys === 1 ? 'key' : 'keys'}`;
      for (const node of script.scopes.nodes) {
        if (node.type !== 'IndexExpression') continue;
        const value = script.valueOf(node);
        if (value.kind !== 'keys' || value.index === undefined || value.index <= declaredKeys) continue;
        if (!needs(script, node)) continue;
        // A number at the end of a file's name may mean something else.
        const byName = name.endsWith('.lua');
        report(node, {
          message: byName
            ? `KEYS[${value.index}] is nil if the file's name is right, which declares ${declared}`
            : `KEYS[${value.index}] is nil: the caller declares ${declared}`,
          ...(byName ? { severity: 'warning' } : {}),
        });
      }
    },
  }),
});
