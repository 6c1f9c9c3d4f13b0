/** D28: hashes that are empty because their fields expired. */
import { differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isSameValue } from '../values.ts';
import { SETS_FIELD_TTL } from './field-ttl.ts';

const ASKS = new Set(['exists', 'type']);

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
    'When the last field of a hash has expired, EXISTS answers 0 and TYPE none on Redis; on Valkey 9.1 they answer 1 and hash until the server has cleared it away.',
  fix: 'HLEN and HGET know about expiry; or give the key itself a TTL.',
  proof: 'HPEXPIRE of the only field, EXISTS and TYPE after it ran out, on Redis 7.4.1, 8.0.2, 8.6.3 and Valkey 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "if redis.call('EXISTS', KEYS[1]) == 0 then\n  redis.call('HSET', KEYS[1], 'token', ARGV[1])\n  redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nend",
        at: "redis.call('EXISTS'",
      },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nreturn redis.call('EXISTS', KEYS[2])",
        note: 'Another key.',
      },
      { profile: '--from redis@8.0 --to valkey@9.1', lua: "return redis.call('EXISTS', KEYS[1])" },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const named = (names: ReadonlySet<string>) =>
        script.calls.filter(({ name }) => name !== undefined && names.has(name));
      const expiring = named(SETS_FIELD_TTL).flatMap(({ keys }) => keys.map(({ value }) => value));
      for (const call of named(ASKS)) {
        if (!call.keys.some(({ value }) => expiring.some((key) => isSameValue(key, value)))) continue;
        const valkey = profile.to.product === 'valkey' ? profile.to : profile.from;
        report(call.node, {
          message: `${call.name!.toUpperCase()} on ${nameServer(valkey)} still sees this hash for a moment when its last field has expired`,
        });
      }
    },
  }),
});
