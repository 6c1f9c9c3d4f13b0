/** H08: stored JSON or MessagePack that a script decodes as a whole. */
import type { CommandCall } from '../program.ts';
import { defineRule } from '../rule.ts';
import { partsOf, type Value } from '../values.ts';

const DECODERS = new Set(['cjson.decode', 'cmsgpack.unpack', 'cmsgpack.unpack_one']);

/** The command whose reply is decoded: a value that is stored, not an argument. */
function storedIn(value: Value): CommandCall | undefined {
  for (const part of partsOf(value)) if (part.kind === 'reply') return part.call;
  return undefined;
}

export const bigJson = defineRule({
  code: 'H08',
  name: 'big-json',
  title: 'stored JSON that is decoded in a script',
  category: 'blocking',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'info',
  mechanism:
    'cjson and cmsgpack run inside the script, on the one thread that executes commands: 2,000 small objects took 4.0 ms on Redis 7.0 to 8.6, 3.8 ms on Valkey 8.0, 2.7 to 2.8 ms on 8.1 and 9.1. A large value is decoded as a whole, however little of it is needed.',
  fix: 'Store the fields in a hash and read those that are needed, or decode in the client.',
  proof:
    'cjson round trip of 2,000 objects inside EVAL, median of 15, Redis 7.0.15, 8.0.6, 8.6.3, Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return cjson.decode(redis.call('GET', KEYS[1])).state",
        at: 'cjson.decode',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local open = 0\nfor _, text in ipairs(redis.call('HVALS', KEYS[1])) do\n  if cjson.decode(text).state == 'open' then open = open + 1 end\nend\nreturn open",
        at: 'cjson.decode',
        severity: 'warning',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local options = cjson.decode(ARGV[1])\nreturn redis.call('SET', KEYS[1], options.value)",
        note: 'An argument: as large as the client makes it.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "for i = 1, #ARGV do redis.call('RPUSH', KEYS[1], cmsgpack.unpack(ARGV[i])[1]) end",
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.calls) {
        const name = script.libraryOf(node);
        const [text] = script.libraryArguments(node);
        if (name === undefined || !DECODERS.has(name) || text === undefined) continue;
        const source = storedIn(script.valueOf(text));
        if (!source) continue;
        const from = source.names[0]?.toUpperCase() ?? 'a command';
        const loop = script.loopsAround(node).find(({ bound }) => bound.kind === 'reply' || bound.kind === 'open');
        report(node, {
          message: loop
            ? `every stored value of ${from} is decoded, in a loop that the data bounds`
            : `the whole value that ${from} answers is decoded inside the script`,
          ...(loop ? { severity: 'warning' } : {}),
        });
      }
    },
  }),
});
