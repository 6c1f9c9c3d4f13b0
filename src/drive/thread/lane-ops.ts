/** Turns a slice into the ops of each connection, in the order in which it sends them; the slice's bytes are not copied. */
import type { Slice } from '../../plan/plan.ts';
import { sharedArray } from '../../plan/resp.ts';

/** Which ops are whose: connection c sends `ops[from[c]] … ops[from[c + 1] − 1]`, indexes into the slice. Shared memory. */
export interface OpsByConnection {
  ops: Uint32Array;
  from: Uint32Array;
}

/** The ops of those connections for which `isOwn`; the others have none. */
export function opsByConnection(
  { count, connection }: Pick<Slice, 'count' | 'connection'>,
  connections: number,
  isOwn: (connection: number) => boolean,
): OpsByConnection {
  const own = Uint8Array.from({ length: connections }, (_, index) => Number(isOwn(index)));
  const from = sharedArray(Uint32Array, connections + 1);
  for (let op = 0; op < count; op++) from[connection[op]! + 1]! += own[connection[op]!]!;
  for (let index = 0; index < connections; index++) from[index + 1]! += from[index]!;
  const ops = sharedArray(Uint32Array, from[connections]!);
  const next = from.slice();
  for (let op = 0; op < count; op++) {
    const owner = connection[op]!;
    if (own[owner]) ops[next[owner]!++] = op;
  }
  return { ops, from };
}

const LONG_COMMAND_BYTES = 256;

/** One connection's ops: op k is the RESP command `bytes[start(k) … end(k))`. */
export class LaneOps {
  static readonly none = new LaneOps({ bytes: new Uint8Array(0), offset: new Uint32Array(1) }, new Uint32Array(0));

  static of(slice: Pick<Slice, 'bytes' | 'offset'>, { ops, from }: OpsByConnection, connection: number): LaneOps {
    return new LaneOps(slice, ops.subarray(from[connection], from[connection + 1]));
  }

  /** All of the slice, other connections' ops as well. */
  readonly bytes: Uint8Array;
  readonly #offset: Uint32Array;
  /** Op k is the slice's op `indexes[k]`. */
  readonly indexes: Uint32Array;

  constructor({ bytes, offset }: Pick<Slice, 'bytes' | 'offset'>, indexes: Uint32Array) {
    this.bytes = bytes;
    this.#offset = offset;
    this.indexes = indexes;
  }

  get length(): number {
    return this.indexes.length;
  }

  start(k: number): number {
    return this.#offset[this.indexes[k]!]!;
  }

  end(k: number): number {
    return this.#offset[this.indexes[k]! + 1]!;
  }

  starts(): Uint32Array {
    return this.indexes.map((op) => this.#offset[op]!);
  }

  /** Whether ops `from … to − 1`, from < to, are neighbours in the slice: `bytes[start(from) … end(to − 1))` is just them. */
  areNeighbours(from: number, to: number): boolean {
    return this.indexes[to - 1]! - this.indexes[from]! === to - 1 - from;
  }

  /** Ops `from … to − 1`, from < to, as one piece: a view where they are neighbours in the slice, which batches are, else a copy. */
  run(from: number, to: number): Uint8Array {
    const { bytes } = this;
    if (this.areNeighbours(from, to)) return bytes.subarray(this.start(from), this.end(to - 1));
    let length = 0;
    for (let k = from; k < to; k++) length += this.end(k) - this.start(k);
    const copy = Buffer.allocUnsafe(length);
    let at = 0;
    for (let k = from; k < to; k++) {
      const start = this.start(k);
      const end = this.end(k);
      // A view for each op costs several times what the bytes of a usual command do.
      if (end - start > LONG_COMMAND_BYTES) copy.set(bytes.subarray(start, end), at);
      else for (let i = start; i < end; i++) copy[at + i - start] = bytes[i]!;
      at += end - start;
    }
    return copy;
  }
}
