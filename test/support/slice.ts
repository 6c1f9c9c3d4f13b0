/** Turns a list of commands with times into the slice that the planner would have made of them. */
import { OpFlag, type Slice } from '../../src/plan/plan.ts';
import { RespWriter, share } from '../../src/plan/resp.ts';
import { UNKNOWN_CURSOR, walksOf } from '../../src/plan/walks.ts';

export interface TestOp {
  args: (string | Buffer)[];
  atUs?: number;
  connection?: number;
  label?: number;
  blocking?: boolean;
  /** Of which walk it is a step; it begins it unless it has an `UNKNOWN_CURSOR`. */
  walk?: number;
}

/** Ops must come in order of `atUs`, which defaults to 0 as the rest does. */
export function sliceOf(ops: TestOp[], durationUs = 1e6): Slice {
  const writer = new RespWriter();
  const offset = new Uint32Array(ops.length + 1);
  for (const [op, { args }] of ops.entries()) {
    writer.begin(args.length);
    for (const arg of args) writer.bytes(Buffer.from(arg as Buffer));
    offset[op + 1] = writer.length;
  }
  const bytes = Buffer.from(writer.view());
  const steps = ops.flatMap(({ walk }, op) => {
    if (walk === undefined) return [];
    const at = bytes.subarray(offset[op], offset[op + 1]).indexOf(UNKNOWN_CURSOR);
    return [{ op, walk, at: Math.max(0, at) }];
  });
  return {
    seed: 'test',
    durationUs,
    count: ops.length,
    intendedUs: Float64Array.from(ops, ({ atUs = 0 }) => atUs),
    connection: Uint16Array.from(ops, ({ connection = 0 }) => connection),
    label: Uint16Array.from(ops, ({ label = 0 }) => label),
    flags: Uint8Array.from(ops, ({ blocking, walk }) =>
      blocking ? OpFlag.blocking : walk === undefined ? OpFlag.none : OpFlag.walk,
    ),
    offset,
    bytes: share(bytes),
    ...walksOf(steps, (op) => op),
  };
}

/** `waits[op]`: ops that it follows, each with a delay in µs. */
export function orderedSlice(ops: TestOp[], waits: Record<number, [after: number, delayUs: number][]>): Slice {
  const from = new Uint32Array(ops.length + 1);
  ops.forEach((_, op) => {
    from[op + 1] = from[op]! + (waits[op]?.length ?? 0);
  });
  const pairs = ops.flatMap((_, op) => waits[op] ?? []);
  return {
    ...sliceOf(ops),
    order: {
      from,
      after: Uint32Array.from(pairs, ([after]) => after),
      delayUs: Uint32Array.from(pairs, ([, delayUs]) => delayUs),
    },
  };
}
