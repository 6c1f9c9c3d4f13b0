/** Captured clients, which come and go → as few connections as were open at once. */
import type { PlannedConnection } from '../plan.ts';

/** What one client does in one database. */
export interface Stay {
  db: number;
  /** Its ops wait for data. */
  blocking: boolean;
  /** When the client was first and last heard of. */
  firstUs: number;
  lastUs: number;
  /** It left keys watched: whoever came next on its connection would inherit them. */
  watching: boolean;
}

/**
 * A connection for each stay; one that has ended passes its connection on to a later one of the same kind, so each
 * connection carries whole stays one after the other, and there are as many as overlapped at most.
 */
export function assignConnections(stays: Stay[]): { connections: PlannedConnection[]; connectionOf: number[] } {
  const connections: PlannedConnection[] = [];
  const connectionOf: number[] = new Array(stays.length);
  const free = new Map<string, number[]>();
  const poolOf = ({ db, blocking }: Stay) => {
    const name = `${db} ${blocking}`;
    const pool = free.get(name) ?? [];
    free.set(name, pool);
    return pool;
  };
  const ends = stays.map((_, i) => i).sort((a, b) => stays[a]!.lastUs - stays[b]!.lastUs);
  const starts = stays.map((_, i) => i).sort((a, b) => stays[a]!.firstUs - stays[b]!.firstUs);
  let ended = 0;
  for (const i of starts) {
    const stay = stays[i]!;
    for (; stays[ends[ended]!]!.lastUs < stay.firstUs; ended++) {
      const gone = ends[ended]!;
      if (!stays[gone]!.watching) poolOf(stays[gone]!).push(connectionOf[gone]!);
    }
    connectionOf[i] = poolOf(stay).pop() ?? connections.push({ db: stay.db }) - 1;
  }
  return { connections, connectionOf };
}
