/** D24: MULTI or WATCH between MULTI and EXEC. */
import { type Change, gains, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** The transaction is then discarded. */
const ABORTS: Change = { valkey: '8.0' };

export const nestedMulti = defineRule({
  code: 'D24',
  name: 'nested-multi',
  title: 'MULTI or WATCH between MULTI and EXEC',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'error',
  range: { text: 'Redis, Valkey 7.2 -> Valkey >= 8.0', applies: (profile) => gains(profile, ABORTS) },
  severity: () => 'error',
  mechanism:
    'MULTI or WATCH inside a transaction is an error everywhere, but on every Redis up to 8.6 EXEC then runs what was queued; since Valkey 8.0 it answers EXECABORT and nothing is done.',
  fix: 'WATCH before MULTI, and one MULTI a transaction: look for a connection that two users share.',
  proof: 'MULTI, SET, MULTI (or WATCH), EXEC on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'MULTI\nSET a 1\nMULTI\nEXEC',
        at: 'SET a 1|MULTI',
        proof: { from: /^\["OK"\]$/, to: /EXECABORT/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        commands: 'MULTI\nWATCH a\nSET a 1\nEXEC',
        at: 'WATCH',
        proof: { from: /^\["OK"\]$/, to: /EXECABORT/ },
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.0', commands: 'WATCH a\nMULTI\nSET a 1\nEXEC', proof: {} },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'MULTI\nSET a 1\nEXEC\nMULTI\nSET a 2\nEXEC',
        proof: {},
      },
      { profile: '--from redis@7.0 --to valkey@8.0', commands: 'MULTI\nDISCARD\nWATCH a\nUNWATCH', proof: {} },
    ],
  },
  check: ({ profile, reportCommand }) => ({
    command(command) {
      if (!command.inTransaction || (command.name !== 'multi' && command.name !== 'watch')) return;
      const message = `${command.name.toUpperCase()} inside a transaction: ${nameServer(profile.to)} then refuses EXEC, ${nameServer(profile.from)} runs it`;
      reportCommand(command, { message });
    },
  }),
});
