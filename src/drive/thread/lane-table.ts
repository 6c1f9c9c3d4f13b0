/**
 * What the sending and the receiving half of a load thread share of each connection of the plan, in one thread or two.
 * Every field is indexed by connection.
 */
export interface LaneTable {
  /** Ops of the slice that have left, those among them that were lost with their connection. Written by the sending half. */
  sent: Int32Array;
  /** Of these the ones that are over: answered, or lost. Written by the receiving half. */
  answered: Int32Array;
  /** The socket that stands, where it can be written to by descriptor; else 0. */
  descriptor: Int32Array;
  /** How often the connection was opened: what was left to be written to an earlier socket is void. */
  openings: Int32Array;
  /** The opening to whose socket the sender still has bytes to write, 0 if to none: nothing may come between. Under the lock. */
  unwritten: Int32Array;
  /** 1 while somebody writes to the socket, or closes it: a closed descriptor's number is the next file's. */
  lock: Int32Array;
}

const CONTENDED_WAIT_MS = 0.05;

export function createLaneTable(connections: number): LaneTable {
  const shared = () => new Int32Array(new SharedArrayBuffer(4 * connections));
  return {
    ...{ sent: shared(), answered: shared(), descriptor: shared() },
    ...{ openings: shared(), unwritten: shared(), lock: shared() },
  };
}

export const tryLock = ({ lock }: LaneTable, connection: number): boolean =>
  Atomics.compareExchange(lock, connection, 0, 1) === 0;

/** For what cannot be put off: whoever holds the lock does so for some system calls that do not block. */
export function waitForLock(table: LaneTable, connection: number): void {
  while (!tryLock(table, connection)) Atomics.wait(table.lock, connection, 1, CONTENDED_WAIT_MS);
}

export function unlock({ lock }: LaneTable, connection: number): void {
  Atomics.store(lock, connection, 0);
}
