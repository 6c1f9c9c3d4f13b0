/** What scripts are told and what others stored for them → the stretch of calls whose arguments cannot be made up. */

import { hash64, hashLow } from '../../capture/key-hash.ts';
import { intern, tally } from '../tally.ts';
import type { Fit } from './fit.ts';
import { Fact } from './keyspace.ts';

/** A unit of the stretch: calls of scripts, or one call that stored what a script is told later. */
export interface Handover {
  startUs: number;
  kind: number;
  /** Numbers of texts: keys and arguments of each call. */
  calls: { keys: number[]; args: number[] }[];
}

/** A kind of unit belongs to scripts if most of what it stores is for keys that scripts are told the value of. */
const MOST = 1 / 2;

/**
 * The kept units in their order. A lock is taken by SET and released by a script that is told what SET stored: such
 * stores are among them, and others on the same keys, whose failing is part of it.
 */
export function handoversOf(fit: Fit): Handover[] {
  const { scripts, stores } = fit;
  const kept = fit.stretch.map(({ startUs, kind, calls }) => ({
    startUs,
    kind,
    calls: calls.map((call) => scripts.calls[call]!),
  }));
  if (stores.length === 0) return inOrder(kept);
  // Numbers of the stores that nobody has been told yet, by row and hash, the earliest at the end.
  const untold = new Map<number, Map<number, number[]>>();
  const latestFirst = [...stores.keys()].sort((a, b) => stores[b]!.startUs - stores[a]!.startUs);
  for (const i of latestFirst) {
    const { row, hash } = stores[i]!;
    const ofRow = intern(untold, row, () => new Map<number, number[]>());
    intern(ofRow, hash, () => []).push(i);
  }
  const hashes = new Map<number, number>();
  const hashOf = (text: number) => intern(hashes, text, () => storedHash(bytesOf(scripts.texts[text]!)));
  const keyOfRow = new Map<number, number>();
  const told = new Map<number, number>();
  fit.stretch.forEach(({ startUs, db, calls }) => {
    for (const call of calls) {
      const { keys, args } = scripts.calls[call]!;
      const differentArgs = new Set(args);
      for (const key of new Set(keys)) {
        const row = rowOf(fit, db, scripts.texts[key]!);
        const ofRow = untold.get(row);
        if (!ofRow) continue;
        for (const arg of differentArgs) {
          const waiting = ofRow.get(hashOf(arg));
          while (waiting?.length && stores[waiting.at(-1)!]!.startUs <= startUs) {
            told.set(waiting.pop()!, arg);
            keyOfRow.set(row, key);
          }
        }
      }
    }
  });
  const all = new Map<number, number>();
  const own = new Map<number, number>();
  for (const { kind, row } of stores) {
    tally(all, kind);
    if (keyOfRow.has(row)) tally(own, kind);
  }
  const handed = stores.flatMap(({ startUs, kind, row }, i): Handover[] => {
    const key = keyOfRow.get(row);
    // Its call would be taken for one of the script.
    if (key === undefined || callsScript(fit, kind) || own.get(kind)! < MOST * all.get(kind)!) return [];
    const value = told.get(i);
    return [{ startUs, kind, calls: [{ keys: [key], args: value === undefined ? [] : [value] }] }];
  });
  return inOrder([...kept, ...handed]);
}

/** Keys of the kept calls that other commands use as well: row and text. */
export function keysInCommon(fit: Fit): Map<number, number> {
  const { scripts, keys } = fit;
  const rows = new Map<number, number>();
  for (const { db, calls } of fit.stretch)
    for (const call of calls)
      for (const text of scripts.calls[call]!.keys) {
        const row = rowOf(fit, db, scripts.texts[text]!);
        if (row !== 0 && keys.get(row, Fact.requests) > 0) rows.set(row, text);
      }
  return rows;
}

/** By which stored values are recognised among the arguments of scripts; never 0. */
export function storedHash(bytes: Uint8Array, start = 0, end = bytes.length): number {
  hash64(bytes, start, end, 0);
  return hashLow >>> 0 || 1;
}

const inOrder = (handovers: Handover[]) => handovers.sort((a, b) => a.startUs - b.startUs);
const bytesOf = (text: string) => Buffer.from(text, 'latin1');

const callsScript = ({ units, shapes }: Fit, kind: number) =>
  units.kinds[kind]!.ops.some(([shape]) => shapes.shapes[shape]!.script !== undefined);

const rowOf = ({ keys }: Fit, db: number, text: string) => keys.rowOf(db, bytesOf(text));
