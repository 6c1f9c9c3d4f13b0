/** Batches of records → ops with meaning: what is a command and what a consequence of one, with credentials taken out. */
import { decodeArgument, decodedLength, decodeUnquoted } from './encode.ts';
import { type Batch, Escapes, SourceKind } from './tokenize.ts';

export type OpKind = 'command' | 'script-child' | 'module-child';

const SCRIPT_CALLS = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);
/** While a script keeps the server busy, others may still send these between its children. */
const ALLOWED_WHILE_BUSY = new Set([
  'watch',
  'unwatch',
  'multi',
  'discard',
  'auth',
  'hello',
  'script',
  'function',
  'shutdown',
  'reset',
  'quit',
]);
const REDACTED = Buffer.from('(redacted)');
/** Command names are interned up to this length; longer ones cannot be commands. */
const MAX_NAME = 64;

/** Remembers command names, so that each is decoded once. */
class Names {
  private readonly byHash = new Map<number, { raw: Uint8Array; name: string }[]>();

  of(bytes: Uint8Array, start: number, end: number): string {
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const known = this.byHash.get(hash);
    for (const entry of known ?? [])
      if (entry.raw.length === end - start && entry.raw.every((byte, i) => byte === bytes[start + i]))
        return entry.name;
    const raw = new Uint8Array(bytes.subarray(start, end));
    const name = Buffer.from(raw.subarray(0, MAX_NAME)).toString('latin1').toLowerCase();
    if (known) known.push({ raw, name });
    else if (this.byHash.size < 4096) this.byHash.set(hash, [{ raw, name }]);
    return name;
  }
}

/** What the stream of ops knows from one batch to the next. */
export class OpState {
  readonly names = new Names();
  /** Line of the script call whose children may follow, 0 for none. */
  openScript = 0;
  scriptChildren = 0;
  moduleChildren = 0;
  /** Script children without a parent in the capture (FCALL is not printed by Redis 7.0.0 to 7.0.5). */
  orphans = 0;
}

/** A cursor over a batch: `while (view.next())`. Its fields and arguments are those of the current op. */
export class OpView {
  line = 0;
  atUs = 0;
  db = 0;
  clientId = 0;
  kind: OpKind = 'command';
  /** Line of the script call that a script child belongs to; 0 for commands, module children and orphans. */
  parentLine = 0;
  /** Lower case. */
  command = '';
  argCount = 0;
  lineBytes = 0;

  private readonly batch: Batch;
  private readonly state: OpState;
  private record = -1;
  private first = 0;
  /** Arguments from here to there are credentials; none if equal. */
  private secretFrom = 0;
  private secretTo = 0;

  constructor(batch: Batch, state: OpState) {
    this.batch = batch;
    this.state = state;
  }

  next(): boolean {
    const { batch, state } = this;
    const r = ++this.record;
    if (r >= batch.count) return false;
    this.line = batch.line[r]!;
    this.atUs = batch.atUs[r]!;
    this.db = batch.db[r]!;
    this.clientId = batch.source[r]!;
    this.lineBytes = batch.length[r]!;
    this.first = batch.firstArg[r]!;
    this.argCount = batch.firstArg[r + 1]! - this.first;
    this.command = state.names.of(batch.bytes, batch.argStart[this.first]!, batch.argEnd[this.first]!);
    this.secretFrom = this.secretTo = 0;
    this.attach(batch.kind[r]!);
    this.findSecrets();
    return true;
  }

  /** Decoded bytes of argument `index` (0 is the command's name); `(redacted)` for a credential. */
  arg(index: number): Uint8Array {
    if (index >= this.secretFrom && index < this.secretTo) return REDACTED;
    const { bytes, argStart, argEnd, argEscapes } = this.batch;
    const i = this.first + index;
    const start = argStart[i]!;
    const end = argEnd[i]!;
    if (argEscapes[i] === Escapes.none) return bytes.subarray(start, end);
    return argEscapes[i] === Escapes.quoted ? decodeArgument(bytes, start, end) : decodeUnquoted(bytes, start, end);
  }

  /** Its length in bytes, without decoding it where that is possible. */
  argLength(index: number): number {
    if (index >= this.secretFrom && index < this.secretTo) return REDACTED.length;
    const { bytes, argStart, argEnd, argEscapes } = this.batch;
    const i = this.first + index;
    if (argEscapes[i] === Escapes.none) return argEnd[i]! - argStart[i]!;
    return argEscapes[i] === Escapes.quoted ? decodedLength(bytes, argStart[i]!, argEnd[i]!) : this.arg(index).length;
  }

  /** Whether the server itself had already taken the credential out. */
  wasRedacted(index: number): boolean {
    const { bytes, argStart, argEnd } = this.batch;
    const i = this.first + index;
    return REDACTED.equals(bytes.subarray(argStart[i]!, argEnd[i]!));
  }

  private attach(source: number): void {
    const { state } = this;
    this.parentLine = 0;
    if (source === SourceKind.script) {
      this.kind = 'script-child';
      state.scriptChildren++;
      if (state.openScript > 0) this.parentLine = state.openScript;
      else state.orphans++;
    } else if (source === SourceKind.module) {
      this.kind = 'module-child';
      state.moduleChildren++;
    } else {
      this.kind = 'command';
      if (SCRIPT_CALLS.has(this.command)) state.openScript = this.line;
      else if (!ALLOWED_WHILE_BUSY.has(this.command)) state.openScript = 0;
    }
  }

  /** Old servers print credentials in clear: nothing outside this folder ever sees them, whatever the version. */
  private findSecrets(): void {
    const hide = (from: number, to: number) => {
      this.secretFrom = from;
      this.secretTo = Math.min(to, this.argCount);
    };
    switch (this.command) {
      case 'auth':
        hide(1, this.argCount);
        return;
      case 'acl':
      case 'config':
        hide(2, this.argCount);
        return;
      case 'hello':
      case 'migrate':
        for (let i = 1; i < this.argCount; i++) {
          const word = this.argLength(i) <= 5 ? Buffer.from(this.arg(i)).toString('latin1').toUpperCase() : '';
          // HELLO 3 AUTH user password; MIGRATE … AUTH password, AUTH2 user password.
          if (word === 'AUTH') hide(i + 1, this.command === 'hello' ? i + 3 : i + 2);
          if (word === 'AUTH2') hide(i + 1, i + 3);
        }
    }
  }
}
