/** D17: os.clock, which not every release gives to scripts. */
import { type Change, destinations, has, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

const CLOCK: Change = { redis: '7.4', valkey: '8.0' };

export const osClock = defineRule({
  code: 'D17',
  name: 'os-clock-availability',
  title: 'os.clock',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'any -> Redis <= 7.2, Valkey 7.2, and back',
    applies: (profile) => destinations(profile).some((server) => !has(server, CLOCK)),
  },
  severity: ({ to }) => (has(to, CLOCK) ? 'warning' : 'error'),
  mechanism:
    'Scripts have os.clock since Redis 7.4 and Valkey 8.0; before, there is no os at all, and reading it is an error. No release has os.time or os.date.',
  fix: "Do without, or ask first: local os = rawget(_G, 'os').",
  proof: 'os.clock() on Redis 6.0.16 and 7.0.15 (error), 8.0.2 and 8.6.3, Valkey 8.0.1, 8.1.1 and 9.1.2 (a number).',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: 'return os.clock() >= 0',
        at: 'os.clock',
        note: 'Back on Redis 7.0 it fails.',
        proof: { from: /nonexistent global variable 'os'/, to: /^1$/ },
      },
      {
        profile: '--from redis@7.4 --to valkey@7.2',
        lua: 'local started = os.clock()\nreturn started',
        at: 'os.clock',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "local os = rawget(_G, 'os')\nreturn os ~= nil and os.clock() < 0",
        note: 'Asks first.',
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "return rawget(_G, 'os') ~= nil and os.clock() < 0",
        proof: {},
      },
    ],
  },
  check: ({ profile, report }) => ({
    script(script) {
      const server = destinations(profile).find((candidate) => !has(candidate, CLOCK))!;
      for (const node of script.scopes.globalReads) {
        const parent = script.scopes.parentOf(node);
        if (node.name !== 'os' || parent?.type !== 'MemberExpression' || parent.identifier.name !== 'clock') continue;
        if (script.isAskedFor(node, 'os')) continue;
        report(parent, { message: `scripts on ${nameServer(server)} have no os.clock` });
      }
    },
  }),
});
