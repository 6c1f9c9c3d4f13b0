/** What the raw client achieves on this machine: rate and lag against a real redis-server, 5 s per rate. */
import { loadavg } from 'node:os';
import { Driver, defaultWorkers } from '../src/drive/driver.ts';
import { summarize } from '../src/measure/latency-log.ts';
import type { Plan, Slice } from '../src/plan/plan.ts';
import { processProvider } from '../src/servers/process.ts';

const CONNECTIONS = 50;
const SECONDS = 5;
const KEYS = 10_000;
const value = 'x'.repeat(100);

const plan: Pick<Plan, 'labels' | 'connections'> = {
  labels: [
    { family: 'key:{id}', command: 'get' },
    { family: 'key:{id}', command: 'set' },
  ],
  connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
};

/** Mixed GET and SET, Poisson arrivals, connections and keys at random. */
function sliceAt(rate: number): Slice {
  const count = rate * SECONDS;
  const bytes: Buffer[] = [];
  const slice = {
    seed: '1',
    durationUs: SECONDS * 1e6,
    count,
    intendedUs: new Float64Array(new SharedArrayBuffer(count * 8)),
    connection: new Uint16Array(new SharedArrayBuffer(count * 2)),
    label: new Uint16Array(new SharedArrayBuffer(count * 2)),
    flags: new Uint8Array(new SharedArrayBuffer(count)),
    offset: new Uint32Array(new SharedArrayBuffer(count * 4 + 4)),
  };
  // Poisson arrivals, given their number, are uniform.
  for (let op = 0; op < count; op++) slice.intendedUs[op] = Math.random() * slice.durationUs;
  slice.intendedUs.sort();
  for (let op = 0; op < count; op++) {
    const set = Math.random() < 0.5;
    const key = `key:${Math.floor(Math.random() * KEYS)}`;
    const args = set ? ['SET', key, value] : ['GET', key];
    const encoded = Buffer.from(
      `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`).join('')}`,
    );
    slice.connection[op] = Math.floor(Math.random() * CONNECTIONS);
    slice.label[op] = set ? 1 : 0;
    slice.offset[op + 1] = slice.offset[op]! + encoded.length;
    bytes.push(encoded);
  }
  const shared = new Uint8Array(new SharedArrayBuffer(slice.offset[count]!));
  shared.set(Buffer.concat(bytes));
  return { ...slice, bytes: shared };
}

await using server = await processProvider.start('process:redis-server', {});
const workers = defaultWorkers();
process.stdout.write(
  `redis-server ${server.identity.version}, ${CONNECTIONS} connections, ${workers} load thread(s), `,
);
process.stdout.write(`load average ${loadavg()[0]!.toFixed(2)}; microseconds\n\n`);
const columns = [
  'planned/s',
  'achieved/s',
  'lag p50',
  'p99',
  'p99.9',
  'max',
  'response p50',
  'p99',
  'p99.9',
  'loop max',
  'gc max',
  'cores',
];
process.stdout.write(`${columns.map((name) => name.padStart(12)).join('')}\n`);
await using driver = await Driver.open(server.address, plan, { client: 'raw', workers });
for (const rate of [5000, 20_000, 50_000]) {
  const slice = sliceAt(rate);
  const record = await driver.run(slice);
  const [first, second] = summarize(slice, record, plan.labels);
  const { response } = first!;
  if (second) response.add(second.response);
  const { lagUs, achievedRate, plannedRate, eventLoopDelayUs, gcPauses, cpuCores } = record.generator;
  const row = [
    plannedRate,
    achievedRate,
    lagUs.p50,
    lagUs.p99,
    lagUs.p999,
    lagUs.max,
    response.quantile(0.5),
    response.quantile(0.99),
    response.quantile(0.999),
    eventLoopDelayUs.max,
    gcPauses.maxMs * 1000,
  ];
  process.stdout.write(
    `${[...row.map((figure) => figure.toFixed(0)), cpuCores.toFixed(2)].map((text) => text.padStart(12)).join('')}\n`,
  );
}
