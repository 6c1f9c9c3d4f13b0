/** Captures whose keys, values, commands, paths and damaged lines hold what terminals obey: nothing of it reaches one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryFile } from '../support/capture.ts';
import { cutover } from '../support/cli.ts';

const TEXTS = [
  ...[
    String.raw`\x1b]0;title\a`,
    String.raw`\x1b[31mred`,
    String.raw`\x9b2J`,
    String.raw`\xc2\x9b2J`,
    String.raw`\r\nnew line`,
  ],
  ...[
    String.raw`\x00`,
    String.raw`\xe2\x80\xaertl`,
    '<script>alert(1)</script>',
    '__proto__',
    'constructor',
    '%s',
    '|`x`$(id)',
  ],
];
const SOURCES = ['1.2.3.4:5', '[::1]:6', 'unix:/tmp/\u001b[31m odd'];
/** Control characters but line feeds, and those that reverse or hide text. */
const OBEYED = /[^\P{C}\n]/u;

const lines = Array.from({ length: 1200 }, (_, i) => {
  const text = TEXTS[i % TEXTS.length]!;
  const key = `"${text}:${i % 40}"`;
  const args = [`"get" ${key}`, `"set" ${key} "${text}"`, `"hset" "h${text}" "${text}" "${text}"`, `"x${text}" ${key}`][
    i % 4
  ];
  return `1700000000.${String(i * 700).padStart(6, '0')} [0 ${SOURCES[i % 3]}] ${args}`;
});
const damaged = ['\u001b]0;title\u0007', `${lines[0]} "\u009b2J"`, 'cut \u001b[2J off'];
const capture = Buffer.from([...lines.slice(0, 600), ...damaged, ...lines.slice(600), ''].join('\n'), 'latin1');

for (const args of [
  ['ops'],
  ['model'],
  ['model', '--json'],
  ['plan', '--duration', '1s'],
  ['plan', '--mode', 'exact', '--duration', '500ms'],
]) {
  test(`cutover ${args.join(' ')}`, async () => {
    const path = temporaryFile('hostile.log', capture);
    const { code, stdout, stderr } = await cutover([args[0]!, path, ...args.slice(1)]);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.length > 0);
    assert.doesNotMatch(stdout, OBEYED);
    assert.doesNotMatch(stderr, OBEYED);
  });
}

test('a refusal that a file holds is shown without what terminals obey', async () => {
  const path = temporaryFile('refusal.log', 'NOAUTH \u001b]0;title\u0007 \u009b2J\n');
  const { code, stderr } = await cutover(['ops', path]);
  assert.equal(code, 2);
  assert.match(stderr, /NOAUTH/);
  assert.doesNotMatch(stderr, OBEYED);
});
