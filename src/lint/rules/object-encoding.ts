/** D27: OBJECT ENCODING compared with encodings that changed. */
import { type Change, differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { stringOf } from '../values.ts';

/** Strings are embstr up to 128 bytes with their header. */
const WIDE: Change = { valkey: '9.1' };

/** Encodings, with the releases that drew their bounds anew or gave them up. */
const MOVED: Record<string, { changes: Change[]; how: string; narrow?: true }> = {
  raw: {
    narrow: true,
    changes: [{ valkey: '8.1', redis: '8.6' }, { valkey: '9.1' }],
    how: 'the length from which a string is raw instead of embstr is not the same',
  },
  embstr: {
    narrow: true,
    changes: [{ valkey: '8.1', redis: '8.6' }, { valkey: '9.1' }],
    how: 'the length up to which a string is embstr is not the same',
  },
  int: {
    changes: [{ valkey: '9.1' }],
    how: 'a number that a script sets is an int elsewhere, and embstr on Valkey 9.1',
  },
  ziplist: {
    changes: [{ redis: '7.0', valkey: '7.2' }],
    how: 'ziplist is called listpack since Redis 7.0 and on every Valkey',
  },
  listpackex: {
    changes: [{ redis: '7.4' }],
    how: 'a small hash with field expiry is a listpackex on Redis and a hashtable on Valkey',
  },
};

export const objectEncoding = defineRule({
  code: 'D27',
  name: 'object-encoding-test',
  title: 'encodings that changed',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: {
    text: 'any -> Valkey >= 8.1, Redis >= 8.6 (raw, embstr), Valkey >= 9.1 (int); Redis >= 7.4 <-> Valkey (listpackex); Redis 6.2 -> any (ziplist)',
    applies: (profile) =>
      Object.values(MOVED).some(({ changes }) => changes.some((change) => differs(profile, change))),
  },
  severity: () => 'warning',
  mechanism:
    'How a value is kept is a matter of each release. A string of 44 bytes is embstr up to Redis 8.0 and Valkey 8.0, raw on Redis 8.6 and Valkey 8.1; Valkey 9.1 keeps 100 bytes as embstr, and numbers set by scripts too; ziplist became listpack in 7.0.',
  fix: 'Do not branch on encodings; ask for the length (STRLEN, HLEN) instead.',
  proof:
    'OBJECT ENCODING of strings of 44, 60, 100 and 120 bytes and of a small hash on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "redis.call('SET', KEYS[1], string.rep('x', 60))\nlocal encoding = redis.call('OBJECT', 'ENCODING', KEYS[1])\nif encoding == 'raw' then return 'long' end\nreturn 'short'",
        at: 'encoding ==',
        proof: { keys: ['k'], from: /^"long"$/, to: /^"short"$/ },
      },
      {
        profile: '--from redis@6.0 --to valkey@8.0',
        lua: "redis.call('HSET', KEYS[1], 'f', 'v')\nreturn redis.call('OBJECT', 'ENCODING', KEYS[1]) == 'ziplist'",
        at: 'return |redis.call',
        note: 'Never again.',
        proof: { keys: ['h'], from: /^1$/, to: /^null$/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "redis.call('SET', KEYS[1], 5)\nreturn redis.call('OBJECT', 'ENCODING', KEYS[1]) == 'int'",
        at: 'return |redis.call',
        proof: { keys: ['k'], from: /^1$/, to: /^null$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "redis.call('SADD', KEYS[1], 5)\nreturn redis.call('OBJECT', 'ENCODING', KEYS[1]) == 'intset'",
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "return redis.call('GET', KEYS[1]) == 'raw'",
        proof: { keys: ['none'] },
      },
    ],
  },
  check: ({ profile, report }) => ({
    call(call, script) {
      if (!call.fullNames.includes('object encoding')) return;
      for (const use of script.usesOf(call.node)) {
        const name = use.kind === 'compared' ? stringOf(script.valueOf(use.other)) : undefined;
        const moved = name !== undefined && Object.hasOwn(MOVED, name) ? MOVED[name] : undefined;
        if (!moved?.changes.some((change) => differs(profile, change))) continue;
        // Up to Valkey 9.0 the bound moved by a byte or two.
        const slight = moved.narrow === true && !differs(profile, WIDE);
        report(use.node, {
          ...(slight ? { severity: 'info' as const } : {}),
          message: `${moved.how} (${nameServer(profile.from)}, ${nameServer(profile.to)})`,
        });
      }
    },
  }),
});
