/** D21: scripts whose text is another one at every call. */
import { type Change, gains, nameServer } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { type ClientSource, type ClientString, scriptsIn } from '../sources/client.ts';
import type { ScriptUnit } from '../sources/unit.ts';

const EVICTED: Change = { redis: '7.4', valkey: '8.0' };
/** As many scripts that are the same but for their literals are made by a program. */
const MANY = 10;

/** The text without what a program would fill in: strings and numbers. */
const skeletonOf = ({ text }: ScriptUnit) =>
  text.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, "''").replace(/\b\d+(?:\.\d+)?\b/g, '0');

/** `${id}` → `id`; undefined for anything but a name with members. */
const nameIn = (hole: string) => /^\W*?([A-Za-z_$@][\w$]*)[\w$.\->[\]()'"]*\W*$/.exec(hole)?.[1];

/** Whether a hole is filled in with what may differ at every call: neither a constant of the file nor a name in capitals. */
function varies({ code, text }: ClientSource, string: ClientString): boolean {
  return string.holes.some(([start, end]) => {
    const name = nameIn(text.slice(string.origin(start), string.origin(end - 1) + 1));
    if (name === undefined || /^[A-Z][A-Z0-9_]*$/.test(name)) return false;
    const escaped = name.replace(/[$@]/g, '\\$&');
    return !new RegExp(
      `^(?:export\\s+)?(?:(?:const|let|var|val|final|private|public|static|function|def)\\s+)*${escaped}\\b`,
      'm',
    ).test(code);
  });
}

export const dynamicScript = defineRule({
  code: 'D21',
  name: 'dynamic-script-text',
  title: 'scripts whose text is another one at every call',
  category: 'memory',
  evidence: 'lex',
  worst: 'warning',
  range: { text: 'all; another effect on Valkey >= 8.0 and Redis >= 7.4', applies: () => true },
  severity: () => 'warning',
  mechanism:
    'Every text is a script of its own, compiled at its first call. Up to Redis 7.2 and Valkey 7.2 all of them stay in memory; since Redis 7.4 and Valkey 8.0 the last 500 do, and the others are pushed out, those that are called by EVALSHA too.',
  fix: 'Pass what differs by KEYS and ARGV: one text.',
  proof:
    'number_of_cached_scripts of INFO after 600 EVALs of different texts: 600 on Redis 6.0.16 and 7.0.15, 500 on Redis 8.0.2, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'ruby',
        client: "def read(id)\n  redis.eval(\"return redis.call('GET', 'user:#{id}')\")\nend\n",
        at: '"return',
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'ruby',
        client: 'def read(id)\n  redis.eval("return redis.call(\'GET\', KEYS[1])", ["user:#{id}"])\nend\n',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'ruby',
        client:
          "prefix = 'user:'\nredis.eval(\"return redis.call('GET', '#{prefix}' .. KEYS[1])\", [id])\nredis.eval(\"return redis.call('GET', '#{PREFIX}' .. KEYS[1])\", [id])\n",
        note: 'Constants.',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'ruby',
        client: 'def make(body)\n  "local t = redis.call(\'TIME\')\\n#{body}"\nend\n',
        note: 'A template that may be filled in once.',
      },
    ],
  },
  check({ profile, reportUnit, reportRange }) {
    const effect = gains(profile, EVICTED)
      ? `${nameServer(profile.to)} keeps 500 texts and forgets the others`
      : 'every text is compiled and kept as a script of its own';
    return {
      scripts(units) {
        const groups = new Map<string, Map<string, ScriptUnit>>();
        for (const unit of units) {
          // Only captures tell what was sent.
          if (unit.sha === undefined) continue;
          const skeleton = skeletonOf(unit);
          const group = groups.get(skeleton) ?? new Map<string, ScriptUnit>();
          group.set(unit.sha, unit);
          groups.set(skeleton, group);
        }
        for (const group of groups.values()) {
          if (group.size < MANY) continue;
          const [first] = group.values();
          reportUnit(first!, { message: `${group.size} scripts of the capture differ in literals alone: ${effect}` });
        }
      },
      client(source) {
        const scripts = new Set(scriptsIn(source).map(({ place }) => JSON.stringify(place(0))));
        for (const string of source.strings) {
          if (string.holes.length === 0 || !scripts.has(JSON.stringify(source.place(string.origin(0))))) continue;
          const before = source.code.slice(Math.max(0, string.start - 40), string.start);
          if (!/\.\s*(?:eval|Eval|evaluate|executeLua)\s*\(\s*$/.test(before) || !varies(source, string)) continue;
          reportRange(string.start, string.end, {
            message: `this text is another one for every value filled in: ${effect}`,
          });
        }
      },
    };
  },
});
