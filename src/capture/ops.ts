/** Batches of records → ops with meaning: what is a command and what a consequence of one, with credentials taken out. */
import { ByteTable } from './byte-table.ts';
import { COMMANDS, type CommandInfo } from './commands.ts';
import { Dialect } from './dialect.ts';
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
/** Commands with credentials among their arguments. */
const SECRETIVE = new Set(['auth', 'acl', 'config', 'hello', 'migrate']);
const REDACTED = Buffer.from('(redacted)');
/** Longer ones cannot be commands: only so much of them is kept. */
const MAX_NAME_BYTES = 64;
/** More names than any server has, counted in every spelling; a hostile capture's others are decoded each time. */
const MAX_NAMES = 4096;

/** What follows from a command's name. */
interface Name {
  /** Lower case. */
  text: string;
  info: CommandInfo | undefined;
  callsScript: boolean;
  allowedWhileBusy: boolean;
  secretive: boolean;
}

/** What the stream of ops knows from one batch to the next. */
export class OpState {
  readonly dialect = new Dialect();
  /** Line of the script call whose children may follow, 0 for none. */
  openScript = 0;
  scriptChildren = 0;
  moduleChildren = 0;
  /** Script children without a parent in the capture (FCALL is not printed by Redis 7.0.0 to 7.0.5). */
  orphans = 0;
  private readonly spellings = new ByteTable();
  /** By number of the spelling. */
  private readonly names: Name[] = [];

  /** The name that `bytes[start..end)` spells. */
  name(bytes: Uint8Array, start: number, end: number): Name {
    const known = this.spellings.find(bytes, start, end);
    if (known >= 0) return this.names[known]!;
    const text = Buffer.from(bytes.subarray(start, Math.min(end, start + MAX_NAME_BYTES)))
      .toString('latin1')
      .toLowerCase();
    const name = {
      text,
      info: COMMANDS.get(text),
      callsScript: SCRIPT_CALLS.has(text),
      allowedWhileBusy: ALLOWED_WHILE_BUSY.has(text),
      secretive: SECRETIVE.has(text),
    };
    if (end - start <= MAX_NAME_BYTES && this.spellings.size < MAX_NAMES) {
      this.names[this.spellings.add(bytes, start, end)] = name;
    }
    return name;
  }
}

/** A cursor over a batch: `while (view.next())`. Its fields and arguments are those of the current op. */
export class OpView {
  line = 0;
  /** Unix time in µs. */
  atUs = 0;
  db = 0;
  clientId = 0;
  kind: OpKind = 'command';
  /** Line of the command that a child belongs to; 0 for commands, orphans, and module children at the end of a chunk. */
  parentLine = 0;
  /** Lower case. */
  command = '';
  /** What is known of the command; undefined for those of modules. */
  info: CommandInfo | undefined;
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

  /** Goes to the next op; false at the end of the batch. */
  next(): boolean {
    const { batch, state } = this;
    if (this.record + 1 >= batch.count) return false;
    const r = ++this.record;
    this.line = batch.line[r]!;
    this.atUs = batch.atUs[r]!;
    this.db = batch.db[r]!;
    this.clientId = batch.source[r]!;
    this.lineBytes = batch.length[r]!;
    this.first = batch.firstArg[r]!;
    this.argCount = batch.firstArg[r + 1]! - this.first;
    this.secretFrom = this.secretTo = 0;
    const name = this.name();
    this.command = name.text;
    this.info = name.info;
    this.attach(batch.kind[r]!, name);
    if (name.secretive) this.findSecrets();
    state.dialect.see(this);
    return true;
  }

  /** Decoded bytes of argument `index` (0 is the command's name); `(redacted)` for a credential. Valid until the next batch. */
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
    return index < this.argCount && REDACTED.equals(bytes.subarray(argStart[i]!, argEnd[i]!));
  }

  private name(): Name {
    const { bytes, argStart, argEnd, argEscapes } = this.batch;
    if (argEscapes[this.first] === Escapes.none)
      return this.state.name(bytes, argStart[this.first]!, argEnd[this.first]!);
    // Decoded first: `"a\x75th"` is AUTH, and its arguments are secrets.
    const decoded = this.arg(0);
    return this.state.name(decoded, 0, decoded.length);
  }

  /** Line of the command that the module's children precede (6.2.4 and later); 0 where the chunk ends before it. */
  private nextCommandLine(): number {
    const { kind, line, count } = this.batch;
    for (let r = this.record + 1; r < count; r++) if (kind[r] !== SourceKind.module) return line[r]!;
    return 0;
  }

  private attach(source: number, name: Name): void {
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
      this.parentLine = this.nextCommandLine();
    } else {
      this.kind = 'command';
      if (name.callsScript) state.openScript = this.line;
      else if (!name.allowedWhileBusy) state.openScript = 0;
    }
  }

  /** Old servers print credentials in clear: nothing outside this folder ever sees them, whatever the version. */
  private findSecrets(): void {
    // One range is enough if it only grows; what stands between two credentials goes with them.
    const hide = (from: number, to: number) => {
      if (this.secretTo === 0) this.secretFrom = from;
      this.secretTo = Math.min(Math.max(this.secretTo, to), this.argCount);
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
