/** H10: keys that a script reads or writes without declaring them in KEYS. */
import type { KeyArgument, Node, Script } from '../program.ts';
import { defineRule, type Severity } from '../rule.ts';
import { hashTagOf, originOf, type Value } from '../values.ts';

/** Whether the script names keys of two hash tags: with a shebang the second one is refused. */
function otherTag(script: Script, key: KeyArgument): string | undefined {
  const own = hashTagOf(key.value);
  if (own === undefined || script.shebang === undefined) return undefined;
  return script.calls
    .flatMap(({ keys }) => keys.map(({ value }) => hashTagOf(value)))
    .find((tag) => tag !== undefined && tag !== own);
}

type Kind = 'foreign' | 'undeclared' | 'tagged';

const SEVERITIES: Record<Kind, Severity> = { foreign: 'error', undeclared: 'warning', tagged: 'info' };

function kindOf(script: Script, key: KeyArgument): Kind | undefined {
  switch (originOf(key.value)) {
    case 'keys+literal':
    case 'keys+argv':
      return 'tagged';
    case 'argv':
    case 'literal':
      if (otherTag(script, key) !== undefined && !script.shebang!.flags.includes('allow-cross-slot-keys'))
        return 'foreign';
      return hashTagOf(key.value) === undefined ? 'undeclared' : 'tagged';
    default:
      return undefined;
  }
}

/** Whether none of what the key can be is declared. */
const isSure = (value: Value) => value.kind !== 'union' || value.options.every((option) => originOf(option) !== 'keys');

/** `sure`: whatever the call site or the branch. */
function describe(kind: Kind, text: string, sure: boolean, others: number): string {
  const and = others === 0 ? '' : others === 1 ? ' (and one more)' : ` (and ${others} more)`;
  const undeclared = `${sure ? 'is not' : 'is not always'} declared in KEYS`;
  switch (kind) {
    case 'foreign':
      return `${text}${and} lies in another slot than other keys of the script, and one with a shebang may use one slot only`;
    case 'undeclared':
      return `${text}${and} ${undeclared}: the cluster does not route the script by it`;
    case 'tagged':
      return `${text}${and} ${undeclared}: in the slot of the declared keys only if the hash tags agree`;
  }
}

export const undeclaredKeys = defineRule({
  code: 'H10',
  name: 'undeclared-keys',
  title: 'keys that are not declared in KEYS',
  category: 'cluster-unsafe',
  evidence: 'df',
  worst: 'error',
  range: { text: 'clusters only', applies: ({ cluster }) => cluster },
  severity: () => 'warning',
  mechanism:
    'A cluster sends a script where the slot of KEYS is. A key that is not declared works for as long as that node owns its slot too, and fails after the next move of slots; a script with a shebang may only touch keys of one slot. Outside clusters undeclared keys work on every release of both products.',
  fix: 'Pass the key in KEYS, and give all keys of the script the same hash tag: {queue}:wait, {queue}:active.',
  proof:
    'Undeclared keys of a foreign slot: allowed without a shebang if the node owns them on all ten releases, "Script attempted to access keys that do not hash to the same slot" with #!lua on Redis >= 7.0 and every Valkey.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "return redis.call('HGET', ARGV[1] .. ':meta', 'state')",
        at: 'ARGV[1]',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "redis.call('INCR', KEYS[1])\nreturn redis.call('GET', KEYS[1] .. ':limit')",
        at: "KEYS[1] .. ':limit'",
        severity: 'info',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "#!lua\nreturn redis.call('RENAME', KEYS[1], 'archive')",
        at: "'archive'",
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.1 --cluster', lua: "return redis.call('SADD', KEYS[1], ARGV[1])" },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "for _, key in ipairs(KEYS) do redis.call('UNLINK', key) end",
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "return redis.call('PUBLISH', 'events:' .. ARGV[1], ARGV[2])",
        note: 'A channel is no key.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      // One finding per script and kind: whoever builds one key this way builds most so.
      const found = new Map<Kind, Map<string, { node: Node; sure: boolean }>>();
      for (const call of script.calls) {
        for (const key of call.keys) {
          const kind = kindOf(script, key);
          if (kind === undefined) continue;
          const places = found.get(kind) ?? new Map<string, { node: Node; sure: boolean }>();
          found.set(kind, places);
          const text = key.node === undefined ? 'a key' : script.textOf(key.node);
          if (!places.has(text)) places.set(text, { node: key.node ?? call.node, sure: isSure(key.value) });
        }
      }
      for (const [kind, places] of found) {
        const [[text, { node, sure }]] = [...places].sort(([, a], [, b]) => Number(b.sure) - Number(a.sure)) as [
          [string, { node: Node; sure: boolean }],
        ];
        report(node, { message: describe(kind, text, sure, places.size - 1), severity: SEVERITIES[kind] });
      }
    },
  }),
});
