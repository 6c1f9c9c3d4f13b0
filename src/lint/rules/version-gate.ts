/** D04: branches on redis.REDIS_VERSION, which Valkey answers with 7.2.4 for ever. */
import { nameServer, type Server } from '../profile.ts';
import type { Expression, Script } from '../program.ts';
import { defineRule } from '../rule.ts';
import { numberOf, partsOf, stringOf, type Value } from '../values.ts';

/** What every Valkey says it is. */
const REPORTED = 0x00070204;
/** Numbers below are a major version that was cut out of the text. */
const SMALLEST_PACKED = 0x00010000;

type Gate = 'packed' | 'text' | 'major';

/** What the script compares: the packed number, the whole text, or a part of the text. */
function gateOf(value: Value): Gate | undefined {
  if (value.kind === 'global') {
    if (/^(redis|server)\.REDIS_VERSION_NUM$/.test(value.name)) return 'packed';
    if (/^(redis|server)\.REDIS_VERSION$/.test(value.name)) return 'text';
  }
  if (value.kind === 'library') {
    for (const part of partsOf(value)) {
      if (part.kind === 'global' && /\.REDIS_VERSION$/.test(part.name))
        return value.name === 'tonumber' ? 'major' : 'text';
    }
  }
  return undefined;
}

const packed = ({ major, minor, patch }: Server) => (major << 16) | (minor << 8) | Math.min(patch, 255);

function compare(operator: string, left: number, right: number): boolean {
  switch (operator) {
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '==':
      return left === right;
    default:
      return left !== right;
  }
}

/** Whether the script asks Valkey by its own name too, and so can tell. */
const knowsValkey = (script: Script) =>
  script.scopes.nodes.some((node) => {
    if (node.type === 'StringLiteral') return /^(server|VALKEY_VERSION)/.test(node.value ?? '');
    if (node.type !== 'MemberExpression' && node.type !== 'Identifier') return false;
    const value = script.valueOf(node);
    return value.kind === 'global' && /(VALKEY_VERSION|SERVER_NAME)|^server$/.test(value.name);
  });

export const versionGate = defineRule({
  code: 'D04',
  name: 'version-gate',
  title: 'branches on the version of Redis',
  category: 'incompatible',
  evidence: 'ast',
  worst: 'error',
  range: {
    text: 'Redis -> any Valkey',
    applies: ({ from, to }) => from.product === 'redis' && to.product === 'valkey',
  },
  severity: () => 'error',
  mechanism:
    'In scripts every Valkey up to 9.1.2 answers redis.REDIS_VERSION with 7.2.4 and REDIS_VERSION_NUM with 0x00070204, whatever its own version: newer features look missing, and the branch for old servers runs.',
  fix: 'Ask for the product first: rawget(_G, "server") and redis.VALKEY_VERSION_NUM; or probe the feature with redis.pcall.',
  proof:
    'return redis.REDIS_VERSION_NUM >= 0x00070205: 1 on Redis 7.2.6 and later, nil on Valkey 7.2.7, 8.0.1, 8.1.1 and 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "if redis.REDIS_VERSION_NUM >= 0x00070400 then\n  redis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'f')\n  return 'ttl'\nend\nreturn 'no ttl'",
        at: 'redis.REDIS_VERSION_NUM',
        proof: { setup: [['HSET', 'h', 'f', 'v']], keys: ['h'], from: /^"ttl"$/, to: /^"no ttl"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.REDIS_VERSION_NUM < 0x00070204 then return 'old' end\nreturn 'new'",
        at: 'redis.REDIS_VERSION_NUM',
        severity: 'warning',
        note: 'The branch changes, to the one that fits.',
        proof: { from: /^"old"$/, to: /^"new"$/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@8.1',
        lua: "local major = tonumber(string.match(redis.REDIS_VERSION, '^(%d+)'))\nif major >= 8 then return 1 end",
        at: 'major >= 8',
        proof: { from: /^1$/, to: /^null$/ },
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "if redis.REDIS_VERSION_NUM >= 0x00060200 then return 'new' end\nreturn 'old'",
        note: 'The same answer on both.',
        proof: {},
      },
      { profile: '--from redis@7.4 --to valkey@8.1', lua: 'redis.log(redis.LOG_NOTICE, redis.REDIS_VERSION)' },
      {
        profile: '--from redis@7.4 --to valkey@9.1',
        lua: "local version = redis.VALKEY_VERSION_NUM or redis.REDIS_VERSION_NUM\nif version >= 0x00070400 then return 'new' end",
        note: 'Asks Valkey by its own name.',
      },
    ],
  },
  check({ profile, report }) {
    const { from, to } = profile;
    const answers = (
      gate: Gate,
      operator: string,
      other: Value,
      flipped: boolean,
    ): { before: boolean; after: boolean } | undefined => {
      if (gate === 'text') {
        const text = stringOf(other);
        // Order of version texts is not order of versions; only equality can be told.
        if (text === undefined || !/^\d+\.\d+\.\d+$/.test(text) || !['==', '~='].includes(operator)) return undefined;
        const equal = (version: string) => (text === version) === (operator === '==');
        return { before: equal(`${from.major}.${from.minor}.${from.patch}`), after: equal('7.2.4') };
      }
      const number = numberOf(other);
      if (number === undefined || (gate === 'major' && number >= SMALLEST_PACKED)) return undefined;
      const ask = (version: number) =>
        flipped ? compare(operator, number, version) : compare(operator, version, number);
      return gate === 'major'
        ? { before: ask(from.major), after: ask(REPORTED >> 16) }
        : { before: ask(packed(from)), after: ask(REPORTED) };
    };
    const check = (script: Script, node: Expression, left: Expression, right: Expression, operator: string) => {
      for (const [tested, other, flipped] of [
        [left, right, false],
        [right, left, true],
      ] as const) {
        const gate = gateOf(script.valueOf(tested));
        const answer = gate && answers(gate, operator, script.valueOf(other), flipped);
        if (!answer || answer.before === answer.after) continue;
        const target = nameServer(to);
        // Valkey is at least what 7.2.4 says: a newer branch than before is the right one, an older one is not.
        const newer = from.major * 256 + from.minor < 7 * 256 + 2;
        report(node, {
          message: `${target} says it is Redis 7.2.4: ${script.textOf(node)} is ${answer.after} there, ${answer.before} on ${nameServer(from)}`,
          ...(newer ? { severity: 'warning' } : {}),
        });
      }
    };
    return {
      script(script) {
        if (!script.text.includes('REDIS_VERSION') || knowsValkey(script)) return;
        for (const node of script.scopes.nodes) {
          if (node.type !== 'BinaryExpression' || !/^([<>]=?|[=~]=)$/.test(node.operator)) continue;
          check(script, node, node.left, node.right, node.operator);
        }
      },
    };
  },
});
