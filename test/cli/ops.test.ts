/** `cutover ops`: NDJSON for other tools, from files and from stdin, and what it says of lines it cannot read. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { temporaryFile } from '../support/capture.ts';
import { cutover, root } from '../support/cli.ts';

const head = '1700000000.000001 [3 [::1]:5]';
const capture = [
  'OK',
  String.raw`${head} "SET" "a \"b\"" "\x00\xff" ""`,
  `${head} "auth" "hunter2"`,
  `${head} "eval" "x" "0"`,
  '1700000000.000002 [3 lua] "get" "k"',
  '',
].join('\n');
const parse = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('one line per op; bytes that are not printable as base64; credentials taken out', async () => {
  const { code, stdout, stderr } = await cutover(['ops', temporaryFile('c.log', capture)]);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  const client = '[::1]:5';
  const atUs = 1_700_000_000_000_001;
  assert.deepEqual(parse(stdout), [
    { line: 2, atUs, db: 3, client, kind: 'command', args: ['SET', 'a "b"', { base64: 'AP8=' }, ''] },
    { line: 3, atUs, db: 3, client, kind: 'command', args: ['auth', '(redacted)'] },
    { line: 4, atUs, db: 3, client, kind: 'command', args: ['eval', 'x', '0'] },
    { line: 5, atUs: atUs + 1, db: 3, client: 'lua', kind: 'script-child', args: ['get', 'k'] },
  ]);
});

test('stdin, plain and compressed', async () => {
  const file = await cutover(['ops', temporaryFile('c.log', capture)]);
  for (const input of [capture, gzipSync(capture)]) {
    const { code, stdout } = await cutover(['ops', '-'], { input });
    assert.equal(code, 0);
    assert.equal(stdout, file.stdout);
  }
});

test('--kind and --limit choose', async () => {
  const path = temporaryFile('c.log', capture);
  const child = await cutover(['ops', path, '--kind', 'script-child']);
  assert.deepEqual(
    parse(child.stdout).map((op) => op.line),
    [5],
  );
  const limited = await cutover(['ops', path, '--limit', '2']);
  assert.deepEqual(
    parse(limited.stdout).map((op) => op.line),
    [2, 3],
  );
});

test('a reader that has enough ends it quietly', async () => {
  const path = temporaryFile('c.log', Buffer.concat(new Array(50_000).fill(Buffer.from(capture))));
  const running = cutover(['ops', path]);
  running.child.stdout?.once('data', () => running.child.stdout?.destroy());
  const { code, stderr } = await running;
  assert.equal(code, 0);
  assert.equal(stderr, '');
});

test('lines that are no MONITOR output, and a torn one, are told on stderr', async () => {
  const text = `${capture.repeat(100)}what is this\n${head} "get" "cut o`;
  const { code, stdout, stderr } = await cutover(['ops', temporaryFile('c.log', text)]);
  assert.equal(code, 0);
  assert.equal(parse(stdout).length, 400);
  assert.match(stderr, /Rejected as no-time: 1, first in line 501\./);
  assert.match(stderr, /last line is cut off/);
});

test('what is no capture fails with what to do next', async () => {
  const { code, stdout, stderr } = await cutover(['ops', join(root, 'package.json')]);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /not a MONITOR capture/);
  assert.match(stderr, /redis-cli MONITOR/);
});

test('terminal escapes of a capture stay escaped', async () => {
  const { stdout } = await cutover(['ops', '-'], { input: `${head} "get" "\\x1b]0;title\\a"\n` });
  assert.deepEqual(parse(stdout)[0].args, ['get', { base64: Buffer.from('\u001b]0;title\u0007').toString('base64') }]);
});

test('the examples of its help run', async () => {
  const source = readFileSync(join(root, 'commands/ops.ts'), 'utf8');
  const examples = [...source.matchAll(/command\.id %> (captures\/[^']+)'/g)].map((match) => match[1]!.split(' '));
  assert.ok(examples.length > 0);
  for (const args of examples) {
    const { code, stdout } = await cutover(['ops', ...args]);
    assert.equal(code, 0);
    assert.ok(parse(stdout).length > 0);
  }
});
