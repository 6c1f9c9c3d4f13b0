/** H36: scripts that are large to send. */
import { defineRule } from '../rule.ts';

const LARGE_BYTES = 64 << 10;

export const largeScript = defineRule({
  code: 'H36',
  name: 'large-script',
  title: 'large scripts',
  category: 'script-cache',
  evidence: 'lex',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'EVAL sends the text with every call, and the server hashes it to find the compiled script; beyond 64 KiB that is more work than most scripts do.',
  fix: 'Load it once (SCRIPT LOAD) and call it by EVALSHA, with EVAL as the answer to NOSCRIPT; or make it a function.',
  proof: 'By reading the servers: EVAL computes SHA1 over the whole text at each call.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: `-- ${'license '.repeat(8300)}\nreturn 1`,
        at: '-- license',
      },
    ],
    good: [{ profile: '--from redis@7.0 --to valkey@8.0', lua: 'return 1', proof: {} }],
  },
  check: ({ reportUnit }) => ({
    script({ unit, context }) {
      if (context === 'function' || unit.text.length <= LARGE_BYTES) return;
      reportUnit(unit, { message: `${unit.text.length >> 10} KiB to send with each EVAL` });
    },
  }),
});
