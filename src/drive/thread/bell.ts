/** Between the two threads of a split load thread: what one has to tell the other that does not look at messages. */
export interface Bell {
  /** Counts the rings. */
  rings: Int32Array<SharedArrayBuffer>;
  /** Each one a flag. */
  flags: Int32Array;
}

/**
 * `stop`: the sender shall end. `listening`: it wants to hear of progress. `allDue`: it has let go of all that may go.
 * `looked`: the event loop has come round to its looks, and needs no beat.
 */
export const BellFlag = { stop: 0, listening: 1, allDue: 2, looked: 3 } as const;

export function createBell(): Bell {
  return {
    rings: new Int32Array(new SharedArrayBuffer(4)),
    flags: new Int32Array(new SharedArrayBuffer(4 * Object.keys(BellFlag).length)),
  };
}

export function ring({ rings }: Bell): void {
  Atomics.add(rings, 0, 1);
  Atomics.notify(rings, 0);
}
