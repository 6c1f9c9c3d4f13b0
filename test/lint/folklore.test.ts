/** What people say about Valkey and is not so: no rule says it, whatever the script. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lint, selectRules } from '../../src/lint/engine.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import { rulePage } from '../../src/lint/report/page.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { readSources } from '../../src/lint/sources/read.ts';
import { temporaryFile } from '../support/capture.ts';

const PROFILES = [
  '--from redis@7.0 --to valkey@8.0',
  '--from redis@7.2 --to valkey@8.1 --rollback',
  '--from redis@8.6 --to valkey@9.1 --rollback',
  '--from redis@6.2 --to valkey@9.1',
];

async function look(lua: string, profile: string) {
  const rules = selectRules(RULES, { hygiene: true, named: [] });
  const sources = await readSources([temporaryFile('script.lua', lua)]);
  return lint(sources, { profile: parseProfile(profile), rules }).findings;
}

const codesOf = async (lua: string, profile: string) => (await look(lua, profile)).map(({ code }) => code);

test('scripts run in parallel and need locks', async () => {
  // A read-modify-write is atomic on every release.
  const script = "local n = tonumber(redis.call('GET', KEYS[1]) or '0')\nreturn redis.call('SET', KEYS[1], n + 1)";
  for (const profile of PROFILES) assert.deepEqual(await codesOf(script, profile), [], profile);
  for (const rule of RULES) {
    assert.doesNotMatch(
      rulePage(rule),
      /in parallel|concurrently|race condition|multi-?threaded execution|add (a )?lock/i,
      rule.code,
    );
  }
});

test('HMSET was removed', async () => {
  for (const profile of PROFILES) {
    const findings = await look("return redis.call('HMSET', KEYS[1], 'a', ARGV[1])", profile);
    assert.ok(
      findings.every(({ code, severity }) => code === 'D03' && severity === 'info'),
      profile,
    );
  }
});

test('TIME, RANDOMKEY or SPOP before a write breaks replication', async () => {
  for (const chance of ["redis.call('TIME')[1]", "redis.call('RANDOMKEY')", "redis.call('SPOP', KEYS[2])"]) {
    for (const profile of PROFILES) {
      assert.deepEqual(
        await codesOf(`local x = ${chance}\nreturn redis.call('SADD', KEYS[1], x or 0)`, profile),
        [],
        profile,
      );
    }
  }
});

test('SCAN in a script is safe', async () => {
  const loop = "local c = '0'\nrepeat\n  local p = redis.call('SCAN', c)\n  c = p[1]\nuntil c == '0'";
  for (const profile of PROFILES) assert.ok((await codesOf(loop, profile)).includes('H02'), profile);
});

test('KEYS always walks all keys', async () => {
  const script = "return #redis.call('KEYS', '{user:7}:*')";
  for (const profile of PROFILES) {
    assert.ok((await codesOf(script, profile)).includes('H01'), 'without a cluster it does');
    const rollback = profile.includes('--rollback') && !profile.includes('redis@8');
    const inCluster = (await codesOf(script, `${profile} --cluster`)).includes('H01');
    assert.equal(inCluster, rollback, `${profile} in a cluster: only where the way back leads to a release that does`);
  }
});

test('undeclared keys fail', async () => {
  const script = "return redis.call('GET', 'user:' .. ARGV[1])";
  for (const profile of PROFILES) {
    assert.deepEqual(
      (await codesOf(script, profile)).filter((code) => code !== 'H21'),
      [],
      profile,
    );
    const inCluster = await look(script, `${profile} --cluster`);
    assert.ok(
      inCluster.every(({ severity }) => severity !== 'error'),
      'they work for as long as the node owns the slot',
    );
  }
});
