/** A slice → a cursor over its ops, as the capture's own: what is planned can be modelled like what was captured. */
import { ByteTable } from '../capture/byte-table.ts';
import { hash64, hashHigh, hashLow } from '../capture/key-hash.ts';
import { Names } from '../capture/ops.ts';
import type { FitOp } from '../model/fit/fit.ts';
import { NumberList } from '../model/fit/shapes.ts';
import type { Plan, Slice } from './plan.ts';

/** What there is of a slice's ops besides how they are driven. */
export type Ops = Pick<Slice, 'count' | 'intendedUs' | 'connection' | 'offset' | 'bytes'>;

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

/** A cursor over the ops of slices, one after the other; connection c is client c. */
export class PlannedOps implements FitOp {
  /** From 1 in each slice. */
  line = 0;
  atUs = 0;
  db = 0;
  clientId = 0;
  readonly parentLine = 0;
  readonly kind = 'command';
  argCount = 0;
  lineBytes = 0;
  command = '';
  commandId = 0;
  bytes: Buffer = Buffer.alloc(0);
  keyLow = 0;
  keyHigh = 0;
  private readonly connections: Plan['connections'];
  private slice: Ops | undefined;
  private startUs = 0;
  private readonly places = new NumberList();
  /** By number of its spelling. */
  private readonly commands: { name: string; id: number }[] = [];
  private readonly spellings = new ByteTable();
  private readonly names = new Names();

  constructor(connections: Plan['connections']) {
    this.connections = connections;
  }

  /** Goes before the first op of a slice, whose time 0 is `startUs` (Unix µs). */
  open(slice: Ops, startUs: number): void {
    this.slice = slice;
    this.startUs = startUs;
    this.bytes = Buffer.from(slice.bytes.buffer, slice.bytes.byteOffset, slice.bytes.byteLength);
    this.line = 0;
  }

  /** Goes to the next op; false at the end of the slice. */
  next(): boolean {
    const { slice, bytes, places } = this;
    const i = this.line;
    if (!slice || i >= slice.count) return false;
    this.line = i + 1;
    this.argCount = readPlaces(bytes, slice.offset[i]!, places);
    this.atUs = this.startUs + Math.round(slice.intendedUs[i]!);
    this.clientId = slice.connection[i]!;
    this.db = this.connections[this.clientId]!.db;
    this.lineBytes = slice.offset[i + 1]! - slice.offset[i]!;
    const { name, id } = this.commandAt(places.at[0]!, places.at[1]!);
    this.command = name;
    this.commandId = id;
    return true;
  }

  arg(index: number): Uint8Array {
    return this.bytes.subarray(this.argStart(index), this.argEnd(index));
  }

  argLength(index: number): number {
    return this.argEnd(index) - this.argStart(index);
  }

  isPlain(): boolean {
    return true;
  }

  argStart(index: number): number {
    return this.places.at[2 * index]!;
  }

  argEnd(index: number): number {
    return this.places.at[2 * index + 1]!;
  }

  hashKey(index: number): void {
    hash64(this.bytes, this.argStart(index), this.argEnd(index), this.db);
    this.keyLow = hashLow;
    this.keyHigh = hashHigh;
  }

  private commandAt(start: number, end: number): { name: string; id: number } {
    const { bytes, commands, spellings } = this;
    const known = spellings.find(bytes, start, end);
    if (known >= 0) return commands[known]!;
    const name = bytes.toString('latin1', start, end).toLowerCase();
    const command = { name, id: this.names.id(name) };
    commands[spellings.add(bytes, start, end)] = command;
    return command;
  }
}
