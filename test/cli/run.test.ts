/** Wrong input to the main command: one paragraph, the next step, the documented exit code. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { startServer } from '../../src/servers/index.ts';
import { temporaryFile } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';

const good = join(root, 'captures/sessions.monitor.gz');
const local = ['--baseline', 'process:redis-server', '--candidate', 'process:redis-server'];

const cases: { name: string; args: string[]; code: number; message: RegExp; advice: RegExp }[] = [
  {
    name: 'a missing file',
    args: ['nosuch.log'],
    code: 2,
    message: /no file nosuch\.log/,
    advice: /redis-cli MONITOR/,
  },
  {
    name: 'a file that is no capture',
    args: [join(root, 'LICENSE')],
    code: 2,
    message: /not a MONITOR capture/,
    advice: /redis-cli MONITOR/,
  },
  {
    name: 'an empty capture',
    args: [temporaryFile('empty.log', '')],
    code: 2,
    message: /is empty/,
    advice: /Record again/,
  },
  {
    name: 'a capture of a replica',
    args: [join(root, 'test/capture/replica.log.gz')],
    code: 2,
    message: /captured on a replica/,
    advice: /on the primary/,
  },
  {
    name: 'a truncated gzip',
    args: [temporaryFile('torn.gz', gzipSync(Buffer.alloc(1e6, 'x1700000000')).subarray(0, 900))],
    code: 2,
    message: /ends in the middle/,
    advice: /Copy it again/,
  },
  {
    name: 'only administration',
    args: [temporaryFile('admin.log', '1700000000.000001 [0 1.2.3.4:5] "info"\n')],
    code: 2,
    message: /no command that can be replayed/,
    advice: /Record again/,
  },
  {
    name: 'a bad budget line',
    args: [
      good,
      '--budget',
      temporaryFile('budget.yaml', 'apiVersion: cutover/budget@1\nlatency:\n  p99: { max_incraese: 20% }\n'),
    ],
    code: 2,
    message: /budget\.yaml:3:\d+: .*max_increase/,
    advice: /line 3/,
  },
  {
    name: 'a missing budget',
    args: [good, '--budget', 'nosuch.yaml'],
    code: 2,
    message: /Cannot read the budget nosuch\.yaml/,
    advice: /default/,
  },
  {
    name: 'a word that is no server',
    args: [good, '--candidate', 'memcached'],
    code: 2,
    message: /"memcached" is not a server/,
    advice: /docker:IMAGE/,
  },
  {
    name: 'a binary that is not there',
    args: [good, '--candidate', 'process:nosuch-server'],
    code: 3,
    message: /nosuch-server/,
    advice: /docker:IMAGE/,
  },
  {
    name: 'an unreachable URL',
    args: [good, '--candidate', 'redis://user:hunter2@127.0.0.1:1'],
    code: 3,
    message: /127\.0\.0\.1:1/,
    advice: /./,
  },
  {
    name: 'an unknown image, or no engine for it',
    args: [good, '--candidate', 'docker:cutover.invalid/nosuch:1'],
    code: 3,
    message: /nosuch/,
    advice: /docker/i,
  },
  {
    name: 'a rate that is none',
    args: [good, '--rate', 'fast'],
    code: 2,
    message: /fast is no rate/,
    advice: /--rate 5000/,
  },
  {
    name: 'a length that is none',
    args: [good, '--slice', '0s'],
    code: 2,
    message: /no length of time/,
    advice: /--slice 2s/,
  },
  {
    name: 'a folder that exists',
    args: [good, '--output', root],
    code: 2,
    message: /exists already/,
    advice: /does not exist yet/,
  },
];

for (const { name, args, code, message, advice } of cases) {
  test(name, async () => {
    const result = await cutover([
      'run',
      ...(args.some((arg) => arg === '--candidate') ? ['--baseline', 'process:redis-server'] : local),
      ...args,
    ]);
    assert.equal(result.code, code, result.stderr);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^ {2}→ /m, 'says what to do next');
    assert.match(result.stderr.split('→ ').slice(1).join(' '), advice);
    assert.doesNotMatch(result.stderr, /hunter2| {4}at /);
  });
}

test('the same as JSON: one document with the exit code and the message', async () => {
  for (const { name, args, code, message } of cases.filter(({ name }) => /budget line|not there/.test(name))) {
    const arms = args.includes('--candidate') ? ['--baseline', 'process:redis-server'] : local;
    const json = await cutover(['run', '--json', ...arms, ...args]);
    assert.equal(json.code, code, name);
    const { error } = JSON.parse(json.stdout);
    assert.equal(error.exitCode, code);
    assert.match(error.message, message);
  }
});

test('a server by URL that is not empty is refused, and left as it was', async () => {
  await using server = await startServer('process:redis-server', {});
  const client = new Redis({ host: server.address.host, port: server.address.port, retryStrategy: () => null });
  await client.set('precious', '1');
  const result = await cutover([
    'run',
    good,
    '--baseline',
    'process:redis-server',
    '--candidate',
    `redis://127.0.0.1:${server.address.port}`,
  ]);
  assert.equal(result.code, 3, result.stderr);
  assert.match(result.stderr, /is not empty: 1 key/);
  assert.match(result.stderr, /--allow-nonempty/);
  assert.equal(await client.get('precious'), '1');
  assert.equal(await client.dbsize(), 1);
  client.disconnect();
});

test('help shows examples and exit codes', async () => {
  const { code, stdout } = await cutover(['run', '--help']);
  assert.equal(code, 0);
  assert.match(stdout, /EXAMPLES/);
  assert.match(stdout, /4 inconclusive/);
});

test('a closed pipe is not an error', async () => {
  const run = cutover(['ops', 'captures/mixed.monitor.gz']);
  run.child.stdout?.once('data', () => run.child.stdout?.destroy());
  const { code, stderr } = await run;
  assert.equal(code, 0, stderr);
});
