/** The grammar, line by line: what is accepted, and every reason for a reject. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REJECT_REASONS } from '../../src/capture/tokenize.ts';
import { tokenizeAll } from '../support/capture.ts';

const read = (text: string) => tokenizeAll([Buffer.from(text, 'latin1')]);
const texts = (text: string) => read(text).ops.map((op) => op.args.map((arg) => arg.toString('latin1')));

test('sources of every form', () => {
  const forms = {
    '127.0.0.1:6379': 'command',
    '[::1]:52134': 'command',
    '[::ffff:10.1.2.3]:80': 'command',
    '[fe80::1%eth0]:6379': 'command',
    'unix:/run/redis.sock': 'command',
    'unix:/odd path/with [brackets] and spaces': 'command',
    lua: 'script-child',
    '': 'module-child',
    '?:0': 'module-child',
  };
  for (const [source, kind] of Object.entries(forms)) {
    const { ops, tokenizer } = read(`1700000000.000001 [3 ${source}] "get" "k"\n`);
    assert.deepEqual([...tokenizer.rejects.keys()], [], source);
    assert.equal(ops[0]?.client, source);
    assert.equal(ops[0]?.kind, kind);
    assert.equal(ops[0]?.db, 3);
    assert.equal(ops[0]?.atUs, 1_700_000_000_000_001);
  }
});

test('line ends, leading plus, OK again, blank lines and a byte order mark', () => {
  const line = '1700000000.000001 [0 1.2.3.4:5] "get" "k"';
  for (const text of [
    `${line}\n`,
    `${line}\r\n`,
    `+OK\r\n+${line}\r\n`,
    `OK\n\n${line}\nOK\n`,
    `\u00ef\u00bb\u00bfOK\n${line}\n`,
    line,
  ]) {
    const { ops, tokenizer } = read(text);
    assert.equal(ops.length, 1, JSON.stringify(text));
    assert.equal(tokenizer.rejects.size, 0, JSON.stringify(text));
    assert.equal(tokenizer.tornLastLine, false);
  }
});

test('every escape, and arguments that imitate the format', () => {
  const line = (args: string) => `1700000000.000001 [0 1.2.3.4:5] ${args}\n`;
  assert.deepEqual(texts(line(String.raw`"set" "\"\\\n\r\t\a\b\x00\xff" ""`)), [
    ['set', '"\\\n\r\t\u0007\b\u0000\u00ff', ''],
  ]);
  assert.deepEqual(texts(line(String.raw`"set" "a\" \"b" "1700000000.000001 [0 x] \"get\""`)), [
    ['set', 'a" "b', '1700000000.000001 [0 x] "get"'],
  ]);
});

test('a torn last line is noticed, not rejected', () => {
  const { ops, tokenizer } = read(
    '1700000000.000001 [0 1.2.3.4:5] "get" "k"\n1700000000.000002 [0 1.2.3.4:5] "get" "lo',
  );
  assert.equal(ops.length, 1);
  assert.equal(tokenizer.tornLastLine, true);
  assert.equal(tokenizer.rejects.size, 0);
});

test('each reject is counted under its reason, with its first line and offset', () => {
  const head = '1700000000.000001 ';
  const lines: Record<string, string> = {
    'no-time': 'hello "get"',
    'no-header': `${head}"get" "k"`,
    'bad-database': `${head}[x 1.2.3.4:5] "get"`,
    'bad-source': `${head}[0 somewhere] "get"`,
    'no-arguments': `${head}[0 1.2.3.4:5]`,
    'no-opening-quote': `${head}[0 1.2.3.4:5] get`,
    'no-closing-quote': `${head}[0 1.2.3.4:5] "get`,
    'bad-escape': `${head}[0 1.2.3.4:5] "get" "\\q"`,
    'raw-byte': `${head}[0 1.2.3.4:5] "get" "\u0001"`,
    'bytes-after-argument': `${head}[0 1.2.3.4:5] "get" "k"x`,
  };
  assert.deepEqual([...Object.keys(lines), 'too-long'].sort(), [...REJECT_REASONS].sort());
  const good = `${head}[0 1.2.3.4:5] "get" "k"\n`;
  for (const [reason, line] of Object.entries(lines)) {
    const { ops, tokenizer } = read(`${good}${line}\n${line}\n${good}`);
    assert.equal(ops.length, 2, reason);
    assert.deepEqual([...tokenizer.rejects], [[reason, { count: 2, firstLine: 2, firstOffset: good.length }]], reason);
  }
});

test('a line beyond the longest possible is skipped in bounded memory', () => {
  const chunk = Buffer.alloc(64 << 20, 'x');
  const good = Buffer.from('1700000000.000001 [0 1.2.3.4:5] "get" "k"\n');
  const { ops, tokenizer } = tokenizeAll([good, ...new Array(9).fill(chunk), Buffer.from('\n'), good]);
  assert.equal(ops.length, 2);
  assert.deepEqual([...tokenizer.rejects.keys()], ['too-long']);
});

test('children belong to their call, also when a busy script lets others in between', () => {
  const { ops } = read(
    [
      '1700000000.000001 [0 1.2.3.4:5] "evalsha" "abc" "1" "k"',
      '1700000000.000002 [0 lua] "get" "k"',
      '1700000000.000003 [0 1.2.3.4:6] "multi"',
      '1700000000.000004 [0 lua] "set" "k" "v"',
      '1700000000.000005 [0 1.2.3.4:6] "get" "k"',
      '1700000000.000006 [0 lua] "get" "k"',
      '',
    ].join('\n'),
  );
  assert.deepEqual(
    ops.map((op) => [op.kind, op.parentLine]),
    [
      ['command', 0],
      ['script-child', 1],
      ['command', 0],
      ['script-child', 1],
      ['command', 0],
      ['script-child', 0],
    ],
  );
});

test('quotes that Valkey 8.1.0 and 8.1.1 leave as they are', () => {
  const { ops, tokenizer } = read(
    '1700000000.000001 [0 1.2.3.4:5] "set" "k" "{"a":1,"b":"c\\d"}"\n1700000000.000002 [0 1.2.3.4:5] "set" "k" "x\\n"\n',
  );
  assert.deepEqual(
    ops.map((op) => op.args.at(-1)?.toString()),
    ['{"a":1,"b":"c\\d"}', 'x\n'],
  );
  assert.equal(tokenizer.recovered, 1);
  assert.equal(tokenizer.rejects.size, 0);
});

test('credentials never leave the parser', () => {
  const { ops } = read(
    [
      '"auth" "hunter2"',
      '"AUTH" "user" "hunter2"',
      '"hello" "3" "auth" "user" "hunter2" "setname" "x"',
      '"migrate" "h" "1" "k" "0" "9" "AUTH" "hunter2"',
      '"migrate" "h" "1" "" "0" "9" "AUTH2" "hunter2" "hunter2" "KEYS" "k"',
      '"acl" "setuser" "u" ">hunter2"',
      '"config" "set" "requirepass" "hunter2"',
      '',
    ]
      .map((args, i) => (args === '' ? '' : `1700000000.00000${i} [0 1.2.3.4:5] ${args}`))
      .join('\n'),
  );
  assert.equal(ops.length, 7);
  assert.ok(!JSON.stringify(ops.map((op) => op.args.map(String))).includes('hunter2'));
  assert.deepEqual(ops[2]?.args.map(String), ['hello', '3', 'auth', '(redacted)', '(redacted)', 'setname', 'x']);
});
