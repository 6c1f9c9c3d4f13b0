/** A capture, or a stretch of one → its commands counted by family of keys, in typed tables, as what has to be fast does. */
import type { ByteRange } from '../src/capture/input.ts';
import type { OpView } from '../src/capture/ops.ts';
import { Capture } from '../src/capture/read.ts';
import { KeyTable } from '../src/model/fit/keyspace.ts';
import { type FindKeys, findFirst, keyFinderOf, NumberList } from '../src/model/fit/shapes.ts';
import { TemplateMiner } from '../src/model/template/miner.ts';

/** Templates and commands that are counted apart: powers of two, more than the measured captures have. */
const TEMPLATES = 1 << 10;
const COMMANDS = 1 << 8;

/** Every key of every command, by template and command; returns the number of families with a count. */
export async function countFamilies(path: string, range?: ByteRange): Promise<number> {
  const counter = new FamilyCounter();
  for await (const op of new Capture(path, {}, range).batches()) counter.countBatch(op);
  return counter.families();
}

/** A class, because methods of several counters share their compiled code, and functions made for each do not. */
class FamilyCounter {
  private readonly keys = new KeyTable(1 << 20);
  private readonly miner = new TemplateMiner();
  private readonly counts = new Float64Array(TEMPLATES * COMMANDS);
  /** By command. */
  private readonly finders: (FindKeys | undefined)[] = [];
  private readonly found = new NumberList();

  countBatch(op: OpView): void {
    const { finders, found } = this;
    while (op.next()) {
      const { commandId } = op;
      finders[commandId] ??= keyFinderOf(op.command);
      const findKeys = finders[commandId];
      if (findKeys === findFirst) {
        if (op.argCount > 1) this.countKey(op, 1);
        continue;
      }
      found.length = 0;
      findKeys(op, found);
      for (let i = 0; i < found.length; i++) this.countKey(op, found.at[i]!);
    }
  }

  families(): number {
    const { families, familyOf } = this.miner.fold();
    const requests = new Float64Array(families.length);
    for (const [template, family] of familyOf.entries())
      for (let command = 0; command < COMMANDS; command++)
        requests[family]! += this.counts[template * COMMANDS + command]!;
    return requests.filter((n) => n > 0).length;
  }

  private countKey(op: OpView, index: number): void {
    const { keys, counts } = this;
    op.hashKey(index);
    const row = keys.row(op.keyLow, op.keyHigh);
    if (keys.created) this.learnKey(op, index, row);
    counts[(keys.templateOf(row) & (TEMPLATES - 1)) * COMMANDS + (op.commandId & (COMMANDS - 1))]!++;
  }

  private learnKey(op: OpView, index: number, row: number): void {
    const key = op.arg(index);
    this.keys.setTemplate(row, this.miner.add(key, 0, key.length));
  }
}
