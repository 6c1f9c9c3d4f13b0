/** A slice against a server that does nothing → what the generator itself adds to a latency here, and how near its limit it is. */
import { LatencyHistogram } from '../../measure/histogram.ts';
import { OpStatus } from '../../measure/latency-log.ts';
import type { Floor } from '../../measure/rehearsal.ts';
import type { Plan, Slice } from '../../plan/plan.ts';
import { RespWriter, share } from '../../plan/resp.ts';
import { Driver, type DriverOptions } from '../driver.ts';
import { atRate, keptUp, searchCapacity } from './capacity.ts';
import { startNullServer } from './null-server.ts';

/** A host's hiccup is no limit: the doubled rate may be missed so often before it counts. */
const ATTEMPTS = 2;
const FLOOR_SECONDS = 1;
const STEP_SECONDS = 0.25;

/**
 * Sends at most a second of the slice at double speed, so that the rate is known to be below half of the limit or not,
 * and then as it is: by then everything is warm.
 */
export async function measureFloor(
  plan: Pick<Plan, 'labels' | 'connections'>,
  whole: Slice,
  options: DriverOptions,
): Promise<Floor> {
  const { labels, connections } = plan;
  await using server = await startNullServer(options.priority ?? 'normal');
  await using driver = await Driver.open(server.address, { labels, connections }, options);
  const rate = (whole.count / whole.durationUs) * 1e6;
  const slice = atRate(whole, rate, FLOOR_SECONDS);
  const doubled = atRate(slice, 2 * rate, FLOOR_SECONDS);
  let keepsDoubleRate = false;
  for (let attempt = 0; attempt < ATTEMPTS && !keepsDoubleRate; attempt++)
    keepsDoubleRate = keptUp(doubled, await driver.run(doubled));
  const record = await driver.run(slice);
  const response = LatencyHistogram.empty();
  for (let op = 0; op < slice.count; op++)
    if (record.status[op]! > OpStatus.sent) response.record(record.repliedUs[op]! - slice.intendedUs[op]!);
  return { responseUs: response.quantiles(), lagUs: record.generator.lagUs, ops: slice.count, keepsDoubleRate };
}

const CONNECTIONS = 50;
const MOST_OPS = 100_000;
const FROM_RATE = 10_000;

/** Ops per second that these load threads can send on time to a server that does nothing: GETs over 50 connections. */
export async function measureGeneratorCapacity(options: DriverOptions): Promise<number> {
  const plan = {
    labels: [{ family: '(none)', command: 'get' }],
    connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
  };
  const writer = new RespWriter();
  writer.begin(2);
  writer.text('GET');
  writer.text('key:1234');
  const command = writer.view();
  const bytes = new Uint8Array(command.length * MOST_OPS);
  for (let op = 0; op < MOST_OPS; op++) bytes.set(command, op * command.length);
  const slice: Slice = {
    ...{ seed: '', count: MOST_OPS, durationUs: MOST_OPS, bytes: share(bytes) },
    intendedUs: Float64Array.from({ length: MOST_OPS }, (_, op) => op),
    // Coprime to the number of connections: neighbours go to different ones.
    connection: Uint16Array.from({ length: MOST_OPS }, (_, op) => (op * 17) % CONNECTIONS),
    label: new Uint16Array(MOST_OPS),
    flags: new Uint8Array(MOST_OPS),
    offset: Uint32Array.from({ length: MOST_OPS + 1 }, (_, op) => op * command.length),
  };
  await using server = await startNullServer(options.priority ?? 'normal');
  await using driver = await Driver.open(server.address, plan, options);
  // Awaited here: driver and server end with this function.
  return await searchCapacity(FROM_RATE, async (rate) => {
    const step = atRate(slice, rate, STEP_SECONDS);
    return keptUp(step, await driver.run(step));
  });
}
