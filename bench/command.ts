/**
 * How long the built command takes for a large capture, and what memory: ratios to `wc -l` on the same warm file in the same
 * run. Everything in processes of their own, from their start to their end. `command.ts [ROUNDS] [MB]`, after `npm run build`.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { printTables } from './tables.ts';

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
  await printTables(Object.keys(WORKS), FILE_BYTES, measure);
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(work: string, path: string) {
  const { args, gzip } = WORKS[work]!;
  if (gzip) await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(`${path}.gz`));
  const rounds = Array.from({ length: gzip ? 1 : ROUNDS }, () => {
    const reference = seconds('wc', ['-l', path]);
    const time = seconds(process.execPath, [...['--import', notePeak], ...args, gzip ? `${path}.gz` : path]);
    return { reference, time, rssBytes: Number(readFileSync(peakFile, 'latin1')) };
  });
  return {
    times: rounds.map(({ time }) => time),
    references: rounds.map(({ reference }) => reference),
    rssBytes: Math.max(...rounds.map(({ rssBytes }) => rssBytes)),
  };
}

function seconds(file: string, args: string[]): number {
  const start = performance.now();
  execFileSync(file, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, PEAK_FILE: peakFile } });
  return (performance.now() - start) / 1000;
}
