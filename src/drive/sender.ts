/**
 * The sending half of a load thread in a thread of its own: it naps until the next op is due and writes it to the socket
 * itself, by the descriptor, while the event loop of the load thread sleeps until replies arrive.
 */
import { writeSync } from 'node:fs';
import { createHistogram } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadHealth } from '../measure/generator.ts';
import type { Priority } from '../servers/priority.ts';
import { type Bell, BellFlag } from './bell.ts';
import { nowUs } from './clock.ts';
import { type DepartureCounts, Departures, type Exit, type Share } from './departures.ts';
import { delayFigures } from './dispatch.ts';
import { LaneOps } from './lane-ops.ts';
import { type LaneTable, tryLock, unlock } from './lane-table.ts';
import { LoadThread } from './load-thread.ts';
import { Pacer } from './pacer.ts';

/** The socket's buffers are full; ENOBUFS is macOS's word for it. */
const FULL = new Set(['EAGAIN', 'ENOBUFS']);

export interface SenderSetup {
  bell: Bell;
  priority: Priority;
}

export type ToSender = { type: 'prepare'; share: Share } | { type: 'run'; epochUs: number };

export type FromSender = { type: 'ready' } | { type: 'sent'; counts: DepartureCounts; health: ThreadHealth };

const { bell, priority } = workerData as SenderSetup;
const port = parentPort!;
const tell = (message: FromSender) => port.postMessage(message);

// EAGAIN is an exception, and would have a stack trace that nobody reads.
Error.stackTraceLimit = 0;

const thread = new LoadThread(priority);
const pacer = new Pacer('split', thread.priority === 'realtime', bell.rings);
let share: Share | undefined;

port.on('message', (message: ToSender) => {
  if (message.type === 'prepare') {
    ({ share } = message);
    thread.begin();
    tell({ type: 'ready' });
  } else {
    const { counts, eventLoopDelayUs } = run(share!, message.epochUs);
    share = undefined;
    // What was collected meanwhile is told to observers by the event loop, which has not turned since.
    setImmediate(() => tell({ type: 'sent', counts, health: { ...thread.end(), eventLoopDelayUs, probe: undefined } }));
  }
});

/** Returns when all has left, or when it is told to stop. */
function run(share: Share, epochUs: number): { counts: DepartureCounts } & Pick<ThreadHealth, 'eventLoopDelayUs'> {
  const departures = new Departures(share, new SocketExit(share), epochUs);
  const delays = createHistogram();
  let expectedUs = nowUs() - epochUs;
  let heardRings = 0;
  while (Atomics.load(bell.flags, BellFlag.stop) === 0) {
    // Before the look at what has room again: progress after it rings.
    const rings = Atomics.load(bell.rings, 0);
    if (rings !== heardRings) departures.retryDown();
    heardRings = rings;
    const elapsedUs = nowUs() - epochUs;
    delays.record(Math.max(1, Math.round(elapsedUs - expectedUs)));
    departures.step(elapsedUs);
    const { nextDueUs, polling, awaitsConnection } = departures;
    if (nextDueUs === Number.POSITIVE_INFINITY) {
      Atomics.store(bell.flags, BellFlag.allDue, 1);
      if (!polling && !awaitsConnection) break;
    }
    Atomics.store(bell.flags, BellFlag.listening, Number(polling));
    const nowElapsedUs = nowUs() - epochUs;
    expectedUs = nowElapsedUs + pacer.nap(nowElapsedUs, nextDueUs - nowElapsedUs, polling, rings);
  }
  return { counts: departures.counts, eventLoopDelayUs: delayFigures(delays) };
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
    const bytes = this.#ops[connection].run(from, to);
    const left = this.#left.get(connection);
    if (left) left.pieces.push(bytes);
    else this.#write(connection, [bytes]);
  }

  release(connection: number): boolean {
    const left = this.#left.get(connection);
    if (left) {
      this.#left.delete(connection);
      this.#write(connection, left.pieces);
    }
    unlock(this.#table, connection);
    return !this.#left.has(connection);
  }

  /** Writes all, or keeps what the kernel does not take. */
  #write(connection: number, pieces: Uint8Array[]): void {
    const { descriptor, openings, unwritten } = this.#table;
    const opening = openings[connection]!;
    for (let i = 0; i < pieces.length; i++) {
      const bytes = pieces[i]!;
      let at = 0;
      try {
        while (at < bytes.length) at += writeSync(descriptor[connection]!, bytes, at, bytes.length - at);
      } catch (error) {
        if (FULL.has((error as NodeJS.ErrnoException).code!)) {
          this.#left.set(connection, { pieces: [bytes.subarray(at), ...pieces.slice(i + 1)], opening });
          unwritten[connection] = opening;
          return;
        }
        // It is broken: the thread that reads from it hears so too, and says when it stands again.
        Atomics.store(descriptor, connection, 0);
        break;
      }
    }
    unwritten[connection] = 0;
  }
}
