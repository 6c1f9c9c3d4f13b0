/** H02: a whole SCAN inside one script. */
import { defineRule } from '../rule.ts';

export const scanLoop = defineRule({
  code: 'H02',
  name: 'scan-loop-in-script',
  title: 'whole scans inside one script',
  category: 'blocking',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'SCAN spares other clients because they get their turn between two pages; a script runs to its end on the one thread that executes commands, so the pages follow each other as if it were KEYS: 37 to 66 ms per 100,000 keys against 42 to 73 ms for KEYS, on Redis 7.0 to 8.6 and Valkey 8.0 to 9.1.',
  fix: 'Let the client hold the cursor and call the script once per page.',
  proof:
    'SCAN to the end inside one EVAL, 100,000 keys, median of 15: Redis 7.0.15 62 ms, 8.0.6 66, 8.6.3 58; Valkey 8.0.1 61, 8.1.1 41, 9.1.2 37. A GET on another connection waits for the whole rest of a script, with io-threads 1 and 4.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local cursor = '0'\nrepeat\n  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1])\n  cursor = page[1]\n  for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end\nuntil cursor == '0'",
        at: 'repeat',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local cursor, rcall = 0, redis.call\nwhile true do\n  local page = rcall('hscan', KEYS[1], cursor)\n  cursor = tonumber(page[1])\n  if cursor == 0 then break end\nend",
        at: 'while',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local page = redis.call('SCAN', ARGV[1], 'MATCH', 'session:*')\nfor _, key in ipairs(page[2]) do redis.call('UNLINK', key) end\nreturn page[1]",
        note: 'One page a call: the client has the cursor.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local cursor, pages = '0', 0\nrepeat\n  local page = redis.call('SCAN', cursor)\n  cursor = page[1]\n  pages = pages + 1\nuntil cursor == '0' or pages >= 10\nreturn cursor",
        note: 'Ten pages at most.',
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.loops) {
        const call = script.cursorScanOf(script.loopOf(node));
        if (!call) continue;
        report(node, {
          message: `this loop runs ${call.names[0]!.toUpperCase()} to its end in one go: as blocking as reading everything at once`,
        });
      }
    },
  }),
});
