/** What broke real migrations, planted in files as users have them: each is found, and what looks like it is not. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { cutover } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'cutover-planted-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A payload as Redis 8.0 dumps "hello", and as Redis 7.0 does; MONITOR's spelling. */
const FROM_REDIS_8 = '\\x00\\x05hello\\x0c\\x00\\xa8\\x04\\xeb\\xb6\\x9f\\x1e\\xbeC';
const FROM_REDIS_7 = '\\x00\\x05hello\\n\\x00cr\\xdfve4 \\n';
const line = (words: string) => `1700000000.000001 [0 127.0.0.1:50000] ${words}\n`;

/** File → text, and the rules that must be found in it, each with its line. */
type Planted = Record<string, { text: string; found: string[] }>;

const FROM_7: Planted = {
  'store.php': {
    text: "<?php\n$r = $redis->evalSha($sha, $args, 1);\nif ('NOSCRIPT No matching script. Please use EVAL.' === $redis->getLastError()) {\n  $redis->eval($script, $args, 1);\n}\n",
    found: ['D08:3'],
  },
  'store-fixed.php': {
    text: "<?php\n// NOSCRIPT No matching script. Please use EVAL.\nif (str_starts_with($redis->getLastError(), 'NOSCRIPT')) {\n  $redis->eval($script, $args, 1);\n}\n",
    found: [],
  },
  'error-text.lua': {
    text: "local r = redis.pcall(ARGV[1], KEYS[1])\nif type(r) == 'table' and r.err and string.find(r.err, 'Unknown Redis command') then\n  return 'unsupported'\nend\nreturn r\n",
    found: ['D07:2'],
  },
  'error-code.lua': {
    text: "local r = redis.pcall('INCR', KEYS[1])\nif type(r) == 'table' and r.err and string.find(r.err, '^WRONGTYPE') then\n  return 'wrong'\nend\nreturn r\n",
    found: [],
  },
  'gate.lua': {
    text: "if redis.REDIS_VERSION_NUM < 0x00070200 then\n  return redis.call('TIME')\nend\nreturn 'new'\n",
    found: ['D04:1'],
  },
  'gate-both.lua': {
    text: "if redis.REDIS_VERSION_NUM >= 0x00060200 then\n  return redis.call('GETDEL', KEYS[1])\nend\nreturn 'old'\n",
    found: [],
  },
  'order.lua': {
    text: "local job = { id = ARGV[1], name = ARGV[2], queue = ARGV[3], kind = 'y' }\nlocal digest = redis.sha1hex(cjson.encode(job))\nreturn redis.call('SADD', KEYS[1], digest)\n",
    found: ['D11:2'],
  },
  'ordered.lua': {
    text: "local digest = redis.sha1hex(cjson.encode({ ARGV[1], ARGV[2], ARGV[3] }))\nlocal job = { id = ARGV[1], name = ARGV[2], queue = ARGV[3] }\nredis.call('SET', KEYS[2], cjson.encode(job))\nreturn redis.call('SADD', KEYS[1], digest)\n",
    found: [],
  },
  'wait.lua': {
    text: "local stop = redis.call('TIME')[1] + ARGV[1]\nrepeat\n  local now = redis.call('TIME')\nuntil tonumber(now[1]) >= stop\nreturn redis.call('LPOP', KEYS[1])\n",
    found: ['D12:2'],
  },
  'stamp.lua': {
    text: "local now = redis.call('TIME')\nlocal n = 0\nwhile n < 10 do\n  redis.call('ZADD', KEYS[1], now[1], n)\n  n = n + 1\nend\nreturn n\n",
    found: [],
  },
};

const FROM_8: Planted = {
  'session.lua': {
    text: "redis.call('HSET', KEYS[1], 'token', ARGV[1])\nredis.call('HEXPIRE', KEYS[1], 60, 'FIELDS', 1, 'token')\n",
    found: ['D01:2'],
  },
  'session-key.lua': {
    text: "redis.call('HSET', KEYS[1], 'HEXPIRE', ARGV[1])\nredis.call('EXPIRE', KEYS[1], 60)\n",
    found: [],
  },
  'redis.conf': { text: 'port 6379\nreplicaof 10.0.0.1 6379\nsave ""\n', found: ['D34:2'] },
  'redis-primary.conf': { text: 'port 6379\n# replicaof 10.0.0.1 6379\nsave ""\n', found: [] },
  'stream.monitor': {
    text: line('"SET" "a" "1"') + line(`"RESTORE" "b" "0" "${FROM_REDIS_8}"`),
    found: ['D34:2'],
  },
  'stream-old.monitor': { text: line(`"RESTORE" "b" "0" "${FROM_REDIS_7}"`) + line('"GET" "RESTORE"'), found: [] },
};

for (const [profile, planted] of [
  ['redis@7.0', FROM_7],
  ['redis@8.0', FROM_8],
] as const) {
  test(`${profile} → valkey@8.1: what broke is found, what looks like it is not`, async () => {
    const files = Object.keys(planted).map((name) => join(folder, name));
    for (const file of files) writeFileSync(file, planted[basename(file)]!.text);
    const { code, stdout } = await cutover(['lint', ...files, '--from', profile, '--to', 'valkey@8.1', '--json']);
    assert.equal(code, 1);
    const { findings, parseErrors } = JSON.parse(stdout);
    assert.deepEqual(parseErrors, []);
    const found: Record<string, string[]> = Object.fromEntries(Object.keys(planted).map((name) => [name, []]));
    for (const { file, code: rule, line: at, severity } of findings) {
      if (severity !== 'info') found[basename(file)]!.push(`${rule}:${at}`);
    }
    assert.deepEqual(found, Object.fromEntries(Object.entries(planted).map(([name, entry]) => [name, entry.found])));
  });
}
