/** D11: results that depend on the order in which Lua walks a table. */
import { type Change, differs, nameServer } from '../profile.ts';
import type { Expression, Script, Use } from '../program.ts';
import { defineRule } from '../rule.ts';

/** Valkey 8.1 hashes Lua's strings with MurmurHash3. */
const ORDER: Change = { valkey: '8.1' };

const ENCODERS = new Set(['cjson.encode', 'cmsgpack.pack']);
const SHAPERS = new Set(['tostring', 'string.sub', 'string.lower', 'string.upper', 'string.format', 'table.concat']);

/** From which argument on a command takes members, fields or elements that it compares. */
const MEMBERS: Record<string, number> = {
  sadd: 1,
  srem: 1,
  sismember: 1,
  smismember: 1,
  smove: 2,
  zadd: 2,
  zrem: 1,
  zscore: 1,
  zmscore: 1,
  zrank: 1,
  zrevrank: 1,
  zincrby: 2,
  lrem: 2,
  lpos: 1,
  pfadd: 1,
  hget: 1,
  hdel: 1,
  hexists: 1,
  hincrby: 1,
};

/** Whether a table has two string keys or more, itself or inside: with one there is no order. */
function isKeyed(script: Script, node: Expression, depth = 0): boolean {
  const shape = depth > 4 ? undefined : script.tableShape(node);
  if (shape === undefined) return false;
  const byName = shape.keys.some((key) => key.kind === 'item' && key.of !== undefined && key.position > 0);
  return shape.names.size > 1 || byName || shape.items.some((item) => isKeyed(script, item, depth + 1));
}

/** Whether the table has two keys and no more: an even chance to be in the same order. */
function isPair(script: Script, node: Expression): boolean {
  const shape = script.tableShape(node);
  if (shape === undefined || shape.decoded || shape.keys.length > 0 || shape.names.size > 2) return false;
  return !shape.items.some((item) => isKeyed(script, item) && !isPair(script, item));
}

export const tableOrder = defineRule({
  code: 'D11',
  name: 'table-order-dependence',
  title: 'results that depend on the order of table keys',
  category: 'nondeterminism',
  evidence: 'df',
  worst: 'error',
  range: { text: 'any -> Valkey >= 8.1, and back', applies: (profile) => differs(profile, ORDER) },
  severity: () => 'warning',
  mechanism:
    'Valkey 8.1 hashes strings with MurmurHash3, so pairs(), cjson.encode and cmsgpack.pack go through a table with string keys in another order than every Redis (6.2 to 8.6) and Valkey up to 8.0: of 150 random tables each, half of those with two keys, four in five with three, and nearly all with more. Each side is deterministic; what is hashed, compared or used as a name no longer matches what the other side stored.',
  fix: 'Build an array in a fixed order, or sort the keys, before it is encoded or joined.',
  proof:
    "cjson.encode({id=1, name=2, queue=3, kind='y'}) gives the same bytes on Redis 7.0.15, 8.0.2, 8.6.3 and Valkey 8.0.1; other bytes, the same after every restart, on Valkey 8.1.1 and 9.1.2.",
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "local job = { id = ARGV[1], name = ARGV[2], queue = ARGV[3], kind = 'y' }\nlocal text = cjson.encode(job)\nreturn redis.sha1hex(text)",
        at: 'cjson.encode',
        severity: 'error',
        proof: { argv: ['1', 'n', 'q'], from: /^"b[\da-f]{39}"|^"[\da-f]{40}"$/, to: /^"[\da-f]{40}"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "redis.call('SADD', KEYS[1], cjson.encode({ id = 1, name = 'n', queue = 'q', kind = 'y' }))\nreturn redis.call('SMEMBERS', KEYS[1])",
        at: 'cjson.encode',
        proof: {
          keys: ['s'],
          from: /"kind\\+":\\+"y\\+",\\+"name/,
          to: /"queue\\+":\\+"q\\+",\\+"kind/,
        },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "return redis.call('SADD', KEYS[1], cjson.encode({ id = ARGV[1], at = ARGV[2] }))",
        at: 'cjson.encode',
        severity: 'info',
        note: 'Two keys have an even chance to be in the same order.',
      },
      {
        profile: '--from redis@7.2 --to valkey@8.1',
        lua: "local fields = cjson.decode(ARGV[1])\nlocal text = ''\nfor k, v in pairs(fields) do text = text .. k .. v end\nreturn redis.call('GET', 'cache:' .. redis.sha1hex(text))",
        at: 'text .. k',
        severity: 'error',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: 'return redis.sha1hex(cjson.encode({ ARGV[1], ARGV[2] }))',
        note: 'An array has an order.',
        proof: { argv: ['a', 'b'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "redis.call('SET', KEYS[1], cjson.encode({ id = 1, n = 'x' }))\nreturn cjson.decode(redis.call('GET', KEYS[1])).id",
        note: 'Stored and decoded again: the order does not matter.',
        proof: { keys: ['k'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: 'local count = 0\nfor _ in pairs(cjson.decode(ARGV[1])) do count = count + 1 end\nreturn count',
        proof: { argv: ['{"a":1,"b":2}'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local names = {}\nfor k in pairs(cjson.decode(ARGV[1])) do names[#names + 1] = k end\ntable.sort(names)\nreturn redis.sha1hex(table.concat(names, ','))",
        note: 'Sorted first.',
        proof: { argv: ['{"a":1,"b":2}'] },
      },
    ],
  },
  check({ profile, report }) {
    const sides = `${nameServer(profile.from)} and ${nameServer(profile.to)}`;
    const judge = (at: Expression, what: string, sure: boolean, uses: Use[]) => {
      for (const use of uses) {
        if (use.kind === 'library' && use.name === 'redis.sha1hex') {
          return report(at, {
            severity: sure ? 'error' : 'warning',
            message: `${what} is hashed: the hash differs between ${sides}`,
          });
        }
        if (use.kind === 'argument') {
          const { call, index } = use;
          if (call.keys.some((key) => key.index === index)) {
            return report(at, {
              severity: sure ? 'error' : 'warning',
              message: `${what} names a key: the name differs between ${sides}`,
            });
          }
          const from = call.name === undefined ? undefined : MEMBERS[call.name];
          if (from !== undefined && index >= from) {
            return report(at, {
              severity: sure ? 'warning' : 'info',
              message: `${what} is a member that ${call.name!.toUpperCase()} compares: its bytes differ between ${sides}`,
            });
          }
        }
      }
    };
    return {
      script(script) {
        const follow = { library: (name: string) => SHAPERS.has(name) };
        for (const node of script.scopes.calls) {
          const name = script.libraryOf(node);
          const [subject] = script.libraryArguments(node);
          if (name === undefined || !ENCODERS.has(name) || !subject || !isKeyed(script, subject)) continue;
          const sure = !isPair(script, subject);
          judge(node, `the order of keys in what ${name} returns`, sure, script.usesOf(node, follow));
        }
        for (const loop of script.scopes.loops) {
          if (loop.type !== 'ForGenericStatement') continue;
          const [iterator] = loop.iterators;
          if (!iterator || script.libraryOf(iterator) !== 'pairs') continue;
          const [subject] = 'arguments' in iterator && Array.isArray(iterator.arguments) ? iterator.arguments : [];
          const shape = subject && script.tableShape(subject);
          if (!shape || (shape.names.size < 2 && !shape.decoded)) continue;
          // A string that grows in the loop: `s = s .. k`.
          for (const statement of script.scopes.inside(loop)) {
            if (statement.type !== 'AssignmentStatement') continue;
            const [target] = statement.variables;
            const [value] = statement.init;
            if (target?.type !== 'Identifier' || value?.type !== 'BinaryExpression' || value.operator !== '..')
              continue;
            const variable = script.scopes.variableOf(target);
            if (!variable?.reads.some((read) => script.scopes.isInside(read, value))) continue;
            judge(
              value,
              'the order in which pairs() builds this text',
              !isPair(script, subject!),
              script.usesOf(value, follow),
            );
          }
        }
      },
    };
  },
});
