/** D15: functions that security releases took from scripts. */
import { compareVersion, destinations, nameServer, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

const REMOVED = new Set(['getfenv', 'setfenv', 'newproxy']);

/** First release of each minor without them (CVE-2025-46818, October 2025). Later minors never had them. */
const PATCHED: Record<Server['product'], string[]> = {
  redis: ['6.2.20', '7.2.11', '7.4.6', '8.0.4', '8.2.2'],
  valkey: ['7.2.11', '8.0.6', '8.1.4'],
};

function isPatched(server: Server): boolean {
  const minor = `${server.major}.${server.minor}.`;
  const patched = PATCHED[server.product].find((version) => version.startsWith(minor));
  if (patched) return compareVersion(server, patched) >= 0;
  // Redis 7.0 and older had their last release before.
  return compareVersion(server, PATCHED[server.product].at(-1)!) > 0;
}

export const insecureLuaApi = defineRule({
  code: 'D15',
  name: 'insecure-lua-api',
  title: 'functions that security releases took from scripts',
  category: 'removed',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'any -> Redis 6.2.20, 7.2.11, 7.4.6, 8.0.4, 8.2.2 and Valkey 7.2.11, 8.0.6, 8.1.4 and what came later',
    applies: (profile) => destinations(profile).some(isPatched),
  },
  severity: () => 'error',
  mechanism:
    'The security releases of October 2025 (CVE-2025-46818) took getfenv, setfenv and newproxy from scripts on both products; distributions put it into older releases too. Reading them is an error like that of any global that is not there.',
  fix: 'Pass tables explicitly. The last resort is lua-enable-insecure-api yes (Redis: lua-enable-deprecated-api yes).',
  proof:
    'Present on Redis 6.0.16, 7.2.6, 7.4.1 and Valkey 7.2.7, 8.0.1; absent on Redis 8.6.3, Valkey 9.1.2 and the patched packages of Redis 7.0.15, 8.0.2 and Valkey 8.1.1.',
  examples: {
    bad: [
      {
        profile: '--from valkey@8.0.1 --to valkey@8.1',
        lua: "local names = {}\nsetfenv(1, names)\nname = 'x'\nreturn names.name",
        at: 'setfenv',
        proof: { from: /^"x"$/, to: /nonexistent global variable 'setfenv'/ },
      },
      {
        profile: '--from redis@7.2.6 --to valkey@9.1',
        lua: "local hidden = rawget(_G, 'newproxy')\nreturn type(hidden(true))",
        at: 'rawget',
      },
    ],
    good: [
      {
        profile: '--from valkey@8.0.1 --to valkey@8.1',
        lua: "local function setfenv(f) return f end\nreturn type(setfenv('x'))",
        note: 'A function of the script.',
        proof: {},
      },
      {
        profile: '--from valkey@8.0.1 --to valkey@8.1',
        lua: "return type(getmetatable('x'))",
        proof: {},
      },
      {
        profile: '--from valkey@8.0.1 --to valkey@8.1',
        lua: "if rawget(_G, 'setfenv') then setfenv(1, {}) end",
        note: 'Asks whether it is there.',
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const server = destinations(profile).find(isPatched)!;
      const message = (name: string) =>
        `${nameServer(server)} has no ${name}: it went with the security releases of October 2025`;
      for (const node of script.scopes.globalReads) {
        if (REMOVED.has(node.name) && !script.isAskedFor(node, node.name))
          report(node, { message: message(node.name) });
      }
      for (const node of script.scopes.calls) {
        const value = script.valueOf(node);
        if (script.libraryOf(node) !== 'rawget' || value.kind !== 'global' || !REMOVED.has(value.name)) continue;
        // rawget yields nil where it is not there: only who calls it without asking fails.
        if (!script.usesOf(node).some(({ kind }) => kind === 'tested' || kind === 'compared')) {
          report(node, { message: message(value.name) });
        }
      }
    },
  }),
});
