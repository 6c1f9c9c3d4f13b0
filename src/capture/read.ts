/** A capture's bytes → batches of ops, and what can be said of the whole capture at its end. */
import type { Caveat } from '../errors.ts';
import { AofDecoder, readManifest } from './aof.ts';
import type { Decoder } from './decoder.ts';
import { type ByteRange, type Input, isAppendOnly, openInput } from './input.ts';
import { type Names, OpState, OpView } from './ops.ts';
import { type CaptureOptions, type CaptureSummary, checkSummary, summarize } from './summary.ts';
import { Tokenizer } from './tokenize.ts';

export type { CaptureOptions, CaptureSummary } from './summary.ts';

/** Lines and bytes without a single record among them: there will be none. */
const HOPELESS_LINES = 10_000;
const HOPELESS_BYTES = 1 << 30;

const SHRANK = {
  id: 'capture-shrank',
  message: 'The file became shorter while it was read: what was cut off is missing.',
  advice: 'Stop what rotates or writes it, and run again.',
};

/** One pass over a capture: iterate `batches`, then ask for `summary`. */
export class Capture {
  /** As the user named it. */
  readonly name: string;
  private readonly options: CaptureOptions;
  private readonly range: ByteRange | undefined;
  private readonly state: OpState;
  private decoder: Decoder | undefined;
  private head = '';
  private readonly noted: Caveat[] = [];

  /**
   * `name`: a path, or `-` for stdin. `range`: a stretch of a plain file, from `splitCapture`; its lines are numbered from 1,
   * and whether the capture is one is left to `joinSummaries`. `names`: shared by captures that are read together.
   */
  constructor(name: string, options: CaptureOptions = {}, range?: ByteRange, names?: Names) {
    this.name = name;
    this.state = new OpState(names);
    this.options = options;
    this.range = range;
  }

  /**
   * A cursor for every batch, valid until the next one. Throws CutoverError (usage) for what is no capture, is damaged,
   * or came from a replica; the last two when the end is reached.
   */
  async *batches(): AsyncGenerator<OpView> {
    const manifest = await readManifest(this.name);
    if (manifest) this.noted.push(...manifest.caveats);
    for (const file of manifest?.files ?? [this.name]) yield* this.read(file);
    const decoder = this.decoder!;
    decoder.finish();
    yield* this.views(decoder);
    if (decoder instanceof AofDecoder) this.noted.push(...decoder.caveats);
    if (this.range === undefined) checkSummary(this.name, this.summary(), this.options);
  }

  private async *read(file: string): AsyncGenerator<OpView> {
    const input = await openInput(file, this.range);
    this.decoder ??= this.begin(input);
    const { decoder } = this;
    try {
      for await (const _ of input.feed(decoder)) {
        yield* this.views(decoder);
        if (decoder.parsed === 0 && (decoder.lines > HOPELESS_LINES || decoder.bytesRead > HOPELESS_BYTES)) return;
      }
    } finally {
      await input.close();
    }
    if (input.shrank) this.noted.push(SHRANK);
  }

  private begin({ head, modifiedMs }: Input): Decoder {
    this.head = head.toString('latin1');
    return isAppendOnly(this.head) ? new AofDecoder(head, modifiedMs) : new Tokenizer(this.options);
  }

  /** What a client's number stands for: its address as the server printed it. */
  client(clientId: number): string {
    return this.decoder?.source(clientId) ?? '';
  }

  /** Valid after the last batch. */
  summary(): CaptureSummary {
    const { decoder, state } = this;
    if (!decoder) throw new Error('a summary before the first batch');
    const { firstUs, lastUs, commands, unixCommands, scriptChildren, moduleChildren, orphans } = state;
    return summarize({
      input: decoder instanceof AofDecoder ? 'aof' : 'monitor',
      lines: decoder.lines,
      parsed: decoder.parsed,
      rejected: Object.fromEntries(decoder.rejects),
      ...{ firstUs, lastUs, commands, unixCommands, scriptChildren, moduleChildren, orphans },
      sources: decoder.sourceCount,
      stepsBack: state.stepsBack,
      largestStepUs: state.largestStepUs,
      tornLastLine: decoder.tornLastLine,
      approximateLines: decoder.approximateLines,
      bytes: decoder.bytesRead,
      evidence: { ...state.dialect.votes((number) => decoder.source(number)), ...decoder.traits },
      noted: this.noted,
      head: this.head,
    });
  }

  private *views(decoder: Decoder): Generator<OpView> {
    for (let batch = decoder.next(); batch; batch = decoder.next()) {
      const view = new OpView(batch, this.state);
      yield view;
      // Ops that the reader left are seen all the same: parents and dialect depend on them.
      while (view.next());
    }
  }
}
