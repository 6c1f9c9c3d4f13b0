/** D28: hashes that are empty because their fields expired. */
import { differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isSameValue, type Value } from '../values.ts';
import { SETS_FIELD_TTL } from './field-ttl.ts';

const ASKS = new Set(['exists', 'type']);
/** What removes an expired field of Redis when it meets one. */
const READS_FIELDS = new Set(['hget']);

export const expiredField = defineRule({
  code: 'D28',
  name: 'expired-field-hash',
  title: 'hashes whose fields have expired',
  category: 'incompatible',
  evidence: 'df',
  worst: 'info',
  range: {
    text: 'Redis >= 7.4 -> Valkey >= 9.0, and back',
    applies: (profile) =>
      profile.from.product !== profile.to.product && !differs(profile, { redis: '7.4', valkey: '9.0' }),
  },
  severity: () => 'info',
  mechanism:
    'Reading a field that has expired removes it on Redis, and the hash with it if it was the last: EXISTS then answers 0 and TYPE none. Valkey 9.1 leaves it to the expiry in the background, at hz 10 some 50 ms later, and until then they answer 1 and hash.',
  fix: 'Go by the field itself (HGET, HEXISTS), not by whether the hash exists; or give the key a TTL.',
  proof:
    'HPEXPIRE of the only field, HGET after it ran out, EXISTS and TYPE, with DEBUG SET-ACTIVE-EXPIRE 0, on Redis 8.0.2, 8.6.3 and Valkey 9.1.2. Before the HGET all three answer 1 and hash.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "if redis.call('HGET', KEYS[1], 'token') then return 'held' end\nif redis.call('EXISTS', KEYS[1]) == 0 then\n  redis.call('HSET', KEYS[1], 'token', ARGV[1])\n  redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nend",
        at: "redis.call('EXISTS'",
      },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nredis.call('HGET', KEYS[1], 'token')\nreturn redis.call('EXISTS', KEYS[2])",
        note: 'Another key.',
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "if redis.call('EXISTS', KEYS[1]) == 0 then\n  redis.call('HSET', KEYS[1], 'token', ARGV[1])\n  redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nend",
        note: 'Nothing was read before: the same on both.',
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const valkey = profile.to.product === 'valkey' ? profile.to : profile.from;
      const keysOf = (names: ReadonlySet<string>) =>
        script.calls.flatMap((call) =>
          call.name !== undefined && names.has(call.name) ? call.keys.map(({ value }) => ({ call, value })) : [],
        );
      const expiring = keysOf(SETS_FIELD_TTL);
      const read = keysOf(READS_FIELDS);
      for (const { call, value } of keysOf(ASKS)) {
        const same = (other: { value: Value }) => isSameValue(other.value, value);
        const readBefore = read.some(
          (other) => same(other) && script.calls.indexOf(other.call) < script.calls.indexOf(call),
        );
        if (!readBefore || !expiring.some(same)) continue;
        report(call.node, {
          message: `where the last field of this hash has expired, ${call.name!.toUpperCase()} still finds it on ${nameServer(valkey)}`,
        });
      }
    },
  }),
});
