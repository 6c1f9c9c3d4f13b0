/** Turns the time until the next op into a nap of the thread, or none: how a load thread waits. */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { type Priority, REALTIME_IDLE_SHARE } from '../../servers/priority.ts';
import type { ServerAddress } from '../../servers/server.ts';
import type { ClientName } from '../clients/index.ts';

/**
 * `nap`: short naps, also while a reply is awaited, which is then read up to a nap later. `split`: a thread of its own naps
 * and sends, while another sleeps until a reply arrives. `spin`: polls while a reply is awaited and just before an op is
 * due, which takes a core of its own.
 */
export const PACINGS = ['nap', 'split', 'spin'] as const;
export type Pacing = (typeof PACINGS)[number];

/** While a reply is awaited no nap is longer. */
const AWAITING_NAP_US = 50;
const LONGEST_NAP_US = 3000;
/** A nap ends so much before the next op as naps were late of late: a virtual machine wakes threads some 50 µs late. */
const FIRST_LATE_US = 50;
const MOST_LATE_US = 100;
/**
 * A sender of many ops ends its naps only a part of that before an op, and polls the less: at 20,000 ops/s and real-time
 * priority 0.4, 0.5 and 0.6 of it had a median lag of 12, 10 and 7 µs and a P99 of 60, 51 and 50 µs, at 0.65, 0.64 and 0.64
 * of a core. For at most POLLED_SHARE of the mean time between ops it polls the whole of it: at 5,000 ops/s the median lag
 * is 1 µs instead of 15, for 0 to 0.04 of a core.
 */
const SENDERS_MARGIN = 0.5;
const POLLED_SHARE = 0.25;
/** A shorter nap is over before the thread is asleep: on a virtual machine setting the kernel's timer takes some 15 µs. */
const SHORTEST_NAP_US = 8;
/** Weight of the newest nap in that mean. */
const NEWEST = 1 / 16;

/** Under real-time priority a nap of REST_US follows after LONGEST_POLL_US without one, or the kernel's own work starves. */
const REST_US = 100;
const LONGEST_POLL_US = REST_US * (1 / REALTIME_IDLE_SHARE - 1);

/** Whether a sender can write to the connections; where it cannot, `split` is `nap`. They must be plain sockets of ours, one for each connection of the plan. */
export const canSplit = (client: ClientName, { tls, cluster }: Pick<ServerAddress, 'tls' | 'cluster'>): boolean =>
  client === 'raw' && !tls && !cluster && process.platform !== 'win32';

/**
 * Polling gives the shortest latencies where every load thread, the server, the kernel and whatever else runs have cores
 * of their own; where they do not, a thread that polls uses up its turn and is put aside when an op is due. A real-time
 * thread never polls by default: nothing could put it aside.
 */
export function choosePacing(workers: number, priority: Priority): Pacing {
  return priority === 'normal' && availableParallelism() >= workers + 3 ? 'spin' : 'split';
}

export class Pacer {
  /** Awaits replies without sleeping. */
  readonly polls: boolean;
  readonly #realtime: boolean;
  readonly #rings: Int32Array<SharedArrayBuffer>;
  readonly #margin: number;
  #affordableUs = 0;
  #lateUs = FIRST_LATE_US;
  #restedUs = 0;

  /** Another thread that counts up `rings[0]`, and notifies who waits for it, ends a nap. */
  constructor(pacing: Pacing, realtime: boolean, rings = new Int32Array(new SharedArrayBuffer(4))) {
    this.polls = pacing === 'spin';
    this.#margin = pacing === 'split' ? SENDERS_MARGIN : 1;
    this.#realtime = realtime;
    this.#rings = rings;
  }

  /** Tells a sender the mean time between its ops. */
  expect(betweenUs: number): void {
    this.#affordableUs = POLLED_SHARE * betweenUs;
  }

  /**
   * Naps so as to be awake `waitUs` from now, which is `nowUs` of any clock; returns the nap's planned length in
   * microseconds, 0 for none.
   */
  nap(nowUs: number, waitUs: number, awaiting: boolean, rings = 0): number {
    const marginUs = Math.min(this.#lateUs, Math.max(this.#margin * this.#lateUs, this.#affordableUs));
    let napUs = Math.min(waitUs - marginUs, LONGEST_NAP_US);
    if (awaiting) napUs = this.polls ? 0 : Math.min(napUs, AWAITING_NAP_US);
    if (this.#realtime && napUs < REST_US && nowUs - this.#restedUs > LONGEST_POLL_US) napUs = REST_US;
    if (napUs < SHORTEST_NAP_US) return 0;
    const beforeMs = performance.now();
    const ended = Atomics.wait(this.#rings, 0, rings, napUs / 1000);
    const sleptUs = (performance.now() - beforeMs) * 1000;
    // A ring was there before the nap: it was none.
    if (ended === 'not-equal') return 0;
    this.#restedUs = nowUs + sleptUs;
    if (ended === 'ok') return Math.min(napUs, sleptUs);
    this.#lateUs += NEWEST * (Math.min(MOST_LATE_US, Math.max(0, sleptUs - napUs)) - this.#lateUs);
    return napUs;
  }
}
