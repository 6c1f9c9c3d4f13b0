/** What a server says of scripts is put beside what our parser says, and asking leaves nothing but a cached script. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lintPaths } from '../../src/lint/index.ts';
import { parseProfile } from '../../src/lint/profile.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover } from '../support/cli.ts';
import { startForeignServer } from '../support/servers.ts';

const profile = parseProfile('--from redis@7.0 --to valkey@8.1');
const tooManyLocals = Array.from({ length: 201 }, (_, i) => `local a${i} = ${i}`).join('\n');

test('a script that the server refuses, one that only the server reads, and those that are not asked about', async () => {
  const asked: string[] = [];
  const { verification } = await lintPaths(
    [
      temporaryFile('good.lua', 'return 1'),
      temporaryFile('refused.lua', 'local a\nlocal b\n'),
      temporaryFile('unread.lua', 'return +'),
      temporaryFile('library.lua', '#!lua name=l\nredis.register_function("f", function() end)'),
      temporaryFile('part.lua', '--- @include "gone"\nreturn f()'),
    ],
    {
      profile,
      rules: [],
      compiler: {
        name: 'valkey 8.1.1',
        compile: async (script) => {
          asked.push(script.toString());
          return script.includes('local b') ? 'ERR Error compiling script: user_script:2: no b' : undefined;
        },
      },
    },
  );
  assert.deepEqual(asked, ['return 1', 'local a\nlocal b\n', 'return +']);
  const { server, scripts, compiled, refused, unread } = verification!;
  assert.deepEqual({ server, scripts, compiled }, { server: 'valkey 8.1.1', scripts: 3, compiled: 2 });
  assert.deepEqual(
    refused.map(({ line, message }) => [line, message]),
    [[2, 'no b']],
  );
  assert.deepEqual(
    unread.map(({ line }) => line),
    [1],
  );
});

test('--verify asks a server that runs, and one that it starts', async () => {
  using server = await startForeignServer('redis');
  const file = temporaryFile('locals.lua', `${tooManyLocals}\nreturn 1\n`);
  const good = temporaryFile('good.lua', "return redis.call('GET', KEYS[1])\n");
  for (const spec of [`redis://127.0.0.1:${server.port}`, 'process:valkey-server']) {
    const { code, stdout } = await cutover(['lint', good, file, '--verify', spec, '--json']);
    const { verification, failed } = JSON.parse(stdout);
    assert.equal(code, 1, stdout);
    assert.equal(failed, true);
    assert.equal(verification.compiled, 1);
    assert.match(verification.refused[0].message, /200 local variables/);
    assert.equal(verification.refused[0].line, 201);
  }
});

test('--verify of a server that is not there says so', async () => {
  const { code, stderr } = await cutover([
    'lint',
    temporaryFile('a.lua', 'return 1'),
    '--verify',
    'redis://127.0.0.1:1',
  ]);
  assert.equal(code, 3);
  assert.match(stderr, /nothing listens there/);
});
