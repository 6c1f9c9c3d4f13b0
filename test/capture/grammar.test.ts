/** The grammar, line by line: what is accepted, and every reason for a reject. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REJECT_REASONS } from '../../src/capture/line.ts';
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
    'unix:/odd] "path': 'command',
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

const head = '1700000000.000001 ';
const good = `${head}[0 1.2.3.4:5] "get" "k"\n`;

test('what proxies and container logs print before a line is passed over', () => {
  for (const prefix of ['[ proxy49 ] ', 'redis-1  | ', '2026-01-01T00:00:00.000000001Z +']) {
    const { ops, tokenizer } = read(prefix + good);
    assert.deepEqual(
      ops.map((op) => op.args.map(String)),
      [['get', 'k']],
      prefix,
    );
    assert.equal(tokenizer.rejects.size, 0);
  }
});

test('each reject is counted under its reason, with its first line and offset', () => {
  const lines: Record<string, string[]> = {
    'no-time': ['hello "get"', '1700000000 [0 lua] "get"', '1700000000.1234567890 [0 lua] "get"', `x${good.trimEnd()}`],
    'no-header': [`${head}get "k"`, `${head} [0 lua] "get"`],
    'bad-database': [`${head}[9x 1.2.3.4:5] "get"`, `${head}[ 1.2.3.4:5] "get"`, `${head}[1234567890 lua] "get"`],
    'bad-source': [
      ...['somewhere', '1.2.3.4', '1.2.3.4:', '1.2.3.4:123456', '1.2.3.4:5x', '::1:80', '[::1:80', '[]:80', '[::1]'],
      ...['[::1 ]:80', 'luau', ' lua', '?:1', 'unix:/path', 'unix'],
    ].map((source) => `${head}[0 ${source}] ${source.startsWith('unix') ? '' : '"get"'}`),
    'no-arguments': [`${head}[0 1.2.3.4:5]`, `${head}[0 1.2.3.4:5] `, `${head}[0 lua]\r`],
    'no-opening-quote': [
      `${head}[0 1.2.3.4:5] get`,
      `${head}[0 lua]  "get"`,
      `${head}[0 lua] "get" `,
      `${head}[0 lua] "a"  "b"`,
    ],
    'no-closing-quote': [`${head}[0 1.2.3.4:5] "get`, `${head}[0 lua] "get" "`, `${head}[0 lua] "get" "\\"\r`],
    'bad-escape': ['\\q', '\\v', '\\0', '\\xFF', '\\x1', '\\x', '\\u0041', "\\'"].map(
      (text) => `${head}[0 1.2.3.4:5] "get" "${text}"`,
    ),
    'raw-byte': ['\0', '\u0001', '\t', '\r', '\u001b[31m', '\u007f', '\u00e9'].map(
      (byte) => `${head}[0 1.2.3.4:5] "get" "${byte}"`,
    ),
    'bytes-after-argument': [`${head}[0 1.2.3.4:5] "get" "k"x`, `${head}[0 lua] "get"\t`, `${head}[0 lua] "get"'k'`],
  };
  assert.deepEqual(
    [...Object.keys(lines), 'too-long', 'too-many-arguments', 'no-command'].sort(),
    [...REJECT_REASONS].sort(),
  );
  for (const [reason, forms] of Object.entries(lines)) {
    for (const line of forms) {
      const { ops, tokenizer } = read(`${good}${line}\n${line}\n${good}`);
      assert.equal(ops.length, 2, JSON.stringify(line));
      const reject = { count: 2, firstLine: 2, firstOffset: good.length };
      assert.deepEqual([...tokenizer.rejects], [[reason, reject]], JSON.stringify(line));
    }
  }
});

test('a line beyond the longest possible is skipped in bounded memory', () => {
  const long = Buffer.alloc(30_000, 'x');
  const { ops, tokenizer } = tokenizeAll(
    [Buffer.from(good), ...new Array(9).fill(long), Buffer.from(`\n${good}`), ...new Array(4).fill(long)],
    { maxLineBytes: 100_000 },
  );
  assert.equal(ops.length, 2);
  assert.deepEqual([...tokenizer.rejects], [['too-long', { count: 1, firstLine: 2, firstOffset: good.length }]]);
  assert.equal(tokenizer.lines, 3);
  assert.equal(tokenizer.tornLastLine, true);
});

test('many arguments, many records and long values', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => `"a${i}"`).join(' ');
  const nul = '\\x00'.repeat(1 << 20);
  const { ops, tokenizer } = read(
    `${head}[0 1.2.3.4:5] "del" ${many}\n${head}[0 1.2.3.4:5] "set" "k" "${nul}"\n${good.repeat(40_000)}${head}[0 1.2.3.4:5] "mset" ${`${many} `.repeat(8)}"z"\n`,
  );
  assert.equal(tokenizer.rejects.size, 0);
  assert.equal(ops.length, 40_003);
  assert.equal(ops[0]?.args.length, 10_001);
  assert.equal(ops[0]?.args.at(-1)?.toString(), 'a9999');
  assert.deepEqual(ops[1]?.args[2], Buffer.alloc(1 << 20));
  assert.ok(ops.slice(2, -1).every((op) => op.args.length === 2 && op.client === '1.2.3.4:5'));
  assert.equal(ops.at(-1)?.args.length, 80_002);
  assert.equal(ops.at(-1)?.args.at(-1)?.toString(), 'z');
  assert.equal(ops.at(-1)?.line, 40_003);
});

test('many sources keep their numbers', () => {
  const sources = Array.from({ length: 5000 }, (_, i) => `10.0.${i >> 8}.${i & 255}:${1000 + i}`);
  const text = [...sources, ...sources].map((source) => `${head}[0 ${source}] "ping"\n`).join('');
  const { ops, tokenizer } = read(text);
  assert.deepEqual(
    ops.map((op) => op.client),
    [...sources, ...sources],
  );
  assert.deepEqual(
    sources.map((_, number) => tokenizer.source(number)),
    sources,
  );
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
  assert.equal(tokenizer.approximateLines, 1);
  assert.equal(tokenizer.rejects.size, 0);
});

test('once quotes are known to be left as they are, backslashes are too', () => {
  const { ops, tokenizer } = read(
    ['"set" "k" "{"a":1}"', '"set" "k" "C:\\\\x \\"y"', '"set" "k" "end\\"', '"set" "k" "{"torn":"']
      .map((args) => `${head}[0 1.2.3.4:5] ${args}`)
      .join('\n'),
  );
  assert.deepEqual(
    ops.map((op) => op.args.at(-1)?.toString()),
    ['{"a":1}', 'C:\\\\x \\"y', 'end\\'],
  );
  assert.equal(tokenizer.approximateLines, 3);
  assert.equal(tokenizer.tornLastLine, true);
});

test('one damaged line does not change how escaped quotes are read', () => {
  const json = `${head}[0 1.2.3.4:5] "set" "k" "{\\"a\\":1}"`;
  const glued = `${head}[0 1.2.3.4:5] "set" "k" "cut off${good.trimEnd()}`;
  const { ops, tokenizer } = read([...new Array(50).fill(json), glued, ...new Array(50).fill(json), ''].join('\n'));
  assert.equal(ops.length, 100);
  assert.ok(ops.every((op) => op.args[2]?.toString() === '{"a":1}'));
  assert.equal(tokenizer.approximateLines, 0);
  assert.deepEqual(
    [...tokenizer.rejects].map(([reason, { firstLine }]) => [reason, firstLine]),
    [['bytes-after-argument', 51]],
  );
});

test('credentials never leave the parser', () => {
  const { ops } = read(
    [
      '"auth" "hunter2"',
      '"AUTH" "user" "hunter2"',
      '"hello" "3" "auth" "user" "hunter2" "setname" "x"',
      '"hello" "3" "auth" "auth" "hunter2" "AUTH" "user" "hunter2"',
      '"migrate" "h" "1" "k" "0" "9" "AUTH" "hunter2"',
      '"migrate" "h" "1" "" "0" "9" "AUTH" "hunter2" "KEYS" "auth" "k"',
      String.raw`"a\x75th" "hunter2"`,
      '"migrate" "h" "1" "" "0" "9" "AUTH2" "hunter2" "hunter2" "KEYS" "k"',
      '"acl" "setuser" "u" ">hunter2"',
      '"config" "set" "requirepass" "hunter2"',
      '',
    ]
      .map((args, i) => (args === '' ? '' : `1700000000.0000${10 + i} [0 1.2.3.4:5] ${args}`))
      .join('\n'),
  );
  assert.equal(ops.length, 10);
  assert.ok(!JSON.stringify(ops.map((op) => op.args.map(String))).includes('hunter2'));
  assert.deepEqual(ops[2]?.args.map(String), ['hello', '3', 'auth', '(redacted)', '(redacted)', 'setname', 'x']);
});

test('children of a module belong to the command behind them', () => {
  const { ops } = read(
    [
      '1700000000.000001 [0 ] "set" "k" "v"',
      '1700000000.000002 [0 ] "expire" "k" "9"',
      '1700000000.000003 [0 1.2.3.4:5] "module.command" "k"',
      '',
    ].join('\n'),
  );
  assert.deepEqual(
    ops.map((op) => [op.kind, op.parentLine]),
    [
      ['module-child', 3],
      ['module-child', 3],
      ['command', 0],
    ],
  );
});
