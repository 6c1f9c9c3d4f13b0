/** Files of every kind: compressed, torn, empty, foreign, damaged; each error says what to do next. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
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
    ['snapshot', 'REDIS0011\u00fa\tredis-ver\u00057.0.15', 'E_CAPTURE_FORMAT', /RDB snapshot/],
    ['append-only file', '*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n', 'E_CAPTURE_FORMAT', /append-only/],
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

test('the clock rule and the server generation', async () => {
  const stamps = (db: number) => `1700000000.000001 [${db} 1.2.3.4:5] "select" "3"\n`;
  const of = async (text: string) => (await readAll(temporaryFile('c.log', text))).capture.summary();
  assert.equal((await of(stamps(3))).clock, 'end');
  assert.equal((await of(stamps(0))).clock, 'start');
  assert.equal((await of('1700000000.000001 [0 1.2.3.4:5] "get" "k"\n')).clock, 'unknown');
  assert.match((await of('1700000000.000001 [0 1.2.3.4:5] "client" "setname" "x"\n')).server, /7\.0 or later/);
});
