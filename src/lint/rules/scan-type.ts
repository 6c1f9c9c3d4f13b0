/** D23: SCAN … TYPE with a type that is none. */
import { type Change, gains, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** An unknown type is an error. */
const CHECKED: Change = { valkey: '8.0' };
const TYPES = new Set(['string', 'list', 'set', 'zset', 'hash', 'stream']);
/** Types of modules have names of nine characters. */
const MODULE_TYPE = /^[\w-]{9}$/;

/** The type that the words ask for, where it is none of the six. `words`: those behind SCAN. */
function strangeType(words: (string | undefined)[]): { index: number; type: string } | undefined {
  const at = words.findIndex((word, i) => i > 0 && word?.toUpperCase() === 'TYPE');
  const type = at < 0 ? undefined : words[at + 1];
  return type === undefined || TYPES.has(type.toLowerCase()) ? undefined : { index: at + 1, type };
}

export const scanType = defineRule({
  code: 'D23',
  name: 'scan-type-unknown',
  title: 'SCAN … TYPE with a type that is none',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'Redis, Valkey 7.2 -> Valkey >= 8.0', applies: (profile) => gains(profile, CHECKED) },
  severity: () => 'error',
  mechanism:
    'SCAN with a TYPE that does not exist finds nothing on every Redis up to 8.6 and on Valkey 7.2; since Valkey 8.0 it is an error. Types of modules exist only where the module is loaded.',
  fix: 'Ask for string, list, set, zset, hash or stream; leave TYPE out to see all.',
  proof:
    "SCAN 0 TYPE foo on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 (empty) and Valkey 8.0.1, 8.1.1, 9.1.2 (ERR unknown type name 'foo').",
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('SCAN', '0', 'MATCH', 'user:*', 'TYPE', 'list_')[2]",
        at: "'list_'",
        proof: { from: /^\[\]$/, to: /unknown type name/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'SCAN 0 TYPE sortedset COUNT 100',
        at: 'SCAN',
        proof: { from: /^\["0",\[\]\]$/, to: /unknown type name/ },
        severity: 'warning',
        note: 'Nine characters: it may be the type of a module.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('SCAN', '0', 'TYPE', 'ZSET')[2]",
        proof: {},
      },
      { profile: '--from redis@7.0 --to valkey@8.0', commands: 'SCAN 0 TYPE stream', proof: {} },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('SSCAN', KEYS[1], '0', 'MATCH', 'TYPE')[2]",
        proof: { keys: ['none'] },
      },
    ],
  },
  check({ profile, report, reportCommand }) {
    const detail = (type: string) => ({
      message: MODULE_TYPE.test(type)
        ? `${nameServer(profile.to)} has no type "${type}" unless a module brings it, and SCAN … TYPE of it is an error`
        : `${nameServer(profile.to)} has no type "${type}": SCAN … TYPE of it is an error instead of an empty answer`,
      ...(MODULE_TYPE.test(type) ? { severity: 'warning' as const } : {}),
    });
    return {
      call(call) {
        const strange = call.name === 'scan' ? strangeType(call.literals) : undefined;
        if (strange) report(call.argumentNode(strange.index) ?? call.node, detail(strange.type));
      },
      command(command) {
        const strange = command.name === 'scan' ? strangeType(command.args) : undefined;
        if (strange) reportCommand(command, detail(strange.type));
      },
    };
  },
});
