/**
 * The sending half of a load thread in a thread of its own: it naps until the next op is due and writes it to the socket
 * itself, by the descriptor, while the event loop of the load thread sleeps until replies arrive.
 */
import { writeSync } from 'node:fs';
import { createHistogram } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadHealth } from '../../measure/generator.ts';
import { type Priority, REALTIME_SENDERS_LEVEL } from '../../servers/priority.ts';
import { nowUs } from '../clock.ts';
import { type Bell, BellFlag } from './bell.ts';
import { type DepartureCounts, Departures, type Exit, type Share } from './departures.ts';
import { delayFigures } from './dispatch.ts';
import { LaneOps } from './lane-ops.ts';
import { type LaneTable, tryLock, unlock } from './lane-table.ts';
import { LoadThread } from './load-thread.ts';
import { Pacer } from './pacer.ts';

/** The socket's buffers are full; ENOBUFS is macOS's word for it. */
const FULL = new Set(['EAGAIN', 'ENOBUFS']);

/** Nothing else is looked at while the thread polls for the next op. */
const LONGEST_POLL_US = 100;

export interface SenderSetup {
  bell: Bell;
  priority: Priority;
}

export type ToSender = { type: 'prepare'; share: Share } | { type: 'run'; epochUs: number };

export type FromSender =
  | { type: 'ready' }
  /** Until all is sent, when the event loop has not looked for a while; with the time it left, by the slice's clock. */
  | { type: 'beat'; atUs: number }
  | { type: 'sent'; counts: DepartureCounts; health: ThreadHealth };

const BEAT_US = 5000;

const { bell, priority } = workerData as SenderSetup;
const port = parentPort!;
const tell = (message: FromSender) => port.postMessage(message);

// EAGAIN is an exception, and would have a stack trace that nobody reads.
Error.stackTraceLimit = 0;

const thread = new LoadThread(priority, REALTIME_SENDERS_LEVEL);
const pacer = new Pacer('split', thread.priority === 'realtime', bell.rings);
let sending: Sending | undefined;

port.on('message', (message: ToSender) => {
  if (message.type === 'prepare') {
    sending = new Sending(message.share);
    thread.begin();
    tell({ type: 'ready' });
  } else {
    const { counts, eventLoopDelayUs } = sending!.run(message.epochUs);
    sending = undefined;
    // What was collected meanwhile is told to observers by the event loop, which has not turned since.
    setImmediate(() => tell({ type: 'sent', counts, health: { ...thread.end(), eventLoopDelayUs, probe: undefined } }));
  }
});

/** The sender's part of a slice. */
class Sending {
  readonly #departures: Departures;
  readonly #delays = createHistogram();
  #epochUs = 0;
  #expectedUs = 0;
  #heardRings = 0;
  #beatDueUs = 0;

  constructor(share: Share) {
    this.#departures = new Departures(share, new SocketExit(share));
    pacer.expect(share.slice.durationUs / share.own.ops.length);
  }

  /** Returns when all has left, or when it is told to stop. */
  run(epochUs: number): { counts: DepartureCounts } & Pick<ThreadHealth, 'eventLoopDelayUs'> {
    this.#epochUs = epochUs;
    this.#expectedUs = this.#elapsedUs();
    this.#beatDueUs = this.#expectedUs;
    this.#departures.start(epochUs);
    while (Atomics.load(bell.flags, BellFlag.stop) === 0 && this.#turn());
    return { counts: this.#departures.counts, eventLoopDelayUs: delayFigures(this.#delays) };
  }

  /**
   * Lets leave what is due, and waits for the next op; false: there is none. Apart from the loop around it, whose compiled
   * code V8 forgets at each collection and would make anew in each slice.
   */
  #turn(): boolean {
    const departures = this.#departures;
    // Before the look at what has room again: progress after it rings.
    const rings = Atomics.load(bell.rings, 0);
    if (rings !== this.#heardRings) departures.retryDown();
    this.#heardRings = rings;
    const elapsedUs = this.#elapsedUs();
    departures.step(elapsedUs);
    // With the step: writing takes microseconds, and a host that stops the thread does so in it as well as between.
    this.#delays.record(Math.max(1, Math.round(this.#elapsedUs() - this.#expectedUs)));
    const { nextDueUs, polling, awaitsConnection } = departures;
    if (nextDueUs === Number.POSITIVE_INFINITY) {
      Atomics.store(bell.flags, BellFlag.allDue, 1);
      if (!polling && !awaitsConnection) return false;
    }
    Atomics.store(bell.flags, BellFlag.listening, Number(polling));
    if (elapsedUs >= this.#beatDueUs) {
      this.#beatDueUs = elapsedUs + BEAT_US;
      if (Atomics.exchange(bell.flags, BellFlag.looked, 0) === 0) tell({ type: 'beat', atUs: elapsedUs });
    }
    const nowElapsedUs = this.#elapsedUs();
    const napUs = pacer.nap(nowElapsedUs, nextDueUs - nowElapsedUs, polling, rings);
    this.#expectedUs = nowElapsedUs + napUs;
    if (napUs === 0 && !polling && nextDueUs - nowElapsedUs <= LONGEST_POLL_US) {
      this.#expectedUs = nextDueUs;
      while (this.#elapsedUs() < nextDueUs);
    }
    return true;
  }

  #elapsedUs(): number {
    return nowUs() - this.#epochUs;
  }
}

/** Writes to sockets that another thread reads from. */
class SocketExit implements Exit {
  readonly polls = true;
  readonly #share: Share;
  readonly #table: LaneTable;
  readonly #ops: LaneOps[] = [];
  /** What the kernel has not taken of a connection's bytes, and of which of its openings. */
  readonly #left = new Map<number, { pieces: Uint8Array[]; opening: number }>();

  constructor(share: Share) {
    this.#share = share;
    this.#table = share.table;
  }

  acquire(connection: number): ReturnType<Exit['acquire']> {
    const { descriptor, openings } = this.#table;
    if (Atomics.load(descriptor, connection) === 0) return 'down';
    if (!tryLock(this.#table, connection)) return 'busy';
    if (Atomics.load(descriptor, connection) === 0) {
      unlock(this.#table, connection);
      return 'down';
    }
    if (this.#left.size > 0 && this.#left.get(connection)?.opening !== openings[connection])
      this.#left.delete(connection);
    return 'granted';
  }

  send(connection: number, from: number, to: number): void {
    this.#ops[connection] ??= LaneOps.of(this.#share.slice, this.#share.own, connection);
    const ops = this.#ops[connection];
    const left = this.#left.size > 0 ? this.#left.get(connection) : undefined;
    if (left) left.pieces.push(ops.run(from, to));
    else if (ops.areNeighbours(from, to)) {
      // As almost always: without a view of the bytes.
      const { bytes } = ops;
      const end = ops.end(to - 1);
      const at = this.#write(connection, bytes, ops.start(from), end);
      if (at < end) this.#keep(connection, [bytes.subarray(at, end)]);
    } else this.#writeAll(connection, [ops.run(from, to)]);
  }

  release(connection: number): boolean {
    const left = this.#left.size > 0 ? this.#left.get(connection) : undefined;
    if (left) {
      this.#left.delete(connection);
      this.#table.unwritten[connection] = 0;
      this.#writeAll(connection, left.pieces);
    }
    unlock(this.#table, connection);
    return this.#left.size === 0 || !this.#left.has(connection);
  }

  #writeAll(connection: number, pieces: Uint8Array[]): void {
    for (const [i, piece] of pieces.entries()) {
      const at = this.#write(connection, piece, 0, piece.length);
      if (at === piece.length) continue;
      this.#keep(connection, [piece.subarray(at), ...pieces.slice(i + 1)]);
      return;
    }
  }

  /** What the kernel does not take now. */
  #keep(connection: number, pieces: Uint8Array[]): void {
    const { openings, unwritten } = this.#table;
    const opening = openings[connection]!;
    this.#left.set(connection, { pieces, opening });
    unwritten[connection] = opening;
  }

  /** Writes `bytes[from … end)` as far as the kernel takes it, and returns how far; where the connection is broken, all is gone. */
  #write(connection: number, bytes: Uint8Array, from: number, end: number): number {
    const { descriptor } = this.#table;
    let at = from;
    try {
      while (at < end && descriptor[connection] !== 0) at += writeSync(descriptor[connection]!, bytes, at, end - at);
    } catch (error) {
      if (FULL.has((error as NodeJS.ErrnoException).code!)) return at;
      // The thread that reads from it hears so too, and says when it stands again.
      Atomics.store(descriptor, connection, 0);
    }
    return end;
  }
}
