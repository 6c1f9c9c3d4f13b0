/** D08: clients that recognise a missing script by the whole sentence. */
import { type Change, differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isLookedFor } from '../sources/client.ts';

const SHORTER: Change = { valkey: '8.0' };
const SENTENCE = /No matching script\\?\. ?Please use EVAL/i;

export const noscriptText = defineRule({
  code: 'D08',
  name: 'noscript-text',
  title: 'missing scripts recognised by the whole sentence',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'error',
  range: { text: 'Redis, Valkey 7.2 -> Valkey >= 8.0, and back', applies: (profile) => differs(profile, SHORTER) },
  severity: () => 'error',
  mechanism:
    'EVALSHA of a script that the server does not have answers "NOSCRIPT No matching script. Please use EVAL." on Redis up to 8.6 and Valkey 7.2, and "NOSCRIPT No matching script." since Valkey 8.0. Whoever looks for the whole sentence no longer sends EVAL, and every call fails.',
  fix: 'Look at the first word alone: NOSCRIPT.',
  proof:
    'EVALSHA on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2. It broke the locks of symfony (#59387), qless (#300) and gcra-ruby (#13).',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'php',
        client:
          "<?php\nif ('NOSCRIPT No matching script. Please use EVAL.' === $redis->getLastError()) {\n    $redis->eval($script, $args, 1);\n}\n",
        at: "'NOSCRIPT No",
        proof: {
          send: [['EVALSHA', 'ffffffffffffffffffffffffffffffffffffffff', '0']],
          from: /^"NOSCRIPT No matching script\. Please use EVAL\."$/,
          to: /^"NOSCRIPT No matching script\."$/,
        },
      },
      {
        profile: '--from redis@7.2 --to valkey@9.1',
        language: 'ruby',
        client:
          "rescue Redis::CommandError => e\n  raise unless e.message.include?('No matching script. Please use EVAL')\n  load_and_retry\nend\n",
        at: "'No matching",
      },
      {
        profile: '--from redis@7.2 --to valkey@8.1',
        language: 'java',
        client: 'private static final String MISSING = "NOSCRIPT No matching script. Please use EVAL.";\n',
        at: '"NOSCRIPT',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client:
          "// NOSCRIPT No matching script. Please use EVAL.\nif (error.message.startsWith('NOSCRIPT')) return evaluate();\nif (/^NOSCRIPT/.test(error.message)) return evaluate();\n",
        proof: { send: [['PING']] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client: "stub.rejects(new Error('NOSCRIPT No matching script. Please use EVAL.'));\n",
        note: 'An error that a test makes up.',
      },
    ],
  },
  check: ({ profile, reportRange }) => ({
    client(source) {
      for (const string of source.strings) {
        if (!SENTENCE.test(string.value) || !isLookedFor(source, string)) continue;
        const { from, to } = profile;
        const message = `${nameServer(from)} and ${nameServer(to)} do not word this error alike: since Valkey 8.0 it ends behind "No matching script."`;
        reportRange(string.start, string.end, { message });
      }
    },
  }),
});
