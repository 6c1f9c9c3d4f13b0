/** D10: clients that recognise a busy or loading server by its sentence. */
import { type Change, differs, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isLookedFor } from '../sources/client.ts';

const RENAMED: Change = { valkey: '8.0' };
const SENTENCE =
  /Redis is busy running|Redis is loading the dataset|MISCONF Redis is configured|\bRedis is (?:busy|loading)\b/;

export const busyText = defineRule({
  code: 'D10',
  name: 'busy-loading-text',
  title: 'busy and loading servers recognised by their sentence',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'warning',
  range: { text: 'Redis, Valkey 7.2 -> Valkey >= 8.0, and back', applies: (profile) => differs(profile, RENAMED) },
  severity: () => 'warning',
  mechanism:
    'Valkey 8.0 put its own name into the errors BUSY, LOADING and MISCONF: "BUSY Valkey is busy running a script". What looks for "Redis is busy" takes a server that will be back for one that is broken. The first word is the same on all.',
  fix: 'Test the first word (BUSY, LOADING, MISCONF); for a while extended-redis-compatibility yes brings back the old sentences.',
  proof:
    'BUSY of Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2; LOADING and MISCONF read in the source of Valkey 8.0 to 9.1.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'java',
        client: 'if (e.getMessage().contains("Redis is loading the dataset in memory")) retryLater();\n',
        at: '"Redis is loading',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        language: 'go',
        client: 'if strings.Contains(err.Error(), "BUSY Redis is busy running a script") {\n\treturn kill()\n}\n',
        at: '"BUSY',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'java',
        client:
          'if (e.getMessage().startsWith("LOADING")) retryLater(); // LOADING Redis is loading the dataset in memory\n',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'python',
        client: "log.warning('Redis is busy, waiting')\n",
        note: 'A message of the client itself.',
      },
    ],
  },
  check: ({ profile, reportRange }) => ({
    client(source) {
      for (const string of source.strings) {
        if (!SENTENCE.test(string.value) || !isLookedFor(source, string)) continue;
        reportRange(string.start, string.end, {
          message: `this sentence has the name of the server in it, and ${nameServer(profile.from)} and ${nameServer(profile.to)} put different ones`,
        });
      }
    },
  }),
});
