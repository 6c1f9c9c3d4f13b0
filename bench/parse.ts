/** How fast captures are parsed: MB/s, and the ratio to `wc -l` on the same warm file. */
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Capture } from '../src/capture/read.ts';
import { Tokenizer } from '../src/capture/tokenize.ts';
import { Fit } from '../src/model/fit.ts';

const FILE_BYTES = 200e6;
const REPEATS = 3;

const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
try {
  console.log(`${'capture'.padEnd(10)}${'what'.padEnd(34)}${'MB/s'.padStart(8)}${'× wc -l'.padStart(9)}`);
  for (const name of ['sessions', 'mixed']) {
    const path = join(folder, `${name}.log`);
    const once = gunzipSync(readFileSync(join(import.meta.dirname, `../captures/${name}.monitor.gz`)));
    const copies = Math.ceil(FILE_BYTES / once.length);
    writeFileSync(path, Buffer.concat(Array.from({ length: copies }, () => once)));
    const bytes = once.length * copies;
    execFileSync('wc', ['-l', path]);
    const reference = await median(() => Promise.resolve(execFileSync('wc', ['-l', path])));
    const print = (what: string, seconds: number) =>
      console.log(
        `${name.padEnd(10)}${what.padEnd(34)}${(bytes / 1e6 / seconds).toFixed(0).padStart(8)}${(seconds / reference).toFixed(1).padStart(9)}`,
      );
    print('wc -l', reference);
    print('tokenize', await median(() => tokenize(path)));
    print('tokenize, commands and first keys', await median(() => view(path)));
    print('whole model', await median(() => model(path)));
  }
} finally {
  rmSync(folder, { recursive: true });
}

async function median(work: () => Promise<unknown>): Promise<number> {
  const seconds: number[] = [];
  for (let i = 0; i < REPEATS; i++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return seconds.sort((a, b) => a - b)[REPEATS >> 1]!;
}

async function tokenize(path: string): Promise<number> {
  const tokenizer = new Tokenizer();
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) tokenizer.push(chunk as Buffer);
  return tokenizer.parsed;
}

async function view(path: string): Promise<number> {
  let length = 0;
  for await (const op of new Capture(path).batches()) while (op.next()) if (op.argCount > 1) length += op.arg(1).length;
  return length;
}

async function model(path: string): Promise<void> {
  const fit = new Fit();
  for await (const op of new Capture(path).batches()) while (op.next()) fit.add(op);
}
