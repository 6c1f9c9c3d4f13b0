/**
 * How long the built command takes for a large capture, and what memory: ratios to `wc -l` on the same warm file in the same
 * run. Everything in processes of their own, from their start to their end. `command.ts [ROUNDS] [MB]`, after `npm run build`.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { INPUTS, writeCapture } from './inputs.ts';
import { printHeader, printRow } from './table.ts';

const ROUNDS = Number(process.argv[2] ?? 3);
const FILE_BYTES = Number(process.argv[3] ?? 2000) * 1e6;

/** Makes a process write the peak of its resident set into a file when it ends; needs nothing that takes memory itself. */
const notePeak = `data:text/javascript,${encodeURIComponent(`
  import { readFileSync, writeFileSync } from 'node:fs';
  process.on('exit', () => {
    const [, kib] = /VmHWM:\\s*(\\d+)/.exec(readFileSync('/proc/self/status', 'latin1'));
    writeFileSync(process.env.PEAK_FILE, String(kib * 1024));
  });`)}`;
const built = (path: string) => join(import.meta.dirname, '../dist', path);
const buildOnly = `import(${JSON.stringify(built('src/model/build.js'))}).then(({ buildModel }) => buildModel(process.argv[1]))`;
const command = [join(import.meta.dirname, '../bin/run.js'), 'model'];
const WORKS: Record<string, { args: string[]; gzip?: boolean }> = {
  'model, without scorecard': { args: ['-e', buildOnly] },
  'cutover model': { args: command },
  'cutover model, gzip': { args: command, gzip: true },
};

const folder = mkdtempSync(join(tmpdir(), 'cutover-bench-'));
const peakFile = join(folder, 'peak');
try {
  for (const [name, input] of Object.entries(INPUTS)) {
    const path = join(folder, 'capture.log');
    const lines = writeCapture(path, input, FILE_BYTES);
    const { size } = statSync(path);
    const all: number[] = [];
    printHeader(name, size, lines);
    for (const [work, { args, gzip }] of Object.entries(WORKS)) {
      if (gzip) await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(`${path}.gz`));
      const rounds = Array.from({ length: gzip ? 1 : ROUNDS }, () => {
        const reference = seconds('wc', ['-l', path]);
        const time = seconds(process.execPath, [...['--import', notePeak], ...args, gzip ? `${path}.gz` : path]);
        return { reference, time, rssBytes: Number(readFileSync(peakFile, 'latin1')) };
      });
      const references = rounds.map(({ reference }) => reference);
      all.push(...references);
      printRow(work, {
        ...{ size, lines, references, times: rounds.map(({ time }) => time) },
        rssBytes: Math.max(...rounds.map(({ rssBytes }) => rssBytes)),
      });
    }
    printRow('wc -l', { size, lines, times: all, references: all });
  }
} finally {
  rmSync(folder, { recursive: true });
}

function seconds(file: string, args: string[]): number {
  const start = performance.now();
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, PEAK_FILE: peakFile } });
  return (performance.now() - start) / 1000;
}
