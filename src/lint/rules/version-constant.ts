/** D05: numbers compared with REDIS_VERSION_NUM that are no version. */
import { defineRule } from '../rule.ts';
import { numberOf } from '../values.ts';

/** Of the releases with these constants, with room for some to come. */
const MAJORS = { from: 6, to: 20 };
const LARGEST_MINOR = 9;
const VERSION = /^(redis|server)\.(REDIS|VALKEY)_VERSION_NUM$/;

/** What the number says, where that is no version anybody released. */
function misread(number: number): string | undefined {
  const [major, minor, patch] = [number >>> 16, (number >>> 8) & 0xff, number & 0xff];
  if (major >= MAJORS.from && major <= MAJORS.to && minor <= LARGEST_MINOR) return undefined;
  return `${major}.${minor}.${patch}`;
}

export const versionConstant = defineRule({
  code: 'D05',
  name: 'version-const-malformed',
  title: 'version numbers that are none',
  category: 'style',
  evidence: 'ast',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'REDIS_VERSION_NUM and VALKEY_VERSION_NUM are 0x00MMmmpp: 6.2.0 is 0x00060200. Written otherwise the comparison has the same outcome on every release, and one of the branches never runs.',
  fix: 'Write 0x00MMmmpp: two hexadecimal digits each for major, minor and patch.',
  proof: '0x062000 for 6.2.0 (it says 6.32.0) was found in public code. All servers answer 0x00MMmmpp.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.REDIS_VERSION_NUM >= 0x062000 then return 'new' end",
        at: '0x062000',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local version = redis.REDIS_VERSION_NUM\nif version < 70000 then return 'old' end",
        at: '70000',
        note: 'Decimal: 1.17.112.',
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'return redis.REDIS_VERSION_NUM >= 0x00060200' },
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'return redis.REDIS_VERSION_NUM >= 0x070000' },
      { profile: '--from redis@7.0 --to valkey@8.0', lua: 'return #ARGV >= 0x062000' },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      if (!script.text.includes('_VERSION_NUM')) return;
      for (const node of script.scopes.nodes) {
        if (node.type !== 'BinaryExpression' || !/^([<>]=?|[=~]=)$/.test(node.operator)) continue;
        for (const [tested, other] of [
          [node.left, node.right],
          [node.right, node.left],
        ] as const) {
          const value = script.valueOf(tested);
          const number = numberOf(script.valueOf(other));
          if (value.kind !== 'global' || !VERSION.test(value.name) || number === undefined) continue;
          const version = misread(number);
          if (version) report(other, { message: `${script.textOf(other)} says version ${version}` });
        }
      }
    },
  }),
});
