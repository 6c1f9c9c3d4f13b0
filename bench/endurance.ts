/**
 * What the load generator holds in memory: minute after minute at a steady rate against a real server, and for one slice of
 * a million ops. What else grows in a Node process is kept still, or its steps would be taken for the generator's:
 * `node --expose-gc --max-semi-space-size=4 bench/endurance.ts` collects garbage and holds the main thread's young generation
 * small: V8 lets it grow to 128 MiB; that of load threads the generator limits itself.
 * Options: --minutes N (10), --rate OPS (20000), --million (only that).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { studentQuantile } from '../src/compare/statistics.ts';
import { Driver } from '../src/drive/driver.ts';
import { summarize, writeLatencyLog } from '../src/measure/latency-log.ts';
import type { Slice } from '../src/plan/plan.ts';
import { processProvider } from '../src/servers/process.ts';
import { plan, sliceOf } from './slice.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '20000' },
    million: { type: 'boolean', default: false },
  },
});
const SLICE_SECONDS = 3;
const MILLION = 1_000_000;
/** At this rate it takes ten seconds: what counts is what is held meanwhile. */
const MILLION_RATE = 100_000;
const SAMPLE_MS = 200;
const SETTLE_MS = 2000;
/** Of the whole run: by the second half of them it is judged. */
const PARTS = 20;

const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(1);
const say = (line = '') => process.stdout.write(`${line}\n`);
const held = () => {
  globalThis.gc?.();
  const { rss, heapUsed, arrayBuffers, external } = process.memoryUsage();
  return { rss, heapUsed, arrayBuffers, external };
};

/** Least squares: bytes a minute, with its 95 % interval by Student's t. */
function slopeOf(points: { minute: number; bytes: number }[]): { slope: number; low: number; high: number } {
  const mean = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const [x, y] = [mean(({ minute }) => minute), mean(({ bytes }) => bytes)];
  const spread = mean(({ minute }) => (minute - x) ** 2);
  const slope = mean(({ minute, bytes }) => (minute - x) * (bytes - y)) / spread;
  const df = points.length - 2;
  const residual = mean(({ minute, bytes }) => (bytes - y - slope * (minute - x)) ** 2);
  const margin = studentQuantile(0.975, df) * Math.sqrt(residual / df / spread);
  return { slope, low: slope - margin, high: slope + margin };
}

async function endure(driver: Driver, minutes: number, rate: number): Promise<void> {
  say(`${minutes} min at ${rate} ops/s: RSS and heap of this process, its load threads included`);
  const parts = Array.from({ length: PARTS }, () => ({ minute: 0, bytes: Number.POSITIVE_INFINITY }));
  const startedMs = performance.now();
  let [slices, achieved, logBytes] = [0, 0, 0];
  for (let part = 0; part < PARTS; ) {
    const slice = sliceOf(rate * SLICE_SECONDS, { rate, mixed: true });
    const record = await driver.run(slice);
    logBytes += writeLatencyLog(summarize(slice, record, plan.labels), record).length;
    achieved += record.generator.achievedRate / record.generator.plannedRate;
    slices++;
    const minute = (performance.now() - startedMs) / 60_000;
    const { rss, heapUsed, arrayBuffers } = held();
    // What is held for good is in the least; a slice that is not swept yet comes on top by chance.
    if (rss < parts[part]!.bytes) parts[part] = { minute, bytes: rss };
    const next = Math.floor((minute / minutes) * PARTS);
    if (next > part) {
      say(
        `  minute ${minute.toFixed(1).padStart(4)}  RSS ${mib(parts[part]!.bytes).padStart(6)} MiB  heap ${mib(heapUsed).padStart(5)} MiB  buffers ${mib(arrayBuffers).padStart(5)} MiB`,
      );
    }
    part = next;
  }
  say(`  ${slices} slices, ${((100 * achieved) / slices).toFixed(1)} % of the rate, ${mib(logBytes)} MiB of logs`);
  // What comes first fills caches and compiles. A part of a short run may have no slice.
  const later = parts.slice(PARTS / 2).filter(({ bytes }) => Number.isFinite(bytes));
  const { slope, low, high } = slopeOf(later);
  const [least, most] = [Math.min, Math.max].map((of) => mib(of(...later.map(({ bytes }) => bytes))));
  const kib = (bytes: number) => Math.round(bytes / 1024);
  say(
    `  RSS in the second half, the least of each of its ${later.length} parts: ${least} to ${most} MiB; slope ${kib(slope)} KiB a minute (95 %: ${kib(low)} to ${kib(high)})`,
  );
}

const sizeOf = ({ intendedUs, connection, label, flags, offset }: Slice) =>
  [intendedUs, connection, label, flags, offset].reduce((sum, array) => sum + array.byteLength, 0);

async function million(driver: Driver): Promise<void> {
  // Threads, connections and compiled code are there before.
  await driver.run(sliceOf(50_000, { rate: MILLION_RATE, mixed: true }));
  const slice = sliceOf(MILLION, { rate: MILLION_RATE, mixed: true });
  // What the making of it left behind would be used again, and hide what driving it takes.
  held();
  await sleep(SETTLE_MS);
  const before = held();
  let most = 0;
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, SAMPLE_MS);
  const record = await driver.run(slice);
  clearInterval(sampling);
  const added = most - before.rss;
  say('one slice of a million ops');
  say(`  its commands ${mib(slice.bytes.byteLength)} MiB, when and where they go ${mib(sizeOf(slice))} MiB`);
  say(
    `  driving it added at most ${mib(added)} MiB: ${((100 * added) / slice.bytes.byteLength).toFixed(0)} % of the commands' bytes (${record.replied} replied)`,
  );
}

await using server = await processProvider.start('process:redis-server', {});
await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
const still = {
  'garbage (--expose-gc)': globalThis.gc,
  "the main thread's young generation (--max-semi-space-size)": process.execArgv.some((arg) =>
    arg.startsWith('--max-semi-space-size'),
  ),
};
for (const [what, isSet] of Object.entries(still)) if (!isSet) say(`not kept still, and counted too: ${what}`);
// First: memory that was given back to the allocator only would hide what this takes.
await million(driver);
if (!options.million) await endure(driver, Number(options.minutes), Number(options.rate));
