/** A slice → a cursor over its ops, as the capture's own: what is planned can be modelled like what was captured. */
import { hash64, hashHigh, hashLow } from '../capture/key-hash.ts';
import type { Names } from '../capture/ops.ts';
import type { FitOp } from '../model/fit.ts';
import type { Plan, Slice } from './plan.ts';

const CR = 0x0d;

/** Arguments of the RESP command that begins at `start`, as views. */
export function readCommand(bytes: Uint8Array, start: number): Uint8Array[] {
  let at = start + 1;
  const readNumber = () => {
    let value = 0;
    for (; bytes[at] !== CR; at++) value = value * 10 + bytes[at]! - 0x30;
    at += 2;
    return value;
  };
  return Array.from({ length: readNumber() }, () => {
    at++;
    const length = readNumber();
    const argument = bytes.subarray(at, at + length);
    at += length + 2;
    return argument;
  });
}

/** Ops of a slice whose time 0 is `startUs` (Unix µs); connection c is client c. The same object every time. `names` numbers the commands. */
export function* plannedOps(plan: Plan, slice: Slice, startUs: number, names: Names): Generator<FitOp> {
  let args: Uint8Array[] = [];
  const op = {
    ...{ line: 0, atUs: 0, db: 0, clientId: 0, parentLine: 0, argCount: 0, lineBytes: 0, command: '', commandId: 0 },
    kind: 'command' as const,
    arg: (index: number) => args[index]!,
    argLength: (index: number) => args[index]!.length,
    bytes: Buffer.from(slice.bytes.buffer),
    isPlain: () => true,
    argStart: (index: number) => args[index]!.byteOffset,
    argEnd: (index: number) => args[index]!.byteOffset + args[index]!.length,
    ...{ keyLow: 0, keyHigh: 0 },
    hashKey: (index: number) => {
      hash64(args[index]!, 0, args[index]!.length, op.db);
      op.keyLow = hashLow;
      op.keyHigh = hashHigh;
    },
  };
  for (let i = 0; i < slice.count; i++) {
    args = readCommand(slice.bytes, slice.offset[i]!);
    op.line = i + 1;
    op.atUs = startUs + Math.round(slice.intendedUs[i]!);
    op.clientId = slice.connection[i]!;
    op.db = plan.connections[op.clientId]!.db;
    op.argCount = args.length;
    op.lineBytes = slice.offset[i + 1]! - slice.offset[i]!;
    op.command = Buffer.from(args[0]!).toString('latin1').toLowerCase();
    op.commandId = names.id(op.command);
    yield op;
  }
}
