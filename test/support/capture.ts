/** Captures made in memory or in a temporary folder, and what comes out of them. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpState, OpView } from '../../src/capture/ops.ts';
import { Capture, type CaptureOptions } from '../../src/capture/read.ts';
import { Tokenizer } from '../../src/capture/tokenize.ts';

export interface PlainOp {
  line: number;
  atUs: number;
  db: number;
  client: string;
  kind: string;
  parentLine: number;
  args: Buffer[];
}

/** Ops of some bytes, given to the tokenizer in the chunks that they come in. */
export function tokenizeAll(chunks: Uint8Array[]): { ops: PlainOp[]; tokenizer: Tokenizer } {
  const tokenizer = new Tokenizer();
  const state = new OpState();
  const ops: PlainOp[] = [];
  const take = (batch: ReturnType<Tokenizer['push']>) => {
    const view = new OpView(batch, state);
    while (view.next()) ops.push(plain(view, tokenizer.sources[view.clientId]!));
  };
  for (const chunk of chunks) take(tokenizer.push(chunk));
  take(tokenizer.end());
  return { ops, tokenizer };
}

/** A file in a folder of its own; returns its path. */
export function temporaryFile(name: string, content: string | Uint8Array): string {
  const path = join(mkdtempSync(join(tmpdir(), 'cutover-test-')), name);
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
  const { line, atUs, db, kind, parentLine } = view;
  return {
    line,
    atUs,
    db,
    client,
    kind,
    parentLine,
    args: Array.from({ length: view.argCount }, (_, i) => Buffer.from(view.arg(i))),
  };
}
