/** D29: fields with a TTL, which no other product can load. */
import { destinations, has, nameServer, type Profile } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Commands that give a field a TTL. */
export const SETS_FIELD_TTL: ReadonlySet<string> = new Set([
  'hexpire',
  'hpexpire',
  'hexpireat',
  'hpexpireat',
  'hsetex',
]);

/** Both have fields with a TTL, each in a format of its own. */
const HAS_TTL = { redis: '7.4', valkey: '9.0' };

const describe = ({ from, to }: Profile, name: string) =>
  `hashes that ${name.toUpperCase()} touches cannot go between ${nameServer(from)} and ${nameServer(to)} by RDB file, replication, DUMP or MIGRATE`;

export const fieldTtl = defineRule({
  code: 'D29',
  name: 'field-ttl-rollback',
  title: 'fields with a TTL, which only their own product loads',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'Redis >= 7.4 -> Valkey >= 9.0, and back',
    applies: (profile) =>
      profile.from.product !== profile.to.product && [profile.from, profile.to].every((server) => has(server, HAS_TTL)),
  },
  severity: (profile) => (destinations(profile).length > 1 ? 'error' : 'warning'),
  mechanism:
    'A hash with field TTLs is of type 24 or 25 in the RDB format of Redis and of type 22 in that of Valkey, and neither loads the other, not with rdb-version-check relaxed either. There is no way there and none back but commands.',
  fix: 'Move these hashes by commands (HGETALL, HPTTL, HSETEX), or do without field TTLs until the way back is closed.',
  proof:
    'DUMP of a hash with HEXPIRE: 25 on Redis 8.0.2 and 8.6.3, 22 on Valkey 9.1.2; RESTORE of either on the other fails. RDB files and replication: the same.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1 --rollback',
        lua: "redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nreturn string.byte(redis.call('DUMP', KEYS[1]))",
        at: "redis.call('HEXPIRE'",
        note: 'The first byte of the dump is the type.',
        proof: { setup: [['HSET', 'h', 'token', 'x']], keys: ['h'], from: /^25$/, to: /^22$/ },
      },
      { profile: '--from redis@8.0 --to valkey@9.1', commands: 'HSETEX h EX 60 FIELDS 1 f v', at: 'HSETEX' },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1 --rollback',
        lua: "redis.call('EXPIRE', KEYS[1], 60)\nreturn redis.call('HTTL', KEYS[1], 'FIELDS', 1, 'token')",
        note: 'A TTL of the key.',
        proof: { setup: [['HSET', 'h', 'token', 'x']], keys: ['h'] },
      },
      { profile: '--from redis@8.0 --to valkey@9.1 --rollback', commands: 'HSET h HEXPIRE 60' },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    call(call) {
      const name = call.names.find((candidate) => SETS_FIELD_TTL.has(candidate));
      if (name) report(call.node, { message: describe(profile, name) });
    },
    command(command) {
      if (SETS_FIELD_TTL.has(command.name)) reportCommand(command, { message: describe(profile, command.name) });
    },
  }),
});
