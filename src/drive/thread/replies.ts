/** The receiving half of a load thread: turns replies and broken connections into what became of each op. */
import { OpStatus, type Outage } from '../../measure/latency-log.ts';
import { OpFlag } from '../../plan/plan.ts';
import type { ClientSink, LoadClient } from '../client.ts';
import { nowUs } from '../clock.ts';
import { retryDelayMs } from '../wire.ts';
import type { Share } from './departures.ts';
import { LaneOps } from './lane-ops.ts';
import { type LaneTable, tryLock, unlock, waitForLock } from './lane-table.ts';
import { Walks } from './walks.ts';

/** The kernel has not taken all of a command: when to look again whether another one may follow. */
const FULL_SOCKET_RETRY_MS = 1;

/** One connection: its client, and the ops that it has in a slice. */
export class Lane implements ClientSink {
  readonly connection: number;
  readonly #table: LaneTable;
  /** Set while the connection stands. */
  client: LoadClient | undefined;
  /** Why the connection ended. */
  lostReason: string | undefined;
  ops = LaneOps.none;
  /** All ops before this one are over. */
  oldest = 0;
  /** Ops that were sent once more in another form: never a third time. */
  readonly resent = new Set<number>();
  /** Of the slice that is under way. */
  replies: Replies | undefined;
  /** This thread writes to the socket, and has not written everything. */
  #writing = false;

  constructor(connection: number, table: LaneTable) {
    this.connection = connection;
    this.#table = table;
  }

  get sent(): number {
    return Atomics.load(this.#table.sent, this.connection);
  }

  get answered(): number {
    return this.#table.answered[this.connection]!;
  }

  /** Nothing is in flight, and nothing is left to send. */
  get finished(): boolean {
    return this.answered === this.ops.length;
  }

  /** Takes the ops of the next slice. */
  prepare(ops: LaneOps): void {
    this.ops = ops;
    Atomics.store(this.#table.sent, this.connection, 0);
    this.#table.answered[this.connection] = 0;
    this.oldest = 0;
    this.resent.clear();
    if (this.client) this.lostReason = undefined;
    this.client?.prepare(ops);
  }

  /** The connection stands: whoever sends may use it. */
  stand(client: LoadClient): void {
    client.prepare(this.ops);
    this.client = client;
    Atomics.add(this.#table.openings, this.connection, 1);
    Atomics.store(this.#table.descriptor, this.connection, client.socket?.descriptor ?? 0);
  }

  /** An op is over. */
  advance(): void {
    Atomics.add(this.#table.answered, this.connection, 1);
  }

  /** Sends a command in place of op k as soon as nobody else writes to the socket, and lets nobody until it is written. */
  sendInstead(k: number, command: Uint8Array): void {
    const { client } = this;
    // After the slice it is nobody's.
    if (!client || !this.replies) return;
    if (!tryLock(this.#table, this.connection)) {
      setImmediate(() => this.sendInstead(k, command));
      return;
    }
    const { unwritten, openings } = this.#table;
    if (unwritten[this.connection] === openings[this.connection]) {
      unlock(this.#table, this.connection);
      setTimeout(() => this.sendInstead(k, command), FULL_SOCKET_RETRY_MS);
      return;
    }
    this.#writing = true;
    client.sendInstead(k, command);
    const unlockWritten = () => {
      if (!this.#writing) return;
      if ((client.socket?.unwritten ?? 0) > 0) setImmediate(unlockWritten);
      else this.#unlock();
    };
    unlockWritten();
  }

  replied(k: number, status: number, errorId: number, atUs: number): void {
    this.replies?.record(this, k, status, errorId, atUs);
  }

  closing(): void {
    if (!this.#writing) waitForLock(this.#table, this.connection);
    Atomics.store(this.#table.descriptor, this.connection, 0);
    this.#unlock();
  }

  lost(reason: string): void {
    this.lostReason = reason;
    this.client = undefined;
    this.replies?.laneLost(this);
  }

  #unlock(): void {
    this.#writing = false;
    unlock(this.#table, this.connection);
  }
}

/** What the receiving half of a slice asks of its thread. */
export interface ReplyServices {
  /** Opens a lane's connection; throws when it cannot. */
  connect: (lane: Lane) => Promise<LoadClient>;
  /** The command to send in place of op k of the lane's, which had this error; undefined: the error is its outcome. */
  replacementOf: (lane: Lane, k: number, errorId: number) => Uint8Array | undefined;
}

/** Methods of a class, not functions made for the slice: code that calls them stays compiled from one slice to the next. */
export interface RepliesListener {
  /** An op of the lane's is over: ops that were held back may leave. */
  onProgress(lane: Lane): void;
  /** A connection stands again: what waited for it may leave. */
  onStanding(): void;
}

export class Replies {
  readonly #share: Share;
  readonly #walks: Walks | undefined;
  readonly #lanes: Lane[];
  readonly #services: ReplyServices;
  readonly #listener: RepliesListener;
  #epochUs = 0;
  readonly #outages: Outage[] = [];
  #ended = false;
  /** Script calls that the server did not know (NOSCRIPT) and that were sent again with their source. */
  scriptsResent = 0;
  /** Ops that are over and whose time is a latency. */
  latenciesOver = 0;

  constructor(share: Share, lanes: Lane[], services: ReplyServices, listener: RepliesListener) {
    this.#share = share;
    this.#walks = Walks.of(share);
    this.#lanes = lanes;
    this.#services = services;
    this.#listener = listener;
  }

  /** From here on the lanes' replies count; connections that do not stand are opened. */
  start(epochUs: number): void {
    this.#epochUs = epochUs;
    for (const lane of this.#lanes) {
      lane.replies = this;
      if (!lane.client) void this.#reopen(lane, 0);
    }
  }

  /** What comes from now on counts no more. */
  end(): void {
    this.#ended = true;
    for (const lane of this.#lanes) lane.replies = undefined;
  }

  outagesUntil(endedUs: number): Outage[] {
    return this.#outages.map((outage) => ({ ...outage, untilUs: Math.min(outage.untilUs, Math.max(0, endedUs)) }));
  }

  record(lane: Lane, k: number, status: number, errorId: number, atUs: number): void {
    if (status === OpStatus.error && !lane.resent.has(k)) {
      const replacement = this.#services.replacementOf(lane, k, errorId);
      if (replacement) {
        lane.resent.add(k);
        this.scriptsResent++;
        lane.sendInstead(k, replacement);
        return;
      }
    }
    const { times } = this.#share;
    const op = lane.ops.indexes[k]!;
    times.errorId[op] = errorId;
    this.#over(lane, op, status, atUs);
    this.#listener.onProgress(lane);
  }

  /** What is in flight there has no reply; the lane's other ops wait for the connection to stand again. */
  laneLost(lane: Lane): void {
    const { status } = this.#share.times;
    for (let k = lane.oldest; k < lane.sent; k++) {
      const op = lane.ops.indexes[k]!;
      if (status[op] === OpStatus.sent) this.#over(lane, op, OpStatus.lost, Number.NaN);
    }
    void this.#reopen(lane, nowUs() - this.#epochUs);
  }

  /** No reply is to be waited for; a blocking op's, and those behind it, may never come. */
  get settled(): boolean {
    return this.#lanes.every(
      (lane) => lane.finished || (lane.oldest < lane.sent && this.#isBlocking(lane.ops.indexes[lane.oldest]!)),
    );
  }

  async #reopen(lane: Lane, fromUs: number): Promise<void> {
    const { down } = this.#share.times;
    const outage = { connection: lane.connection, fromUs, untilUs: Number.POSITIVE_INFINITY };
    this.#outages.push(outage);
    down[lane.connection] = 1;
    for (let attempt = 1; ; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs(attempt)));
      if (this.#ended) return;
      try {
        const client = await this.#services.connect(lane);
        if (this.#ended) {
          client.destroy();
          return;
        }
        // Before the sender may write: what it sends has left after the outage.
        outage.untilUs = nowUs() - this.#epochUs;
        lane.stand(client);
        break;
      } catch {
        // The next attempt, later.
      }
    }
    down[lane.connection] = 0;
    this.#listener.onStanding();
  }

  #over(lane: Lane, op: number, status: number, atUs: number): void {
    const { times } = this.#share;
    const { status: statuses } = times;
    const flags = this.#share.slice.flags[op]!;
    if (flags === OpFlag.none) this.latenciesOver++;
    else this.#markedOver(lane, op, status, flags);
    times.repliedUs[op] = atUs - this.#epochUs;
    statuses[op] = status;
    lane.advance();
    const { indexes } = lane.ops;
    const { sent } = lane;
    while (lane.oldest < sent && statuses[indexes[lane.oldest]!]! > OpStatus.sent) lane.oldest++;
  }

  /** Before anybody can see that the op is over: a step that leaves then knows the cursor. */
  #markedOver(lane: Lane, op: number, status: number, flags: number): void {
    if ((flags & OpFlag.blocking) === 0) this.latenciesOver++;
    if ((flags & OpFlag.walk) !== 0)
      this.#walks?.over(op, status === OpStatus.replied ? lane.client?.cursor : undefined);
  }

  #isBlocking(op: number): boolean {
    return (this.#share.slice.flags[op]! & OpFlag.blocking) !== 0;
  }
}
