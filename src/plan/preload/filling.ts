/** The keys of each database, one after the other → a preload: its size, and its bytes whenever they are sent, never all at once. */

import type { Preload } from '../plan.ts';
import { RespWriter } from '../resp.ts';
import { payloadEnd } from './contents.ts';

const CHUNK_BYTES = 256 << 10;
/** So much is kept; more is made again each time. */
const KEPT_BYTES = 256 << 20;

/** A key (latin1) and the commands that make it; nothing is made where there are none. */
export interface MadeKey {
  name: string;
  commands: Iterable<string[]>;
}

/** @param keysOf the same keys each time. */
export function preloadFrom(
  databases: number[],
  keysOf: (db: number) => Iterable<MadeKey>,
  mostKept = KEPT_BYTES,
): Preload {
  const preload: Preload = { commands: 0, keys: 0, logicalBytes: 0, databases: [] };
  let keptBytes = 0;
  for (const db of databases) {
    const count = { commands: 0, keys: 0, logicalBytes: 0 };
    let kept: Uint8Array[] | undefined = [];
    for (const chunk of chunksOf(keysOf(db), count)) {
      keptBytes += chunk.length;
      if (keptBytes > mostKept) kept = undefined;
      else kept?.push(chunk);
    }
    if (count.commands === 0) continue;
    preload.commands += count.commands;
    preload.keys += count.keys;
    preload.logicalBytes += count.logicalBytes;
    const own = kept;
    preload.databases.push({ db, commands: count.commands, chunks: () => own ?? chunksOf(keysOf(db)) });
  }
  return preload;
}

/** RESP in pieces of whole commands; adds to `count` what they make. */
function* chunksOf(
  keys: Iterable<MadeKey>,
  count?: { commands: number; keys: number; logicalBytes: number },
): Generator<Uint8Array> {
  let writer = new RespWriter();
  for (const { name, commands } of keys) {
    let made = 0;
    for (const command of commands) {
      made++;
      writer.begin(command.length);
      for (const argument of command) writer.text(argument);
      if (count) {
        const payload = command.slice(2, payloadEnd(command[0]!, command.length));
        for (const argument of payload) count.logicalBytes += argument.length;
      }
      if (writer.length < CHUNK_BYTES) continue;
      yield writer.view();
      writer = new RespWriter();
    }
    if (!count || made === 0) continue;
    count.commands += made;
    count.keys++;
    count.logicalBytes += name.length;
  }
  if (writer.length > 0) yield writer.view();
}
