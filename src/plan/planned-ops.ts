/** A slice → a cursor over its ops, as the capture's own: what is planned can be modelled like what was captured. */
import { hash64, hashHigh, hashLow } from '../capture/key-hash.ts';
import type { Names } from '../capture/ops.ts';
import type { FitOp } from '../model/fit/fit.ts';
import { NumberList } from '../model/fit/shapes.ts';
import type { Plan, Slice } from './plan.ts';

const ZERO = 0x30;
const CR = 0x0d;

/** Arguments of the RESP command that begins at `start`, as views. */
export function readCommand(bytes: Uint8Array, start: number): Uint8Array[] {
  const places = new NumberList();
  const count = readPlaces(bytes, start, places);
  return Array.from({ length: count }, (_, i) => bytes.subarray(places.at[2 * i]!, places.at[2 * i + 1]!));
}

/** Where each argument of the RESP command at `start` begins and ends, into `places`; returns how many there are. */
function readPlaces(bytes: Uint8Array, start: number, places: NumberList): number {
  places.length = 0;
  let count = 0;
  let at = start + 1;
  for (; bytes[at] !== CR; at++) count = count * 10 + bytes[at]! - ZERO;
  at += 2;
  for (let i = 0; i < count; i++) {
    let length = 0;
    for (at++; bytes[at] !== CR; at++) length = length * 10 + bytes[at]! - ZERO;
    at += 2;
    places.push(at);
    at += length;
    places.push(at);
    at += 2;
  }
  return count;
}

/** Ops of a slice whose time 0 is `startUs` (Unix µs); connection c is client c. The same object every time. `names` numbers the commands. */
export function* plannedOps(plan: Plan, slice: Slice, startUs: number, names: Names): Generator<FitOp> {
  const bytes = Buffer.from(slice.bytes.buffer);
  const places = new NumberList();
  const startOf = (index: number) => places.at[2 * index]!;
  const endOf = (index: number) => places.at[2 * index + 1]!;
  const op = {
    ...{ line: 0, atUs: 0, db: 0, clientId: 0, parentLine: 0, argCount: 0, lineBytes: 0, command: '', commandId: 0 },
    kind: 'command' as const,
    arg: (index: number) => bytes.subarray(startOf(index), endOf(index)),
    argLength: (index: number) => endOf(index) - startOf(index),
    bytes,
    isPlain: () => true,
    argStart: startOf,
    argEnd: endOf,
    ...{ keyLow: 0, keyHigh: 0 },
    hashKey: (index: number) => {
      hash64(bytes, startOf(index), endOf(index), op.db);
      op.keyLow = hashLow;
      op.keyHigh = hashHigh;
    },
  };
  for (let i = 0; i < slice.count; i++) {
    op.argCount = readPlaces(bytes, slice.offset[i]!, places);
    op.line = i + 1;
    op.atUs = startUs + Math.round(slice.intendedUs[i]!);
    op.clientId = slice.connection[i]!;
    op.db = plan.connections[op.clientId]!.db;
    op.lineBytes = slice.offset[i + 1]! - slice.offset[i]!;
    op.command = bytes.toString('latin1', startOf(0), endOf(0)).toLowerCase();
    op.commandId = names.id(op.command);
    yield op;
  }
}
