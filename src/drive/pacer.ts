/** Turns the time until the next op into a nap of the thread, or none: how a load thread waits. */
import { availableParallelism } from 'node:os';
import { type Priority, REALTIME_IDLE_SHARE } from '../servers/priority.ts';

/**
 * `nap`: short naps, also while a reply is awaited, which is then read up to a nap later. `spin`: polls while a reply is
 * awaited and just before an op is due, which takes a core of its own.
 */
export const PACINGS = ['nap', 'spin'] as const;
export type Pacing = (typeof PACINGS)[number];

/** While a reply is awaited no nap is longer. */
const AWAITING_NAP_US = 50;
const LONGEST_NAP_US = 3000;
/** A nap ends so much before the next op as naps were late of late: a virtual machine wakes threads some 50 µs late. */
const FIRST_LATE_US = 50;
const MOST_LATE_US = 100;
/** Weight of the newest nap in that mean. */
const NEWEST = 1 / 16;

/** Under real-time priority a nap of REST_US follows after LONGEST_POLL_US without one, or the kernel's own work starves. */
const REST_US = 100;
const LONGEST_POLL_US = REST_US * (1 / REALTIME_IDLE_SHARE - 1);

const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Polling gives the shortest latencies where every load thread, the server, the kernel and whatever else runs have cores
 * of their own; where they do not, a thread that polls uses up its turn and is put aside when an op is due. A real-time
 * thread never polls by default: nothing could put it aside.
 */
export function choosePacing(workers: number, priority: Priority): Pacing {
  return priority === 'normal' && availableParallelism() >= workers + 3 ? 'spin' : 'nap';
}

export class Pacer {
  /** Awaits replies without sleeping. */
  readonly polls: boolean;
  readonly #realtime: boolean;
  #lateUs = FIRST_LATE_US;
  #restedUs = 0;

  constructor(pacing: Pacing, realtime: boolean) {
    this.polls = pacing === 'spin';
    this.#realtime = realtime;
  }

  /**
   * Naps so as to be awake `waitUs` from now, which is `nowUs` of any clock; returns the nap's planned length in
   * microseconds, 0 for none.
   */
  nap(nowUs: number, waitUs: number, awaiting: boolean): number {
    let napUs = Math.min(waitUs - this.#lateUs, LONGEST_NAP_US);
    if (awaiting) napUs = this.polls ? 0 : Math.min(napUs, AWAITING_NAP_US);
    if (this.#realtime && napUs < REST_US && nowUs - this.#restedUs > LONGEST_POLL_US) napUs = REST_US;
    if (napUs <= 0) return 0;
    const beforeMs = performance.now();
    Atomics.wait(cell, 0, 0, napUs / 1000);
    const lateUs = (performance.now() - beforeMs) * 1000 - napUs;
    this.#lateUs += NEWEST * (Math.min(MOST_LATE_US, Math.max(0, lateUs)) - this.#lateUs);
    this.#restedUs = nowUs + napUs;
    return napUs;
  }
}
