/** A slice against a server that does nothing → what the generator itself adds to a latency here, and how near its limit it is. */
import { LatencyHistogram } from '../measure/histogram.ts';
import { OpStatus } from '../measure/latency-log.ts';
import type { Floor } from '../measure/rehearsal.ts';
import type { Plan, Slice } from '../plan/plan.ts';
import { Driver, type DriverOptions } from './driver.ts';
import { startNullServer } from './null-server.ts';

/** A host's hiccup is no limit: the doubled rate may be missed so often before it counts. */
const ATTEMPTS = 2;
/** Of the doubled rate, to have kept it. */
const KEPT = 0.97;
/** Half of the ops later than this: the thread runs behind its plan. */
const BEHIND_US = 1000;

/** Sends the slice once as it is and once or twice at double speed: so the rate is known to be below half of the limit, or not. */
export async function measureFloor(
  plan: Pick<Plan, 'labels' | 'connections'>,
  slice: Slice,
  options: DriverOptions,
): Promise<Floor> {
  await using server = await startNullServer(options.priority ?? 'normal');
  await using driver = await Driver.open(server.address, plan, options);
  const record = await driver.run(slice);
  const response = LatencyHistogram.empty();
  for (let op = 0; op < slice.count; op++)
    if (record.status[op]! > OpStatus.sent) response.record(record.repliedUs[op]! - slice.intendedUs[op]!);
  let doubled = false;
  for (let attempt = 0; attempt < ATTEMPTS && !doubled; attempt++) {
    const { generator } = await driver.run(atSpeed(slice, 2));
    doubled = generator.achievedRate >= KEPT * generator.plannedRate && generator.lagUs.p50 <= BEHIND_US;
  }
  return { responseUs: response.quantiles(), lagUs: record.generator.lagUs, ops: slice.count, keepsDoubleRate: doubled };
}

/** The same ops in a part of the time. */
export function atSpeed(slice: Slice, factor: number): Slice {
  return {
    ...slice,
    durationUs: slice.durationUs / factor,
    intendedUs: slice.intendedUs.map((us) => us / factor),
    ...(slice.order
      ? { order: { ...slice.order, delayUs: slice.order.delayUs.map((us) => Math.round(us / factor)) } }
      : {}),
  };
}
