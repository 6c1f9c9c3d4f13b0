/** How fast captures are parsed: ratios to `wc -l` on the same warm file in the same run, MB/s and memory, on one thread but where it says two. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { splitCapture } from '../src/capture/split.ts';
import { buildModel } from '../src/model/build.ts';
import { countFamilies } from './count.ts';
import type { Stretch } from './count-thread.ts';
import { tokenize } from './tokenize.ts';

const FILE_BYTES = Number(process.argv[3] ?? 200) * 1e6;
const ROUNDS = Number(process.argv[2] ?? 7);
/** The model takes longer by far: it is measured less often. */
const MODEL_ROUNDS = 2;

const INPUTS = {
  'short lines': { captures: ['mixed'], minLineBytes: 0 },
  'long lines': { captures: ['sessions', 'mixed'], minLineBytes: 150 },
};

const threads: Worker[] = [];

type Work = (path: string) => Promise<unknown> | unknown;
const REFERENCE = 'wc -l';
const WORKS: Record<string, { run: Work; rounds: number }> = {
  [REFERENCE]: { run: (path) => execFileSync('wc', ['-l', path]), rounds: ROUNDS },
  tokenize: { run: (path) => tokenize(path), rounds: ROUNDS },
  'tokenize, two threads': { run: inThreads('tokenize'), rounds: ROUNDS },
  'count by family': { run: (path) => countFamilies(path), rounds: ROUNDS },
  'count by family, two threads': { run: inThreads('count'), rounds: ROUNDS },
  'whole model': { run: wholeModel(Number.POSITIVE_INFINITY), rounds: MODEL_ROUNDS },
  'whole model, two threads': { run: wholeModel(1 << 20), rounds: MODEL_ROUNDS },
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
      for (const [work, { run, rounds }] of Object.entries(WORKS)) {
        if (round >= rounds) continue;
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

/** Repeats lines of the shipped captures, a pause later each time, until the file is long enough; returns their number. */
function writeCapture(path: string, { captures, minLineBytes }: (typeof INPUTS)[keyof typeof INPUTS]): number {
  const lines = captures
    .flatMap((name) =>
      gunzipSync(readFileSync(join(import.meta.dirname, `../captures/${name}.monitor.gz`)))
        .toString('latin1')
        .split('\n')
        .filter((line) => /^\d{10}\./.test(line) && line.length > minLineBytes),
    )
    .sort((a, b) => (a.slice(0, 17) < b.slice(0, 17) ? -1 : 1));
  const secondOf = (line: string) => Number(line.slice(0, 10));
  const seconds = secondOf(lines.at(-1)!) - secondOf(lines[0]!) + 1;
  const piece = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  const times = Math.ceil(FILE_BYTES / piece.length);
  writeFileSync(path, '');
  for (let i = 0; i < times; i++) {
    let at = 0;
    for (const line of lines) {
      piece.write(String(secondOf(line) + i * seconds), at, 'latin1');
      at += line.length + 1;
    }
    writeFileSync(path, piece, { flag: 'a' });
  }
  return lines.length * times;
}

/** Each stretch of the file by a thread of its own, which has been started before. */
function inThreads(work: Stretch['work']): Work {
  return async (path) =>
    Promise.all(
      (await splitCapture(path, threads.length)).map(async (range, i) => {
        threads[i]!.postMessage({ work, path, range } satisfies Stretch);
        await once(threads[i]!, 'message');
      }),
    );
}

/** Threads that learn are started each time, as they are by the commands. */
function wholeModel(minStretchBytes: number): Work {
  return (path) => buildModel(path, { minStretchBytes });
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
