/** Turns one thread's share of a slice into ops that leave at their intended times, whatever is still in flight. */
import { createHistogram } from 'node:perf_hooks';
import { OpStatus, type OpTimes, type Outage, overUs } from '../measure/latency-log.ts';
import { OpFlag, type Slice } from '../plan/plan.ts';
import type { ClientSink, LoadClient } from './client.ts';
import { nowUs } from './clock.ts';
import type { Pacer } from './pacer.ts';
import type { Probe } from './probe.ts';

/** No longer at once: after the last op has left this is how often it is asked whether all replies have come. */
const MAX_SLEEP_MS = 5;
/** With so much time until the next op the event loop sleeps … */
const SLEEP_FROM_US = 3000;
/** … by a timer, which counts in milliseconds, rounds up and is late: it is set this much too early. */
const SLEEP_MARGIN_US = 2000;
/**
 * A thread that may poll does not sleep for so long after the last send, while a reply is awaited: a sleeping thread reads
 * it late. A reply later than that does not change by a wake-up's lateness.
 */
const ALERT_US = 3000;

/** An op that has to follow others waits for them no longer than this behind its intended time. */
const MAX_HOLD_US = 200_000;

/** A lost connection is opened again after n · 50 ms at the nth try, at most 2 s: what ioredis and iovalkey do by default. */
const RETRY_STEP_MS = 50;
const MAX_RETRY_MS = 2000;

/** The results of a slice, shared by all threads: what was measured survives the death of any of them. */
export interface SharedTimes extends OpTimes {
  /** Which error (`ErrorPrefixes`, per thread), where the status is `error`. */
  errorId: Uint8Array;
  /** Per connection of the plan: 1 while it does not stand. */
  down: Uint8Array;
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
  /** Script calls that the server did not know (NOSCRIPT) and that were sent again with their source. */
  scriptsResent: number;
  outages: Outage[];
  /** How much later than asked the event loop came back. */
  eventLoopDelayUs: { p99: number; max: number };
}

/** What a slice asks of the thread that runs it. */
export interface DispatchServices {
  /** Opens a lane's connection; throws when it cannot. */
  connect: (lane: Lane) => Promise<LoadClient>;
  /** The command to send in place of op k of the lane's, which had this error; undefined: the error is its outcome. */
  replacementOf: (lane: Lane, k: number, errorId: number) => Uint8Array | undefined;
  pacer: Pacer;
  probe: Probe | undefined;
}

/** One connection's ops of a slice, sent in order: `answered ≤ sent ≤ due ≤ ops.length`. */
export class Lane implements ClientSink {
  /** Set while the connection stands. */
  client: LoadClient | undefined;
  /** Why the connection ended. */
  lostReason: string | undefined;
  /** Indexes into the slice. */
  ops: Uint32Array = new Uint32Array(0);
  /** Op k is `bytes[offset[k] … offset[k + 1])`. */
  bytes: Uint8Array = new Uint8Array(0);
  offset: Uint32Array = new Uint32Array(1);
  due = 0;
  sent = 0;
  /** Ops sent that are over: answered, or lost. */
  answered = 0;
  /** All ops before this one are over. */
  oldest = 0;
  /** Ops up to here have been counted as held by the cap. */
  held = 0;
  /** Waits in the dispatcher's list of lanes to flush. */
  listed = false;
  /** Ops that were sent once more in another form: never a third time. */
  readonly resent = new Set<number>();
  dispatch: Dispatch | undefined;
  readonly connection: number;

  constructor(connection: number) {
    this.connection = connection;
  }

  /** Takes the ops of the next slice, laid end to end, so that any run of them is one piece of `bytes`. */
  prepare(ops: Uint32Array, bytes: Uint8Array, offset: Uint32Array): void {
    this.ops = ops;
    this.bytes = bytes;
    this.offset = offset;
    this.due = 0;
    this.sent = 0;
    this.answered = 0;
    this.oldest = 0;
    this.held = 0;
    this.listed = false;
    this.resent.clear();
    if (this.client) this.lostReason = undefined;
    this.client?.prepare(bytes, offset);
  }

  /** Nothing is in flight, and nothing is left to send. */
  get finished(): boolean {
    return this.answered === this.ops.length;
  }

  replied(k: number, status: number, errorId: number, atUs: number): void {
    this.dispatch?.record(this, k, status, errorId, atUs);
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
  readonly #services: DispatchServices;
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
  #scriptsResent = 0;
  readonly #outages: Outage[] = [];
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
    services: DispatchServices,
    onEnd: (outcome: DispatchOutcome) => void,
  ) {
    this.#slice = work.slice;
    this.#times = work.times;
    this.#limits = work.limits;
    this.#lanes = work.lanes;
    this.#order = work.order;
    this.#dueUs = work.dueUs;
    this.#services = services;
    this.#onEnd = onEnd;
    for (const lane of work.lanes) lane.dispatch = this;
  }

  /** Starts the slice at `epochUs` (clock.ts), which all threads are told alike and should lie a little ahead. */
  start(epochUs: number): void {
    this.#epochUs = epochUs;
    this.#expectedUs = this.#elapsedUs();
    for (const lane of this.#lanes) if (!lane.client) void this.#reopen(lane, 0);
    this.#tick();
  }

  /** Ends the slice now; what has not been sent stays unsent. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#sleep);
    for (const lane of this.#lanes) lane.dispatch = undefined;
    const endedUs = this.#elapsedUs();
    const ofDelay = (us: number) => (this.#delay.count === 0 ? 0 : us);
    this.#onEnd({
      endedUs,
      heldByCap: this.#heldByCap,
      outOfOrder: this.#outOfOrder,
      scriptsResent: this.#scriptsResent,
      outages: this.#outages.map((outage) => ({ ...outage, untilUs: Math.min(outage.untilUs, Math.max(0, endedUs)) })),
      eventLoopDelayUs: { p99: ofDelay(this.#delay.percentile(99)), max: ofDelay(this.#delay.max) },
    });
  }

  record(lane: Lane, k: number, status: number, errorId: number, atUs: number): void {
    if (status === OpStatus.error && !lane.resent.has(k)) {
      const replacement = this.#services.replacementOf(lane, k, errorId);
      if (replacement && lane.client) {
        lane.resent.add(k);
        this.#scriptsResent++;
        lane.client.sendInstead(k, replacement);
        return;
      }
    }
    const op = lane.ops[k]!;
    this.#times.repliedUs[op] = atUs - this.#epochUs;
    this.#times.errorId[op] = errorId;
    this.#over(lane, op, status);
    if (lane.due > lane.sent) {
      this.#list(lane);
      this.#wake();
    }
  }

  /** What is in flight there has no reply; the lane's other ops wait for the connection to stand again. */
  laneLost(lane: Lane): void {
    // Before the start nothing is in flight, and start() looks after connections that do not stand.
    if (this.#epochUs === 0) return;
    for (let k = lane.oldest; k < lane.sent; k++) {
      const op = lane.ops[k]!;
      if (this.#times.status[op] === OpStatus.sent) this.#over(lane, op, OpStatus.lost);
    }
    void this.#reopen(lane, this.#elapsedUs());
  }

  async #reopen(lane: Lane, fromUs: number): Promise<void> {
    const outage = { connection: lane.connection, fromUs, untilUs: Number.POSITIVE_INFINITY };
    this.#outages.push(outage);
    this.#times.down[lane.connection] = 1;
    for (let attempt = 1; ; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(attempt * RETRY_STEP_MS, MAX_RETRY_MS)));
      if (this.#ended) return;
      try {
        const client = await this.#services.connect(lane);
        if (this.#ended) {
          client.destroy();
          return;
        }
        client.prepare(lane.bytes, lane.offset);
        lane.client = client;
        break;
      } catch {
        // The next attempt, later.
      }
    }
    outage.untilUs = this.#elapsedUs();
    this.#times.down[lane.connection] = 0;
    this.#list(lane);
    this.#wake();
  }

  #over(lane: Lane, op: number, status: number): void {
    const { status: statuses } = this.#times;
    statuses[op] = status;
    lane.answered++;
    while (lane.oldest < lane.sent && statuses[lane.ops[lane.oldest]!]! > OpStatus.sent) lane.oldest++;
    if (!this.#isBlocking(op)) this.#awaited--;
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
    this.#services.probe?.tick(elapsedUs);
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
    const { intendedUs, connection } = this.#slice;
    const { status, down } = this.#times;
    const order = this.#slice.order!;
    const elapsedUs = this.#elapsedUs();
    for (let k = from; k < to; k++) {
      const op = lane.ops[k]!;
      for (let i = order.from[op]!; i < order.from[op + 1]!; i++) {
        const before = order.after[i]!;
        if (elapsedUs >= overUs(before, this.#slice, this.#times) + order.delayUs[i]!) continue;
        if (status[before] === OpStatus.lost || down[connection[before]!] === 1) continue;
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
    const alert = this.#services.pacer.polls && awaiting && elapsedUs - this.#lastSentUs < ALERT_US;
    if (waitUs >= SLEEP_FROM_US && this.#held.length === 0 && !alert) {
      const sleepMs = Math.min(MAX_SLEEP_MS, Math.floor((waitUs - SLEEP_MARGIN_US) / 1000));
      this.#expectedUs = elapsedUs + sleepMs * 1000;
      this.#sleep = setTimeout(this.#tick, sleepMs);
      return;
    }
    this.#expectedUs = elapsedUs + this.#services.pacer.nap(elapsedUs, this.#held.length > 0 ? 0 : waitUs, awaiting);
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
      (lane) => lane.finished || (lane.oldest < lane.sent && this.#isBlocking(lane.ops[lane.oldest]!)),
    );
  }
}
