/** D20: clients that call scripts by SHA1 and have no answer to NOSCRIPT. */
import { type Change, gains, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Scripts that came by EVAL are kept in a list of 500, the least recently used goes. */
const EVICTED: Change = { redis: '7.4', valkey: '8.0' };

const BY_SHA = /\.\s*(evalsha|evalSha|EvalSha|EvalSHA|eval_sha)\s*\(/g;
const HASHES = /sha1|SHA1|createHash|hexdigest|MessageDigest/;
/** What loads the script, sends it in full, or hears of its absence. */
const FALLS_BACK =
  /NOSCRIPT|noscript|no_script|NoScript|script[\s_'",.(-]*load|scriptLoad|ScriptLoad|defineCommand|register_script|\.\s*(?:eval|Eval)\s*\(|['"]EVAL['"]/i;

export const evictedEvalsha = defineRule({
  code: 'D20',
  name: 'evicted-evalsha',
  title: 'EVALSHA without an answer to NOSCRIPT',
  category: 'script-cache',
  evidence: 'lex',
  worst: 'warning',
  range: {
    text: 'Redis <= 7.2, Valkey 7.2 -> Valkey >= 8.0, Redis >= 7.4',
    applies: (profile) => gains(profile, EVICTED),
  },
  severity: () => 'warning',
  mechanism:
    'Scripts that came by EVAL are kept for ever up to Redis 7.2 and Valkey 7.2; since Redis 7.4 and Valkey 8.0 the 500 last used are, and EVALSHA of another answers NOSCRIPT. On Valkey SCRIPT LOAD exempts a script.',
  fix: 'SCRIPT LOAD when connecting, and EVAL where EVALSHA answers NOSCRIPT; or a function library.',
  proof:
    '600 scripts by EVAL, then EVALSHA of the first: found on Redis 6.0.16 and 7.0.15; NOSCRIPT on Redis 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2. The cache of Redis 7.2.6 and Valkey 7.2.7 has no limit, that of Redis 7.4.1 has.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client:
          "const sha = createHash('sha1').update(script).digest('hex');\nexport const take = (key) => client.evalsha(sha, 1, key);\n",
        at: 'evalsha',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client:
          "const sha = createHash('sha1').update(script).digest('hex');\nexport const take = (key) =>\n  client.evalsha(sha, 1, key).catch((error) => {\n    if (!error.message.startsWith('NOSCRIPT')) throw error;\n    return client.eval(script, 1, key);\n  });\n",
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'python',
        client: 'sha = client.script_load(SCRIPT)\nclient.evalsha(sha, 1, key)\n',
        note: 'SCRIPT LOAD exempts it.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client: "client.defineCommand('take', { numberOfKeys: 1, lua });\n",
        note: 'The library falls back by itself.',
      },
    ],
  },
  check: ({ profile, reportRange }) => ({
    client(source) {
      if (!HASHES.test(source.text) || FALLS_BACK.test(source.text)) return;
      for (const match of source.code.matchAll(BY_SHA)) {
        const start = match.index + match[0].indexOf(match[1]!);
        reportRange(start, start + match[1]!.length, {
          message: `nothing here answers NOSCRIPT, and ${nameServer(profile.to)} forgets scripts that came by EVAL`,
        });
      }
    },
  }),
});
