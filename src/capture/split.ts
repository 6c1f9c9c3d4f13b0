/** A plain capture → stretches of it that can be read side by side, cut where nothing is torn apart. */
import { open } from 'node:fs/promises';
import { SourceKind } from './batch.ts';
import { type ByteRange, sizeOfLines } from './input.ts';
import { TEXT_START } from './scan.ts';
import { Tokenizer } from './tokenize.ts';

const LF = 0x0a;
/** Shorter stretches are not worth a thread. */
const MIN_STRETCH_BYTES = 8 << 20;
/** A cut is looked for within so many bytes. */
const WINDOW_BYTES = 256 << 10;

/**
 * At most `parts` stretches of `minBytes` or more that make up the whole of a plain file, or one for what is compressed,
 * short or no file. Each begins behind the longest pause near its place, so that pipelines, transactions and scripts stay whole.
 */
export async function splitCapture(
  name: string,
  parts: number,
  minBytes = MIN_STRETCH_BYTES,
): Promise<(ByteRange | undefined)[]> {
  const size = await sizeOfLines(name);
  const count = size === undefined ? 1 : Math.min(parts, Math.floor(size / minBytes));
  if (size === undefined || count < 2) return [undefined];
  const cuts = [0];
  for (let part = 1; part < count; part++) {
    const cut = await findCut(name, Math.floor((size * part) / count));
    if (cut > cuts.at(-1)!) cuts.push(cut);
  }
  return cuts.map((start, i) => ({ start, end: cuts[i + 1] ?? size }));
}

/** Where a line begins near `place`, behind the longest pause there that is no child of what came before; -1 if there is none. */
async function findCut(name: string, place: number): Promise<number> {
  await using file = await open(name);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(WINDOW_BYTES), 0, WINDOW_BYTES, place);
  const window = buffer.subarray(0, bytesRead);
  const first = window.indexOf(LF) + 1;
  if (first === 0) return -1;
  const tokenizer = new Tokenizer();
  tokenizer.push(window.subarray(first));
  let cut = -1;
  let longestUs = -1;
  for (let batch = tokenizer.next(); batch; batch = tokenizer.next()) {
    for (let r = 1; r < batch.count; r++) {
      const pauseUs = batch.atUs[r]! - batch.atUs[r - 1]!;
      if (pauseUs <= longestUs || batch.kind[r]! >= SourceKind.script) continue;
      longestUs = pauseUs;
      cut = batch.bytes.lastIndexOf(LF, batch.argStart[batch.firstArg[r]!]!) + 1;
    }
  }
  return cut < 0 ? -1 : place + first + cut - TEXT_START;
}
