/** Cursors in replies → the cursors that the next steps of their walks carry. */
import type { SliceResult } from '../../measure/rehearsal.ts';
import type { Slice, WalkSteps } from '../../plan/plan.ts';
import { UNKNOWN_CURSOR } from '../../plan/walks.ts';

/** What is known of each walk of the plan, by its number, from slice to slice. Shared memory: any thread may send a step. */
export interface WalkTable {
  /** Of the last reply; 0: the walk has not begun, or is over. */
  cursor: BigUint64Array;
  /** Steps that have been sent and are not over. */
  inFlight: Int32Array;
  /** Of the slice, by `Count`. */
  counts: Int32Array;
}

const Count = { steps: 0, ahead: 1, ended: 2 } as const;

/** A table for the walks of a slice, which still knows what the last one knew. Nothing is in flight. */
export function tableFor({ walk }: WalkSteps, known: WalkTable | undefined): WalkTable {
  const size = walk.reduce((most, number) => Math.max(most, number), 0) + 1;
  const shared = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));
  const isWide = known !== undefined && known.cursor.length >= size;
  const cursor = isWide ? known.cursor : new BigUint64Array(new SharedArrayBuffer(8 * size));
  if (known && !isWide) cursor.set(known.cursor);
  return { cursor, inFlight: shared(cursor.length), counts: shared(Object.keys(Count).length) };
}

export const countsOf = ({ counts }: WalkTable): NonNullable<SliceResult['walks']> => ({
  steps: counts[Count.steps]!,
  ahead: counts[Count.ahead]!,
  ended: counts[Count.ended]!,
});

/** The walks of a slice, for a thread that sends their steps or reads the replies. */
export class Walks {
  readonly #slice: Slice;
  readonly #steps: WalkSteps;
  readonly #table: WalkTable;

  static of({ slice, walkTable }: { slice: Slice; walkTable?: WalkTable | undefined }): Walks | undefined {
    return slice.walks && walkTable && new Walks(slice, slice.walks, walkTable);
  }

  private constructor(slice: Slice, steps: WalkSteps, table: WalkTable) {
    this.#slice = slice;
    this.#steps = steps;
    this.#table = table;
  }

  /** The op is about to be sent: writes its cursor into its bytes, which no other arm or slice has under way. */
  depart(op: number): void {
    const { cursor, inFlight, counts } = this.#table;
    const step = this.#find(op);
    const walk = this.#steps.walk[step]!;
    const at = this.#steps.at[step]!;
    const before = Atomics.add(inFlight, walk, 1);
    if (at === 0) {
      Atomics.store(cursor, walk, 0n);
      return;
    }
    Atomics.add(counts, Count.steps, 1);
    if (before > 0) Atomics.add(counts, Count.ahead, 1);
    const digits = String(Atomics.load(cursor, walk)).padStart(UNKNOWN_CURSOR.length, '0');
    const start = this.#slice.offset[op]! + at;
    for (let i = 0; i < digits.length; i++) this.#slice.bytes[start + i] = digits.charCodeAt(i);
  }

  /** The op is over; `next`: the cursor in its reply, undefined where it has none. */
  over(op: number, next: bigint | undefined): void {
    const { cursor, inFlight, counts } = this.#table;
    const walk = this.#steps.walk[this.#find(op)]!;
    if (next !== undefined) {
      Atomics.store(cursor, walk, next);
      if (next === 0n) Atomics.add(counts, Count.ended, 1);
    }
    // Behind it: who sees that nothing is in flight sees the cursor.
    Atomics.sub(inFlight, walk, 1);
  }

  #find(op: number): number {
    const ops = this.#steps.op;
    let low = 0;
    let high = ops.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ops[middle]! < op) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
