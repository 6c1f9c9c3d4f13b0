/** D16: globals and their members that only one side has. */
import { hasGlobal } from '../commands.ts';
import { destinations, nameServer, type Profile, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Rules of their own: D15, D17, D18. */
const ELSEWHERE = /^(getfenv|setfenv|newproxy|os|server)(\.|$)/;
/** Members that tell the products apart: whoever reads them asks. */
const ASKED = /_VERSION|SERVER_NAME/;

/** The server that lacks what the other one has. */
function lacking(profile: Profile, name: string): Server | undefined {
  if (ELSEWHERE.test(name) || ASKED.test(name)) return undefined;
  if (!hasGlobal(profile.from, name) && !hasGlobal(profile.to, name)) return undefined;
  return destinations(profile).find((server) => !hasGlobal(server, name));
}

export const removedGlobal = defineRule({
  code: 'D16',
  name: 'removed-global',
  title: 'globals that the other server does not have',
  category: 'removed',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'Redis 6.2 -> any (print); any, by the globals of the two releases', applies: () => true },
  severity: () => 'error',
  mechanism:
    'Redis 7.0 took print from scripts, and every release since has its own list of what they see. Reading a global that is not there is an error; a member that is not there is nil, and calling it is one.',
  fix: 'redis.log instead of print; ask before the call where it may be missing (if redis.acl_check_cmd then …).',
  proof: 'The globals of Redis 6.2.16 to 8.6.3 and Valkey 7.2.7 to 9.1.2, listed by a script on each.',
  examples: {
    bad: [
      {
        profile: '--from redis@6.0 --to valkey@8.0',
        lua: "print('here')\nreturn 1",
        at: 'print',
        proof: { from: /^1$/, to: /nonexistent global variable 'print'/ },
      },
      {
        profile: '--from redis@6.2 --to valkey@8.0 --rollback',
        lua: "return redis.acl_check_cmd('GET', KEYS[1])",
        at: 'redis.acl',
      },
    ],
    good: [
      {
        profile: '--from redis@6.0 --to valkey@8.0',
        lua: 'local function print(x) return x end\nreturn print(1)',
        note: 'A function of the script.',
        proof: {},
      },
      {
        profile: '--from redis@6.0 --to valkey@8.0',
        lua: "local text = 'print(1)' -- print(1)\nreturn text",
        proof: {},
      },
      {
        profile: '--from redis@6.0 --to valkey@8.0',
        lua: "if rawget(_G, 'print') then print('here') end\nreturn 1",
        note: 'Asks first.',
        proof: {},
      },
      {
        profile: '--from redis@6.2 --to valkey@8.0 --rollback',
        lua: "if redis.acl_check_cmd then return redis.acl_check_cmd('GET', KEYS[1]) end",
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const describe = (server: Server, name: string) => `scripts on ${nameServer(server)} have no ${name}`;
      if (!script.unit.fragment) {
        const written = new Set(script.scopes.globalWrites.map(({ name }) => name));
        for (const node of script.scopes.globalReads) {
          const known = written.has(node.name) || script.isAskedFor(node, node.name);
          const server = known ? undefined : lacking(profile, node.name);
          if (server) report(node, { message: describe(server, node.name) });
        }
      }
      for (const node of script.scopes.nodes) {
        if (node.type !== 'MemberExpression') continue;
        const value = script.valueOf(node);
        const server = value.kind === 'global' ? lacking(profile, value.name) : undefined;
        if (server === undefined || value.kind !== 'global' || script.isAskedFor(node, value.name)) continue;
        if (script.usesOf(node).some(({ kind }) => kind === 'tested' || kind === 'compared')) continue;
        report(node, { message: describe(server, value.name) });
      }
    },
  }),
});
