/** H35: functions that call themselves as deep as the data goes. */

import { defineRule } from '../rule.ts';
import { callSitesOf } from '../scopes.ts';

export const deepRecursion = defineRule({
  code: 'H35',
  name: 'deep-recursion',
  title: 'functions that call themselves',
  category: 'blocking',
  evidence: 'ast',
  worst: 'info',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'Lua keeps a frame per call that has not returned, and a script that goes too deep ends with "stack overflow", near 190,000 frames on the releases tried, after what it has already written. A call in return f(x) keeps none.',
  fix: 'Use a loop and a table of what is left to do, or limit the depth.',
  proof: 'A function that calls itself raised "stack overflow" near 190,000 calls on the releases tried.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local function remove(id)\n  for _, child in ipairs(redis.call('SMEMBERS', 'children:' .. id)) do remove(child) end\n  redis.call('DEL', 'job:' .. id)\nend\nremove(ARGV[1])",
        at: 'do |remove(child)',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local function drain(n)\n  if not redis.call('LPOP', KEYS[1]) then return n end\n  return drain(n + 1)\nend\nreturn drain(0)",
        note: 'A tail call keeps no frame.',
        proof: { keys: ['l'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const fn of script.scopes.functions) {
        const own = callSitesOf(script.scopes, fn)?.find((site) => {
          const parent = script.scopes.parentOf(site);
          const tail = parent?.type === 'ReturnStatement' && parent.arguments.length === 1;
          return script.scopes.isInside(site, fn) && !tail;
        });
        if (own) report(own, { message: `${script.textOf(own.base)} calls itself, as deep as the data goes` });
      }
    },
  }),
});
