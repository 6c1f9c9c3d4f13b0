/**
 * What the load generator can do on this machine, beside redis-benchmark and valkey-benchmark on the same server in the
 * same minutes: closed loop at pipeline 1 and 16, then how late an open loop sends, beside the host's own jitter.
 * The machine must be calm: everything here competes for the cores. Options: --rounds N (5), --seconds S (2).
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import type { ClientName } from '../src/drive/clients/index.ts';
import { Driver, type DriverOptions } from '../src/drive/driver.ts';
import { JitterProbe } from '../src/measure/jitter-probe.ts';
import { summarize } from '../src/measure/latency-log.ts';
import type { Plan, Slice } from '../src/plan/plan.ts';
import { RespWriter, share } from '../src/plan/resp.ts';
import { realtimeRefusal } from '../src/servers/priority.ts';
import { findBinary, processProvider } from '../src/servers/process.ts';
import type { ServerAddress } from '../src/servers/server.ts';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const ROUNDS = Number(options.rounds);
const SECONDS = Number(options.seconds);
const CONNECTIONS = 50;
const KEYS = 10_000;
const VALUE = 'x'.repeat(100);

const plan: Pick<Plan, 'labels' | 'connections'> = {
  labels: [{ family: 'key:{id}', command: 'get' }],
  connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
};

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
const say = (line = '') => process.stdout.write(`${line}\n`);

/** GETs, and half SETs if mixed, of random keys: all due at once, or at Poisson arrivals of a rate. */
function sliceOf(count: number, { rate, mixed = false }: { rate?: number; mixed?: boolean }): Slice {
  const writer = new RespWriter();
  const offset = new Uint32Array(count + 1);
  for (let op = 0; op < count; op++) {
    const set = mixed && Math.random() < 0.5;
    const key = `key:${Math.floor(Math.random() * KEYS)}`;
    const args = set ? ['SET', key, VALUE] : ['GET', key];
    writer.begin(args.length);
    for (const arg of args) writer.text(arg);
    offset[op + 1] = writer.length;
  }
  const durationUs = rate === undefined ? 1 : (count / rate) * 1e6;
  // Poisson arrivals, given their number, are uniform.
  const intendedUs = Float64Array.from({ length: count }, () => (rate === undefined ? 0 : Math.random() * durationUs));
  return {
    ...{ seed: '', durationUs, count, intendedUs: intendedUs.sort(), offset, bytes: share(writer.view()) },
    connection: Uint16Array.from(
      { length: count },
      (_, op) => (rate === undefined ? op : Math.random() * 2 ** 16) % CONNECTIONS,
    ),
    label: new Uint16Array(count),
    flags: new Uint8Array(count),
  };
}

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

type Library = new (options: {
  host: string;
  port: number;
  lazyConnect: true;
}) => {
  connect(): Promise<void>;
  get(key: string): Promise<unknown>;
  disconnect(): void;
};

/** A library used bare: each of the connections asks again when it has its answer. No count, no clock. */
async function ofLibrary(Library: Library, { host, port }: ServerAddress, count: number): Promise<Throughput> {
  const clients = Array.from({ length: CONNECTIONS }, () => new Library({ host, port, lazyConnect: true }));
  await Promise.all(clients.map((client) => client.connect()));
  const cpuBefore = process.threadCpuUsage();
  const startedMs = performance.now();
  let left = count;
  await Promise.all(
    clients.map(async (client) => {
      while (left-- > 0) await client.get(`key:${left % KEYS}`);
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.threadCpuUsage(cpuBefore);
  for (const client of clients) client.disconnect();
  return { opsPerSecond: count / seconds, cpuUsPerOp: (user + system) / count };
}

async function closedLoop(address: ServerAddress, pipeline: number): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const open = async (client: ClientName) =>
    stack.use(
      await Driver.open(address, plan, { client, workers: 1, inFlightCap: pipeline, pacing: 'nap', graceMs: 120_000 }),
    );
  const count = (pipeline === 1 ? 60_000 : 400_000) * SECONDS;
  const slice = sliceOf(count, {});
  const runs: [string, () => Promise<Throughput> | Throughput][] = [];
  const raw = await open('raw');
  runs.push(['cutover raw', () => ofDriver(raw, slice)]);
  for (const program of ['redis-benchmark', 'valkey-benchmark', 'memtier_benchmark'])
    if (findBinary(program)) runs.push([program, () => ofProgram(program, address, pipeline, count)]);
  if (pipeline === 1) {
    const [ioredis, iovalkey] = [await open('ioredis'), await open('iovalkey')];
    runs.push(['cutover ioredis', () => ofDriver(ioredis, slice)]);
    runs.push(['ioredis bare', () => ofLibrary(Redis, address, count)]);
    runs.push(['cutover iovalkey', () => ofDriver(iovalkey, slice)]);
    runs.push(['iovalkey bare', () => ofLibrary(Valkey, address, count)]);
  }
  const results = new Map<string, Throughput[]>(runs.map(([name]) => [name, []]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, run] of runs) {
      const result = await run();
      // The first round warms up.
      if (round >= 0) results.get(name)!.push(result);
    }
  }
  say(
    `closed loop, pipeline ${pipeline}: medians of ${ROUNDS} interleaved rounds of ${count.toLocaleString('en')} GETs`,
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

const OPEN_COLUMNS = [
  'lag p50',
  'p99',
  'p99.9',
  'response',
  'p99',
  'p99.9',
  'jitter',
  'p99',
  'p99.9',
  'gc max',
  'cores',
];

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
          ...[
            jitter.p50,
            jitter.p99,
            jitter.p999,
            gcPauses.maxMs * 1000,
            threadCores!.reduce((sum, part) => sum + part, 0),
          ],
        ]);
    }
  }
  for (const [name, figures] of rows) {
    const medians = figures[0]!.map((_, column) => median(figures.map((row) => row[column]!)));
    const text = medians.map((figure, column) => figure.toFixed(column === medians.length - 1 ? 2 : 0).padStart(9));
    say(`${`${rate / 1000}k/s ${name}`.padEnd(22)}${text.join('')}`);
  }
}

say(
  `${availableParallelism()} cores, load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}`,
);
await using stack = new AsyncDisposableStack();
const server = stack.use(await processProvider.start('process:redis-server', {}));
say(`redis-server ${server.identity.version}, ${CONNECTIONS} connections, 1 load thread\n`);
for (const pipeline of [1, 16]) await closedLoop(server.address, pipeline);

const variants: [string, Driver][] = [];
const kinds: [string, Partial<DriverOptions>][] = [
  ['normal, nap', { pacing: 'nap' }],
  ['normal, spin', { pacing: 'spin' }],
  ...(realtimeRefusal() === undefined
    ? [['realtime, nap', { priority: 'realtime' }] as [string, Partial<DriverOptions>]]
    : []),
];
for (const [name, kind] of kinds) {
  const limits = kind.priority ? { priority: kind.priority } : {};
  const own = stack.use(await processProvider.start('process:redis-server', limits));
  variants.push([name, stack.use(await Driver.open(own.address, plan, { client: 'raw', workers: 1, ...kind }))]);
}
const probe = stack.use(new JitterProbe());
say(`open loop, GET and SET: medians of ${ROUNDS} interleaved rounds of ${SECONDS} s, microseconds`);
say(`${''.padEnd(22)}${OPEN_COLUMNS.map((name) => name.padStart(9)).join('')}`);
for (const rate of [5000, 20_000, 50_000]) await openLoop(rate, variants, probe);
say(
  `load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}`,
);
