/** What `bin/setup.js` would do on machines of many kinds; nothing is installed here. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/cli.ts';

/** A fresh clone on Debian 12 as root, without anything; each test says how its machine differs. */
const bare = {
  modulesFresh: false,
  engine: false,
  missingImages: ['redis:7.2', 'valkey/valkey:8.1'],
  pullFailed: false,
  missingBinaries: ['redis-server', 'valkey-server'],
  apt: true,
  root: true,
  distribution: 'debian 12',
  packages: ['redis-server'],
  listsUpdated: false,
  backportsAdded: false,
  installFailed: false,
};

function plan(machine: Partial<typeof bare>, ...flags: string[]): string[] {
  const facts = JSON.stringify({ ...bare, ...machine });
  const { stdout, stderr } = spawnSync('node', [join(root, 'bin/setup.js'), ...flags, '--plan', facts], {
    encoding: 'utf8',
  });
  assert.equal(stderr, '');
  return stdout.trim().split('\n').filter(Boolean);
}

test('Debian 12: valkey comes from the backports', () => {
  assert.deepEqual(plan({}), ['npm-ci', 'apt-update', 'add-backports', 'apt-install redis-server valkey-server']);
});

test('Debian 13 and Ubuntu 24.04 have both packages', () => {
  const machine = {
    distribution: 'ubuntu 24.04',
    packages: ['redis-server', 'valkey-server'],
    missingBinaries: ['valkey-server'],
  };
  assert.deepEqual(plan(machine), ['npm-ci', 'apt-update', 'apt-install valkey-server']);
});

test('Ubuntu 22.04 has no valkey: gives up and says so', () => {
  assert.match(plan({ distribution: 'ubuntu 22.04' }).at(-1)!, /^give-up .*ubuntu 22\.04 has no package valkey-server/);
});

test('an engine is enough for the demo, not for the tests', () => {
  assert.deepEqual(plan({ engine: true }), ['npm-ci', 'pull redis:7.2 valkey/valkey:8.1']);
  assert.deepEqual(plan({ engine: true }, '--for-tests').slice(2), [
    'apt-update',
    'add-backports',
    'apt-install redis-server valkey-server',
  ]);
});

test('the tests look at pages in a browser', () => {
  const machine = {
    modulesFresh: true,
    engine: true,
    missingImages: [],
    packages: ['chromium'],
    missingBinaries: ['chromium'],
  };
  assert.deepEqual(plan(machine), []);
  assert.deepEqual(plan(machine, '--for-tests'), ['apt-update', 'apt-install chromium']);
});

test('an engine that could not pull is not asked again: binaries', () => {
  const machine = { modulesFresh: true, engine: true, pullFailed: true };
  assert.deepEqual(plan({ ...machine, missingBinaries: [] }), []);
  assert.equal(plan(machine)[0], 'apt-update');
});

test('a machine that has all: nothing', () => {
  assert.deepEqual(plan({ modulesFresh: true, missingBinaries: [] }), []);
  assert.deepEqual(plan({ modulesFresh: true, engine: true, missingImages: [] }), []);
});

test('without apt, without root, after a failed installation: gives up with the reason', () => {
  assert.match(plan({ apt: false }).at(-1)!, /^give-up .*no apt-get/);
  assert.match(plan({ root: false }).at(-1)!, /^give-up .*needs root/);
  assert.match(plan({ installFailed: true }).at(-1)!, /^give-up .*could not install/);
});

test('here, where tests run, a second setup has nothing to do and says one line', () => {
  const setUp = () => spawnSync('node', [join(root, 'bin/setup.js'), '--for-tests'], { encoding: 'utf8' });
  assert.equal(setUp().status, 0);
  const { status, stdout, stderr } = setUp();
  assert.equal(status, 0);
  assert.equal(stdout, '');
  assert.match(stderr, /^setup: ready: .*\n$/);
});

test('giving up exits with 3 and says what to install', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'bin/setup.js')], {
    env: { PATH: '/nowhere' },
    encoding: 'utf8',
  });
  assert.equal(status, 3);
  assert.match(stderr, /redis-server and valkey-server not on PATH/);
  assert.match(stderr, /brew install redis valkey/);
});
