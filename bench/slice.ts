/** What the benchmarks of the load generator send. */
import type { Plan, Slice } from '../src/plan/plan.ts';
import { RespWriter, share } from '../src/plan/resp.ts';

export const CONNECTIONS = 50;
export const KEYS = 10_000;
const VALUE = 'x'.repeat(100);

export const plan: Pick<Plan, 'labels' | 'connections'> = {
  labels: [{ family: 'key:{id}', command: 'get' }],
  connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
};

/** GETs, and half SETs if mixed, of random keys: all due at once in pipelines, or at Poisson arrivals of a rate. */
export function sliceOf(
  count: number,
  { rate, pipeline = 1, mixed = false }: { rate?: number; pipeline?: number; mixed?: boolean },
): Slice {
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
  // In shared memory, like the slices of a plan.
  return {
    ...{ seed: '', durationUs, count, offset: share(offset), bytes: share(writer.view()) },
    intendedUs: share(intendedUs.sort()),
    connection: share(
      Uint16Array.from(
        { length: count },
        (_, op) => (rate === undefined ? op / pipeline : Math.random() * 2 ** 16) % CONNECTIONS,
      ),
    ),
    label: share(new Uint16Array(count)),
    flags: share(new Uint8Array(count)),
  };
}
