/** How fast captures are parsed: ratios to `wc -l` on the same warm file in the same run, MB/s and memory, on one thread but where it says two. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { openInput } from '../src/capture/input.ts';
import { Capture } from '../src/capture/read.ts';
import { splitCapture } from '../src/capture/split.ts';
import { Tokenizer } from '../src/capture/tokenize.ts';
import { Fit } from '../src/model/fit.ts';
import { countOps } from './count.ts';

const FILE_BYTES = 150e6;
const ROUNDS = Number(process.argv[2] ?? 7);
/** The model takes longer by far: it is measured less often. */
const MODEL_ROUNDS = 1;

const INPUTS = {
  'short lines': { captures: ['mixed'], minLineBytes: 0 },
  'long lines': { captures: ['sessions', 'mixed'], minLineBytes: 150 },
};

const threads: Worker[] = [];

type Work = (path: string) => Promise<unknown> | unknown;
const REFERENCE = 'wc -l';
const WORKS: Record<string, Work> = {
  [REFERENCE]: (path) => execFileSync('wc', ['-l', path]),
  tokenize,
  'ops, commands and keys counted': (path) => countOps(path),
  'the same by two threads': countInThreads,
  'whole model': model,
};

for (let i = 0; i < 2; i++) threads.push(new Worker(new URL('./count-thread.ts', import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
try {
  for (const [name, input] of Object.entries(INPUTS)) {
    const path = join(folder, `${name.replace(' ', '-')}.log`);
    const lines = writeCapture(path, input);
    const { size } = statSync(path);
    console.log(`\n${name}: ${(size / lines).toFixed(0)} bytes on average, ${(size / 1e6).toFixed(0)} MB`);
    console.log(
      `${''.padEnd(32)}${['MB/s', 'ns/line', '× wc -l', '(best)', 'RSS MiB'].map((title) => title.padStart(10)).join('')}`,
    );
    const seconds = new Map<string, number[]>();
    const rss = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [work, run] of Object.entries(WORKS)) {
        if (run === model && round >= MODEL_ROUNDS) continue;
        const start = performance.now();
        await run(path);
        seconds.set(work, [...(seconds.get(work) ?? []), (performance.now() - start) / 1000]);
        rss.set(work, Math.max(rss.get(work) ?? 0, process.memoryUsage.rss()));
      }
    }
    const reference = seconds.get(REFERENCE)!;
    for (const [work, times] of seconds) {
      const time = median(times);
      // Each to the reference of its own round: what else runs on the machine disturbs both.
      const ratio = median(times.map((one, round) => one / reference[round]!));
      const best = Math.min(...times) / Math.min(...reference);
      const columns = [
        (size / 1e6 / time).toFixed(0),
        ((time * 1e9) / lines).toFixed(0),
        ratio.toFixed(1),
        best.toFixed(1),
        work === REFERENCE ? '' : (rss.get(work)! / 2 ** 20).toFixed(0),
      ];
      console.log(`${work.padEnd(32)}${columns.map((column) => column.padStart(10)).join('')}`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
  for (const thread of threads) await thread.terminate();
}

/** Repeats lines of the shipped captures until the file is long enough; returns their number. */
function writeCapture(path: string, { captures, minLineBytes }: (typeof INPUTS)[keyof typeof INPUTS]): number {
  const lines = captures.flatMap((name) =>
    gunzipSync(readFileSync(join(import.meta.dirname, `../captures/${name}.monitor.gz`)))
      .toString('latin1')
      .split('\n')
      .filter((line) => line.length > minLineBytes),
  );
  const piece = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  const times = Math.ceil(FILE_BYTES / piece.length);
  writeFileSync(path, '');
  for (let i = 0; i < times; i++) appendFileSync(path, piece);
  return lines.length * times;
}

async function tokenize(path: string): Promise<number> {
  const tokenizer = new Tokenizer();
  const input = await openInput(path);
  for await (const _ of input.feed(tokenizer)) while (tokenizer.next());
  await input.close();
  return tokenizer.parsed;
}

/** The same count, each stretch of the file in a thread of its own, which has been started before. */
async function countInThreads(path: string): Promise<number> {
  const counts = await Promise.all(
    (await splitCapture(path, threads.length)).map(async (range, i) => {
      threads[i]!.postMessage({ path, range });
      const [counted] = (await once(threads[i]!, 'message')) as [number];
      return counted;
    }),
  );
  return counts.reduce((a, b) => a + b);
}

async function model(path: string): Promise<void> {
  const fit = new Fit();
  for await (const op of new Capture(path).batches()) while (op.next()) fit.add(op);
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
