/** Batches of records → ops with meaning: what is a command and what a consequence of one, with credentials taken out. */
import { type Batch, NO_COMMAND, REDACTED, SourceKind, UNQUOTED } from './batch.ts';
import { ByteTable } from './byte-table.ts';
import { COMMANDS, type CommandInfo } from './commands.ts';
import { Dialect, NO_DB, roleOf } from './dialect.ts';
import { decodeArgument, decodeUnquoted } from './encode.ts';
import { hash64, hashHigh, hashLow } from './key-hash.ts';
import { Trait, traitsOf } from './traits.ts';

export type OpKind = 'command' | 'script-child' | 'module-child';

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
  role: number;
  /** Those of `Trait` that it has. */
  traits: number;
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
  readonly scanned: Name[] = [];
  private readonly spelled: Name[] = [];
  private readonly spellings = new ByteTable();

  constructor(names = new Names()) {
    this.names = names;
  }

  /** `before`: the time of the op before; must see all that are earlier than that, and the first one. */
  seeTime(atUs: number, before: number): void {
    if (this.firstUs === 0) this.firstUs = atUs;
    else if (atUs < before - MIN_STEP_US) {
      this.stepsBack++;
      this.largestStepUs = Math.max(this.largestStepUs, before - atUs);
    }
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
    // One text for all spellings: it is compared for every op.
    return {
      text: info?.name ?? text,
      id: this.names.id(text),
      info,
      role: roleOf(text, info),
      traits: traitsOf(text),
    };
  }
}

const NO_NAME: Name = { text: '', id: 0, info: undefined, role: 0, traits: 0 };
/** By SourceKind. */
const KINDS: readonly OpKind[] = ['command', 'command', 'script-child', 'module-child'];

const isLower = (byte: number) => byte >= 0x61 && byte <= 0x7a;

/** A cursor over a batch: `while (view.next())`. Its properties and arguments are those of the current op. */
export class OpView {
  /** Number of the file among those that are read together. */
  node = 0;
  /** What `argStart` and `argEnd` refer to. */
  bytes: Buffer;
  /** What `hashKey` left: two signed halves. */
  keyLow = 0;
  keyHigh = 0;

  private batch: Batch;
  private readonly state: OpState;
  private record = -1;
  private name = NO_NAME;
  private first = 0;
  /** The record behind the module children that are being shown, and its line if it is their parent. */
  private parentRecord = 0;
  private nextLine = 0;

  constructor(batch: Batch, state: OpState) {
    this.batch = batch;
    this.bytes = batch.bytes;
    this.state = state;
  }

  /** What another one can be made from. */
  get parts(): [Batch, OpState] {
    return [this.batch, this.state];
  }

  get line(): number {
    return this.batch.line[this.record]!;
  }

  /** Unix time in µs. */
  get atUs(): number {
    return this.batch.atUs[this.record]!;
  }

  get db(): number {
    return this.batch.db[this.record]!;
  }

  get clientId(): number {
    return this.batch.source[this.record]!;
  }

  get kind(): OpKind {
    return KINDS[this.batch.kind[this.record]!]!;
  }

  /** Lower case. */
  get command(): string {
    return this.name.text;
  }

  /** The command as a small number, the same in the whole capture and dense from 0: for tables instead of maps. */
  get commandId(): number {
    return this.name.id;
  }

  /** What is known of the command; undefined for those of modules. */
  get info(): CommandInfo | undefined {
    return this.name.info;
  }

  get argCount(): number {
    return this.batch.firstArg[this.record + 1]! - this.first;
  }

  get lineBytes(): number {
    return this.batch.length[this.record]!;
  }

  /** Line of the command that a child belongs to; 0 for commands and orphans. */
  get parentLine(): number {
    const { batch, record } = this;
    return batch.kind[record]! >= SourceKind.script ? batch.parentLine[record]! : 0;
  }

  /** Goes to the next op; false at the end of the batch. */
  next(): boolean {
    const r = this.record + 1;
    if (r === 0) this.lookThrough();
    if (r >= this.batch.count) return false;
    this.goTo(r);
    return true;
  }

  private goTo(record: number): void {
    const { batch, state } = this;
    this.record = record;
    this.first = batch.firstArg[record]!;
    const number = batch.command[record]!;
    this.name = (number === NO_COMMAND ? undefined : state.scanned[number]) ?? this.readName(number);
  }

  /** What depends on the ops before is found out for all of the batch at once: parents, what the dialect shows, and times. */
  private lookThrough(): void {
    const { batch, state } = this;
    const { count, notable, notableCount } = batch;
    if (count === 0) return;
    let r = 0;
    for (let i = 0; i < notableCount; i++) {
      this.passOver(r, notable[i]!);
      r = notable[i]!;
      this.look(r++, i);
    }
    this.passOver(r, count);
    state.lastUs = batch.atUs[count - 1]!;
  }

  /** Records that are not notable; their writer may be. */
  private passOver(from: number, to: number): void {
    const { state } = this;
    if (from === to) return;
    state.commands += to - from;
    for (let r = from; r < to && state.openScript !== 0; r++) {
      this.goTo(r);
      if ((this.name.traits & Trait.allowedWhileBusy) === 0) state.openScript = 0;
    }
    for (let r = from; r < to && state.dialect.seeksWriter; r++) {
      this.goTo(r);
      state.dialect.seeData(this, this.name.role);
    }
  }

  /** `place`: of the record among those that are notable. */
  private look(record: number, place: number): void {
    this.goTo(record);
    const { batch, state, name } = this;
    const { traits } = name;
    state.seeTime(batch.atUs[record]!, record === 0 ? state.lastUs : batch.atUs[record - 1]!);
    const source = batch.kind[record]!;
    if (source >= SourceKind.script) this.attach(source);
    else {
      state.commands++;
      if (source === SourceKind.unix) state.unixCommands++;
      if ((traits & Trait.connection) !== 0) {
        const db = state.dialect.seeConnection(this, batch.dbBefore[place]!);
        if (db !== NO_DB) this.setDb(place, db);
      } else if (state.dialect.seeksWriter) state.dialect.seeData(this, name.role);
      if ((traits & Trait.callsScript) !== 0) state.openScript = batch.line[record]!;
      else if ((traits & Trait.allowedWhileBusy) === 0) state.openScript = 0;
    }
    if ((traits & Trait.secretive) !== 0) this.hideSecrets();
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

  /** What `hashKey(1)` would leave in `keyLow`, for all ops of the batch; 0 where that is not known yet. */
  get keyLows(): Int32Array {
    const { batch } = this;
    if (!batch.keysHashed) batch.hashKeys();
    return batch.keyLow.subarray(0, batch.count);
  }

  /** Leaves the hash of argument `index` as a key of the op's database in `keyLow` and `keyHigh`. */
  hashKey(index: number): void {
    const { batch, record } = this;
    if (!batch.keysHashed) batch.hashKeys();
    const low = batch.keyLow[record]!;
    const high = batch.keyHigh[record]!;
    if (index === 1 && (low | high) !== 0) {
      this.keyLow = low;
      this.keyHigh = high;
    } else this.hashArgument(index);
  }

  private hashArgument(index: number): void {
    if (this.isPlain(index)) hash64(this.bytes, this.argStart(index), this.argEnd(index), this.db);
    else {
      const decoded = this.arg(index);
      hash64(decoded, 0, decoded.length, this.db);
    }
    this.keyLow = hashLow;
    this.keyHigh = hashHigh;
  }

  /** Whether it is that word, given in upper case, in any case. */
  isWord(index: number, word: Uint8Array): boolean {
    if (this.argLength(index) !== word.length) return false;
    const bytes = this.arg(index);
    return word.every((byte, i) => byte === (isLower(bytes[i]!) ? bytes[i]! - 0x20 : bytes[i]));
  }

  /** Shows the current op of another one. */
  protected show(other: OpView): void {
    this.bytes = other.bytes;
    this.batch = other.batch;
    this.record = other.record;
    this.name = other.name;
    this.first = other.first;
  }

  private readName(number: number): Name {
    if (this.isPlain(0)) return this.state.name(this.bytes, this.argStart(0), this.argEnd(0), number);
    // Decoded first: `"a\x75th"` is AUTH, and its arguments are secrets.
    const decoded = this.arg(0);
    return this.state.name(decoded, 0, decoded.length, NO_COMMAND);
  }

  /** The client of a notable record has that database behind it, whatever its line shows. */
  private setDb(place: number, db: number): void {
    const { source, count, notable, notableCount, dbBefore, setDb } = this.batch;
    const client = source[notable[place]!]!;
    let next = notable[place]! + 1;
    while (next < count && source[next] !== client) next++;
    if (next === count) setDb(client, db);
    let i = place + 1;
    while (i < notableCount && notable[i]! < next) i++;
    if (i < notableCount && notable[i] === next) dbBefore[i] = db;
  }

  /** Finds the parent of a child. */
  private attach(source: number): void {
    const { batch, state, record } = this;
    if (source === SourceKind.module) {
      state.moduleChildren++;
      batch.parentLine[record] = this.nextCommandLine();
    } else {
      state.scriptChildren++;
      batch.parentLine[record] = state.openScript;
      if (state.openScript === 0) state.orphans++;
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
