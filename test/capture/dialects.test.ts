/** What other servers, other clients and what stands between print: the same ops come out, and what follows is said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlainOp, readAll, temporaryFile, tokenizeAll } from '../support/capture.ts';

const GET = String.raw`1700000000.000042 [3 1.2.3.4:5] "get" "k\"\\\n\xff"`;
const KEY = Buffer.from('k"\\\n\u00ff', 'latin1');
const read = (text: string) => tokenizeAll([Buffer.from(text, 'latin1')]);
const brief = (op: PlainOp | undefined) =>
  op && [op.atUs % 1e6, op.db, op.client, op.args.map((arg) => arg.toString('latin1')).join(' ')];
const summaryOf = async (text: string) =>
  (await readAll(temporaryFile('c.log', Buffer.from(text, 'latin1')))).capture.summary();
const ids = (summary: { caveats: { id: string }[] }) => summary.caveats.map(({ id }) => id);

test('forms around a line', () => {
  const quoted = JSON.stringify(GET);
  const forms: Record<string, string> = {
    'redis-cli': `OK\n${GET}\n`,
    'redis-cli --csv, --json': `"OK"\n${quoted}\n`,
    // As redis-cli prints it: escaped twice, with the quotes of the second time left as they are.
    'redis-cli --quoted-json': `"OK"\n"${GET.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\\', '\\\\')}"\n`,
    'raw socket': `+OK\r\n+${GET}\r\n`,
    telnet: `Trying 127.0.0.1...\r\nConnected to localhost.\r\nEscape character is '^]'.\r\n+OK\r\n+${GET}\r\n`,
    'script(1)': `Script started on 2026-11-23 12:00:00+00:00 [COMMAND="redis-cli MONITOR"]\r\nOK\r\n${GET}\r\nScript done on 2026-11-23\r\n`,
    'a terminal of a terminal': `OK\r\r\n${GET}\r\r\n`,
    'a prompt': `127.0.0.1:6379> MONITOR\nOK\n${GET}\n`,
    'byte order mark': `\u00ef\u00bb\u00bf${GET}\n`,
    'docker compose': `redis-1  | OK\nredis-1  | ${GET}\n`.replace('redis-1  | OK\n', ''),
    'docker compose, in colour': `\u001b[33mredis-1  |\u001b[0m ${GET}\n`,
    'kubectl logs --timestamps': `2026-11-23T12:00:00.000000001Z ${GET}\n`,
    'container runtime': `2026-11-23T12:00:00.000000001Z stdout F ${GET}\n`,
    'docker json-file': `${JSON.stringify({ log: `${GET}\n`, stream: 'stdout', time: '2026-11-23T12:00:00Z' }).replaceAll('k', '\\u006b')}\n`,
    syslog: `Nov 23 12:00:00 host redis-monitor[42]: ${GET}\n`,
    'Redis Enterprise': `[ proxy49 ] ${GET}\n`,
  };
  for (const [form, text] of Object.entries(forms)) {
    const { ops, tokenizer } = read(text);
    assert.deepEqual([...tokenizer.rejects], [], form);
    assert.deepEqual(ops.map(brief), [[42, 3, '1.2.3.4:5', `get ${KEY.toString('latin1')}`]], form);
  }
});

test('an end of line given with redis-cli -D is named', async () => {
  const record = '1700000000.000001 [0 1.2.3.4:5] "get" "k"';
  await assert.rejects(readAll(temporaryFile('c.log', `OK--${record}--${record}--`)), {
    code: 'E_CAPTURE_DELIMITER',
    message: /end in "--"/,
  });
});

test('fractions of one to nine digits', () => {
  for (const [fraction, micros] of Object.entries({
    '5': 500_000,
    '25': 250_000,
    '0625': 62_500,
    '123456': 123_456,
    '1234567': 123_456,
    '123456999': 123_456,
  })) {
    const { ops } = read(`1700000000.${fraction} [0 1.2.3.4:5] "get" "k"\n`);
    assert.equal(ops[0]?.atUs, 1_700_000_000_000_000 + micros, fraction);
  }
});

test('Kvrocks: namespaces, fractions without leading zeros, more escapes', async () => {
  const text = [
    '1700000000.42 [__namespace 1.2.3.4:5] "get" "a\\v\\f"',
    '1700000000.123456 [tenant_1 1.2.3.4:6] "get" "b"',
    '1700000001.7 [__namespace 1.2.3.4:5] "get" "c"',
    '',
  ].join('\n');
  const { ops } = read(text);
  assert.deepEqual(ops.map(brief), [
    [42, 0, '1.2.3.4:5', 'get a\v\f'],
    [123_456, 1, '1.2.3.4:6', 'get b'],
    [7, 0, '1.2.3.4:5', 'get c'],
  ]);
  const summary = await summaryOf(text);
  assert.equal(summary.server, 'Kvrocks');
  assert.deepEqual(ids(summary), ['capture-namespaces']);
  // Elsewhere these are no escapes.
  assert.deepEqual([...read('1700000000.42 [0 1.2.3.4:5] "get" "a\\v"\n').tokenizer.rejects.keys()], ['bad-escape']);
});

test('Dragonfly: replication, seven digits, upper case', async () => {
  const text = '1700000000.1234567 [0 1.2.3.4:5] "SET" "k" "v"\n1700000000.1234569 [0 REPLICATION:0] "SET" "k" "v"\n';
  const { ops } = read(text);
  assert.deepEqual(
    ops.map((op) => [op.client, op.kind]),
    [
      ['1.2.3.4:5', 'command'],
      ['REPLICATION:0', 'command'],
    ],
  );
  const summary = await summaryOf(text);
  assert.equal(summary.server, 'Dragonfly');
  assert.deepEqual(ids(summary), ['capture-threads']);
});

test('Redis Enterprise: a proxy’s lines, slightly out of order', async () => {
  const text = [9, 7, 8].map((i) => `[ proxy4 ] 1700000000.00000${i} [0 1.2.3.4:5] "get" "k"\n`).join('');
  const summary = await summaryOf(text);
  assert.equal(summary.server, 'Redis Enterprise');
  assert.deepEqual(ids(summary), ['capture-proxy']);
  assert.deepEqual(
    read(text).ops.map((op) => op.atUs % 10),
    [9, 7, 8],
  );
});

test('Redis 2.4 and earlier: no client, a database if it is not 0, line feeds as lone backslashes', async () => {
  const text = '1700000000.000001 "get" "a"\n1700000000.000002 (db 3) "set" "b" "1\\ 2"\n';
  const { ops } = read(text);
  assert.deepEqual(ops.map(brief), [
    [1, 0, 'unknown', 'get a'],
    [2, 3, 'unknown', 'set b 1\\ 2'],
  ]);
  const summary = await summaryOf(text);
  assert.equal(summary.server, 'Redis 2.4 or earlier');
  assert.ok(ids(summary).includes('capture-no-clients'));
  for (const line of ['1700000000.000001 (db x) "get"', '1700000000.000001 (db 1)"get"', '1700000000.000001 (db 1)']) {
    assert.equal(read(`${line}\n`).ops.length, 0, line);
  }
});

test('Pika: the time as a double', async () => {
  assert.equal((await summaryOf('1700000000.25 [0 1.2.3.4:5] "get" "k"\n')).server, 'Pika');
});

test('Valkey 8.1.0 and 8.1.1 are flagged for the whole file', async () => {
  const text = [
    '1700000000.000001 [0 1.2.3.4:5] "set" "k" "{"a":1}"',
    '1700000000.000002 [0 1.2.3.4:5] "set" "k" "plain"',
    '',
  ].join('\n');
  const summary = await summaryOf(text);
  assert.equal(summary.server, 'Valkey 8.1.0 or 8.1.1');
  assert.deepEqual(ids(summary), ['capture-unescaped']);
  // Known from elsewhere, even lines that could be read strictly are read so.
  const line = '1700000000.000001 [0 1.2.3.4:5] "set" "k" "C:\\\\x"\n';
  const values = [{}, { unescaped: true }].map((options) =>
    tokenizeAll([Buffer.from(line)], options).ops[0]!.args[2]!.toString(),
  );
  assert.deepEqual(values, ['C:\\x', 'C:\\\\x']);
});

test('what looks like a prefix or a wrapping and is none is rejected', () => {
  for (const line of [
    `x${GET}`,
    `lue" ${GET}`.replace(' 1700', '"1700'),
    '"1700000000.000001',
    '"no record"',
    '{"log":"no record\\n"}',
    '{"log":"',
    '"\\u00zz"',
    '"\\',
    '""""',
  ]) {
    const { ops, tokenizer } = read(`${line}\n${GET}\n`);
    assert.equal(ops.length, 1, line);
    assert.equal(
      [...tokenizer.rejects.values()].reduce((sum, { count }) => sum + count, 0),
      1,
      line,
    );
    assert.equal(ops[0]!.line, 2);
  }
});
