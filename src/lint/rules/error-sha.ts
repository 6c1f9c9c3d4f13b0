/** D09: clients that read a script's SHA1, or the old envelope, out of error texts. */
import { type Change, differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isLookedFor } from '../sources/client.ts';

const WITHOUT_SHA: Change = { valkey: '9.1' };
const WITHOUT_ENVELOPE: Change = { redis: '7.0', valkey: '7.2' };
/** `script: ([0-9a-f]{40})`, in whatever way forty hexadecimal digits are written. */
const SHA_AFTER_SCRIPT = /script: ?\(?(?:\?[:P<][^)[\\]*)?(?:\\w|\\S|\\h|\[(?:0-9|a-f|A-F|\\d|\[:xdigit:\]))/i;
const ENVELOPE = /call to f_|Error running script/;

export const errorSha = defineRule({
  code: 'D09',
  name: 'error-sha-parse',
  title: 'SHA1 of a script read out of an error',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'warning',
  range: {
    text: 'any -> Valkey >= 9.1; Redis 6.2 -> any',
    applies: (profile) => differs(profile, WITHOUT_SHA) || differs(profile, WITHOUT_ENVELOPE),
  },
  severity: () => 'warning',
  mechanism:
    'An error inside a script ends "script: SHA1, on @user_script:1." from Redis 7.0 and Valkey 7.2 on, and "script: on @user_script:1." since Valkey 9.1; Redis 6.2 put "Error running script (call to f_SHA1)" around it. The pattern finds nothing.',
  fix: 'Keep the SHA1 with the call that failed; test the first word of the error.',
  proof: 'INCR of a list in EVAL on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2; valkey #3663.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        language: 'javascript',
        client: 'const [, sha] = /script: ([0-9a-f]{40}), on/.exec(error.message) ?? [];\n',
        at: '/script',
        proof: {
          setup: [['RPUSH', 'list', 'x']],
          send: [['EVAL', "return redis.call('INCR', KEYS[1])", '1', 'list']],
          from: /script: [\da-f]{40}, on @user_script/,
          to: /script: on @user_script/,
        },
      },
      {
        profile: '--from redis@6.2 --to valkey@8.0',
        language: 'python',
        client: "if 'Error running script' in str(error):\n    report(error)\n",
        at: "'Error running",
      },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        language: 'javascript',
        client: "const isSha = /^[0-9a-f]{40}$/.test(text);\nlog('script: ' + sha);\n",
        note: 'A SHA1 that comes from elsewhere.',
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        language: 'python',
        client: "if 'Error running script' in str(error):\n    report(error)\n",
        note: 'Neither side says so.',
      },
    ],
  },
  check: ({ profile, reportRange }) => ({
    client(source) {
      const sides = `${nameServer(profile.from)} and ${nameServer(profile.to)}`;
      for (const string of source.strings) {
        const message =
          differs(profile, WITHOUT_SHA) && SHA_AFTER_SCRIPT.test(string.value)
            ? `looks for the SHA1 in an error: ${sides} do not both put it there`
            : differs(profile, WITHOUT_ENVELOPE) && ENVELOPE.test(string.value)
              ? `looks for the envelope of script errors of Redis 6.2: ${sides} do not both have it`
              : undefined;
        if (message && isLookedFor(source, string)) reportRange(string.start, string.end, { message });
      }
    },
  }),
});
