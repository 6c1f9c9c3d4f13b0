/** Accesses to keys, in file order → the keys that were there before the capture began. */
import type { CommandInfo, KeyPosition } from '../../capture/commands.ts';
import type { OpView } from '../../capture/ops.ts';
import { Existed, type Existence } from '../../model/fit/existence.ts';
import { KEEPS_UP } from '../../model/fit/fit.ts';
import { latin1 } from '../../model/fit/roles.ts';
import { tally } from '../../model/tally.ts';
import { elementsOf } from '../preload/contents.ts';

const MAX_ELEMENTS = 64;

/** A key that was asked for before anything made it. */
export interface PresentKey {
  db: number;
  key: Uint8Array;
  /** Group of the command that asked for it: `hash`, `string`, `generic`. */
  group: string;
  /** Members and fields that commands named, latin1; true for those that are counted with. */
  elements: Map<string, boolean>;
}

export class Presence {
  /** By database and key; undefined for keys that were made first. */
  private readonly keys = new Map<string, PresentKey | undefined>();

  /** Notes one key of an op, or of what a script did; `id` tells it from all others. */
  note(id: string, op: OpView, info: CommandInfo, { access, index }: KeyPosition, alone: boolean): void {
    // WATCH says nothing.
    if (info.group === 'transactions') return;
    if (!this.keys.has(id)) this.keys.set(id, asks(op, info, access) ? presentKey(op, info, op.arg(index)) : undefined);
    const present = this.keys.get(id);
    if (present && alone) noteElements(op, present.elements);
  }

  /**
   * In the order of their first access; no more than there were in each database, where that is known. Where nothing tells
   * of a key, those are taken whose reads, of all such reads of its family, are the share that found one.
   */
  *present(existence: Existence, atStart?: ReadonlyMap<number, number>): Generator<PresentKey> {
    const found = new Map<number, number>();
    const owed = new Map<number, number>();
    for (const key of this.keys.values()) {
      if (!key || (atStart && (found.get(key.db) ?? 0) >= (atStart.get(key.db) ?? 0))) continue;
      const { existed, family, reads, share } = existence.ofKey(key.db, key.key);
      if (existed === Existed.no) continue;
      if (existed === Existed.unproven) {
        const hits = (owed.get(family) ?? 0) + reads * share;
        const isThere = hits >= reads / 2 && share > 0;
        owed.set(family, isThere ? hits - reads : hits);
        if (!isThere) continue;
      }
      tally(found, key.db);
      yield key;
    }
  }

  /** Of all keys that were noted, there at first or not. */
  ids(): Iterable<string> {
    return this.keys.keys();
  }
}

/** Only what a client does counts: scripts look for keys that may not be there, and who waits for data expects none. */
const asks = (op: OpView, info: CommandInfo, access: KeyPosition['access']) =>
  op.kind === 'command' && (access === 'RO' ? !info.blocking : KEEPS_UP.has(op.command));

function presentKey(op: OpView, info: CommandInfo, key: Uint8Array): PresentKey {
  return { db: op.db, key: Uint8Array.from(key), group: info.group, elements: new Map() };
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
