/** Turns one thread's share of a slice into ops that leave at their intended times, whatever is still in flight. */
import { createHistogram } from 'node:perf_hooks';
import { OpStatus, type OpTimes, overUs } from '../measure/latency-log.ts';
import { OpFlag, type Slice } from '../plan/plan.ts';
import type { ClientSink, LoadClient } from './client.ts';
import { nowUs } from './clock.ts';

/**
 * How to wait. While a reply is awaited the thread polls, since a thread that sleeps reads it late: napping 50 µs at a time
 * added 60 µs to the median response of a loopback server. For POLL_US after the last send, that is; a reply later than
 * that does not change by a wake-up's lateness.
 */
const POLL_US = 3000;

/** With nothing awaited the thread naps until this much before the next op: a virtual machine wakes threads 50 µs late. */
const NAP_MARGIN_US = 60;

/** With so much time until the next op the event loop sleeps … */
const SLEEP_FROM_US = 3000;
/** … by a timer, which counts in milliseconds, rounds up and is late: it is set this much too early. */
const SLEEP_MARGIN_US = 2000;
/** No longer at once: after the last op has left this is how often it is asked whether all replies have come. */
const MAX_SLEEP_MS = 5;

/** An op that has to follow others waits for them no longer than this behind its intended time. */
const MAX_HOLD_US = 200_000;

/** The results of a slice, shared by all threads: what was measured survives the death of any of them. */
export interface SharedTimes extends OpTimes {
  /** Which error (`ErrorPrefixes`, per thread), where the status is `error`. */
  errorId: Uint8Array;
  /** Per connection of the plan: 1 if it was lost. */
  lostConnections: Uint8Array;
}

export interface DispatchLimits {
  /** Ops in flight per connection; ops beyond are held until replies come, and counted. */
  inFlightCap: number;
  /** How long replies are waited for after the last op was due. */
  graceMs: number;
}

export interface DispatchOutcome {
  /** Microseconds after the slice's start. */
  endedUs: number;
  /** Ops that were due while their connection had `inFlightCap` in flight: their response time includes our own queue. */
  heldByCap: number;
  /** Ops that left before those that they had to follow were over (`Slice.order`). */
  outOfOrder: number;
  /** How much later than asked the event loop came back. */
  eventLoopDelayUs: { p99: number; max: number };
}

const napCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * One connection's ops of a slice. Ops are sent in order and answered in order, so counters tell which op a reply
 * belongs to: `replied ≤ sent ≤ due ≤ ops.length`.
 */
export class Lane implements ClientSink {
  /** Set once the connection stands. */
  client: LoadClient | undefined;
  /** Why the connection ended. */
  lostReason: string | undefined;
  /** Indexes into the slice. */
  ops: Uint32Array = new Uint32Array(0);
  due = 0;
  sent = 0;
  answered = 0;
  /** Ops up to here have been counted as held by the cap. */
  held = 0;
  /** Waits in the dispatcher's list of lanes to flush. */
  listed = false;
  dispatch: Dispatch | undefined;
  readonly connection: number;

  constructor(connection: number) {
    this.connection = connection;
  }

  /** Takes the ops of the next slice, laid end to end, so that any run of them is one piece of `bytes`. */
  prepare(ops: Uint32Array, bytes: Uint8Array, offset: Uint32Array): void {
    this.ops = ops;
    this.due = 0;
    this.sent = 0;
    this.answered = 0;
    this.held = 0;
    this.listed = false;
    this.client?.prepare(bytes, offset);
  }

  replied(status: number, errorId: number, atUs: number): void {
    this.dispatch?.record(this, this.ops[this.answered++]!, status, errorId, atUs);
  }

  lost(reason: string): void {
    this.lostReason = reason;
    this.client = undefined;
    this.dispatch?.laneLost(this);
  }
}

export class Dispatch {
  readonly #slice: Slice;
  readonly #times: SharedTimes;
  readonly #limits: DispatchLimits;
  /** The thread's ops in the order of their intended time: their lanes, and when they are due. */
  readonly #order: Lane[];
  readonly #dueUs: Float64Array;
  readonly #lanes: Lane[];
  readonly #onEnd: (outcome: DispatchOutcome) => void;
  readonly #delay = createHistogram();

  #epochUs = 0;
  #cursor = 0;
  #toFlush: Lane[] = [];
  /** Lanes whose next op has to follow one that is not over. */
  #held: Lane[] = [];
  #heldByCap = 0;
  #outOfOrder = 0;
  /** Ops in flight whose time is a latency, and when the last op left. */
  #awaited = 0;
  #lastSentUs = 0;
  #expectedUs = 0;
  #sleep: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(
    work: {
      slice: Slice;
      times: SharedTimes;
      limits: DispatchLimits;
      lanes: Lane[];
      order: Lane[];
      dueUs: Float64Array;
    },
    onEnd: (outcome: DispatchOutcome) => void,
  ) {
    this.#slice = work.slice;
    this.#times = work.times;
    this.#limits = work.limits;
    this.#lanes = work.lanes;
    this.#order = work.order;
    this.#dueUs = work.dueUs;
    this.#onEnd = onEnd;
    for (const lane of work.lanes) {
      lane.dispatch = this;
      if (!lane.client) this.#times.lostConnections[lane.connection] = 1;
    }
  }

  /** Starts the slice at `epochUs` (clock.ts), which all threads are told alike and should lie a little ahead. */
  start(epochUs: number): void {
    this.#epochUs = epochUs;
    this.#expectedUs = this.#elapsedUs();
    if (this.#lanes.some(({ client }) => client)) this.#tick();
    else this.stop();
  }

  /** Ends the slice now; what has not been sent stays unsent. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#sleep);
    for (const lane of this.#lanes) lane.dispatch = undefined;
    const ofDelay = (us: number) => (this.#delay.count === 0 ? 0 : us);
    this.#onEnd({
      endedUs: this.#elapsedUs(),
      heldByCap: this.#heldByCap,
      outOfOrder: this.#outOfOrder,
      eventLoopDelayUs: { p99: ofDelay(this.#delay.percentile(99)), max: ofDelay(this.#delay.max) },
    });
  }

  record(lane: Lane, op: number, status: number, errorId: number, atUs: number): void {
    this.#times.repliedUs[op] = atUs - this.#epochUs;
    this.#times.errorId[op] = errorId;
    this.#times.status[op] = status;
    if (!this.#isBlocking(op)) this.#awaited--;
    if (lane.due > lane.sent) {
      this.#list(lane);
      this.#wake();
    }
  }

  laneLost(lane: Lane): void {
    this.#times.lostConnections[lane.connection] = 1;
    for (let k = lane.answered; k < lane.sent; k++) if (!this.#isBlocking(lane.ops[k]!)) this.#awaited--;
    if (this.#lanes.every(({ client }) => !client)) this.stop();
  }

  #isBlocking(op: number): boolean {
    return (this.#slice.flags[op]! & OpFlag.blocking) !== 0;
  }

  #elapsedUs(): number {
    return nowUs() - this.#epochUs;
  }

  #tick = (): void => {
    if (this.#ended) return;
    this.#sleep = undefined;
    const elapsedUs = this.#elapsedUs();
    this.#delay.record(Math.max(1, Math.round(elapsedUs - this.#expectedUs)));
    for (let i = 0; i < this.#held.length; i++) this.#list(this.#held[i]!);
    this.#held.length = 0;
    const count = this.#dueUs.length;
    while (this.#cursor < count && this.#dueUs[this.#cursor]! <= elapsedUs) {
      const lane = this.#order[this.#cursor++]!;
      lane.due++;
      this.#list(lane);
    }
    for (let i = 0; i < this.#toFlush.length; i++) this.#flush(this.#toFlush[i]!);
    this.#toFlush.length = 0;
    const graceEndsUs = (this.#dueUs[count - 1] ?? 0) + this.#limits.graceMs * 1000;
    if (this.#cursor === count && (elapsedUs > graceEndsUs || this.#settled())) this.stop();
    else this.#waitUntil(this.#dueUs[this.#cursor] ?? Number.POSITIVE_INFINITY);
  };

  #list(lane: Lane): void {
    if (lane.listed) return;
    lane.listed = true;
    this.#toFlush.push(lane);
  }

  /** All that is due on a connection leaves as one piece. */
  #flush(lane: Lane): void {
    lane.listed = false;
    if (!lane.client) return;
    const from = lane.sent;
    let to = Math.min(lane.due, lane.answered + this.#limits.inFlightCap);
    if (to < lane.due) {
      this.#heldByCap += lane.due - Math.max(to, lane.held);
      lane.held = lane.due;
    }
    if (this.#slice.order) to = this.#untilHeld(lane, from, to);
    if (to === from) return;
    // The time before the write: the write is part of the service that is measured, not of our lag.
    const sentUs = this.#elapsedUs();
    for (let k = from; k < to; k++) {
      const op = lane.ops[k]!;
      this.#times.sentUs[op] = sentUs;
      this.#times.status[op] = OpStatus.sent;
      if (!this.#isBlocking(op)) this.#awaited++;
    }
    lane.sent = to;
    this.#lastSentUs = sentUs;
    lane.client.send(from, to);
  }

  /** How far the lane's ops `from … to − 1` may leave now: up to one that has to follow an op that is not over. */
  #untilHeld(lane: Lane, from: number, to: number): number {
    const { intendedUs } = this.#slice;
    const order = this.#slice.order!;
    const elapsedUs = this.#elapsedUs();
    for (let k = from; k < to; k++) {
      const op = lane.ops[k]!;
      for (let i = order.from[op]!; i < order.from[op + 1]!; i++) {
        if (elapsedUs >= overUs(order.after[i]!, this.#slice, this.#times) + order.delayUs[i]!) continue;
        if (this.#times.lostConnections[this.#slice.connection[order.after[i]!]!] === 1) continue;
        if (elapsedUs - intendedUs[op]! <= MAX_HOLD_US) {
          this.#held.push(lane);
          return k;
        }
        this.#outOfOrder++;
        break;
      }
    }
    return to;
  }

  #waitUntil(dueUs: number): void {
    const elapsedUs = this.#elapsedUs();
    const waitUs = dueUs - elapsedUs;
    const awaiting = this.#awaited > 0;
    this.#expectedUs = elapsedUs;
    if (this.#held.length > 0) {
      setImmediate(this.#tick);
      return;
    }
    if (waitUs >= SLEEP_FROM_US && !(awaiting && elapsedUs - this.#lastSentUs < POLL_US)) {
      const sleepMs = Math.min(MAX_SLEEP_MS, Math.floor((waitUs - SLEEP_MARGIN_US) / 1000));
      this.#expectedUs += sleepMs * 1000;
      this.#sleep = setTimeout(this.#tick, sleepMs);
      return;
    }
    if (!awaiting && waitUs > NAP_MARGIN_US && waitUs < SLEEP_FROM_US) {
      const napUs = waitUs - NAP_MARGIN_US;
      this.#expectedUs += napUs;
      Atomics.wait(napCell, 0, 0, napUs / 1000);
    }
    setImmediate(this.#tick);
  }

  /** Held ops may leave: no sleep to its end. */
  #wake(): void {
    if (!this.#sleep) return;
    clearTimeout(this.#sleep);
    this.#sleep = undefined;
    this.#expectedUs = this.#elapsedUs();
    setImmediate(this.#tick);
  }

  /** No reply is to be waited for; a blocking op's, and those behind it, may never come. */
  #settled(): boolean {
    return this.#lanes.every(
      (lane) =>
        !lane.client ||
        lane.answered === lane.ops.length ||
        (lane.answered < lane.sent && this.#isBlocking(lane.ops[lane.answered]!)),
    );
  }
}
