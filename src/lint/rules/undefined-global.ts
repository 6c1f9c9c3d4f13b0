/** H16: globals that no server has. */
import { hasGlobal } from '../commands.ts';
import { nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

const DECLARED = new Set(['KEYS', 'ARGV']);

export const undefinedGlobal = defineRule({
  code: 'H16',
  name: 'undefined-global-read',
  title: 'globals that do not exist',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'all', applies: () => true },
  severity: () => 'error',
  mechanism:
    'Reading a global that the server has not defined is an error in scripts, not nil as elsewhere in Lua, on every release of both products. In a function library KEYS and ARGV are no globals but the parameters of the callback.',
  fix: "Declare it as a local, or ask first: rawget(_G, 'name').",
  proof: '"Script attempted to access nonexistent global variable" on Redis 6.2.16 to 8.6.3 and Valkey 7.2.7 to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local value = redis.call('GET', KEYS[1])\nreturn vaule",
        at: 'vaule',
        proof: { keys: ['k'], from: /nonexistent global variable/, to: /nonexistent global variable/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: 'if null == ARGV[1] then return 1 end',
        at: 'null',
        proof: { from: /nonexistent global variable/, to: /nonexistent global variable/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if rawget(_G, 'debugging') then redis.log(redis.LOG_DEBUG, 'x') end\nlocal value\nreturn value",
        proof: {},
      },
    ],
  },
  check: ({ profile: { from, to }, report }) => ({
    script(script) {
      if (script.unit.fragment) return;
      const written = new Set(script.scopes.globalWrites.map(({ name }) => name));
      const missing = script.scopes.globalReads.filter(
        ({ name }) =>
          // What one side has is for the rules on drift.
          !(written.has(name) || hasGlobal(from, name) || hasGlobal(to, name)) &&
          !(DECLARED.has(name) && script.context === 'eval'),
      );
      if (missing.some(({ name }) => script.unit.declaredNearby?.(name))) return;
      for (const node of missing) {
        const { name } = node;
        report(node, { message: `${name} is neither a local nor a global of ${nameServer(to)}` });
      }
    },
  }),
});
