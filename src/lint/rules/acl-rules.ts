/** D33: rules of ACL users that not every release knows. */
import { type Change, destinations, has, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Rules about databases. */
const DATABASES: Change = { valkey: '9.1' };
/** Accepted, shown no more, without effect. */
const SANITIZE_IDLE: Change = { valkey: '9.1' };

export const aclRules = defineRule({
  code: 'D33',
  name: 'acl-rules',
  title: 'ACL rules that not every release knows',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'error',
  unprovable: 'shown by starting servers with the file, which the test of examples does not do',
  range: { text: 'any -> Valkey >= 9.1 (sanitize-payload); Valkey >= 9.1 -> any (alldbs)', applies: () => true },
  severity: () => 'info',
  mechanism:
    'Valkey 9.1 has rules about databases (alldbs, resetdbs, db=), with which no other server starts; sanitize-payload and skip-sanitize-payload are accepted there, do nothing, and ACL LIST no longer shows them.',
  fix: 'Take the rule out; what compares ACL LIST must not expect it.',
  proof:
    'user lines with alldbs and sanitize-payload in the file of Redis 7.0.15, 8.0.2 and Valkey 8.0.1, 8.1.1, 9.1.2; ACL SETUSER and ACL LIST on the same and on Redis 6.0.16, 8.6.3.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        config: 'user app on nopass sanitize-payload ~* +@all\n',
        at: 'user',
      },
      {
        profile: '--from valkey@9.1 --to valkey@8.1',
        config: 'user app on nopass alldbs ~* +@all\n',
        at: 'user',
        severity: 'error',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        config: 'user app on nopass ~alldbs +@all\n',
        note: 'A key pattern.',
      },
      { profile: '--from redis@7.0 --to valkey@8.1', config: 'user app on nopass sanitize-payload ~* +@all\n' },
    ],
  },
  check: ({ profile, reportRange }) => ({
    directive({ name, args, offset }) {
      if (name !== 'user') return;
      const rules = args.map((rule) => rule.toLowerCase());
      const databases = rules.find((rule) => /^(?:alldbs$|resetdbs$|db=)/.test(rule));
      const without = destinations(profile).find((server) => !has(server, DATABASES));
      if (databases !== undefined && without) {
        reportRange(offset, offset + name.length, {
          message: `${nameServer(without)} does not start with the rule "${databases}"`,
          severity: 'error',
        });
      } else if (rules.some((rule) => /^(?:skip-)?sanitize-payload$/.test(rule)) && has(profile.to, SANITIZE_IDLE)) {
        reportRange(offset, offset + name.length, {
          message: `${nameServer(profile.to)} accepts sanitize-payload and does nothing with it`,
        });
      }
    },
  }),
});
