/**
 * What the load generator can do on this machine, beside redis-benchmark, valkey-benchmark, memtier_benchmark (where they
 * are installed) and the client libraries used bare, on the same server in the same minutes: closed loop at pipeline 1 and
 * 16, then how late an open loop sends, beside the host's own jitter. The machine must be calm: everything here competes
 * for the cores. Options: --rounds N (5), --seconds S (2), --only closed|open.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { ClientName } from '../src/drive/clients/index.ts';
import { Driver, type DriverOptions } from '../src/drive/driver.ts';
import { JitterProbe } from '../src/measure/jitter-probe.ts';
import { summarize } from '../src/measure/latency-log.ts';
import type { Slice } from '../src/plan/plan.ts';
import { realtimeRefusal } from '../src/servers/priority.ts';
import { findBinary, processProvider } from '../src/servers/process.ts';
import type { ServerAddress } from '../src/servers/server.ts';
import type { LibraryFigures, LibrarySetup } from './library-thread.ts';
import { CONNECTIONS, KEYS, plan, sliceOf } from './slice.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
if (![undefined, 'closed', 'open'].includes(options.only)) throw new Error('--only takes closed or open');
const ROUNDS = Number(options.rounds);
const SECONDS = Number(options.seconds);

const PROGRAMS = ['redis-benchmark', 'valkey-benchmark', 'memtier_benchmark'];

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const say = (line = '') => process.stdout.write(`${line}\n`);

interface Throughput {
  opsPerSecond: number;
  /** Of the generator's load threads, or of the other program. */
  cpuUsPerOp: number;
}

/** Ops that are all due at once, with `pipeline` of each connection in flight: a closed loop, with all that is measured of an op. */
async function ofDriver(driver: Driver, slice: Slice): Promise<Throughput> {
  const { replied, seconds, generator } = await driver.run(slice);
  if (replied !== slice.count) throw new Error(`${slice.count - replied} ops without a reply`);
  const cores = generator.threadCores!.reduce((sum, part) => sum + part, 0);
  return { opsPerSecond: replied / seconds, cpuUsPerOp: (cores * seconds * 1e6) / replied };
}

/** Another program's own figure; its processor time is what this process's children used meanwhile. */
function ofProgram(program: string, { host, port }: ServerAddress, pipeline: number, count: number): Throughput {
  const memtier = program.startsWith('memtier');
  const args = memtier
    ? ['-s', host, '-p', `${port}`, '-t', '1', '-c', `${CONNECTIONS}`, '--ratio', '0:1', '--pipeline', `${pipeline}`]
    : ['-h', host, '-p', `${port}`, '-c', `${CONNECTIONS}`, '-P', `${pipeline}`, '-r', `${KEYS}`, '-n', `${count}`];
  const tail = memtier ? ['-n', `${Math.round(count / CONNECTIONS)}`, '--hide-histogram'] : ['-t', 'get', '--csv'];
  const timed = 'TIMEFORMAT="%U %S"; time "$0" "$@" 2>/dev/null';
  const { stdout, stderr } = spawnSync('bash', ['-c', timed, program, ...args, ...tail], { encoding: 'utf8' });
  const figure = (memtier ? /^Totals +([\d.]+)/m : /^"GET","([\d.]+)"/m).exec(stdout);
  if (!figure) throw new Error(`${program} failed: ${stdout}${stderr}`);
  const [user, system] = stderr.trim().split(' ').map(Number) as [number, number];
  return { opsPerSecond: Number(figure[1]), cpuUsPerOp: ((user + system) * 1e6) / count };
}

/** A library used bare, in a thread like a load thread. */
class BareLibrary implements AsyncDisposable {
  readonly #worker: Worker;

  constructor(library: LibrarySetup['library'], { host, port }: ServerAddress) {
    const setup: LibrarySetup = { library, host, port, connections: CONNECTIONS, keys: KEYS };
    this.#worker = new Worker(new URL('./library-thread.ts', import.meta.url), { workerData: setup });
  }

  async run(count: number): Promise<Throughput> {
    this.#worker.postMessage(count);
    const [{ seconds, cpuUs }] = (await once(this.#worker, 'message')) as [LibraryFigures];
    return { opsPerSecond: count / seconds, cpuUsPerOp: cpuUs / count };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#worker, 'exit');
    this.#worker.postMessage(0);
    await exited;
  }
}

async function closedLoop(address: ServerAddress, pipeline: number): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const open = async (client: ClientName) =>
    stack.use(
      await Driver.open(address, plan, { client, workers: 1, inFlightCap: pipeline, pacing: 'nap', graceMs: 120_000 }),
    );
  const count = (pipeline === 1 ? 60_000 : 400_000) * SECONDS;
  const slice = sliceOf(count, { pipeline });
  const runs: [string, () => Promise<Throughput> | Throughput][] = [];
  const raw = await open('raw');
  runs.push(['cutover raw', () => ofDriver(raw, slice)]);
  for (const program of PROGRAMS)
    if (findBinary(program)) runs.push([program, () => ofProgram(program, address, pipeline, count)]);
  if (pipeline === 1) {
    for (const library of ['ioredis', 'iovalkey'] as const) {
      const driver = await open(library);
      const bare = stack.use(new BareLibrary(library, address));
      runs.push([`cutover ${library}`, () => ofDriver(driver, slice)]);
      runs.push([`${library} bare`, () => bare.run(count)]);
    }
  }
  const results = new Map<string, Throughput[]>(runs.map(([name]) => [name, []]));
  for (let round = -1; round < ROUNDS; round++) {
    // In turn forwards and backwards: what ran just before costs nobody always the same.
    for (const [name, run] of round % 2 === 0 ? runs : runs.toReversed()) {
      const result = await run();
      // The first round warms up.
      if (round >= 0) results.get(name)!.push(result);
    }
  }
  say(
    `closed loop, ${pipeline} in flight per connection: medians of ${ROUNDS} interleaved rounds of ${count.toLocaleString('en')} GETs`,
  );
  const rateOf = (name: string) => median(results.get(name)!.map(({ opsPerSecond }) => opsPerSecond));
  for (const [name, figures] of results) {
    const bare = `${name.replace('cutover ', '')} bare`;
    const reference = results.has(bare) ? bare : 'redis-benchmark';
    const ratio = results.has(reference) ? `${(rateOf(name) / rateOf(reference)).toFixed(2)} × ${reference}` : '';
    const cpu = median(figures.map(({ cpuUsPerOp }) => cpuUsPerOp));
    const cpuText = Number.isNaN(cpu) ? '' : `${cpu.toFixed(1)} µs CPU/op`;
    say(
      `  ${name.padEnd(20)} ${Math.round(rateOf(name)).toLocaleString('en').padStart(10)} ops/s  ${cpuText.padStart(16)}  ${ratio}`,
    );
  }
  say();
}

/** Microseconds, but for the last two. */
const OPEN_COLUMNS = [
  ...['lag p50', 'p99', 'p99.9'],
  ...['response', 'p99', 'p99.9'],
  ...['jitter', 'p99', 'p99.9'],
  ...['gc max', 'lag/jit', 'cores'],
];
const DECIMALS = OPEN_COLUMNS.map((name) => (name === 'lag/jit' || name === 'cores' ? 2 : 0));

/** Lag, response and the host's jitter in the same seconds, of one kind of load thread. */
async function openLoop(rate: number, variants: [string, Driver][], probe: JitterProbe): Promise<void> {
  const slice = sliceOf(rate * SECONDS, { rate, mixed: true });
  const rows = new Map<string, number[][]>(variants.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, driver] of variants) {
      probe.begin();
      const record = await driver.run(slice);
      const jitter = await probe.take();
      const { response } = summarize(slice, record, plan.labels)[0]!;
      const { lagUs, gcPauses, threadCores } = record.generator;
      rows
        .get(name)!
        .push([
          ...[lagUs.p50, lagUs.p99, lagUs.p999],
          ...[response.quantile(0.5), response.quantile(0.99), response.quantile(0.999)],
          ...[jitter.p50, jitter.p99, jitter.p999],
          ...[gcPauses.maxMs * 1000, lagUs.p999 / jitter.p999, threadCores!.reduce((sum, part) => sum + part, 0)],
        ]);
    }
  }
  for (const [name, figures] of rows) {
    const medians = figures[0]!.map((_, column) => median(figures.map((row) => row[column]!)));
    const text = medians.map((figure, column) => figure.toFixed(DECIMALS[column]).padStart(9));
    say(`${`${rate / 1000}k/s ${name}`.padEnd(24)}${text.join('')}`);
  }
}

async function openLoops(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const kinds: Pick<DriverOptions, 'pacing' | 'priority'>[] = [
    { pacing: 'nap' },
    { pacing: 'split' },
    { pacing: 'spin' },
  ];
  const refusal = realtimeRefusal();
  if (refusal === undefined)
    kinds.push({ pacing: 'nap', priority: 'realtime' }, { pacing: 'split', priority: 'realtime' });
  const variants: [string, Driver][] = [];
  for (const kind of kinds) {
    // Its server has the same priority.
    const { priority = 'normal', pacing } = kind;
    const own = stack.use(await processProvider.start('process:redis-server', { priority }));
    const driver = await Driver.open(own.address, plan, { client: 'raw', workers: 1, ...kind });
    variants.push([`${priority}, ${pacing}`, stack.use(driver)]);
  }
  const probe = stack.use(new JitterProbe());
  say(`open loop, GET and SET by cutover raw: medians of ${ROUNDS} interleaved rounds of ${SECONDS} s, microseconds`);
  say(
    '  lag: actual less intended send. response: reply less intended send. jitter: how late the host wakes a thread of',
  );
  say(
    '  lowest priority in the same seconds. lag/jit: lag P99.9 ÷ jitter P99.9, by round. cores: of the load threads.',
  );
  if (refusal !== undefined) say(`  without real-time priority: ${refusal}`);
  say(`${''.padEnd(24)}${OPEN_COLUMNS.map((name) => name.padStart(9)).join('')}`);
  for (const rate of [5000, 20_000, 50_000]) await openLoop(rate, variants, probe);
}

const load = () => loadavg().map((figure) => figure.toFixed(2));

say(`${availableParallelism()} cores, load average ${load().join(' ')}`);
if (options.only !== 'open') {
  await using server = await processProvider.start('process:redis-server', {});
  say(`redis-server ${server.identity.version}, ${CONNECTIONS} connections, 1 load thread`);
  say(
    '"cutover CLIENT" counts and times each op; "LIBRARY bare" only awaits replies, in a thread that is set up alike,',
  );
  say('garbage collected before each run. CPU: of the load threads, or of the other program as a whole.');
  const missing = PROGRAMS.filter((program) => !findBinary(program));
  if (missing.length > 0) say(`not installed, so left out: ${missing.join(', ')}`);
  say();
  for (const pipeline of [1, 16]) await closedLoop(server.address, pipeline);
}
if (options.only !== 'closed') await openLoops();
say(`load average ${load().join(' ')}`);
