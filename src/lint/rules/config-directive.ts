/** D26: directives that the other server does not know, in its file or by CONFIG SET. */
import directiveTable from '../data/directives.json' with { type: 'json' };
import { compareVersion, destinations, nameServer, type Profile, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** What each server made of each directive: bit `i` of the masks is server `i`; in its file, and by CONFIG SET. */
const DIRECTIVES = directiveTable.directives as unknown as Record<string, [inFile: number, bySet: number]>;
const OBSERVED = directiveTable.servers.map((server, i) => {
  const [product, version] = server.split('-') as [Server['product'], string];
  return { product, minor: version.split('.').slice(0, 2).join('.'), bit: 1 << i };
});

/** Whether the releases observed on both sides of the server's all lack it; between two that disagree nothing is known. */
function lacks(server: Server, mask: number): boolean {
  const own = OBSERVED.filter(({ product }) => product === server.product);
  const below = own.findLast(({ minor }) => compareVersion(server, minor) >= 0);
  const above = own.find(
    ({ minor }) => compareVersion(server, minor) <= 0 || minor === `${server.major}.${server.minor}`,
  );
  if (below === undefined) return false;
  return [below, above ?? below].every(({ bit }) => (mask & bit) === 0);
}

function lacking(profile: Profile, name: string, how: 0 | 1): Server | undefined {
  const masks = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  return masks && destinations(profile).find((server) => lacks(server, masks[how]));
}

export const configDirective = defineRule({
  code: 'D26',
  name: 'config-directive',
  title: 'directives that the other server does not know',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'error',
  range: { text: 'any, by what the releases accept', applies: () => true },
  severity: () => 'error',
  mechanism:
    'A server does not start with a directive in its file that it does not know, and CONFIG SET of one is an error. A few that are gone are still accepted in the file and do nothing: io-threads-do-reads since Redis 8.0 and Valkey 8.1, dynamic-hz since Valkey 8.1.',
  fix: 'Take the directive out.',
  proof:
    'Every directive that CONFIG GET * does not list everywhere was tried in the file and by CONFIG SET on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        language: 'javascript',
        client: "await client.config('SET', 'dynamic-hz', 'no');\n",
        at: "'dynamic-hz'",
        proof: {
          send: [['CONFIG', 'SET', 'dynamic-hz', 'yes']],
          from: /^"OK"$/,
          to: /Unknown option .* 'dynamic-hz'/,
        },
      },
      {
        profile: '--from redis@8.6 --to valkey@9.1',
        config: 'port 6379\nlookahead 16\n',
        at: 'lookahead',
        note: 'The server does not start.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        config: 'io-threads 4\nio-threads-do-reads yes\n',
        at: 'io-threads-do-reads',
        severity: 'info',
        note: 'Accepted and without effect.',
      },
    ],
    good: [
      {
        profile: '--from redis@6.0 --to valkey@9.1',
        config: '# lookahead 16\nslave-read-only yes\nlist-max-ziplist-size -2\nlua-time-limit 5000\n',
        note: 'Old names that all releases take.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client:
          "await client.config('SET', 'dynamic-hz', 'no');\nawait client.set('lookahead', 'io-threads-do-reads');\n",
        proof: { send: [['CONFIG', 'SET', 'dynamic-hz', 'yes']] },
      },
    ],
  },
  check: ({ profile, reportRange }) => ({
    directive({ name, offset }) {
      const server = lacking(profile, name, 0);
      const end = offset + name.length;
      if (server) {
        reportRange(offset, end, {
          message: `${nameServer(server)} does not know ${name} and does not start with it in its file`,
        });
        return;
      }
      const idle = lacking(profile, name, 1);
      if (idle === undefined) return;
      reportRange(offset, end, {
        message: `${nameServer(idle)} accepts ${name} in its file and does nothing with it`,
        severity: 'info',
      });
    },
    client(source) {
      for (const string of source.strings) {
        const server = lacking(profile, string.value.toLowerCase(), 1);
        if (server === undefined) continue;
        // `config('SET', name`, `config_set(name`, `'CONFIG', 'SET', name`: the statement says so before the name.
        const statement = source.text
          .slice(Math.max(0, string.start - 80), string.start)
          .split(/[;\n{}]/)
          .at(-1)!;
        if (!/config\W{0,4}\s*_?set\W+$/i.test(statement)) continue;
        reportRange(string.start, string.end, {
          message: `CONFIG SET ${string.value} is an error on ${nameServer(server)}: it has no such directive`,
        });
      }
    },
  }),
});
