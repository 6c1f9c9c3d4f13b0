/** `cutover doctor`: what it says of machines that lack this and that, and its exit code. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { cutover } from '../support/cli.ts';
import { installedVersion } from '../support/servers.ts';
import { temporaryFolder } from '../support/temporary.ts';

const noEngine = { DOCKER_HOST: 'tcp://user:s3cret@127.0.0.1:1' };
const empty = mkdtempSync(join(tmpdir(), 'cutover-path-'));
after(() => rmSync(empty, { recursive: true }));

test('with both binaries a rehearsal can run, engine or not', async () => {
  const { code, stdout } = await cutover(['doctor'], { env: noEngine });
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^✓ redis-server ${installedVersion('redis')} `, 'm'));
  assert.match(stdout, new RegExp(`^✓ valkey-server ${installedVersion('valkey')} `, 'm'));
  assert.match(stdout, /^! no container engine: DOCKER_HOST=tcp:\/\/127\.0\.0\.1:1 does not answer$/m);
  assert.match(stdout, /A rehearsal can run here/);
  assert.doesNotMatch(stdout, /s3cret/);
});

test('with neither engine nor binaries none can, and every lack has its cure', async () => {
  const { code, stdout } = await cutover(['doctor'], { env: { ...noEngine, PATH: empty } });
  assert.equal(code, 3);
  assert.match(stdout, /^✗ no container engine/m);
  assert.match(stdout, /^✗ valkey-server is not on PATH\n {4}\S/m);
  assert.match(stdout, /No rehearsal can run here yet/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
});

test('--json is one document, and lists what it measured', async () => {
  const { code, stdout } = await cutover(['doctor', '--json'], { env: { ...noEngine, PATH: empty } });
  assert.equal(code, 3);
  const { schema, ready, checks } = JSON.parse(stdout);
  assert.equal(schema, 'cutover/doctor@1');
  assert.equal(ready, false);
  const byId = Object.fromEntries(checks.map((check: { id: string }) => [check.id, check]));
  for (const id of ['node', 'cores', 'memory', 'engine', 'redis-server', 'valkey-server', 'timer', 'host-jitter']) {
    assert.ok(byId[id], id);
  }
  assert.equal(byId['redis-server'].status, 'fail');
  assert.match(byId['redis-server'].cure, /redis/);
  assert.ok(byId['host-jitter'].numbers.maxGapUs >= byId['host-jitter'].numbers.delayP999Us);
  for (const { status, cure } of checks) assert.equal(status === 'ok', cure === undefined);
});

test('a socket that nobody listens on is named', { skip: process.platform === 'win32' }, async () => {
  // XDG_RUNTIME_DIR is one of the places where an engine may have its socket; here it is a plain file.
  writeFileSync(join(empty, 'docker.sock'), '');
  const { stdout } = await cutover(['doctor', '--json'], { env: { XDG_RUNTIME_DIR: empty, PATH: empty } });
  const engine = JSON.parse(stdout).checks.find((check: { id: string }) => check.id === 'engine');
  // Where a real engine answers, it is found first.
  if (engine.status !== 'ok') assert.match(engine.message, new RegExp(`${empty}/docker\\.sock: nothing listens`));
});

test('--calibrate rehearses the baseline against itself and adds to what is known of this host', async () => {
  const state = temporaryFolder();
  const history = join(state, 'cutover/calibration.jsonl');
  const machine = { platform: 'elsewhere', cpu: 'another', cores: 1, memoryBytes: 1 };
  const known = {
    schema: 'cutover/calibration@1',
    at: '',
    machine,
    server: 'redis 7.0.15',
    rounds: 6,
    verdict: 'fail',
  };
  mkdirSync(dirname(history));
  writeFileSync(history, `${JSON.stringify({ ...known, failed: ['x'], biased: [], resolvable: {} })}\n{"cut`);
  const output = join(state, 'rehearsal');
  const words = ['--calibrate', '-b', 'process:redis-server', '--rounds', '2', '--slice', '500ms', '--rate', '2000'];
  const { code, stdout, stderr } = await cutover(['doctor', ...words, '--output', output, '--json'], {
    env: { ...noEngine, XDG_STATE_HOME: state },
  });
  assert.ok(code === 0 || code === 5, stderr);
  const { calibration } = JSON.parse(stdout);
  const { runs, fails, invalid } = calibration.falseAlarms;
  assert.equal(runs + invalid, 1, 'the calibration of another machine counts');
  assert.equal(fails, calibration.verdict === 'fail' ? 1 : 0);
  const lines = readFileSync(history, 'utf8').trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).machine.platform === 'elsewhere'),
    [true, false],
  );
  const { arms } = JSON.parse(readFileSync(join(output, 'rehearsal.json'), 'utf8'));
  assert.equal(arms.candidate.product, 'redis');
});
