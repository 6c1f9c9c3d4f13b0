/** Commands → the cluster slots of their keys: CRC16 with hash tags, and where transactions go as a whole. */
import { commandInfo, keyPositions } from '../capture/commands.ts';
import { readCommand } from './planned-ops.ts';

/** Slots of every cluster (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
export const SLOTS = 16_384;
/** Instead of a slot: no key, so any node will do. */
export const ANY_SLOT = -1;

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** CRC-16/XMODEM: polynomial 0x1021, most significant bit first, initial value 0. */
const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** Where the hash tag of a key is: behind its first `{`, up to the next `}`; undefined where that is nothing. */
export function hashTag(key: Uint8Array): { from: number; to: number } | undefined {
  const open = key.indexOf(OPEN);
  if (open < 0) return undefined;
  const close = key.indexOf(CLOSE, open + 1);
  return close > open + 1 ? { from: open + 1, to: close } : undefined;
}

/** The slot that a key belongs to: that of its hash tag if it has one. */
export function keySlot(key: Uint8Array): number {
  const { from, to } = hashTag(key) ?? { from: 0, to: key.length };
  let crc = 0;
  for (let i = from; i < to; i++) crc = ((crc << 8) & 0xffff) ^ CRC_TABLE[(crc >>> 8) ^ key[i]!]!;
  return crc % SLOTS;
}

/** The ops of one connection, by where they go. */
export interface Routes {
  /** Per op: the slot whose node it goes to, or `ANY_SLOT`. */
  slot: Int16Array;
  /** Per op: 1 from MULTI to EXEC or DISCARD, which only make sense on one node. */
  inTransaction: Uint8Array;
  /** Ops that a cluster refuses: their keys, or those of their transaction, are in several slots. */
  crossSlot: number;
}

/**
 * Op k is the RESP command at `bytes[starts[k]]`, in the order in which one connection sends them. A transaction goes as a
 * whole to the slot of its first key; other commands of several slots go to their first.
 */
export function routeOps(bytes: Uint8Array, starts: ArrayLike<number>): Routes {
  const count = starts.length;
  const routes: Routes = { slot: new Int16Array(count), inTransaction: new Uint8Array(count), crossSlot: 0 };
  let multi = -1;
  /** Slot of the open transaction. */
  let shared = ANY_SLOT;
  const close = (end: number) => {
    routes.slot.fill(shared, multi, end);
    routes.inTransaction.fill(1, multi, end);
    multi = -1;
    shared = ANY_SLOT;
  };
  for (let k = 0; k < count; k++) {
    const { command, slots } = commandSlots(readCommand(bytes, starts[k]!));
    const [first = ANY_SLOT] = slots;
    if (command === 'multi' && multi < 0) multi = k;
    if (multi >= 0 && shared === ANY_SLOT) shared = first;
    if (slots.some((slot) => slot !== (multi < 0 ? first : shared))) routes.crossSlot++;
    routes.slot[k] = first;
    if (multi >= 0 && (command === 'exec' || command === 'discard')) close(k + 1);
  }
  if (multi >= 0) close(count);
  return routes;
}

/** The name of one command, lower case, and the slots of its keys. */
function commandSlots(args: Uint8Array[]): { command: string; slots: number[] } {
  const text = (index: number) => {
    const { buffer, byteOffset, byteLength } = args[index]!;
    return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
  };
  const command = text(0).toLowerCase();
  const info = commandInfo(command, args.length > 1 && args[1]!.length < 32 ? text(1) : undefined);
  const positions = info ? keyPositions(info, args.length, text) : [];
  return { command, slots: positions.map(({ index }) => keySlot(args[index]!)) };
}
