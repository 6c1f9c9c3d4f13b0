/** A capture, or a stretch of one → its commands and first keys counted in typed tables, as what has to be fast does. */
import type { ByteRange } from '../src/capture/input.ts';
import { Capture } from '../src/capture/read.ts';

/** Commands by number, first keys by a hash of their bytes; returns how many commands were counted. */
export async function countOps(path: string, range?: ByteRange): Promise<number> {
  const commands = new Uint32Array(1 << 13);
  const keys = new Uint32Array(1 << 16);
  for await (const op of new Capture(path, {}, range).batches()) {
    const { bytes } = op;
    while (op.next()) {
      commands[op.commandId]!++;
      if (op.argCount < 2 || !op.isPlain(1)) continue;
      let hash = 0x811c9dc5;
      for (let i = op.argStart(1), end = op.argEnd(1); i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
      keys[(hash ^ (hash >>> 15)) & 0xffff]!++;
    }
  }
  return commands.reduce((sum, n) => sum + n, 0);
}
