/** Captures made to hurt: lines without end, bombs, files that change, floods of names. Nothing crashes, memory is bounded. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Capture } from '../../src/capture/read.ts';
import { MAX_ARGUMENTS, MAX_SOURCES } from '../../src/capture/scan.ts';
import { readAll, temporaryFile, tokenizeAll } from '../support/capture.ts';
import { root } from '../support/cli.ts';

const MAX_RSS_BYTES = 256 << 20;
const head = '1700000000.000001 [0 1.2.3.4:5] ';
const good = `${head}"get" "k"\n`;

/** Reads what is piped to it in a process of its own: what came out, and the most memory that it had. */
async function readPiped(
  pieces: Iterable<Buffer>,
): Promise<{ parsed: number; rejected: Record<string, { count: number }>; error: string; rssBytes: number }> {
  const program = `
    const { Capture } = await import(${JSON.stringify(pathToFileURL(join(root, 'src/capture/read.ts')).href)});
    const capture = new Capture('-');
    let error = '';
    try {
      for await (const op of capture.batches()) while (op.next());
    } catch (caught) {
      error = caught.code;
    }
    const { parsed, rejected } = capture.summary();
    console.log(JSON.stringify({ parsed, rejected, error, rssBytes: process.resourceUsage().maxRSS * 1024 }));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  // It may have seen enough before the end.
  child.stdin.on('error', () => {});
  const drained = () => once(child.stdin, 'drain').catch(() => {});
  const closed = once(child, 'close');
  for (const piece of pieces) {
    if (!child.stdin.write(piece)) await Promise.race([drained(), closed]);
    if (child.exitCode !== null) break;
  }
  child.stdin.end();
  await closed;
  return JSON.parse(out);
}

function* repeat(times: number, piece: Buffer): Generator<Buffer> {
  for (let i = 0; i < times; i++) yield piece;
}

test('a line of 300 MiB is counted and passed over', async () => {
  const { parsed, rejected, error, rssBytes } = await readPiped(
    (function* () {
      yield Buffer.from(`${good}${head}"set" "k" "`);
      yield* repeat(300, Buffer.alloc(1 << 20, 'x'));
      yield Buffer.from(`"\n${good.repeat(200)}`);
    })(),
  );
  assert.equal(error, '');
  assert.equal(parsed, 201);
  assert.equal(rejected['too-long']?.count, 1);
  assert.ok(rssBytes < MAX_RSS_BYTES, `${rssBytes}`);
});

test('a gigabyte and more without an end of line is given up', async () => {
  const { parsed, error, rssBytes } = await readPiped(repeat(1200, Buffer.alloc(1 << 20, 'x')));
  assert.equal(error, 'E_CAPTURE_FORMAT');
  assert.equal(parsed, 0);
  assert.ok(rssBytes < MAX_RSS_BYTES, `${rssBytes}`);
});

for (const [name, compress] of Object.entries({ gzip: gzipSync, zstd: zstdCompressSync })) {
  test(`a ${name} bomb is read in bounded memory, and what is behind it too`, async () => {
    const bomb = compress(Buffer.alloc(64 << 20));
    const { parsed, rejected, error, rssBytes } = await readPiped(
      (function* () {
        yield compress(Buffer.from(good));
        yield* repeat(8, bomb);
        yield compress(Buffer.from(`\n${good.repeat(200)}`));
      })(),
    );
    assert.equal(error, '');
    assert.equal(parsed, 201);
    assert.equal(rejected['too-long']?.count, 1);
    assert.ok(rssBytes < MAX_RSS_BYTES, `${rssBytes}`);
  });
}

test('the most arguments there may be, and one more', () => {
  const many = ' ""'.repeat(MAX_ARGUMENTS - 1);
  const { ops, tokenizer } = tokenizeAll([Buffer.from(`${head}"del"${many}\n${head}"del"${many} ""\n${good}`)]);
  assert.deepEqual(
    ops.map((op) => op.args.length),
    [MAX_ARGUMENTS, 2],
  );
  assert.deepEqual([...tokenizer.rejects.keys()], ['too-many-arguments']);
});

test('what grows while it is read ends where it ended at first', async () => {
  const path = temporaryFile('growing.log', good.repeat(20_000));
  const capture = new Capture(path);
  let ops = 0;
  for await (const op of capture.batches()) {
    while (op.next()) ops++;
    appendFileSync(path, good.repeat(100));
  }
  assert.equal(ops, 20_000);
});

test('what shrinks while it is read is read as far as it is there, which is said', async () => {
  const path = temporaryFile('shrinking.log', good.repeat(20_000));
  const capture = new Capture(path);
  let ops = 0;
  for await (const op of capture.batches()) {
    while (op.next()) ops++;
    truncateSync(path, 10);
  }
  assert.ok(ops > 0 && ops < 20_000);
  assert.deepEqual(
    capture.summary().caveats.map(({ id }) => id),
    ['capture-shrank'],
  );
});

test('bytes that no server prints', () => {
  for (const bytes of ['\0', '\u001b[31m', '\u009b', '\u00e9', '\u00c3\u0028', '\u0007', '\u007f', '\t']) {
    for (const line of [`${head}"get" "${bytes}"`, `${head.replace('1.2', bytes)}"get"`, `${bytes}`]) {
      const { ops, tokenizer } = tokenizeAll([Buffer.from(`${good}${line}\n${good}`, 'latin1')]);
      assert.equal(ops.length, 2);
      assert.equal(tokenizer.rejects.size, 1, JSON.stringify(line));
    }
  }
});

test('a flood of addresses and of names', async () => {
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => {
      const n = from + i;
      return `1700000000.000001 [0 10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:${n % 60_000}] "c${n % 9000}" "k"\n`;
    }).join('');
  const more = MAX_SOURCES + 1000;
  const pieces = (function* () {
    for (let n = 0; n < more; n += 50_000) yield Buffer.from(lines(n, Math.min(more, n + 50_000)));
    yield Buffer.from(lines(0, 1000));
  })();
  const { parsed, rejected, rssBytes } = await readPiped(pieces);
  assert.equal(parsed, more + 1000);
  assert.deepEqual(rejected, {});
  assert.ok(rssBytes < MAX_RSS_BYTES, `${rssBytes}`);
});

test('a flood of module children keeps its parent', () => {
  const count = 100_000;
  const { ops } = tokenizeAll([Buffer.from(`${'1700000000.000001 [0 ] "set" "k" "v"\n'.repeat(count)}${good}`)]);
  assert.equal(ops.length, count + 1);
  const parents = new Set(ops.slice(-1000, -1).map((op) => op.parentLine));
  assert.deepEqual([...parents], [count + 1]);
});

test('a folder, a device, a file that may not be read', async () => {
  await assert.rejects(readAll(root), { code: 'E_CAPTURE_DIRECTORY' });
  await assert.rejects(readAll('/dev/null'), { code: 'E_CAPTURE_EMPTY' });
  await assert.rejects(readAll(`${root}/package.json/nothing`), { code: 'E_CAPTURE_READ' });
});
