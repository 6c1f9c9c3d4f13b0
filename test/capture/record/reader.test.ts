/** From the socket to the disk: the log is written whole, and a disk that stalls or refuses ends the capture. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Pseudonyms } from '../../../src/capture/record/pseudonym.ts';
import { Reader } from '../../../src/capture/record/reader.ts';
import { Redactor } from '../../../src/capture/record/redact.ts';
import { LogWriter } from '../../../src/capture/record/writer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cutover-reader-'));
after(() => rmSync(folder, { recursive: true }));
const secret = Buffer.alloc(32, 1);
const redaction = { values: 'keep', keys: 'keep', secret } as const;
const line = (n: number, source = '127.0.0.1:5000') =>
  `1700000000.${`${n}`.padStart(6, '0')} [0 ${source}] "GET" "k${n}"`;
const sent = (from: number, to: number) =>
  Buffer.from(Array.from({ length: to - from }, (_, i) => `+${line(from + i)}\r\n`).join(''));
const logged = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${line(from + i)}\n`).join('');

function readerOf(writer: LogWriter, ownAddress?: string) {
  const stops: string[] = [];
  const redactor = new Redactor(redaction, new Pseudonyms(secret), { ownAddress });
  const reader = new Reader(writer, redactor, (reason, message) => stops.push(`${reason}: ${message}`));
  return { reader, stops };
}

for (const [name, inflate] of [
  ['log.monitor.zst', zstdDecompressSync],
  ['log.monitor.gz', gunzipSync],
  ['plain.log', (bytes: Buffer) => bytes],
] as const) {
  test(`${name}: every burst begins with OK, and is on the disk when it ends`, async () => {
    const path = join(folder, name);
    const writer = new LogWriter(path);
    for (const burst of [0, 1]) {
      const { reader, stops } = readerOf(writer);
      // In pieces that end anywhere.
      const bytes = sent(burst * 1000, burst * 1000 + 1000);
      for (let at = 0; at < bytes.length; at += 777) reader.take(bytes.subarray(at, at + 777));
      await reader.finish();
      assert.deepEqual(stops, []);
      assert.equal(reader.redactor.lines, 1000);
      assert.ok(readFileSync(path).length > 0);
    }
    await writer.close();
    const text = inflate(readFileSync(path)).toString();
    assert.equal(text, `OK\n${logged(0, 1000)}OK\n${logged(1000, 2000)}`);
  });
}

test('between its marks it counts what the server counted; its own lines are not kept', async () => {
  const writer = new LogWriter(join(folder, 'marks.log'));
  const { reader } = readerOf(writer, '127.0.0.1:9');
  const own = Buffer.from(`+${line(0, '127.0.0.1:9')}\r\n`);
  reader.take(sent(0, 10));
  reader.markFirst(1);
  reader.take(own);
  reader.take(sent(10, 30));
  reader.take(own);
  reader.take(sent(30, 35));
  reader.take(own);
  reader.take(sent(35, 40));
  await reader.markLast(3, 10_000);
  await reader.finish();
  await writer.close();
  assert.deepEqual([...reader.counted!], [['get', { lines: 25, children: 0 }]]);
  assert.equal(readFileSync(join(folder, 'marks.log'), 'utf8'), `OK\n${logged(0, 40)}`);
});

test('a disk that stalls ends the capture when the buffer is full, and the log is whole up to there', async () => {
  const path = join(folder, 'stalled.fifo');
  execFileSync('mkfifo', [path]);
  // Nobody reads yet: opening it waits, as a stalled disk would.
  const writer = new LogWriter(path, 'a');
  const { reader, stops } = readerOf(writer);
  const megabyte = Buffer.from(`+${line(1)}\r\n`.repeat(24_000)).subarray(0, 1 << 20);
  const linesEach = megabyte.toString().split('\n').length - 1;
  const whole = megabyte.subarray(0, megabyte.lastIndexOf('\n') + 1);
  let taken = 0;
  while (stops.length === 0) {
    reader.take(whole);
    taken++;
    assert.ok(taken < 200, 'the buffer has no bound');
    await new Promise((done) => setImmediate(done));
  }
  assert.match(stops[0]!, /^buffer-full: 64 MiB waited/);
  const drain = spawn('wc', ['-l', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  let counted = '';
  drain.stdout.on('data', (chunk) => {
    counted += chunk;
  });
  await reader.finish();
  await writer.close();
  await new Promise((done) => drain.on('close', done));
  assert.equal(Number.parseInt(counted, 10), 1 + taken * linesEach);
});

test('a disk that is full ends the capture', async () => {
  const writer = new LogWriter('/dev/full', 'a');
  const { reader, stops } = readerOf(writer);
  for (let i = 0; i < 100 && stops.length === 0; i++) {
    reader.take(sent(0, 1000));
    await new Promise((done) => setTimeout(done, 1));
  }
  await assert.rejects(reader.finish(), /ENOSPC/);
  await assert.rejects(writer.close(), /ENOSPC/);
  assert.match(stops[0] ?? '', /^disk: the log cannot be written: ENOSPC/);
});
