/** Two servers and a workload → how many ops per second each can do, and the generator without a server. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm, type Capacity } from '../../measure/rehearsal.ts';
import type { Workload } from '../../plan/workload.ts';
import { startServer } from '../../servers/index.ts';
import type { ServerAddress, ServerLimits } from '../../servers/server.ts';
import { Driver, type DriverOptions } from '../driver.ts';
import { atRate, keptUp, searchCapacity } from './capacity.ts';
import { startNullServer } from './null-server.ts';

/** Ops of the workload that every step begins with; a step takes as many of them as it has time for. */
const MOST_OPS = 60_000;
const STEP_SECONDS = 0.4;
const FROM_RATE = 1000;
/** Steps between the last doubling: 2^(1/16), 4 %. */
const REFINEMENTS = 4;
/** Nearer to the generator's own limit than this, a server's is not known. */
const GENERATORS_SHARE = 0.8;

export interface SaturationOptions {
  workload: Workload;
  specs: Record<Arm, string>;
  limits: ServerLimits;
  driving: DriverOptions;
  signal: AbortSignal;
  onStage: (doing: string) => void;
}

/**
 * Fresh servers with the preload of the workload, one after the other, at normal priority: a saturated real-time thread
 * would be stopped by the kernel. Less than a minute, preload apart. Throws what providers throw, and the signal's reason.
 */
export async function findSaturation(options: SaturationOptions): Promise<Capacity> {
  const { workload, specs, limits, onStage } = options;
  const { plan } = workload;
  const capacity: Capacity = { baseline: 0, candidate: 0, generator: 0 };
  for (const arm of ARMS) {
    onStage(`searching the saturation point of the ${arm}`);
    await using server = await startServer(specs[arm], limits);
    await using driver = await Driver.open(server.address, plan, options.driving);
    await driver.load(plan.scripts);
    await driver.preload(plan.preload, { signal: options.signal });
    capacity[arm] = await search(options, server.address);
  }
  onStage('searching what the generator can do');
  await using nothing = await startNullServer('normal');
  capacity.generator = await search(options, nothing.address);
  return capacity;
}

async function search({ workload, driving, signal }: SaturationOptions, address: ServerAddress): Promise<number> {
  const { plan } = workload;
  const slice = workload.slice(0, 0, MOST_OPS / plan.rate);
  await using driver = await Driver.open(address, plan, { ...driving, priority: 'normal' });
  return await searchCapacity(
    FROM_RATE,
    async (rate) => {
      signal.throwIfAborted();
      const step = atRate(slice, rate, STEP_SECONDS);
      return keptUp(step, await driver.run(step, { signal }));
    },
    REFINEMENTS,
  );
}

/** Latency is measured below saturation: at half of what the slower server can do. */
export const rateBelow = ({ baseline, candidate }: Capacity): number => Math.min(baseline, candidate) / 2;

/** The comparison, for the reader of a verdict. */
export function capacityCaveat({ baseline, candidate, generator }: Capacity): Caveat {
  const shown = (ops: number) => `${Math.round(ops).toLocaleString('en')} ops/s`;
  const change = Math.round((candidate / baseline - 1) * 100);
  const limited = Math.max(baseline, candidate) >= GENERATORS_SHARE * generator;
  return {
    id: 'capacity',
    message: `Saturation: the baseline does ${shown(baseline)} of this workload, the candidate ${shown(candidate)} (${change > 0 ? '+' : ''}${change} %).`,
    advice: limited
      ? `The generator itself does ${shown(generator)} here: at least one server may do more than was found. Give it more cores and --workers.`
      : 'Found in steps of 4 %, once per server: a difference of that size is none.',
    numbers: { baseline, candidate, generator },
  };
}
