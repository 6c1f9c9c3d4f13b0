/** D06: what is read out of INFO that Valkey says otherwise. */
import { type Change, differs, nameServer, type Profile } from '../profile.ts';
import { defineRule } from '../rule.ts';
import { isLookedFor } from '../sources/client.ts';
import { stringOf } from '../values.ts';

/** `server_mode` instead of `redis_mode`. */
const MODE: Change = { valkey: '8.0' };
const VALKEY: Change = { valkey: '7.2' };
const MATCHERS = new Set(['string.find', 'string.match', 'string.gmatch', 'string.gsub']);
/** `redis_version:(%d+)`, with nothing behind it. */
const MAJOR_ONLY = /redis_version:\(?(?:%d|\\d|\[0-9\])\+?\)?(?:\\?\.|%\.)?$/;
/** Whoever asks for these can tell the two apart. */
const KNOWS_VALKEY = /valkey_version|server_name|server_mode|VALKEY_VERSION/;

/** What is wrong with asking INFO for a field that the text names. */
function problemOf(profile: Profile, text: string): string | undefined {
  const { to, from } = profile;
  const [valkey, redis] = to.product === 'valkey' ? [to, from] : [from, to];
  if (/redis_mode/.test(text) && differs(profile, MODE)) {
    return `INFO has no redis_mode on ${nameServer(valkey)}: it is called server_mode there`;
  }
  if (/redis_version/.test(text) && differs(profile, VALKEY)) {
    // The major version alone is 7 on both.
    if (redis.major === 7 && MAJOR_ONLY.test(text)) return undefined;
    return `redis_version of INFO is 7.2.4 on ${nameServer(valkey)}, whatever its own version; on ${nameServer(redis)} it is the version`;
  }
  return undefined;
}

export const infoVersion = defineRule({
  code: 'D06',
  name: 'info-version-parse',
  title: 'version and mode read out of INFO',
  category: 'incompatible',
  evidence: 'df',
  worst: 'warning',
  range: {
    text: 'Redis -> any Valkey (redis_version), Valkey >= 8.0 (redis_mode), and back',
    applies: (profile) => differs(profile, VALKEY) || differs(profile, MODE),
  },
  severity: () => 'warning',
  mechanism:
    'INFO of every Valkey says redis_version:7.2.4, and Valkey 8.0 renamed redis_mode to server_mode: a pattern for it finds nothing.',
  fix: 'Ask for server_name and valkey_version first; match redis_mode and server_mode.',
  proof:
    'redis_version is 7.2.4 on Valkey 7.2.7, 8.0.1, 8.1.1 and 9.1.2; redis_mode is absent on 8.0.1 and later unless extended-redis-compatibility is on. Sidekiq and others refuse servers by this field.',
  examples: {
    bad: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return string.match(redis.call('INFO', 'server'), 'redis_mode:(%a+)')",
        at: 'string.match',
        proof: { from: /^"standalone"$/, to: /^null$/ },
      },
      {
        profile: '--from redis@8.0 --to valkey@9.1',
        lua: "local info = redis.call('INFO', 'server')\nlocal version = info:match('redis_version:(%d+)')\nreturn version",
        at: 'info:match',
        proof: { from: /^"8"$/, to: /^"7"$/ },
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client: "const [, version] = /redis_version:(\\S+)/.exec(await client.info('server'));\n",
        at: '/redis_version',
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'python',
        client: "major = client.info()['redis_version'].split('.')[0]\n",
        at: "'redis_version'",
      },
    ],
    good: [
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        lua: "return string.match(redis.call('INFO', 'replication'), 'role:(%a+)')",
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'python',
        client: "info = client.info()\nversion = info.get('valkey_version') or info['redis_version']\n",
        note: 'Asks Valkey by its own name.',
      },
      {
        profile: '--from redis@7.0 --to valkey@9.1',
        lua: "return string.match(redis.call('INFO', 'server'), 'redis_version:(%d+)')",
        note: 'The major version is 7 on both.',
        proof: {},
      },
      {
        profile: '--from redis@7.0 --to valkey@8.0',
        language: 'javascript',
        client: "log.info('redis_version is not what it says'); // redis_version:7.2.4\n",
      },
    ],
  },
  check: ({ profile, report, reportRange }) => ({
    call(call, script) {
      if (call.name !== 'info' || KNOWS_VALKEY.test(script.text)) return;
      for (const use of script.usesOf(call.node, { library: (name) => name === 'string.lower' })) {
        if (use.kind !== 'library' || !MATCHERS.has(use.name) || use.index !== 0) continue;
        const pattern = script.libraryArguments(use.node)[1];
        const text = pattern && stringOf(script.valueOf(pattern));
        const message = text && problemOf(profile, text);
        if (message) report(use.node, { message });
      }
    },
    client(source) {
      if (KNOWS_VALKEY.test(source.text)) return;
      for (const string of source.strings) {
        if (!/^\W*redis_(version|mode)\b/.test(string.value)) continue;
        const indexed = /(?:\[|\.(?:get|fetch|dig)\(|\?\.\[)\s*$/.test(
          source.code.slice(Math.max(0, string.start - 20), string.start),
        );
        const message = (indexed || isLookedFor(source, string)) && problemOf(profile, string.value);
        if (message) reportRange(string.start, string.end, { message });
      }
      for (const { index, 0: text } of source.code.matchAll(/(?<=\.)redis_(?:version|mode)\b/g)) {
        const message = problemOf(profile, text);
        if (message) reportRange(index, index + text.length, { message });
      }
    },
  }),
});
