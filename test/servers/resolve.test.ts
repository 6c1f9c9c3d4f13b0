/** What the bare names `redis` and `valkey` become, on machines that have and lack this and that. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { root } from '../support/cli.ts';
import { imageOf, noContainers } from '../support/servers.ts';

const empty = mkdtempSync(join(tmpdir(), 'cutover-path-'));
after(() => rmSync(empty, { recursive: true }));
const noEngine = { DOCKER_HOST: 'tcp://127.0.0.1:1' };

/** In a process of its own: the engine is looked for once in each. */
function resolve(specs: Record<string, string>, env: Record<string, string>) {
  const script = `
    import { resolveSpecs } from ${JSON.stringify(join(root, 'src/servers/index.ts'))};
    const answer = await resolveSpecs(${JSON.stringify(specs)})
      .catch(({ code, message, suggestions }) => ({ code, message, suggestions }));
    process.stdout.write(JSON.stringify(answer));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return JSON.parse(stdout);
}

test('without an engine, both are binaries, and the note says why', () => {
  const { specs, note } = resolve({ baseline: 'redis', candidate: 'valkey' }, noEngine);
  assert.deepEqual(specs, { baseline: 'process:redis-server', candidate: 'process:valkey-server' });
  assert.match(note, /^binaries on PATH: redis is .*no container engine: DOCKER_HOST/);
});

test('with an engine that has the images, both are containers', { skip: noContainers }, () => {
  const images = { CUTOVER_REDIS_IMAGE: imageOf('redis'), CUTOVER_VALKEY_IMAGE: imageOf('valkey') };
  const { specs } = resolve({ baseline: 'redis', candidate: 'valkey' }, images);
  assert.deepEqual(specs, { baseline: `docker:${imageOf('redis')}`, candidate: `docker:${imageOf('valkey')}` });
});

test('when one image cannot be pulled, both are binaries', { skip: noContainers }, () => {
  const images = { CUTOVER_REDIS_IMAGE: imageOf('redis'), CUTOVER_VALKEY_IMAGE: '127.0.0.1:1/none:1' };
  const { specs, note } = resolve({ baseline: 'redis', candidate: 'valkey' }, images);
  assert.deepEqual(specs, { baseline: 'process:redis-server', candidate: 'process:valkey-server' });
  assert.match(note, /cannot pull 127\.0\.0\.1:1\/none:1/);
});

test('with neither, the refusal names what was tried and the cures', () => {
  const { code, message, suggestions } = resolve({ baseline: 'redis' }, { ...noEngine, PATH: empty });
  assert.equal(code, 'E_NO_SERVER');
  assert.match(message, /redis: no container engine: .*; redis-server not on PATH/);
  assert.match(suggestions.join('\n'), /npm run setup|brew/);
});

test('other specs stay as they are, and need nothing', () => {
  const specs = { baseline: 'docker:redis:6.2', candidate: 'valkeys://user:pass@host' };
  assert.deepEqual(resolve(specs, { ...noEngine, PATH: empty }), { specs });
});

test('what is no spec is refused without being repeated when it may hold a password', () => {
  assert.match(resolve({ baseline: 'postgres' }, {}).message, /"postgres"/);
  assert.doesNotMatch(resolve({ baseline: 'postgres://me:s3cret@host' }, {}).message, /s3cret/);
});
