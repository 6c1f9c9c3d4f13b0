/** H39: one script that only reads and one that only writes the same kind of key, called one after the other. */
import { defineRule } from '../rule.ts';

const READ = /^\s*return\s+redis\.call\(\s*(["'])get\1\s*,\s*KEYS\[1\]\s*\)\s*;?\s*$/i;
const WRITE = /^\s*(?:return\s+)?redis\.call\(\s*(["'])set\1\s*,\s*KEYS\[1\]\s*,\s*ARGV\[1\]\s*\)\s*;?\s*$/i;
/** Further apart they are not one step of a program. */
const NEAR_BYTES = 1000;

export const readThenWrite = defineRule({
  code: 'H39',
  name: 'read-then-write',
  title: 'a GET and a SET in two scripts',
  category: 'atomicity',
  evidence: 'lex',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'A script is atomic, two are not: between an EVAL that reads and an EVAL that writes what was computed from it, other clients write too, and their update is lost, on every release of both products.',
  fix: 'Compute in one script, or compare before writing: SET only if GET still answers the old value.',
  proof: 'How servers execute: one script at a time, on one thread, and commands of others between two scripts.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        client:
          'const old = await redis.eval("return redis.call(\'GET\', KEYS[1])", 1, key);\nawait redis.eval("return redis.call(\'SET\', KEYS[1], ARGV[1])", 1, key, change(old));',
        language: 'javascript',
        at: "\"return redis.call('SET'",
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        client:
          "await redis.eval(\"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('SET', KEYS[1], ARGV[2]) end\", 1, key, old, fresh);",
        language: 'javascript',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        client:
          'const script = "return redis.call(\'GET\', KEYS[1])";\nconst other = "return redis.call(\'SET\', KEYS[1], ARGV[1])";',
        language: 'javascript',
        note: 'Not called one after the other, as far as can be seen.',
      },
    ],
  },
  check: ({ reportRange }) => ({
    client({ strings, code }) {
      const sent = strings.filter(({ start }) => /\beval\s*\(\s*$/i.test(code.slice(Math.max(0, start - 20), start)));
      for (const [i, { value, start, end }] of sent.entries()) {
        const before = sent[i - 1];
        if (!before || !WRITE.test(value) || !READ.test(before.value) || start - before.end > NEAR_BYTES) continue;
        reportRange(start, end, {
          message: 'what another script has read is written here by a second one: others can write between them',
        });
      }
    },
  }),
});
