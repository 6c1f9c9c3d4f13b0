/** The linter on the Lua of ten packages that people use: it reads all of it, and its errors are those that were looked into. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { lint, selectRules } from '../../src/lint/engine.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import { RULES } from '../../src/lint/rules/index.ts';
import { readSources, type Sources } from '../../src/lint/sources/read.ts';
import { parseLua } from '../../src/lint/syntax.ts';
import { corpusFolder } from './corpus.ts';

const rules = selectRules(RULES, { hygiene: true, named: [] });
let sources: Sources;

before(async () => {
  sources = await readSources([corpusFolder()]);
});

test('98 % of the complete scripts are read', () => {
  const complete = sources.scripts.filter(({ fragment, holes }) => !fragment && holes.length === 0);
  const read = complete.filter(({ text }) => 'chunk' in parseLua(text));
  assert.ok(complete.length > 400, `${complete.length} scripts`);
  assert.ok(read.length / complete.length >= 0.98, `${read.length} of ${complete.length}`);
});

/** Read against the scripts and tried on servers; where a release of a package mends one, its version here can be raised. */
const KNOWN_ERRORS = [
  // allow-key-locking is a flag of Upstash: Redis 7.0.15 and Valkey 8.0.1 refuse it ("Unexpected flag in script shebang").
  'D19 upstash-ratelimit-2.2.0/dist/index.js',
  // headJobId is a local of the outer block, and only an inner one of the same name is ever assigned to: LREM gets nil.
  'H27 groupmq-1.1.0/dist/lua/reserve.lua',
];
/** Written for Valkey: the table `server` is on no Redis. */
const TO_REDIS = [
  'D18 rate-limiter-flexible-11.4.0/lib/RateLimiterValkey.js',
  'D18 rate-limiter-flexible-11.4.0/lib/RateLimiterValkeyGlide.js',
];

const expectations: [profile: string, known: string[]][] = [
  ['--from redis@7.0 --to valkey@8.1', KNOWN_ERRORS],
  ['--from redis@7.2 --to valkey@9.1 --rollback', KNOWN_ERRORS],
  ['--from redis@6.2 --to valkey@9.1 --cluster', KNOWN_ERRORS],
  ['--from valkey@8.0 --to redis@7.2', [...KNOWN_ERRORS, ...TO_REDIS].sort()],
];
for (const [profile, known] of expectations) {
  test(`${profile}: everything is analysed, and every error is known`, () => {
    const { findings, parseErrors } = lint(sources, { profile: parseProfile(profile), rules });
    assert.deepEqual(
      parseErrors.filter(({ message }) => /nested|analysed/.test(message)),
      [],
      'nothing was given up',
    );
    const errors = findings.filter(({ severity }) => severity === 'error');
    const places = errors.map(({ code, file }) => `${code} ${file.slice(corpusFolder().length + 1)}`);
    assert.deepEqual([...new Set(places)].sort(), known);
  });
}
