/** A synthesized workload → hits and misses on a server that has nothing but strings, hashes and expiries. */
import { readCommand } from '../../src/plan/planned-ops.ts';
import type { Synthesis } from '../../src/plan/synthesis/synthesize.ts';

const words = (bytes: Uint8Array, start: number) =>
  readCommand(bytes, start).map((word) => Buffer.from(word).toString());

/** Which keys are there at which time. */
export class Lookups {
  hits = 0;
  misses = 0;
  private readonly untilUs = new Map<string, number>();

  /** Whether GET or HGETALL finds its key; true for commands that look for none. */
  execute(atUs: number, args: readonly string[]): boolean {
    const { untilUs } = this;
    const [command, key] = args as [string, string];
    const isThere = (untilUs.get(key) ?? 0) > atUs;
    if (command === 'get' || command === 'hgetall') {
      this[isThere ? 'hits' : 'misses']++;
      return isThere;
    }
    if (command === 'set') untilUs.set(key, atUs + ttlUs(args));
    else if (command === 'setex') untilUs.set(key, atUs + Number(args[2]) * 1e6);
    else if (command === 'hset' && !isThere) untilUs.set(key, Number.POSITIVE_INFINITY);
    else if (command === 'expire' && isThere) untilUs.set(key, atUs + Number(args[2]) * 1e6);
    else if (command === 'del') untilUs.delete(key);
    return true;
  }

  get ratio(): number {
    return this.hits / (this.hits + this.misses);
  }
}

function ttlUs(args: readonly string[]): number {
  const at = args.findIndex((word) => word.toUpperCase() === 'EX');
  return at < 0 ? Number.POSITIVE_INFINITY : Number(args[at + 1]) * 1e6;
}

export function lookupsOf(synthesis: Synthesis, seconds: number): Lookups {
  const lookups = new Lookups();
  for (const bytes of synthesis.plan.preload.databases.flatMap(({ chunks }) => [...chunks()])) {
    for (let start = 0; start < bytes.length; ) {
      lookups.execute(0, words(bytes, start));
      const last = readCommand(bytes, start).at(-1)!;
      start = last.byteOffset - bytes.byteOffset + last.length + 2;
    }
  }
  const slice = synthesis.slice(0, 0, seconds);
  for (let i = 0; i < slice.count; i++) lookups.execute(slice.intendedUs[i]!, words(slice.bytes, slice.offset[i]!));
  return lookups;
}
