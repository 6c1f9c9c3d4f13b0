/** Turns a list of commands with times into the slice that the planner would have made of them. */
import { OpFlag, type Slice } from '../../src/plan/plan.ts';
import { RespWriter, share } from '../../src/plan/resp.ts';

export interface TestOp {
  args: (string | Buffer)[];
  atUs?: number;
  connection?: number;
  label?: number;
  blocking?: boolean;
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
  return {
    seed: 'test',
    durationUs,
    count: ops.length,
    intendedUs: Float64Array.from(ops, ({ atUs = 0 }) => atUs),
    connection: Uint16Array.from(ops, ({ connection = 0 }) => connection),
    label: Uint16Array.from(ops, ({ label = 0 }) => label),
    flags: Uint8Array.from(ops, ({ blocking }) => (blocking ? OpFlag.blocking : OpFlag.none)),
    offset,
    bytes: share(writer.view()),
  };
}
