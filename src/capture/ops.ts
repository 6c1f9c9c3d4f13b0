/** Batches of records → ops with meaning: what is a command and what a consequence of one, with credentials taken out. */
import { type Batch, NO_COMMAND, REDACTED, SourceKind, UNQUOTED } from './batch.ts';
import { ByteTable } from './byte-table.ts';
import { COMMANDS, type CommandInfo } from './commands.ts';
import { Dialect, roleOf } from './dialect.ts';
import { decodeArgument, decodeUnquoted } from './encode.ts';

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
const AUTH = Buffer.from('AUTH');
const AUTH2 = Buffer.from('AUTH2');
/** Longer ones cannot be commands: only so much of them is kept. */
const MAX_NAME_BYTES = 64;
/** More names than any server has, counted in every spelling; a hostile capture's others are decoded each time. */
const MAX_NAMES = 4096;
/** A clock that is set back by less is only being adjusted. */
export const MIN_STEP_US = 1_000_000;

/** What follows from a command's name. */
interface Name {
  /** Lower case. */
  text: string;
  /** The same for every spelling. */
  id: number;
  info: CommandInfo | undefined;
  callsScript: boolean;
  allowedWhileBusy: boolean;
  secretive: boolean;
  role: number;
}

/** Numbers of commands by name, the same in all captures that are read together. */
export class Names {
  private readonly ids = new Map<string, number>();

  /** Dense from 0; names beyond those that are told apart have one number. */
  id(command: string): number {
    const known = this.ids.get(command);
    if (known !== undefined || this.ids.size === MAX_NAMES) return known ?? MAX_NAMES;
    this.ids.set(command, this.ids.size);
    return this.ids.size - 1;
  }
}

/** What the stream of ops knows from one batch to the next. */
export class OpState {
  readonly dialect = new Dialect();
  /** Unix time in µs of the first and the last op; 0 while there is none. */
  firstUs = 0;
  lastUs = 0;
  /** How often the time of the ops went back by more than a second, and the most that it did. */
  stepsBack = 0;
  largestStepUs = 0;
  /** Line of the script call whose children may follow, 0 for none. */
  openScript = 0;
  scriptChildren = 0;
  moduleChildren = 0;
  /** Script children without a parent in the capture (FCALL is not printed by Redis 7.0.0 to 7.0.5). */
  orphans = 0;
  /** Commands of clients, and those of them that came through a Unix socket. */
  commands = 0;
  unixCommands = 0;
  private readonly names: Names;
  /** By number of the spelling, in the tables of the scanner and of this class. */
  private readonly scanned: Name[] = [];
  private readonly spelled: Name[] = [];
  private readonly spellings = new ByteTable();

  constructor(names = new Names()) {
    this.names = names;
  }

  /** The name that `bytes[start..end)` spells; `number`: of the spelling, if the scanner knows it. */
  name(bytes: Uint8Array, start: number, end: number, number: number): Name {
    if (number !== NO_COMMAND) {
      this.scanned[number] ??= this.make(bytes, start, end);
      return this.scanned[number];
    }
    const known = this.spellings.find(bytes, start, end);
    if (known >= 0) return this.spelled[known]!;
    const name = this.make(bytes, start, end);
    if (end - start <= MAX_NAME_BYTES && this.spellings.size < MAX_NAMES) {
      this.spelled[this.spellings.add(bytes, start, end)] = name;
    }
    return name;
  }

  private make(bytes: Uint8Array, start: number, end: number): Name {
    const text = Buffer.from(bytes.subarray(start, Math.min(end, start + MAX_NAME_BYTES)))
      .toString('latin1')
      .toLowerCase();
    const info = COMMANDS.get(text);
    return {
      text,
      id: this.names.id(text),
      info,
      role: roleOf(text, info),
      callsScript: SCRIPT_CALLS.has(text),
      allowedWhileBusy: ALLOWED_WHILE_BUSY.has(text),
      secretive: SECRETIVE.has(text),
    };
  }
}

const isLower = (byte: number) => byte >= 0x61 && byte <= 0x7a;

/** A cursor over a batch: `while (view.next())`. Its fields and arguments are those of the current op. */
export class OpView {
  line = 0;
  /** Unix time in µs. */
  atUs = 0;
  db = 0;
  clientId = 0;
  kind: OpKind = 'command';
  /** Line of the command that a child belongs to; 0 for commands and orphans. */
  parentLine = 0;
  /** Lower case. */
  command = '';
  /** The command as a small number, the same in the whole capture and dense from 0: for tables instead of maps. */
  commandId = 0;
  /** What is known of the command; undefined for those of modules. */
  info: CommandInfo | undefined;
  argCount = 0;
  lineBytes = 0;
  /** Number of the file among those that are read together. */
  node = 0;
  /** What `argStart` and `argEnd` refer to. */
  bytes: Buffer;

  private batch: Batch;
  private readonly state: OpState;
  private record = -1;
  /** The record behind the module children that are being shown, and its line if it is their parent. */
  private parentRecord = 0;
  private nextLine = 0;
  private first = 0;

  constructor(batch: Batch, state: OpState) {
    this.batch = batch;
    this.bytes = batch.bytes;
    this.state = state;
  }

  /** What another one can be made from. */
  get parts(): [Batch, OpState] {
    return [this.batch, this.state];
  }

  /** Goes to the next op; false at the end of the batch. */
  next(): boolean {
    const { batch, state } = this;
    if (this.record + 1 >= batch.count) return false;
    const r = ++this.record;
    const atUs = batch.atUs[r]!;
    this.line = batch.line[r]!;
    this.atUs = atUs;
    this.db = batch.db[r]!;
    this.clientId = batch.source[r]!;
    this.lineBytes = batch.length[r]!;
    this.first = batch.firstArg[r]!;
    this.argCount = batch.firstArg[r + 1]! - this.first;
    if (state.firstUs === 0) state.firstUs = atUs;
    else if (atUs < state.lastUs - MIN_STEP_US) {
      state.stepsBack++;
      state.largestStepUs = Math.max(state.largestStepUs, state.lastUs - atUs);
    }
    state.lastUs = atUs;
    const name = this.name(batch.command[r]!);
    this.command = name.text;
    this.commandId = name.id;
    this.info = name.info;
    this.attach(batch.kind[r]!, name);
    if (name.secretive) this.hideSecrets();
    return true;
  }

  /** Decoded bytes of argument `index` (0 is the command's name); `(redacted)` for a credential. Valid until the next batch. */
  arg(index: number): Uint8Array {
    const { bytes, argStart, argEnd, argLength } = this.batch;
    const i = this.first + index;
    const start = argStart[i]!;
    const end = argEnd[i]!;
    if (argLength[i] === end - start) return bytes.subarray(start, end);
    return argLength[i] === UNQUOTED ? decodeUnquoted(bytes, start, end) : decodeArgument(bytes, start, end);
  }

  /** Its length in bytes, without decoding it where that is possible. */
  argLength(index: number): number {
    const length = this.batch.argLength[this.first + index]!;
    return length === UNQUOTED ? this.arg(index).length : length;
  }

  /** Where its text stands in `bytes`: what it means if it is plain, and can be looked at without an object for each. */
  argStart(index: number): number {
    return this.batch.argStart[this.first + index]!;
  }

  argEnd(index: number): number {
    return this.batch.argEnd[this.first + index]!;
  }

  /** Whether its text has no escapes. */
  isPlain(index: number): boolean {
    const { argStart, argEnd, argLength } = this.batch;
    const i = this.first + index;
    return argLength[i] === argEnd[i]! - argStart[i]!;
  }

  /** Whether it is that word, given in upper case, in any case. */
  isWord(index: number, word: Uint8Array): boolean {
    if (this.argLength(index) !== word.length) return false;
    const bytes = this.arg(index);
    return word.every((byte, i) => byte === (isLower(bytes[i]!) ? bytes[i]! - 0x20 : bytes[i]));
  }

  private name(number: number): Name {
    if (this.isPlain(0)) return this.state.name(this.bytes, this.argStart(0), this.argEnd(0), number);
    // Decoded first: `"a\x75th"` is AUTH, and its arguments are secrets.
    const decoded = this.arg(0);
    return this.state.name(decoded, 0, decoded.length, NO_COMMAND);
  }

  /** Has the fields and arguments of another one from now on. */
  protected show(other: OpView): void {
    this.line = other.line;
    this.atUs = other.atUs;
    this.db = other.db;
    this.clientId = other.clientId;
    this.kind = other.kind;
    this.parentLine = other.parentLine;
    this.command = other.command;
    this.commandId = other.commandId;
    this.info = other.info;
    this.argCount = other.argCount;
    this.lineBytes = other.lineBytes;
    this.bytes = other.bytes;
    this.batch = other.batch;
    this.first = other.first;
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
      state.commands++;
      if (source === SourceKind.unix) state.unixCommands++;
      state.dialect.see(this, name.role);
      if (name.callsScript) state.openScript = this.line;
      else if (!name.allowedWhileBusy) state.openScript = 0;
    }
  }

  /** Line of the command that the module's children precede (6.2.4 and later), directly; 0 if there is none. */
  private nextCommandLine(): number {
    const { kind, line, count } = this.batch;
    // Found once for all children of a command.
    if (this.parentRecord <= this.record) {
      let r = this.record + 1;
      while (r < count && kind[r] === SourceKind.module && line[r] === line[r - 1]! + 1) r++;
      this.parentRecord = r;
      this.nextLine = r < count && line[r] === line[r - 1]! + 1 ? line[r]! : 0;
    }
    return this.nextLine;
  }

  /** Old servers print credentials in clear: nothing outside this folder ever sees them, whatever the version. */
  private hideSecrets(): void {
    const { command, argCount } = this;
    if (command === 'auth') this.hide(1, argCount);
    else if (command === 'acl' || command === 'config') this.hide(2, argCount);
    else {
      // HELLO 3 AUTH user password; MIGRATE … AUTH password, AUTH2 user password. What is hidden may itself be such a word.
      for (let i = argCount - 1; i > 0; i--) {
        if (this.isWord(i, AUTH)) this.hide(i + 1, command === 'hello' ? i + 3 : i + 2);
        else if (this.isWord(i, AUTH2)) this.hide(i + 1, i + 3);
      }
    }
  }

  private hide(from: number, to: number): void {
    const { batch, first } = this;
    for (let i = first + from; i < first + Math.min(to, this.argCount); i++) {
      batch.argStart[i] = batch.redactedAt;
      batch.argEnd[i] = batch.redactedAt + REDACTED.length;
      batch.argLength[i] = REDACTED.length;
    }
  }
}
