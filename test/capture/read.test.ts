/** Files of every kind: compressed, torn, empty, foreign, damaged; each error says what to do next. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { Capture } from '../../src/capture/read.ts';
import { CutoverError } from '../../src/errors.ts';
import { readAll, temporaryFile } from '../support/capture.ts';

const root = join(import.meta.dirname, '../..');
const plain = gunzipSync(readFileSync(join(root, 'captures/mixed.monitor.gz')));

const fails = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CutoverError, String(error));
  assert.equal(error.code, code);
  assert.equal(error.oclif.exit, 2);
  assert.match(error.message, pattern);
  assert.ok(error.suggestions.length > 0);
  return true;
};

test('plain, gzip and zstd give the same ops, whatever the name', async () => {
  const counts = [];
  for (const content of [plain, gzipSync(plain), zstdCompressSync(plain)]) {
    const { ops, capture } = await readAll(temporaryFile('capture.log', content));
    counts.push([ops.length, capture.summary().rejected, capture.summary().bytes]);
  }
  assert.deepEqual(counts[1], counts[0]);
  assert.deepEqual(counts[2], counts[0]);
  assert.equal(counts[0]?.[0], plain.toString('latin1').split('\n').length - 2);
});

test('compressed data that ends too early', async () => {
  for (const content of [gzipSync(plain), zstdCompressSync(plain)]) {
    const path = temporaryFile('torn.gz', content.subarray(0, Math.floor(content.length / 2)));
    await assert.rejects(readAll(path), fails('E_CAPTURE_TRUNCATED', /ends in the middle/));
  }
});

test('what is no capture is named', async () => {
  const cases: [string, string | Uint8Array, string, RegExp][] = [
    ['empty', '', 'E_CAPTURE_EMPTY', /is empty/],
    ['only OK', 'OK\n', 'E_CAPTURE_EMPTY', /no command/],
    ['refusal', 'NOAUTH Authentication required.\n\n', 'E_CAPTURE_NOAUTH', /refusal/],
    [
      'no such user',
      'WRONGPASS invalid username-password pair or user is disabled.\n',
      'E_CAPTURE_NOAUTH',
      /WRONGPASS/,
    ],
    ['no such command', "ERR unknown command 'MONITOR'\n", 'E_CAPTURE_REFUSED', /unknown command 'MONITOR'/],
    ['document', '%PDF-1.7\n%\u00e2\u00e3\n1 0 obj\n', 'E_CAPTURE_FORMAT', /not a MONITOR capture/],
    ['snapshot', 'REDIS0011\u00fa\tredis-ver\u00057.0.15', 'E_CAPTURE_FORMAT', /RDB snapshot/],
    ['append-only file without writes', '*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n', 'E_CAPTURE_EMPTY', /no command/],
    ['redis-cli -D', 'OKX1700000000.000001 [0 1.2.3.4:5] "get" "k"X', 'E_CAPTURE_DELIMITER', /end in "X"/],
    ['prose', 'Dear reader,\nthis is a letter.\n', 'E_CAPTURE_FORMAT', /not a MONITOR capture/],
    ['noise', Buffer.alloc(100_000, 0xff), 'E_CAPTURE_FORMAT', /not a MONITOR capture/],
  ];
  for (const [name, content, code, pattern] of cases) {
    await assert.rejects(readAll(temporaryFile(`${name}.log`, content)), fails(code, pattern), name);
  }
  await assert.rejects(readAll('/nonexistent/file.log'), fails('E_CAPTURE_MISSING', /no file/));
  await assert.rejects(readAll(root), fails('E_CAPTURE_DIRECTORY', /folder/));
});

test('more than one per cent of foreign lines is an error, fewer are a caveat', async () => {
  const lines = plain.toString('latin1').split('\n').slice(0, 2001);
  const few = [...lines.slice(0, 1000), 'something else', ...lines.slice(1000)].join('\n');
  const { capture } = await readAll(temporaryFile('few.log', few));
  assert.deepEqual(
    capture.summary().caveats.map((caveat) => caveat.id),
    ['capture-rejects'],
  );
  const many = lines.map((line, i) => (i % 50 === 49 ? 'something else' : line)).join('\n');
  await assert.rejects(readAll(temporaryFile('many.log', many)), fails('E_CAPTURE_REJECTED', /first in line 50/));
});

test('the capture of a replica is refused, unless it is wanted', async () => {
  const { ops } = await readAll(join(import.meta.dirname, 'replica.log.gz'), { replica: true });
  assert.ok(ops.length > 50);
  await assert.rejects(readAll(join(import.meta.dirname, 'replica.log.gz')), fails('E_CAPTURE_REPLICA', /one address/));
});

test('a single writer is not taken for a replica if it does what no primary sends', async () => {
  const writes = Array.from({ length: 40 }, (_, i) => `"set" "k${i}" "v" "KEEPTTL"`);
  const code = async (...others: string[]) => {
    const lines = [...others, ...writes].map((args) => `1700000000.000001 [0 10.0.0.1:6379] ${args}\n`);
    const read = readAll(temporaryFile('c.log', lines.join('')));
    return read.then(
      () => undefined,
      (error: CutoverError) => error.code,
    );
  };
  assert.equal(await code('"ping"', '"select" "0"'), 'E_CAPTURE_REPLICA');
  for (const own of ['"get" "k"', '"hello" "3"', '"spop" "s"', '"blpop" "q" "1"', '"eval" "return 1" "0"']) {
    assert.equal(await code(own), undefined, own);
  }
});

test('the clock rule and the server generation', async () => {
  const of = async (...lines: string[]) => {
    const text = lines.map((line, i) => `1700000000.00000${i} [${line}\n`).join('');
    const { clock, server } = (await readAll(temporaryFile('c.log', text))).capture.summary();
    return `${clock}: ${server}`;
  };
  const after624 = 'end: Redis 6.2.4 or later, or Valkey';
  const before624 = 'start: Redis 6.2.3 or earlier';
  assert.equal(await of('3 1.2.3.4:5] "select" "3"'), after624);
  assert.equal(await of('0 1.2.3.4:5] "select" "3"'), before624);
  // A client that selects the database it is in says nothing.
  assert.equal(
    await of('0 1.2.3.4:5] "select" "3"', '3 1.2.3.4:5] "select" "3"', '3 1.2.3.4:5] "select" "3"'),
    before624,
  );
  assert.equal(await of('0 1.2.3.4:5] "select" "0"'), 'unknown: unknown');
  assert.equal(await of('0 1.2.3.4:5] "get" "k"'), 'unknown: unknown');
  assert.equal(await of('0 1.2.3.4:5] "auth" "(redacted)"'), after624);
  assert.equal(await of('0 1.2.3.4:5] "auth" "hunter2"'), 'start: Redis 5.0.9 or earlier');
  assert.equal(await of('0 1.2.3.4:5] "hello" "3"'), after624);
  assert.equal(await of('0 1.2.3.4:5] "client" "setname" "x"'), 'end: Redis 7.0 or later, or Valkey');
  assert.equal(await of('0 1.2.3.4:5] "quit"', '0 ?:0] "get" "k"'), 'end: Redis 7.0');
  assert.equal(await of('0 1.2.3.4:5] "quit"', '0 ] "get" "k"'), 'end: Redis 7.2 or later, or Valkey');
});

test('ops that the reader leaves are counted all the same', async () => {
  const text = '1700000000.000001 [0 1.2.3.4:5] "eval" "x" "0"\n1700000000.000002 [0 lua] "get" "k"\n';
  const capture = new Capture(temporaryFile('c.log', text));
  for await (const view of capture.batches()) view.next();
  assert.equal(capture.summary().scriptChildren, 1);
  assert.equal(capture.summary().orphans, 0);
});

test('a batch is read only when the one before is done with', async () => {
  const path = temporaryFile('long.log', Buffer.concat(new Array(20).fill(plain)));
  const capture = new Capture(path);
  for await (const view of capture.batches()) {
    assert.ok(view.next());
    break;
  }
  assert.ok(capture.summary().bytes <= 1 << 20);
});
