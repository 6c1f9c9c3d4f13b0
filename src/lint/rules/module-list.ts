/** D31: MODULE LIST, which is never empty on some servers. */
import { type Change, differs, has, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** A module of the server's own: vectorset, lua. */
const NEVER_EMPTY: Change = { redis: '8.0', valkey: '9.1' };

export const moduleList = defineRule({
  code: 'D31',
  name: 'module-list-empty',
  title: 'MODULE LIST of a server without modules',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'info',
  range: { text: 'any -> Valkey >= 9.1, Redis >= 8.0, and back', applies: (profile) => differs(profile, NEVER_EMPTY) },
  severity: () => 'info',
  mechanism:
    'The Lua engine of Valkey 9.1 is a built-in module that MODULE LIST names, as Redis 8.0 names vectorset; before, the answer of a server without modules is empty.',
  fix: 'Look for the module by its name, do not count.',
  proof:
    'MODULE LIST on Redis 6.0.16, 7.0.15 and Valkey 8.0.1, 8.1.1 (empty), Redis 8.0.2, 8.6.3 (vectorset), Valkey 9.1.2 (lua).',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        commands: 'PING\nMODULE LIST',
        at: 'MODULE',
        proof: { from: /^\[\]$/, to: /"lua"/ },
      },
    ],
    good: [{ profile: '--from redis@7.0 --to valkey@9.1', commands: 'SET MODULE LIST', proof: {} }],
  },
  check: ({ profile, reportCommand }) => ({
    command(command) {
      if (command.name !== 'module list') return;
      const server = has(profile.to, NEVER_EMPTY) ? profile.to : profile.from;
      const message = `MODULE LIST of ${nameServer(server)} has an entry even where no module was loaded`;
      reportCommand(command, { message });
    },
  }),
});
