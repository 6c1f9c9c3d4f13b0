/** D01: commands that the other server does not have. */
import { commandSince, findCommand, hasSubcommands, isKnownAnywhere } from '../commands.ts';
import { destinations, nameServer, type Profile, type Server } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** The server that lacks the command; commands that no release of either product has are not ours to judge. */
function lacking(profile: Profile, name: string): Server | undefined {
  const [command = ''] = name.split(' ');
  if (!isKnownAnywhere(name) || !isKnownAnywhere(command)) return undefined;
  return destinations(profile).find((server) => !knows(server, name));
}

function knows(server: Server, name: string): boolean {
  if (findCommand(server, name)) return true;
  const [command = '', subcommand] = name.split(' ');
  // Redis 6.2 does not list its subcommands: nothing can be said of them.
  return subcommand !== undefined && hasSubcommands(command) && server.product === 'redis' && server.major < 7
    ? findCommand(server, command) !== undefined
    : false;
}

function describe(server: Server, name: string): string {
  const since = commandSince(server.product, name);
  const when =
    since === undefined ? `no release of ${server.product} has it` : `${server.product} has it since ${since}`;
  return `${name.toUpperCase()} does not exist on ${nameServer(server)}: ${when}`;
}

export const commandAbsent = defineRule({
  code: 'D01',
  name: 'command-absent',
  title: 'commands that the other server does not have',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: { text: 'any, by the command tables of the two releases', applies: () => true },
  severity: () => 'error',
  mechanism:
    'A server answers a command that it does not have with an error; inside a script the error ends the script, and what it wrote before stays. The tables were read from COMMAND DOCS of ten releases: Redis 6.2 to 8.6, Valkey 7.2 to 9.1.',
  fix: 'Use a command that both releases have, or migrate to a release that has this one.',
  proof:
    'HEXPIRE answers [1] on Redis 8.0.6 and "Unknown command called from script" on Valkey 8.0.1 and 8.1.1. XDELEX, DELEX, VSIM and the like exist on no Valkey up to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "return redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')",
        at: 'redis.call',
        proof: {
          setup: [['HSET', 'session:1', 'token', 'x']],
          keys: ['session:1'],
          from: /^\[1\]$/,
          to: /Unknown command called from script/,
        },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0 --rollback',
        lua: "return redis.call('WAITAOF', 0, 0, 0)",
        at: 'redis.call',
        note: 'Back on Redis 7.0 the new code fails.',
        proof: { from: /Unknown Redis command called from script/, to: /^\[0,0\]$/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "local call = redis.call\nlocal read = 'HGETDEL'\nreturn call(read, KEYS[1], 'FIELDS', 1, 'token')",
        at: 'call(read',
        proof: { keys: ['none'], from: /^\[null\]$|^null$/, to: /Unknown command called from script/ },
      },
      {
        profile: '--from redis@8.6 --to valkey@9.1',
        commands: 'SET a 1\nXDELEX log IDS 1 1-1',
        at: 'XDELEX',
        proof: { from: /^\[-1\]$/, to: /unknown command/ },
      },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "return redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')",
        note: 'Valkey has field expiry since 9.0.',
        proof: { setup: [['HSET', 'session:1', 'token', 'x']], keys: ['session:1'] },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "return redis.call('SET', KEYS[1], 'hexpire')",
        note: 'A value that looks like a command.',
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "if redis.VALKEY_VERSION_NUM == nil then\n  redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\nend",
        note: 'Runs only where the server was asked first.',
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "local text = \"redis.call('VSIM', KEYS[1])\" -- redis.call('VSIM')\nreturn text",
      },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    call(call, script) {
      for (const name of call.fullNames) {
        const server = lacking(profile, name);
        if (server === undefined || script.isVersionGuarded(call.node)) continue;
        const message = describe(server, name);
        if (script.testsError(call)) {
          report(call.node, { message: `${message}; the script handles the error`, severity: 'info' });
        } else report(call.node, { message });
      }
    },
    command(command) {
      const server = lacking(profile, command.name);
      if (server) reportCommand(command, { message: describe(server, command.name) });
    },
  }),
});
