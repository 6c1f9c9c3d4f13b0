/** D19: first lines that a server does not take. */
import { type Change, destinations, has, nameServer } from '../profile.ts';
import type { Script } from '../program.ts';
import { defineRule } from '../rule.ts';

const SHEBANG: Change = { redis: '7.0', valkey: '7.2' };
const FLAGS = new Set(['no-writes', 'allow-oom', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys']);

/** Why no server would take the line. */
function mistakeIn({ shebang, unit }: Script): string | undefined {
  if (shebang === undefined) return undefined;
  const { engine, options, flags } = shebang;
  if (engine.toLowerCase() !== 'lua') return `the engine of this script is "${engine}": servers have lua alone`;
  const library = options.has('name') && unit.calls === undefined;
  const option = [...options.keys()].find((name) => name !== 'flags' && !(name === 'name' && (library || !unit.calls)));
  if (option !== undefined) return `the first line has an option "${option}", which EVAL does not take`;
  const flag = flags.find((name) => !FLAGS.has(name));
  return flag === undefined ? undefined : `the first line has a flag "${flag}", which no server knows`;
}

export const shebang = defineRule({
  code: 'D19',
  name: 'shebang-legacy',
  title: 'first lines that a server does not take',
  category: 'incompatible',
  evidence: 'lex',
  worst: 'error',
  range: { text: 'any; Redis 6.2 as the way back', applies: () => true },
  severity: () => 'error',
  mechanism:
    'A first line #!lua is taken since Redis 7.0 and by every Valkey, and a syntax error before. An engine, option or flag that the server does not know is an error on all of them; only an engine may have been added by a module, on Valkey >= 8.1.',
  fix: 'Write #!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys with the flags that fit, or no first line at all.',
  proof:
    'EVAL with #!lua flags=no-writes, #!js, #!/usr/bin/env lua, #!lua flags=foo and #!lua name=foo on Redis 6.0.16, 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@6.0 --to valkey@8.0 --rollback',
        lua: "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])",
        at: '#!lua',
        note: 'Back on Redis 6 it does not compile.',
        proof: { keys: ['k'], from: /unexpected symbol near '#'/, to: /^null$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: '#!/usr/bin/env lua\nreturn 1',
        at: '#!/usr',
        note: 'Fails on both.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "#!lua flags=allow-key-locking\nreturn redis.call('GET', KEYS[1])",
        at: '#!lua',
        note: 'A flag of a hosted service.',
      },
      { profile: '--from redis@7.0 --to valkey@8.1', lua: '#!js\nreturn 1', at: '#!js', severity: 'warning' },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "#!lua flags=no-writes,allow-stale\nreturn redis.call('GET', KEYS[1])",
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "#!lua name=tools\nredis.register_function('one', function() return 1 end)",
        note: 'A library needs it.',
        proof: {},
      },
      { profile: '--from redis@6.0 --to valkey@8.0', lua: "-- #!js\nreturn '#!js'", proof: {} },
    ],
  },
  check: ({ profile, reportRange }) => ({
    script(script) {
      if (script.shebang === undefined) return;
      const { line, engine } = script.shebang;
      const mistake = mistakeIn(script);
      const old = destinations(profile).find((server) => !has(server, SHEBANG));
      const message = mistake ?? (old && `${nameServer(old)} does not compile a script that begins with #!`);
      if (message === undefined) return;
      // Valkey has engines of modules since 8.1; a path is none.
      const module = has(profile.to, { valkey: '8.1' }) && /^[a-z]\w*$/i.test(engine) && engine.toLowerCase() !== 'lua';
      reportRange(0, line.length, { message, ...(module && !old ? { severity: 'warning' } : {}) });
    },
  }),
});
