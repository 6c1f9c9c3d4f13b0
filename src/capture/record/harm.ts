/** Two readings of a server in a burst → what harm MONITOR does to it, if any: the reason to end. */
import type { Info } from './identity.ts';
import type { Baseline } from './primary.ts';
import type { EndReason } from './sidecar.ts';

/** A main thread that is busier than this is saturated. */
const BUSY = 0.9;
/** It then has to do so much of what the accepted cost leaves of the commands before it … */
const SLOWER = 0.8;
/** … and one look may be chance. */
const SLOW_LOOKS = 2;
/** Turns of the event loop that are longer, and so many times longer than before. */
const LONG_TURN_US = 20_000;
const LONGER_TURN = 5;
/** A server that evicts anyway may evict twice as many keys, and these. */
const MORE_EVICTIONS = 100;
/** Growth of what it buffers for all its clients, where no watchdog looks at the one that matters. */
const MAX_CLIENTS_GROWTH_BYTES = 64 << 20;

export interface Harm {
  reason: EndReason;
  /** A clause; the server is its subject, and not in it. */
  message: string;
}

/** Looks at one server, once a second. */
export class HarmFinder {
  private readonly baseline: Baseline | undefined;
  private readonly first: Info;
  private readonly maxCost: number;
  private readonly reserveBytes: number;
  private readonly unguarded: boolean;
  private slowLooks = 0;

  /**
   * `first`: INFO when the burst began. `maxCost`: share of the main thread that MONITOR may take; from 1 on slowness is
   * no harm. `reserveBytes`: what it may have to buffer below maxmemory.
   */
  constructor(
    baseline: Baseline | undefined,
    first: Info,
    limits: { maxCost: number; reserveBytes: number; unguarded: boolean },
  ) {
    this.baseline = baseline;
    this.first = first;
    this.maxCost = limits.maxCost;
    this.reserveBytes = limits.reserveBytes;
    this.unguarded = limits.unguarded;
  }

  /** `rates`: since the reading before this one. */
  look(info: Info, rates: Baseline): Harm | undefined {
    return this.inMemory(info, rates) ?? this.inTime(rates);
  }

  private inMemory(info: Info, { evictedPerSecond }: Baseline): Harm | undefined {
    const usual = this.baseline?.evictedPerSecond ?? 0;
    if (evictedPerSecond > (usual > 0 ? 2 * usual + MORE_EVICTIONS : 0)) {
      const message = `evicts ${Math.round(evictedPerSecond)} keys/s, before it ${Math.round(usual)}`;
      return { reason: 'evictions', message };
    }
    const free = (from: Info) => memory(from, 'maxmemory') - memory(from, 'used_memory');
    if (memory(info, 'maxmemory') > 0 && free(info) < this.reserveBytes && free(this.first) >= this.reserveBytes) {
      return { reason: 'memory', message: 'comes close to maxmemory' };
    }
    const growth = memory(info, 'mem_clients_normal') - memory(this.first, 'mem_clients_normal');
    if (this.unguarded && growth > MAX_CLIENTS_GROWTH_BYTES) {
      return { reason: 'memory', message: `buffers ${growth >> 20} MiB more for its clients` };
    }
    return undefined;
  }

  private inTime({ cpuShare, commandsPerSecond, turnUs }: Baseline): Harm | undefined {
    const { baseline, maxCost } = this;
    if (!baseline || maxCost >= 1) return undefined;
    const slow = (cpuShare ?? 0) > BUSY && commandsPerSecond < SLOWER * (1 - maxCost) * baseline.commandsPerSecond;
    this.slowLooks = slow ? this.slowLooks + 1 : 0;
    if (this.slowLooks >= SLOW_LOOKS) {
      const [is, was] = [commandsPerSecond, baseline.commandsPerSecond].map((n) => Math.round(n).toLocaleString('en'));
      return { reason: 'slowdown', message: `is saturated: ${is} commands/s, before it ${was}` };
    }
    if ((turnUs ?? 0) > Math.max(LONG_TURN_US, LONGER_TURN * (baseline.turnUs ?? 0))) {
      return { reason: 'event-loop', message: `takes ${Math.round(turnUs! / 1000)} ms for a turn of its event loop` };
    }
    return undefined;
  }
}

const memory = (info: Info, field: string) => Number(info.memory?.[field] ?? 0);
