/** D32: UNSUBSCRIBE by a client that has no subscription. */
import { nameServer, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

const NAMES = new Set(['unsubscribe', 'punsubscribe', 'sunsubscribe']);
const refuses = (server: Server) => server.product === 'valkey' && server.major === 8 && server.minor === 0;

export const unsubscribe = defineRule({
  code: 'D32',
  name: 'unsubscribe-unsubscribed',
  title: 'UNSUBSCRIBE without a subscription',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'warning',
  range: { text: 'any -> Valkey 8.0', applies: ({ from, to }) => refuses(to) && !refuses(from) },
  severity: () => 'warning',
  mechanism:
    'Valkey 8.0 answers UNSUBSCRIBE of a client that is not subscribed with the error NOSUB; every Redis, and Valkey from 8.1 on, confirms it.',
  fix: 'Leave it out, or migrate to Valkey >= 8.1.',
  proof:
    'UNSUBSCRIBE and PUNSUBSCRIBE on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.1.1, 9.1.2 (confirmed), Valkey 8.0.1 (NOSUB).',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'SET a 1\nUNSUBSCRIBE news',
        at: 'UNSUBSCRIBE',
        proof: { from: /^0$/, to: /NOSUB/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'SUBSCRIBE news\nUNSUBSCRIBE news',
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        commands: 'UNSUBSCRIBE news',
        note: 'It may have subscribed before the capture began.',
      },
    ],
  },
  check: ({ profile, reportCommand }) => ({
    command(command) {
      if (!NAMES.has(command.name) || !command.unsubscribed) return;
      reportCommand(command, {
        message: `${nameServer(profile.to)} answers ${command.name.toUpperCase()} with an error where the client is not subscribed, as here`,
      });
    },
  }),
});
