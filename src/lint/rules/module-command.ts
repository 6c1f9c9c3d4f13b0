/** D30: commands of modules. */
import { nameServer, type Profile } from '../profile.ts';
import { defineRule } from '../rule.ts';

/** Prefix → what has such commands for Valkey; undefined: nothing official. */
const MODULES: Record<string, string | undefined> = {
  json: 'valkey-json',
  ft: 'valkey-search',
  bf: 'valkey-bloom',
  cf: undefined,
  cms: undefined,
  topk: undefined,
  tdigest: undefined,
  ts: undefined,
};

function describe({ to }: Profile, name: string): string | undefined {
  const prefix = /^([a-z]+)\.[a-z]/.exec(name)?.[1];
  if (prefix === undefined || !Object.hasOwn(MODULES, prefix)) return undefined;
  const module = MODULES[prefix];
  const needs = module === undefined ? 'there is no official module that has it' : `it needs the module ${module}`;
  return `${nameServer(to)} has no ${name.toUpperCase()} by itself: ${needs}`;
}

export const moduleCommand = defineRule({
  code: 'D30',
  name: 'module-command',
  title: 'commands of modules',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  unprovable: 'the packages of Redis that the test has come without the modules',
  range: {
    text: 'Redis -> any Valkey',
    applies: ({ from, to }) => from.product === 'redis' && to.product === 'valkey',
  },
  severity: () => 'error',
  mechanism:
    'JSON, search, time series and probabilistic structures are modules; the images of Redis 8 bundle them. No Valkey up to 9.1 does: valkey-json, valkey-search and valkey-bloom are separate, time series, cuckoo filters, count-min sketches, top-k and t-digest have no counterpart.',
  fix: 'Load the module on Valkey and test what it answers; where there is none, keep this data on Redis.',
  proof: 'JSON.SET on Valkey 8.0.1, 8.1.1 and 9.1.2: unknown command. Which modules exist is from their projects.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "return redis.call('JSON.GET', KEYS[1], '$.name')",
        at: 'redis.call',
      },
      { profile: '--from redis@7.2 --to valkey@8.1', commands: 'GET a\nTS.ADD cpu * 1', at: 'TS.ADD' },
    ],
    good: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "return redis.call('SET', 'json.get', 'JSON.SET')",
        note: 'Not in the place of a command.',
        proof: {},
      },
      { profile: '--from redis@8.0 --to valkey@9.1', commands: 'PFADD BF.ADD x' },
    ],
  },
  check: ({ profile, report, reportCommand }) => ({
    call(call, script) {
      const message = call.names.map((name) => describe(profile, name)).find(Boolean);
      if (message === undefined || script.isVersionGuarded(call.node)) return;
      report(
        call.node,
        script.testsError(call)
          ? { message: `${message}; the script handles the error`, severity: 'info' }
          : { message },
      );
    },
    command(command) {
      const message = describe(profile, command.name);
      if (message) reportCommand(command, { message });
    },
  }),
});
