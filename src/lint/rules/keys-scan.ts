/** H01: KEYS, which walks every key of the database. */
import { destinations, has, type Profile } from '../profile.ts';
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';
import { hashTagOf, stringOf, type Value } from '../values.ts';

/** A pattern with a literal hash tag is answered from one slot's table. */
const BY_SLOT = { redis: '8.0', valkey: '8.0' };

const WILDCARD = /[*?[\\]/;

/** Whether the servers look into one slot only: the tag is literal, and nothing before its end is a wildcard. */
function looksIntoOneSlot(profile: Profile, pattern: string): boolean {
  const tag = pattern.slice(0, pattern.indexOf('}') + 1);
  return (
    profile.cluster &&
    hashTagOf({ kind: 'literal', value: pattern }) !== undefined &&
    !WILDCARD.test(tag) &&
    destinations(profile).every((server) => has(server, BY_SLOT))
  );
}

/** The beginning of a pattern, as far as it is constant. */
function beginningOf(value: Value): string {
  const parts = value.kind === 'concat' ? value.parts : [value];
  const end = parts.findIndex((part) => stringOf(part) === undefined);
  return (end < 0 ? parts : parts.slice(0, end)).map((part) => stringOf(part)!).join('');
}

const patternOf = ({ args: [pattern] }: CommandCall) => (pattern === undefined ? '' : beginningOf(pattern));

export const keysScan = defineRule({
  code: 'H01',
  name: 'keys-scan',
  title: 'KEYS, which walks every key of the database',
  category: 'blocking',
  evidence: 'ast',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'KEYS compares every key of the database on the one thread that executes commands: 42 to 73 ms per 100,000 keys on Redis 7.0 to 8.6 and Valkey 8.0 to 9.1, and every other client waits. I/O threads only read, parse and write. In a cluster a pattern with a literal hash tag looks into one slot on Redis and Valkey >= 8.0: 0.1 ms.',
  fix: 'Keep an index (a set of the names), or let a client walk the keys by SCAN, one page a call.',
  proof:
    'KEYS * inside EVAL, 100,000 keys, median of 15: Redis 7.0.15 63 ms, 8.0.6 73, 8.6.3 69; Valkey 8.0.1 59, 8.1.1 45, 9.1.2 42. KEYS {tag}:* on a cluster node with 200,000 keys: 17 ms on Redis 7.0.15, 0.10 to 0.18 ms on the others.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local names = redis.call('KEYS', ARGV[1] .. '*')\nreturn #names",
        at: 'redis.call',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('KEYS', '{user:7}:*')",
        at: 'redis.call',
        note: 'Not a cluster: the hash tag does not help.',
      },
      { profile: '--from redis@7.0 --to valkey@8.1', commands: 'GET a\nKEYS session:*', at: 'KEYS' },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('GET', KEYS[1])",
        note: 'KEYS is the table of the declared keys here.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1 --cluster',
        lua: "return redis.call('KEYS', '{user:7}:*')",
        note: 'A cluster node of Valkey 8.0 and later looks into one slot.',
      },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    call(call) {
      if (!call.names.includes('keys') || looksIntoOneSlot(profile, patternOf(call))) return;
      report(call.node, { message: 'KEYS compares every key of the database while all other clients wait' });
    },
    command(command) {
      if (command.name !== 'keys' || looksIntoOneSlot(profile, command.args[0] ?? '')) return;
      reportCommand(command, { message: 'KEYS compares every key of the database while all other clients wait' });
    },
  }),
});
