/** H22: replies of RESP3 that a script takes for those of RESP2. */
import type { CommandCall, Script, Use } from '../program.ts';
import { defineRule } from '../rule.ts';
import { rangeOf } from '../syntax.ts';
import { numberOf } from '../values.ts';

/** What holds the value since setresp(3). */
const FIELD: Record<string, string> = {
  hgetall: '.map',
  smembers: '.set',
  sunion: '.set',
  sinter: '.set',
  sdiff: '.set',
  zscore: '.double',
  zincrby: '.double',
};

/** Whether a use takes a reply for a list or a number. */
function misreads(use: Use, field: string): boolean {
  if (field === '.double') {
    return (
      use.kind === 'arithmetic' || use.kind === 'concatenated' || (use.kind === 'library' && use.name === 'tonumber')
    );
  }
  if (use.kind === 'library') return use.name === 'ipairs' || use.name === 'unpack';
  return use.kind === 'length' || (use.kind === 'indexed' && typeof use.key === 'number');
}

export const setrespShape = defineRule({
  code: 'H22',
  name: 'setresp-shape',
  title: 'replies of RESP3 read as if they were RESP2',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: { text: 'all (Redis >= 6.0)', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'Behind redis.setresp(3) a map is {map = …}, a set {set = …}, a double {double = …}, and no value is nil instead of false: #reply is 0 and reply == false never holds, on all ten releases tested, Redis 6.2 to 8.6 and Valkey 7.2 to 9.1.',
  fix: 'Read reply.map, reply.set, reply.double, and test with "not reply"; or stay with RESP2.',
  proof: 'GET of a missing key == false is false, #SMEMBERS is 0 behind setresp(3), the same on all ten releases.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.setresp(3)\nif redis.call('GET', KEYS[1]) == false then return 'missing' end\nreturn 'there'",
        at: "redis.call('GET'",
        proof: { keys: ['none'], from: /^"there"$/, to: /^"there"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.setresp(3)\nlocal members = redis.call('SMEMBERS', KEYS[1])\nreturn #members",
        at: '#members',
        proof: { setup: [['SADD', 's', 'a', 'b']], keys: ['s'], from: /^0$/, to: /^0$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.setresp(3)\nlocal n = 0\nfor _ in pairs(redis.call('SMEMBERS', KEYS[1]).set) do n = n + 1 end\nreturn n",
        proof: { setup: [['SADD', 's', 'a', 'b']], keys: ['s'] },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "redis.setresp(2)\nreturn #redis.call('SMEMBERS', KEYS[1])",
        proof: { setup: [['SADD', 's', 'a', 'b']], keys: ['s'] },
      },
    ],
  },
  check({ report }) {
    /** The protocol version that was set last before the call, as the source stands. */
    const versionAt = (script: Script, call: CommandCall) => {
      const before = script.scopes.calls.findLast(
        (node) => script.libraryOf(node) === 'redis.setresp' && rangeOf(node)[0] < rangeOf(call.node)[0],
      );
      const [version] = before ? script.libraryArguments(before) : [];
      return version && numberOf(script.valueOf(version));
    };
    const judge = (script: Script, call: CommandCall) => {
      if (versionAt(script, call) !== 3) return;
      const field = call.name === undefined ? undefined : FIELD[call.name];
      for (const use of script.usesOf(call.node, { concatenation: false })) {
        if (field !== undefined && misreads(use, field)) {
          report(use.node, {
            message: `behind setresp(3) the reply of ${call.name!.toUpperCase()} is a table with ${field}`,
          });
        } else if (use.kind === 'compared') {
          const other = script.valueOf(use.other);
          if (other.kind !== 'literal' || other.value !== false) continue;
          report(use.node, { message: 'behind setresp(3) no value is nil, and nil is not false' });
        }
      }
    };
    return {
      script(script) {
        if (!script.text.includes('setresp')) return;
        for (const call of script.calls) judge(script, call);
      },
    };
  },
});
