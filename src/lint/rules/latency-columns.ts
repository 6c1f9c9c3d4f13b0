/** D25: LATENCY LATEST, whose rows got longer. */
import { type Change, differs, has, nameServer, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

const SIX_COLUMNS: Change = { valkey: '8.1' };

export const latencyColumns = defineRule({
  code: 'D25',
  name: 'latency-latest-columns',
  title: 'rows of LATENCY LATEST',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'warning',
  range: { text: 'any -> Valkey >= 8.1, and back', applies: (profile) => differs(profile, SIX_COLUMNS) },
  severity: () => 'warning',
  mechanism:
    'A row of LATENCY LATEST has four columns on every Redis and on Valkey up to 8.0, and six since Valkey 8.1: the sum and the number of events were added. What takes rows apart by their length fails.',
  fix: 'Read the first four columns and let more pass.',
  proof: 'LATENCY LATEST after DEBUG SLEEP on Redis 7.2.6, 8.0.2 and Valkey 8.0.1 (four), 8.1.1 and 9.1.2 (six).',
  examples: {
    bad: [{ profile: '--from redis@7.0 --to valkey@8.1', commands: 'PING\nLATENCY LATEST', at: 'LATENCY' }],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.1', commands: 'LATENCY RESET' },
      { profile: '--from redis@7.0 --to valkey@8.1', commands: 'SET LATENCY LATEST' },
    ],
  },
  check: ({ profile, reportCommand }) => ({
    command(command) {
      if (command.name !== 'latency latest') return;
      const columns = (server: Server) =>
        `${has(server, SIX_COLUMNS) ? 'six' : 'four'} columns on ${nameServer(server)}`;
      const message = `rows have ${columns(profile.to)}, ${columns(profile.from)}`;
      reportCommand(command, { message });
    },
  }),
});
