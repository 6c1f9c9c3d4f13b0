/** H06: unpack of more values than Lua's stack holds. */
import { defineRule } from '../rule.ts';

export const unpackOverflow = defineRule({
  code: 'H06',
  name: 'unpack-overflow',
  title: 'unpack of tables that grow with the data',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'unpack puts every element on the stack of Lua, which holds 8,000 on every release of both products: 7,900 elements work, 9,000 end the script with "too many results to unpack", after what it has already written.',
  fix: 'Unpack in pieces of at most 5,000: for i = 1, #t, 5000 do … unpack(t, i, math.min(i + 4999, #t)) end',
  proof:
    'LUAI_MAXCSTACK is 8000 everywhere; 7,900 and 9,000 elements were tried on Redis 6.2.16 to 8.6.3 and Valkey 7.2.7 to 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local items = redis.call('SMEMBERS', KEYS[1])\nreturn redis.call('SADD', KEYS[2], unpack(items))",
        at: 'unpack',
        proof: {
          setup: [['SADD', 'large', ...Array.from({ length: 9000 }, (_, i) => String(i))]],
          keys: ['large', 'copy'],
          from: /too many results to unpack/,
          to: /too many results to unpack/,
        },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.1',
        lua: "local keys = {}\nfor _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n  keys[#keys + 1] = 'job:' .. id\nend\nredis.call('DEL', unpack(keys))",
        at: 'unpack',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return redis.call('DEL', unpack(KEYS))",
        note: 'As many as the client sends.',
        proof: { keys: ['a', 'b'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local items = redis.call('SMEMBERS', KEYS[1])\nfor i = 1, #items, 1000 do\n  redis.call('SADD', KEYS[2], unpack(items, i, math.min(i + 999, #items)))\nend",
        note: 'In pieces.',
        proof: {
          setup: [['SADD', 'large', ...Array.from({ length: 9000 }, (_, i) => String(i))]],
          keys: ['large', 'copy'],
        },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "local page = redis.call('LRANGE', KEYS[1], 0, 999)\nif #page > 0 then redis.call('SADD', KEYS[2], unpack(page)) end",
        proof: { keys: ['l', 's'] },
      },
    ],
  },
  check: ({ report }) => ({
    script(script) {
      for (const node of script.scopes.calls) {
        const name = script.libraryOf(node);
        if (name !== 'unpack' && name !== 'table.unpack') continue;
        const [table, , last] = script.libraryArguments(node);
        if (table === undefined || last !== undefined) continue;
        const bound = script.boundOf(script.valueOf(table));
        if (bound.kind !== 'reply') continue;
        report(node, {
          message: `unpack of ${script.textOf(table)}, which is as large as the data: beyond 8,000 elements the script ends with an error`,
        });
      }
    },
  }),
});
