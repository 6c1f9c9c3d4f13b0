/** D07: scripts that recognise an error by its text. */
import { type Change, differs } from '../profile.ts';
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { stringOf } from '../values.ts';

/** Texts that are not the same everywhere, with the releases that brought the present one. */
const CHANGED: { text: RegExp; change: Change }[] = [
  { text: /Unknown Redis|calling Redis|Lua redis/i, change: { valkey: '8.0' } },
  { text: /Lua script|Lua redis\(\)|from scripts/i, change: { redis: '7.0', valkey: '7.2' } },
  { text: /(This )?Redis command is not allowed/i, change: { valkey: '9.1' } },
  { text: /Please use EVAL/i, change: { valkey: '8.0' } },
  { text: /Redis is (busy|loading)|MISCONF Redis/i, change: { valkey: '8.0' } },
  { text: /call to f_|Error running script/i, change: { redis: '7.0', valkey: '7.2' } },
  { text: /\bRedis\b/, change: { valkey: '8.0' } },
];

/** `^WRONGTYPE`, `NOSCRIPT`, `OOM `: the code, which is stable. */
const CODE_ONLY = /^\^?%?[A-Z]+( .{0,2})?[ %$.*-]*$/;

const MATCHERS = new Set(['string.find', 'string.match', 'string.gmatch', 'string.gsub']);
const SHAPERS = new Set(['tostring', 'string.sub', 'string.lower', 'string.upper']);

export const errorText = defineRule({
  code: 'D07',
  name: 'error-text-match',
  title: 'errors recognised by their text',
  category: 'incompatible',
  evidence: 'df',
  worst: 'error',
  range: {
    text: 'Redis 6.2 -> any; Redis 7.x -> Valkey >= 8.0; any -> Valkey >= 9.1',
    applies: (profile) => CHANGED.some(({ change }) => differs(profile, change)),
  },
  severity: () => 'error',
  mechanism:
    'The texts of errors were reworded: Redis 7.0 dropped the envelope of 6.2, Valkey 8.0 took "Redis" out of most of them, Valkey 9.1 put "Valkey" into others and dropped the SHA. Only the first word (WRONGTYPE, NOSCRIPT, OOM) is stable since Redis 7.0.',
  fix: "Test the first word (string.match(e.err, '^WRONGTYPE')), or test the cause before the call.",
  proof:
    '"Unknown Redis command called from script" on Redis 7.0.15 to 8.6.3 and Valkey 7.2.7, "Unknown command called from script" on Valkey 8.0.1, 8.1.1 and 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local r = redis.pcall('NOSUCH')\nif string.find(r.err, 'Unknown Redis command') then return 'unsupported' end\nreturn 'broken'",
        at: 'string.find(r.err',
        proof: { from: /^"unsupported"$/, to: /^"broken"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local ok, e = pcall(redis.call, 'NOSUCH', KEYS[1])\nlocal text = tostring(e)\nif not ok and text:match('Redis command') then return 1 end",
        at: 'text:match',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local r = redis.pcall('RENAME', KEYS[1], KEYS[2])\nif r.err == 'ERR no such key' then return 0 end\nreturn r",
        at: 'r.err ==',
        severity: 'info',
        note: 'This text is the same on all releases tested; no promise that it stays.',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local r = redis.pcall('INCR', KEYS[1])\nif r.err and string.match(r.err, '^WRONGTYPE') then return 'wrong' end\nreturn r",
        note: 'The first word is stable.',
        proof: { setup: [['RPUSH', 'list', 'x']], keys: ['list'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local r = redis.call('GET', KEYS[1])\nif r == 'Unknown Redis command' then return 1 end",
        note: 'A value, no error.',
      },
    ],
  },
  check({ profile, report }) {
    const changedIn = (text: string) =>
      CHANGED.find((entry) => differs(profile, entry.change) && entry.text.test(text.replace(/%(.)/g, '$1')));
    const examine = (script: Script, error: Expression) => {
      const uses = script.usesOf(error, { concatenation: false, library: (name) => SHAPERS.has(name) });
      for (const use of uses) {
        let pattern: Expression | undefined;
        if (use.kind === 'compared') pattern = use.other;
        else if (use.kind === 'library' && MATCHERS.has(use.name) && use.index === 0) {
          pattern = script.libraryArguments(use.node)[1];
        }
        const text = pattern && stringOf(script.valueOf(pattern));
        if (text === undefined || text === '' || CODE_ONLY.test(text)) continue;
        const changed = changedIn(text);
        report(use.node, {
          message: changed
            ? `the text "${text}" is not the same on both sides`
            : `recognises an error by its text "${text}", which no release promises to keep`,
          ...(changed ? {} : { severity: 'info' }),
        });
      }
    };
    return {
      call(call, script) {
        if (call.protectedBy === undefined) return;
        if (call.protectedBy === 'lua') examine(script, call.node);
        for (const use of script.usesOf(call.node)) {
          if (use.kind === 'indexed' && use.key === 'err') examine(script, use.node);
        }
      },
    };
  },
});
