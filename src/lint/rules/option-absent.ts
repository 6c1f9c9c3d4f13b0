/** D02: options of commands that the other server does not have. */
import { findCommand, findOptions, type UsedOption } from '../commands.ts';
import { compareVersion, destinations, nameServer, type Profile, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** The server that has the command but not the option. */
function lacking(profile: Profile, name: string, { since }: UsedOption): Server | undefined {
  return destinations(profile).find((server) => {
    if (!findCommand(server, name)) return false;
    const first = since[server.product];
    return first === undefined || compareVersion(server, first) < 0;
  });
}

function describe(server: Server, name: string, { token, since }: UsedOption): string {
  const first = since[server.product];
  const when =
    first === undefined ? `no release of ${server.product} has it` : `${server.product} has it since ${first}`;
  return `${name.toUpperCase()} has no option ${token} on ${nameServer(server)}: ${when}`;
}

export const optionAbsent = defineRule({
  code: 'D02',
  name: 'option-absent',
  title: 'options that the other server does not have',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'any, by the command tables of the two releases', applies: () => true },
  severity: () => 'error',
  mechanism:
    'A server that does not know an option answers "ERR syntax error" and does nothing. Options were read from COMMAND DOCS of nine releases and the release notes between them.',
  fix: 'Do without the option, or migrate to a release that has it.',
  proof:
    'HSCAN … NOVALUES: accepted by Redis 7.4.1 and Valkey 8.0.1, "ERR syntax error" on Redis 7.0.15. SET … IFNE: Redis 8.6.3 only; SET … IFEQ: Valkey 8.1.1 and later, Redis 8.6.3.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "return redis.call('HSCAN', KEYS[1], '0', 'NOVALUES')[2]",
        at: "'NOVALUES'",
        proof: {
          setup: [['HSET', 'h', 'f', 'v']],
          keys: ['h'],
          from: /syntax error/,
          to: /^\["f"\]$/,
        },
      },
      {
        profile: '--from redis@8.6 --to valkey@9.1',
        lua: "return redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2], 'ifne', ARGV[3])",
        at: "'ifne'",
        proof: { keys: ['k'], argv: ['new', '60', 'other'], from: /^"OK"$|^null$|^\{/, to: /syntax error/ },
      },
      {
        profile: '--from redis@8.6 --to valkey@9.1',
        lua: "return redis.call('XADD', KEYS[1], 'KEEPREF', 'MAXLEN', '~', 1000, '*', 'f', 'v')",
        at: "'KEEPREF'",
        proof: { keys: ['s'], from: /^"\d+-\d+"$/, to: /ERR/ },
      },
      {
        profile: '--from redis@8.6 --to valkey@8.0',
        commands: 'SET lock mine IFEQ yours',
        at: 'SET',
        proof: { from: /^null$/, to: /syntax error/ },
      },
    ],
    good: [
      {
        profile: '--from redis@8.6 --to valkey@8.0',
        lua: "return redis.call('SET', KEYS[1], 'IFNE')",
        note: 'In the place of the value it is a value.',
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@8.6 --to valkey@8.0',
        lua: "return redis.call('XADD', KEYS[1], '1-1', 'KEEPREF', 'x')",
        note: 'Behind the id it is a field.',
        proof: { keys: ['s'] },
      },
      {
        profile: '--from redis@8.6 --to valkey@8.1',
        lua: "return redis.call('SET', KEYS[1], 'b', 'IFEQ', 'a')",
        note: 'Valkey has IFEQ since 8.1.',
        proof: { setup: [['SET', 'k', 'a']], keys: ['k'] },
      },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    call(call, script) {
      for (const name of call.names) {
        for (const option of findOptions(name, call.literals)) {
          const server = lacking(profile, name, option);
          if (server === undefined || script.isVersionGuarded(call.node)) continue;
          const handled = script.testsError(call);
          report(call.argumentNode(option.index) ?? call.node, {
            message: `${describe(server, name, option)}${handled ? '; the script handles the error' : ''}`,
            ...(handled ? { severity: 'info' } : {}),
          });
        }
      }
    },
    command(command) {
      for (const option of command.options) {
        const server = lacking(profile, command.name, option);
        if (server) reportCommand(command, { message: describe(server, command.name, option) });
      }
    },
  }),
});
