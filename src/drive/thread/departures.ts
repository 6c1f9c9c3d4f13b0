/** The sending half of a load thread: turns a slice into ops that leave at their intended times, whatever is still in flight. */
import { OpStatus, type OpTimes, overUs } from '../../measure/latency-log.ts';
import { OpFlag, type Slice } from '../../plan/plan.ts';
import { nowUs } from '../clock.ts';
import type { OpsByConnection } from './lane-ops.ts';
import type { LaneTable } from './lane-table.ts';
import { Walks, type WalkTable } from './walks.ts';

/** An op that has to follow others waits for them no longer than this behind its intended time. */
const MAX_HOLD_US = 200_000;

/** The results of a slice, shared by all threads: what was measured survives the death of any of them. */
export interface SharedTimes extends OpTimes {
  /** Which error (`ErrorPrefixes`, per thread), where the status is `error`. */
  errorId: Uint8Array;
  /** Per connection of the plan: 1 while it does not stand. */
  down: Uint8Array;
}

/** A load thread's part of a slice. */
export interface Share {
  slice: Slice;
  times: SharedTimes;
  table: LaneTable;
  own: OpsByConnection;
  /** Ops in flight per connection; ops beyond are held until replies come, and counted. */
  inFlightCap: number;
  /** Of slices with walks. */
  walkTable?: WalkTable | undefined;
}

/** How ops leave on connections. */
export interface Exit {
  /**
   * Whether ops may leave on this connection now; if so `release` must follow. One that is `busy` may be free any moment;
   * one that is `down` is not asked again until `retryDown`.
   */
  acquire(connection: number): 'granted' | 'busy' | 'down';
  /** Sends the connection's ops `from … to − 1`, or queues what the kernel does not take: that is the server's time, not ours. */
  send(connection: number, from: number, to: number): void;
  /** False: not everything is written, and the next `acquire` and `release` go on with it. */
  release(connection: number): boolean;
  /** Connections that ops cannot leave on are tried again at each step, instead of when `list` says so. */
  readonly polls: boolean;
}

export interface DepartureCounts {
  /** Ops that were due while their connection had `inFlightCap` in flight: their response time includes our own queue. */
  heldByCap: number;
  /** Ops that left before those that they had to follow were over (`Slice.order`). */
  outOfOrder: number;
}

/** Connections, emptied at every step: keeps its memory, and setting an array's length would leave the compiled code. */
class ConnectionList {
  readonly #connections: number[] = [];
  length = 0;

  at(index: number): number {
    return this.#connections[index]!;
  }

  push(connection: number): void {
    this.#connections[this.length++] = connection;
  }

  clear(): void {
    this.length = 0;
  }
}

export class Departures {
  readonly #share: Share;
  readonly #exit: Exit;
  #epochUs = 0;
  /** Per connection: ops that are due, and ops up to which the cap's victims have been counted. */
  readonly #due: Int32Array;
  readonly #counted: Int32Array;
  /** Connections to flush at the next step, each once. */
  readonly #toFlush = new ConnectionList();
  readonly #listed: Uint8Array;
  /** Connections whose next op has to follow one that is not over. */
  readonly #ordered = new ConnectionList();
  /** Connections that could not take what is due, where the exit polls. */
  readonly #refused = new ConnectionList();
  /** Connections that do not stand; they remain listed. */
  readonly #down = new ConnectionList();
  readonly #walks: Walks | undefined;
  #cursor = 0;
  readonly counts: DepartureCounts = { heldByCap: 0, outOfOrder: 0 };
  /** Ops that have left and whose time is a latency, and when the last op left. */
  latenciesSent = 0;
  lastSentUs = 0;

  constructor(share: Share, exit: Exit) {
    this.#share = share;
    this.#exit = exit;
    this.#walks = Walks.of(share);
    const connections = share.table.sent.length;
    this.#due = new Int32Array(connections);
    this.#counted = new Int32Array(connections);
    this.#listed = new Uint8Array(connections);
    this.#skipOthers();
  }

  /** To be called before the first step. */
  start(epochUs: number): void {
    this.#epochUs = epochUs;
  }

  /** When the next op is due, microseconds after the slice's start; infinity after the last. */
  get nextDueUs(): number {
    const { slice } = this.#share;
    return this.#cursor < slice.count ? slice.intendedUs[this.#cursor]! : Number.POSITIVE_INFINITY;
  }

  /** Some op waits for what no call of `list` will tell. */
  get polling(): boolean {
    return this.#ordered.length > 0 || this.#refused.length > 0;
  }

  /** Some op waits for its connection to stand. */
  get awaitsConnection(): boolean {
    return this.#down.length > 0;
  }

  /** Ops of this connection are due beyond the `sent` ones that have left. */
  isBehind(connection: number, sent: number): boolean {
    return this.#due[connection]! > sent;
  }

  /** Ops may leave on this connection again: they do so at the next step. */
  list(connection: number): void {
    if (this.#listed[connection] === 1) return;
    this.#listed[connection] = 1;
    this.#toFlush.push(connection);
  }

  /** Connections that were down may stand again: the next step sees. */
  retryDown(): void {
    for (let i = 0; i < this.#down.length; i++) this.#toFlush.push(this.#down.at(i));
    this.#down.clear();
  }

  /** Lets leave what is due by now and may. */
  step(elapsedUs: number): void {
    const { slice } = this.#share;
    for (let i = 0; i < this.#ordered.length; i++) this.list(this.#ordered.at(i));
    this.#ordered.clear();
    for (let i = 0; i < this.#refused.length; i++) this.list(this.#refused.at(i));
    this.#refused.clear();
    while (this.#cursor < slice.count && slice.intendedUs[this.#cursor]! <= elapsedUs) {
      const connection = slice.connection[this.#cursor++]!;
      this.#due[connection]!++;
      this.list(connection);
      this.#skipOthers();
    }
    for (let i = 0; i < this.#toFlush.length; i++) this.#flush(this.#toFlush.at(i));
    this.#toFlush.clear();
  }

  /** To the next op of this thread's. */
  #skipOthers(): void {
    const { slice, own } = this.#share;
    while (this.#cursor < slice.count) {
      const connection = slice.connection[this.#cursor]!;
      if (own.from[connection]! < own.from[connection + 1]!) return;
      this.#cursor++;
    }
  }

  /** All that is due on a connection leaves as one piece. */
  #flush(connection: number): void {
    const access = this.#exit.acquire(connection);
    if (access === 'down') {
      this.#down.push(connection);
      return;
    }
    this.#listed[connection] = 0;
    if (access === 'busy') {
      this.#refuse(connection);
      return;
    }
    const { table, slice, times, own } = this.#share;
    const due = this.#due[connection]!;
    const from = Atomics.load(table.sent, connection);
    const to = Math.min(due, Atomics.load(table.answered, connection) + this.#share.inFlightCap);
    if (to < due) {
      this.counts.heldByCap += due - Math.max(to, this.#counted[connection]!);
      this.#counted[connection] = due;
    }
    const first = own.from[connection]!;
    const free = slice.order ? this.#untilOrdered(connection, first, from, to) : to;
    if (free > from) {
      // The time before the write: the write is part of the service that is measured, not of our lag.
      const sentUs = nowUs() - this.#epochUs;
      for (let k = from; k < free; k++) {
        const op = own.ops[first + k]!;
        times.sentUs[op] = sentUs;
        times.status[op] = OpStatus.sent;
        const flags = slice.flags[op]!;
        if (flags === OpFlag.none) this.latenciesSent++;
        else this.#departMarked(op, flags);
      }
      this.lastSentUs = sentUs;
      Atomics.store(table.sent, connection, free);
      this.#exit.send(connection, from, free);
    }
    const written = this.#exit.release(connection);
    if (!written || (to < due && free === to)) this.#refuse(connection);
  }

  #departMarked(op: number, flags: number): void {
    if ((flags & OpFlag.blocking) === 0) this.latenciesSent++;
    if ((flags & OpFlag.walk) !== 0) this.#walks?.depart(op);
  }

  #refuse(connection: number): void {
    if (this.#exit.polls) this.#refused.push(connection);
  }

  /** How far ops `from … to − 1` of a connection may leave now: up to one that has to follow an op that is not over. */
  #untilOrdered(connection: number, first: number, from: number, to: number): number {
    const { slice, times, own } = this.#share;
    const order = slice.order!;
    const elapsedUs = nowUs() - this.#epochUs;
    for (let k = from; k < to; k++) {
      const op = own.ops[first + k]!;
      for (let i = order.from[op]!; i < order.from[op + 1]!; i++) {
        const before = order.after[i]!;
        if (elapsedUs >= overUs(before, slice, times) + order.delayUs[i]!) continue;
        if (times.status[before] === OpStatus.lost || times.down[slice.connection[before]!] === 1) continue;
        if (elapsedUs - slice.intendedUs[op]! <= MAX_HOLD_US) {
          this.#ordered.push(connection);
          return k;
        }
        this.counts.outOfOrder++;
        break;
      }
    }
    return to;
  }
}
