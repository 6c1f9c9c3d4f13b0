/** H03: ranges that read a whole list, sorted set or stream. */
import type { CommandCall, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { numberOf, partsOf, stringOf } from '../values.ts';

const BY_RANK = new Set(['lrange', 'zrange', 'zrevrange']);
/** Words for both ends, in either order. */
const ENDS: Record<string, [string, string]> = {
  zrangebyscore: ['-inf', '+inf'],
  zrevrangebyscore: ['-inf', '+inf'],
  zrangebylex: ['-', '+'],
  zrevrangebylex: ['-', '+'],
  xrange: ['-', '+'],
  xrevrange: ['-', '+'],
};

/** Whether the call reads everything: both bounds are constants that exclude nothing, and no LIMIT or COUNT cuts it. */
function readsAll(call: CommandCall, name: string): boolean {
  const [, start, stop, ...rest] = call.args;
  if (start === undefined || stop === undefined || call.open) return false;
  const words = rest.map((value) => stringOf(value)?.toUpperCase());
  // An option that is not known may be the limit.
  if (words.includes(undefined) || words.includes('LIMIT') || words.includes('COUNT')) return false;
  const everything = (ends: [string, string]) => {
    const given = [start, stop].map((value) => stringOf(value)?.toLowerCase().replace(/^inf$/, '+inf'));
    return ends.every((end) => given.includes(end));
  };
  if (name === 'zrange' && words.includes('BYSCORE')) return everything(['-inf', '+inf']);
  if (name === 'zrange' && words.includes('BYLEX')) return everything(['-', '+']);
  if (BY_RANK.has(name)) return numberOf(start) === 0 && numberOf(stop) === -1;
  const ends = ENDS[name];
  return ends !== undefined && everything(ends);
}

/** Whether the call runs only where another command failed: for servers that lack that one. */
const isFallback = (script: Script, call: CommandCall) =>
  call.guards.some(
    ({ condition, holds }) =>
      holds &&
      script.scopes.inside(condition).some((node) => {
        const value =
          node.type === 'MemberExpression' && node.identifier.name === 'err' ? script.valueOf(node.base) : undefined;
        return (
          value !== undefined &&
          [...partsOf(value)].some((part) => part.kind === 'reply' && part.call.protectedBy === 'pcall')
        );
      }),
  );

export const unboundedRange = defineRule({
  code: 'H03',
  name: 'unbounded-range',
  title: 'ranges that read a whole collection',
  category: 'blocking',
  evidence: 'ast',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'Every element becomes a Lua string on the one thread that executes commands, and all other clients wait: LRANGE 0 -1 of 100,000 elements took 44 to 56 ms on Redis 7.0 to 8.6 and Valkey 8.0 to 9.1 alike, ZRANGE 0 -1 19 to 29 ms. I/O threads do not help: they only read, parse and write.',
  fix: 'Give the range an end (LRANGE k 0 99, ZRANGE … LIMIT 0 100), and come back for the rest.',
  proof:
    'Median of 15 inside EVAL, 100,000 elements, Redis 7.0.15, 8.0.6, 8.6.3, Valkey 8.0.1, 8.1.1, 9.1.2; while a script runs, a GET on another connection waits for its whole remaining time, with io-threads 1 and 4.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('LRANGE', KEYS[1], 0, -1)",
        at: 'redis.call',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local rcall = redis.call\nlocal all = rcall('zrange', KEYS[1], '0', '-1', 'WITHSCORES')\nreturn #all",
        at: "rcall('zrange'",
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '-inf')",
        at: 'redis.call',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local at = redis.pcall('LPOS', KEYS[1], ARGV[1])\nif type(at) == 'table' and at.err then\n  return #redis.call('LRANGE', KEYS[1], 0, -1)\nend\nreturn at",
        at: "redis.call('LRANGE'",
        severity: 'info',
        note: 'For servers without LPOS only.',
      },
    ],
    good: [
      { profile: '--from redis@7.0 --to valkey@8.1', lua: "return redis.call('LRANGE', KEYS[1], 0, 99)" },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'LIMIT', 0, 10)",
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('LTRIM', KEYS[1], 0, -1)",
        note: 'Reads nothing.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('LRANGE', KEYS[1], 0, ARGV[1])",
        note: 'The client decides.',
      },
    ],
  },
  check: ({ report }) => ({
    call(call, script) {
      const name = call.names.find((candidate) => readsAll(call, candidate));
      if (name === undefined) return;
      report(call.node, {
        message: `${name.toUpperCase()} reads the whole collection into the script`,
        ...(isFallback(script, call) ? { severity: 'info' } : {}),
      });
    },
  }),
});
