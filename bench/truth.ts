/**
 * Is what is measured true? A server with scripted delays, and the percentiles that arithmetic predicts of it, beside those
 * that the load generator reports: constant delays of 1 and 5 ms, and a stall of 100 ms every two seconds. Options: --rounds
 * N (3), --seconds S (4). The machine must be calm: the scripted server polls, which takes a core.
 */
import { parseArgs } from 'node:util';
import { Driver } from '../src/drive/driver.ts';
import type { Pacing } from '../src/drive/thread/pacer.ts';
import { LatencyHistogram } from '../src/measure/histogram.ts';
import { summarize } from '../src/measure/latency-log.ts';
import type { Slice } from '../src/plan/plan.ts';
import { type Priority, realtimeRefusal } from '../src/servers/priority.ts';
import { type FakeServerScript, startFakeServer } from '../test/support/fake-server.ts';
import { sliceOf } from '../test/support/slice.ts';
import { CONNECTIONS, plan } from './slice.ts';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '4' } },
});
const ROUNDS = Number(options.rounds);
const SECONDS = Number(options.seconds);
const RATE = 5000;
const STALL_MS = 100;
const STALL_AT_COMMAND = RATE;
const STALL_SECONDS = 2;
/** Before the command at which the script's stall would begin. */
const WARM_UP_SECONDS = 0.9;

/** Poisson arrivals of a rate: given their number, they are uniform. */
function poisson(seconds: number): Slice {
  const times = Array.from({ length: RATE * seconds }, () => Math.random() * seconds * 1e6).sort((a, b) => a - b);
  return sliceOf(
    times.map((atUs, i) => ({ args: ['GET', 'k'], atUs, connection: i % CONNECTIONS })),
    seconds * 1e6,
  );
}

interface Times {
  measured: LatencyHistogram;
  /** The scripted server's own. */
  own: LatencyHistogram;
}

/** The response times of two servers with one script, which take turns as the arms of a run do; and what arithmetic says. */
async function respond(
  script: FakeServerScript,
  seconds: number,
  way: { pacing: Pacing; priority: Priority },
  serverPriority: Priority,
): Promise<{ arms: Times[]; theory: LatencyHistogram }> {
  const times = () => ({ measured: LatencyHistogram.empty(), own: LatencyHistogram.empty() });
  const arms = [times(), times()];
  const theory = LatencyHistogram.empty();
  const { atCommand = 1, ms = 0 } = script.stall ?? {};
  for (let round = 0; round < ROUNDS; round++) {
    await using opened = new AsyncDisposableStack();
    const open = async () => {
      const server = opened.use(await startFakeServer(script, serverPriority));
      const address = { host: '127.0.0.1', port: server.port };
      const driver = opened.use(await Driver.open(address, plan, { client: 'raw', workers: 1, ...way }));
      return { server, driver };
    };
    for (const [arm, { server, driver }] of [await open(), await open()].entries()) {
      // As in a run, code is compiled before anything is measured.
      await driver.run(poisson(WARM_UP_SECONDS));
      await server.restart();
      const slice = poisson(seconds);
      const record = await driver.run(slice);
      if (record.replied !== slice.count) throw new Error(`${slice.count - record.replied} ops without a reply`);
      const { measured, own } = arms[arm]!;
      measured.add(summarize(slice, record, plan.labels)[0]!.response);
      own.add(await server.delays());
      // An op that arrives t into the stall waits for the rest of it.
      const stallsAtUs = slice.intendedUs[atCommand - 1]!;
      for (const atUs of slice.intendedUs) {
        const restUs = stallsAtUs + ms * 1000 - atUs;
        theory.record(Math.max(script.delayMs * 1000, restUs <= ms * 1000 ? restUs : 0));
      }
    }
  }
  return { arms, theory };
}

function sumOf(histograms: LatencyHistogram[]): LatencyHistogram {
  const sum = LatencyHistogram.empty();
  for (const histogram of histograms) sum.add(histogram);
  return sum;
}

const ways: { pacing: Pacing; priority: Priority }[] = [
  { pacing: 'split', priority: 'normal' },
  { pacing: 'nap', priority: 'normal' },
  { pacing: 'spin', priority: 'normal' },
  ...(realtimeRefusal() === undefined ? [{ pacing: 'split' as const, priority: 'realtime' as const }] : []),
];
const say = (cells: (string | number)[]) =>
  console.log(cells.map((cell, i) => (i === 0 ? `${cell}`.padEnd(18) : `${cell}`.padStart(10))).join(''));

console.log(`${RATE} ops/s, Poisson, ${CONNECTIONS} connections, ${ROUNDS} rounds; response times`);
console.log(
  'delay: µs more than the delay at P50, on two arms alike; stall: ms, and % more than what arithmetic says of the same arrivals.',
);
console.log(
  "server: what of it is the scripted server's, by its own clock, from when it sees a command until it writes the reply\n",
);
const constant = (delay: string) => [delay, 'other arm', 'server'];
const stalled = (quantile: string) => [`stall ${quantile}`, 'off', 'server'];
say(['', ...constant('1 ms'), ...constant('5 ms'), ...stalled('P99'), ...stalled('P98')]);
for (const way of ways) {
  const cells: (string | number)[] = [`${way.pacing}, ${way.priority}`];
  // The scripted server polls for as long as it delays. At real-time priority that would take a core from the load threads,
  // which a real server, asleep, does not …
  for (const delayMs of [1, 5]) {
    const { arms } = await respond({ delayMs }, SECONDS, way, 'normal');
    for (const times of [...arms.map(({ measured }) => measured), sumOf(arms.map(({ own }) => own))])
      cells.push(`+${Math.round(times.quantile(0.5) - delayMs * 1000)} µs`);
  }
  // … but one below theirs is put aside by them at each of the replies that it writes after a stall: as in a run, it has theirs.
  const stall = { atCommand: STALL_AT_COMMAND, ms: STALL_MS };
  const { arms, theory } = await respond({ delayMs: 0, stall }, STALL_SECONDS, way, way.priority);
  const measured = sumOf(arms.map((arm) => arm.measured));
  const own = sumOf(arms.map((arm) => arm.own));
  for (const quantile of [0.99, 0.98]) {
    const [theoryUs, measuredUs, ownUs] = [theory, measured, own].map((times) => times.quantile(quantile)) as [
      number,
      number,
      number,
    ];
    const off = (us: number) => `${((100 * (us - theoryUs)) / theoryUs).toFixed(1)} %`;
    cells.push((measuredUs / 1000).toFixed(1), off(measuredUs), off(ownUs));
  }
  say(cells);
}
