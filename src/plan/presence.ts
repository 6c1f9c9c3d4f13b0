/** Accesses to keys, in file order → the keys that were there before the capture began. */
import type { CommandInfo, KeyPosition } from '../capture/commands.ts';
import type { OpView } from '../capture/ops.ts';
import { latin1 } from '../model/roles.ts';
import { tally } from '../model/tally.ts';
import { elementsOf } from './contents.ts';

/** A key that is created so soon after its first read was a miss (the cache-aside idiom). */
const FILL_US = 1_000_000;
const CREATES = new Set([
  ...['set', 'setex', 'psetex', 'setnx', 'mset', 'hset', 'hmset', 'hsetnx', 'zadd', 'sadd', 'lpush', 'rpush'],
]);
const MAX_ELEMENTS = 64;

/** A key that was read before anything wrote it. */
export interface PresentKey {
  db: number;
  key: Uint8Array;
  /** Group of the command that read it: `hash`, `string`, `generic`. */
  group: string;
  readUs: number;
  /** Members and fields that commands named, latin1; true for those that are counted with. */
  elements: Map<string, boolean>;
}

export class Presence {
  /** By database and key; undefined for keys whose first access proves nothing. */
  private readonly keys = new Map<string, PresentKey | undefined>();

  /** Notes one key of an op, or of what a script did; `id` tells it from all others. */
  note(id: string, op: OpView, info: CommandInfo, { access, index }: KeyPosition, alone: boolean): void {
    if (!this.keys.has(id)) {
      const present = this.provesPresence(op, info, access);
      this.keys.set(id, present ? presentKey(op, info, op.arg(index)) : undefined);
    }
    const present = this.keys.get(id);
    if (!present) return;
    if (CREATES.has(op.command) && op.atUs - present.readUs <= FILL_US) this.keys.set(id, undefined);
    else if (alone) noteElements(op, present.elements);
  }

  /** In the order of their first access; no more than there were in each database, where that is known. */
  *present(atStart?: ReadonlyMap<number, number>): Generator<PresentKey> {
    const found = new Map<number, number>();
    for (const key of this.keys.values()) {
      if (!key || (atStart && (found.get(key.db) ?? 0) >= (atStart.get(key.db) ?? 0))) continue;
      tally(found, key.db);
      yield key;
    }
  }

  /** Of all keys that were noted, there at first or not. */
  ids(): Iterable<string> {
    return this.keys.keys();
  }

  /**
   * Only what a client reads: scripts look for keys that may not be there, who waits for data expects none, and WATCH
   * says nothing.
   */
  private provesPresence(op: OpView, info: CommandInfo, access: KeyPosition['access']): boolean {
    return op.kind === 'command' && access === 'RO' && !info.blocking && info.group !== 'transactions';
  }
}

function presentKey(op: OpView, info: CommandInfo, key: Uint8Array): PresentKey {
  return { db: op.db, key: Uint8Array.from(key), group: info.group, readUs: op.atUs, elements: new Map() };
}

function noteElements(op: OpView, elements: PresentKey['elements']): void {
  const place = elementsOf(op.command);
  if (!place) return;
  const counted = op.command.startsWith('hincr');
  for (let i = place.from; i < Math.min(op.argCount, place.to); i++) {
    const name = latin1(op.arg(i));
    if (elements.size < MAX_ELEMENTS || elements.has(name)) elements.set(name, counted || elements.get(name) === true);
  }
}
