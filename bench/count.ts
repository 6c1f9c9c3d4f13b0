/** A capture, or a stretch of one → its commands counted by family of keys, in typed tables, as what has to be fast does. */
import type { ByteRange } from '../src/capture/input.ts';
import { Capture } from '../src/capture/read.ts';
import { KeyTable } from '../src/model/keyspace.ts';
import { type FindKeys, keyFinderOf, NumberList } from '../src/model/shapes.ts';
import { TemplateMiner } from '../src/model/template/miner.ts';

/** Templates and commands that are counted apart: powers of two, more than the measured captures have. */
const TEMPLATES = 1 << 10;
const COMMANDS = 1 << 8;

/** Every key of every command, by template and command; returns the number of families with a count. */
export async function countFamilies(path: string, range?: ByteRange): Promise<number> {
  const keys = new KeyTable(1 << 20);
  const miner = new TemplateMiner();
  const counts = new Float64Array(TEMPLATES * COMMANDS);
  const finders: (FindKeys | undefined)[] = [];
  const found = new NumberList();
  for await (const op of new Capture(path, {}, range).batches()) {
    const { bytes } = op;
    while (op.next()) {
      const { commandId } = op;
      finders[commandId] ??= keyFinderOf(op.command);
      found.length = 0;
      finders[commandId](op, found);
      for (let i = 0; i < found.length; i++) {
        const index = found.at[i]!;
        const plain = op.isPlain(index);
        const key = plain ? bytes : op.arg(index);
        const start = plain ? op.argStart(index) : 0;
        const end = plain ? op.argEnd(index) : key.length;
        const row = keys.row(op.db, key, start, end);
        if (keys.created) keys.template[row] = miner.add(key, start, end);
        counts[(keys.template[row]! & (TEMPLATES - 1)) * COMMANDS + (commandId & (COMMANDS - 1))]!++;
      }
    }
  }
  const { families, familyOf } = miner.fold();
  const requests = new Float64Array(families.length);
  for (const [template, family] of familyOf.entries())
    for (let command = 0; command < COMMANDS; command++) requests[family]! += counts[template * COMMANDS + command]!;
  return requests.filter((n) => n > 0).length;
}
