/** H11: keys whose names a script reads from the data set. */
import type { Node } from '../program.ts';
import { defineRule } from '../rule.ts';
import { hashTagOf, originOf, slotRelation, type Value } from '../values.ts';

/** Whether the name begins with a declared key or a hash tag, whatever it is. */
const isTagged = (value: Value): boolean =>
  value.kind === 'union'
    ? value.options.every(isTagged)
    : hashTagOf(value) !== undefined || slotRelation(value, []) === 'possible';

export const keysFromData = defineRule({
  code: 'H11',
  name: 'keys-from-data',
  title: 'keys whose names are read from the data',
  category: 'cluster-unsafe',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'clusters only', applies: ({ cluster }) => cluster },
  severity: () => 'warning',
  mechanism:
    'A key whose name comes out of a reply cannot be declared in KEYS, so no client can route by it: the script works only if the name has the hash tag of the declared keys, and with a shebang it is refused where it has not.',
  fix: 'Give the stored names the hash tag of the key that lists them, or let the client read the name first and declare it.',
  proof:
    'Keys of a foreign slot: see H10. Names from replies were found in 130 of 383 scripts of public packages, most of them with a common hash tag set by the user.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "local name = redis.call('GET', KEYS[1])\nreturn redis.call('HGETALL', name)",
        at: 'name)',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n  redis.call('DEL', KEYS[1] .. ':' .. id)\nend",
        at: "KEYS[1] .. ':'",
        severity: 'info',
        note: 'Begins with a declared key.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "local id = redis.call('LPOP', KEYS[1])\nif id then redis.call('SADD', KEYS[2], id) end",
        note: 'A member, no key.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      // One finding per script: whoever finds one key this way finds most so.
      const places = new Map<string, { node: Node; tagged: boolean }>();
      for (const call of script.calls) {
        for (const { value, node } of call.keys) {
          if (originOf(value) !== 'data') continue;
          const text = node === undefined ? 'a key' : script.textOf(node);
          if (!places.has(text)) places.set(text, { node: node ?? call.node, tagged: isTagged(value) });
        }
      }
      const [first] = [...places].sort(([, a], [, b]) => Number(a.tagged) - Number(b.tagged));
      if (!first) return;
      const [text, { node, tagged }] = first;
      const others = places.size - 1;
      const and = others === 0 ? '' : others === 1 ? ' (and one more)' : ` (and ${others} more)`;
      report(node, {
        message: tagged
          ? `the name of the key ${text}${and} ends with data: in the slot of the declared keys only if the hash tags agree`
          : `the name of the key ${text}${and} is read from the data: no client can declare it`,
        ...(tagged ? { severity: 'info' } : {}),
      });
    },
  }),
});
