/** Captures made in memory or in a temporary folder, and what comes out of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Decoder } from '../../src/capture/decoder.ts';
import { OpState, OpView } from '../../src/capture/ops.ts';
import { Capture, type CaptureOptions } from '../../src/capture/read.ts';
import { Tokenizer, type TokenizerOptions } from '../../src/capture/tokenize.ts';
import { temporaryFolder } from './temporary.ts';

export interface PlainOp {
  line: number;
  atUs: number;
  db: number;
  client: string;
  kind: string;
  command: string;
  parentLine: number;
  args: Buffer[];
}

/** Ops of some bytes, given to the tokenizer in the chunks that they come in. */
export function tokenizeAll(
  chunks: Uint8Array[],
  options?: TokenizerOptions,
): { ops: PlainOp[]; tokenizer: Tokenizer } {
  const tokenizer = new Tokenizer(options);
  return { ops: decodeAll(tokenizer, chunks), tokenizer };
}

/** Ops of some bytes, given to a decoder in the chunks that they come in. */
export function decodeAll(decoder: Decoder, chunks: Uint8Array[]): PlainOp[] {
  const state = new OpState();
  const ops: PlainOp[] = [];
  const take = () => {
    for (let batch = decoder.next(); batch; batch = decoder.next()) {
      const view = new OpView(batch, state);
      while (view.next()) ops.push(plain(view, decoder.source(view.clientId)));
    }
  };
  for (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length; take()) taken += decoder.push(Buffer.from(chunk.subarray(taken)));
  }
  decoder.finish();
  take();
  return ops;
}

/** A file in a folder of its own; returns its path. */
export function temporaryFile(name: string, content: string | Uint8Array): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

export async function readAll(path: string, options?: CaptureOptions): Promise<{ ops: PlainOp[]; capture: Capture }> {
  const capture = new Capture(path, options);
  const ops: PlainOp[] = [];
  for await (const view of capture.batches()) while (view.next()) ops.push(plain(view, capture.client(view.clientId)));
  return { ops, capture };
}

function plain(view: OpView, client: string): PlainOp {
  const { line, atUs, db, kind, command, parentLine } = view;
  return {
    line,
    atUs,
    db,
    client,
    kind,
    command,
    parentLine,
    args: Array.from({ length: view.argCount }, (_, i) => Buffer.from(view.arg(i))),
  };
}
