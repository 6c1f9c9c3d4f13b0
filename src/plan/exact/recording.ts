/** Captured ops, in file order → ops to send: pipelines and transactions whole, what scripts did left out. */
import { createHash } from 'node:crypto';
import type { CommandInfo, KeyPosition } from '../../capture/commands.ts';
import type { OpView } from '../../capture/ops.ts';
import { SCRIPT_CALLS } from '../../capture/traits.ts';
import { type CapturedKeys, LEFT_OUT } from '../../model/build.ts';
import { latin1 } from '../../model/fit/roles.ts';
import { describe, expiryPlace, ttlSeconds } from '../../model/fit/shapes.ts';
import { SubscriptionFollower } from '../../model/fit/subscriptions.ts';
import type { Model, Script } from '../../model/model.ts';
import { continuesPipeline } from '../../model/pipeline.ts';
import { treatmentOf } from '../../model/replayable.ts';
import { intern } from '../../model/tally.ts';
import { Labels, NO_FAMILY, OTHER_FAMILY, SCRIPT_FAMILY, scriptCommand } from '../labels.ts';
import { OpFlag, type Order, type Plan, type Subscription } from '../plan.ts';
import { CapturedGroups, NAMES_ENTRIES } from '../preload/consumer-groups.ts';
import { RespWriter } from '../resp.ts';
import { CapturedWalks, cursorCall, UNKNOWN_CURSOR, type WalkStep } from '../walks.ts';
import { readsClock, type ShiftedTime, shiftScriptTimes, shiftTimes } from './clock-shift.ts';
import { assignConnections, type Stay } from './connections.ts';
import type { ArgumentDisguise } from './disguise.ts';
import { type Access, Precedence } from './precedence.ts';
import { Presence } from './presence.ts';

const PUBLISHES = new Set(['publish', 'spublish']);
/** A client that sends a script's body so soon after a call of it did nothing had been told NOSCRIPT. */
const RETRY_US = 1_000_000;
const MAX_IDLE_CALLS = 256;
/** As long as a script's name, and the name of none. */
const NO_SCRIPT = Buffer.alloc(40, '0');

/** How often something was met that no replay repeats exactly. */
export interface Losses {
  /** EXEC and DISCARD whose MULTI is not in the capture. */
  transactions: number;
  /** Calls of scripts whose body nobody knows. */
  unknownCalls: number;
  /** Commands that name stream entries by ids that the captured server made. */
  entries: number;
}

export interface RecordedOps {
  count: number;
  /** Captured time in µs since the start of the recording; non-decreasing, equal within a pipeline or transaction. */
  atUs: Float64Array;
  connection: Uint16Array;
  label: Uint16Array;
  flags: Uint8Array;
  /** `count + 1` offsets into `bytes`. */
  offset: Float64Array;
  bytes: Uint8Array;
  order: Order;
  /** In the order of their ops. */
  walks: WalkStep[];
  /** Where bytes hold times that the server holds against its clock, in the order of their ops. */
  times: PlannedTime[];
  subscriptions: RecordedSubscription[];
}

/** Held from one captured time until another, in µs since the start of the recording. */
interface RecordedSubscription extends Subscription {
  fromUs: number;
  untilUs: number;
}

/** Digits of a time, `at` bytes into an op's, in units of so many milliseconds. */
export interface PlannedTime {
  op: number;
  at: number;
  digits: number;
  unitMs: number;
}

interface Client {
  /** Captured times of its first and last line. */
  firstUs: number;
  lastUs: number;
  /** MULTI was seen. Queued commands are not, until EXEC runs them: the lines right before EXEC. */
  multi: boolean;
  /** Its calls of scripts that have done nothing so far. */
  idleCalls: { line: number; sha1: string; atUs: number; nameOffset: number }[];
}

export interface RecordingOptions {
  model: Model;
  captured: CapturedKeys;
  /** Captured Unix time that the recording begins at. */
  startUs: number;
  /** Captured seconds that pass in one second. */
  speed: number;
  /** Unix time at which an op so long after the start will be sent. */
  plannedMs: (sinceStartUs: number) => number;
  disguise?: ArgumentDisguise;
}

export class Recording {
  readonly labels = new Labels();
  readonly presence = new Presence();
  readonly groups = new CapturedGroups();
  private readonly walks = new CapturedWalks();
  readonly losses: Losses = { transactions: 0, unknownCalls: 0, entries: 0 };
  private readonly model: Model;
  private readonly captured: CapturedKeys;
  private readonly startUs: number;
  private readonly plannedMs: (sinceStartUs: number) => number;
  private readonly disguise: ArgumentDisguise | undefined;
  private readonly scripts: Map<string, Script>;
  private readonly clockScripts: Set<string>;

  private readonly writer = new RespWriter();
  private readonly atUs: number[] = [];
  private readonly stay: number[] = [];
  private readonly label: number[] = [];
  private readonly flags: number[] = [];
  private readonly offset: number[] = [];
  private readonly times: PlannedTime[] = [];
  /** Where in the last op's bytes its arguments begin. */
  private starts: number[] = [];
  /** MULTIs that turned out to begin nothing. */
  private readonly torn = new Set<number>();

  private readonly stays: { clientId: number; db: number; blocking: boolean; watched: Access[] }[] = [];
  private readonly precedence: Precedence;
  /** Ops that leave together: from which one on. */
  private together = { stay: -1, atUs: 0, first: 0 };
  private readonly stayNumbers = new Map<string, number>();
  private readonly clients = new Map<number, Client>();
  /** That have ended, and that are held: by client, kind and name as captured. */
  private readonly ended: RecordedSubscription[] = [];
  private readonly held = new Map<string, RecordedSubscription>();
  private readonly follower = new SubscriptionFollower((kind, name, begins, { clientId, atUs }) => {
    const entry = `${clientId} ${kind} ${name}`;
    const sinceUs = Math.max(0, atUs - this.startUs);
    // What was held when the capture began.
    const stay = this.held.get(entry) ?? {
      subscriber: clientId,
      kind,
      name: this.channel(name),
      fromUs: 0,
      untilUs: 0,
    };
    if (begins) this.held.set(entry, { ...stay, fromUs: sinceUs, untilUs: Number.POSITIVE_INFINITY });
    else if (this.held.delete(entry) || sinceUs > 0) this.ended.push({ ...stay, untilUs: sinceUs });
  });
  /** The pipeline that the last command belongs to. */
  private pipeline = { clientId: -1, startUs: 0, lastUs: 0, lastBytes: 0 };
  /** The transaction that the last command belongs to: its MULTI's op, what its body uses, and whether any of it is left out. */
  private transaction:
    | {
        clientId: number;
        db: number;
        atUs: number;
        multi: number;
        first: number;
        accesses: Access[];
        decisive: boolean;
        leftOut: boolean;
      }
    | undefined;
  /** The last call of a script: its op, or when what it does is replayed instead of it. */
  private call:
    | { line: number; client: Client; clientId: number; op: number; calledUs: number; insteadUs: number | undefined }
    | undefined;

  constructor({ model, captured, startUs, speed, plannedMs, disguise }: RecordingOptions) {
    this.model = model;
    this.captured = captured;
    this.precedence = new Precedence(speed === 1);
    this.startUs = startUs;
    this.plannedMs = plannedMs;
    this.disguise = disguise;
    this.scripts = new Map(model.scripts.map((script) => [script.sha1, script]));
    this.clockScripts = new Set(
      model.scripts
        .filter(({ body }) => body !== null && readsClock(Buffer.from(body, 'latin1')))
        .map(({ sha1 }) => sha1),
    );
  }

  add(op: OpView): void {
    if (op.kind === 'command') this.addCommand(op);
    else if (op.kind === 'script-child') this.addChild(op);
  }

  /** The ops, and the connections that they need. Nothing can be added any more. */
  finish(): { ops: RecordedOps; connections: Plan['connections'] } {
    this.tear();
    this.offset.push(this.writer.length);
    const { connections, connectionOf } = assignConnections(
      this.stays.map(({ clientId, db, blocking, watched }): Stay => {
        const { firstUs, lastUs } = this.clients.get(clientId)!;
        return { db, blocking, firstUs, lastUs, watching: watched.length > 0 };
      }),
    );
    const kept = this.atUs.map((_, op) => op).filter((op) => !this.torn.has(op));
    const bytes = this.writer.view();
    // The bytes of what is left out are closed up, so that neighbours can leave as one piece.
    const offset = new Float64Array(kept.length + 1);
    kept.forEach((op, i) => {
      const [from, to] = [this.offset[op]!, this.offset[op + 1]!];
      if (from !== offset[i]) bytes.copyWithin(offset[i]!, from, to);
      offset[i + 1] = offset[i]! + to - from;
    });
    const numbers = new Int32Array(this.atUs.length).fill(-1);
    kept.forEach((op, i) => {
      numbers[op] = i;
    });
    const connection = Uint16Array.from(kept, (op) => connectionOf[this.stay[op]!]!);
    const walks = this.walks.finish();
    for (const { op } of walks) this.flags[op]! |= OpFlag.walk;
    const ops: RecordedOps = {
      count: kept.length,
      atUs: Float64Array.from(kept, (op) => this.atUs[op]!),
      connection,
      label: Uint16Array.from(kept, (op) => this.label[op]!),
      flags: Uint8Array.from(kept, (op) => this.flags[op]!),
      offset,
      bytes: bytes.subarray(0, offset[kept.length]),
      order: this.precedence.finish(
        kept.length,
        (op) => numbers[op]!,
        (a, b) => connection[a] === connection[b],
      ),
      walks: walks.map((step) => ({ ...step, op: numbers[step.op]! })),
      times: this.times.map((time) => ({ ...time, op: numbers[time.op]! })),
      subscriptions: [...this.ended, ...this.held.values()],
    };
    return { ops, connections };
  }

  private addCommand(op: OpView): void {
    const client = intern(
      this.clients,
      op.clientId,
      (): Client => ({ firstUs: op.atUs, lastUs: op.atUs, multi: false, idleCalls: [] }),
    );
    client.lastUs = op.atUs;
    const startUs = this.follow(op);
    this.noteBody(op, client);
    if (treatmentOf(op.command) === 'subscription') this.follower.add(op);
    if (treatmentOf(op.command) !== 'replay') return;
    const open = this.transaction;
    const ends = op.command === 'exec' || op.command === 'discard';
    // A body stands in one piece right before its EXEC: if anything else comes between, it was none.
    if (open && (open.clientId !== op.clientId || op.command === 'multi' || (open.db !== op.db && !ends))) this.tear();
    if (op.command === 'multi') {
      client.multi = true;
      return;
    }
    if (client.multi) {
      client.multi = false;
      const stay = this.stayOf(op.clientId, op.db, false);
      const multi = this.emit(stay, startUs, NO_FAMILY, 'multi', OpFlag.none, [Buffer.from('multi')]);
      const { first } = this.together;
      const decisive = this.stays[stay]!.watched.length > 0;
      const accesses = [...this.stays[stay]!.watched];
      const { clientId, db } = op;
      this.transaction = { clientId, db, atUs: startUs, multi, first, accesses, decisive, leftOut: false };
    }
    const atUs = this.transaction?.atUs ?? startUs;
    if (SCRIPT_CALLS.has(op.command)) this.addScriptCall(op, client, atUs);
    else if (!ends) this.addPlain(op, op.clientId, atUs);
    else if (this.transaction?.leftOut && this.transaction.multi === this.atUs.length - 1) this.tear();
    else if (this.transaction) {
      const { db, first, accesses, decisive } = this.transaction;
      const stay = this.stayOf(op.clientId, db, false);
      this.stays[stay]!.watched = [];
      const end = this.emit(stay, atUs, NO_FAMILY, op.command, OpFlag.none, [op.arg(0)]);
      for (const access of accesses) this.precedence.note(access, end, first, decisive);
      this.transaction = undefined;
    } else this.losses.transactions++;
  }

  private addPlain(op: OpView, clientId: number, atUs: number): void {
    const { info, keys } = describe(op);
    const families = keys.map(({ index }) => this.captured.familyOf(op.db, op.arg(index)));
    if (families.includes(LEFT_OUT)) {
      if (this.transaction) this.transaction.leftOut = true;
      return;
    }
    this.groups.note(op.db, op);
    const accesses = this.accessesOf(op, info, keys, op.atUs);
    const blocking = !this.transaction && info !== undefined && waitsForData(op, info);
    const stay = this.stayOf(clientId, op.db, blocking);
    if (op.command === 'watch') this.stays[stay]!.watched.push(...accesses);
    if (op.command === 'unwatch') this.stays[stay]!.watched = [];
    const template = keys[0] ? (this.model.families[families[0] ?? -1]?.template ?? OTHER_FAMILY) : NO_FAMILY;
    const args = argumentsOf(op);
    // What is queued is answered by EXEC, all at once: nothing continues there.
    const call = this.transaction ? undefined : cursorCall(op.command, op.db, args);
    if (NAMES_ENTRIES.has(op.command)) this.losses.entries++;
    const times = shiftTimes(op.command, args, op.atUs / 1000, this.plannedMs(atUs));
    this.disguise?.plain(args, PUBLISHES.has(op.command) ? [1] : keys.map(({ index }) => index));
    if (call?.begins === false) args[call.argument] = Buffer.from(UNKNOWN_CURSOR);
    const number = this.emit(stay, atUs, template, op.command, blocking ? OpFlag.blocking : OpFlag.none, args, times);
    if (call) this.walks.note(call, clientId, number, this.starts[call.argument]!);
    this.noteAccesses(accesses, number, op.command === 'watch');
  }

  private addScriptCall(op: OpView, client: Client, atUs: number): void {
    const isSha = op.command.startsWith('evalsha');
    const called = op.argCount < 2 ? Buffer.alloc(0) : op.arg(1);
    const name = isSha || op.command.startsWith('fcall') ? latin1(called) : sha1Of(called);
    const script = this.scripts.get(isSha ? name.toLowerCase() : name);
    const call = { line: op.line, client, clientId: op.clientId, op: -1, calledUs: op.atUs, insteadUs: undefined };
    if (script === undefined || script.body === null) {
      this.losses.unknownCalls++;
      this.call = { ...call, insteadUs: atUs };
      return;
    }
    const args = argumentsOf(op);
    const keyCount = Number(textOf(args[2]));
    const readsClock = this.clockScripts.has(script.sha1) && keyCount >= 0;
    const times = readsClock ? shiftScriptTimes(args, 3 + keyCount, op.atUs / 1000, this.plannedMs(atUs)) : [];
    this.disguise?.script(args);
    const stay = this.stayOf(op.clientId, op.db, false);
    const number = this.emit(stay, atUs, SCRIPT_FAMILY, scriptCommand(op.command, script), OpFlag.none, args, times);
    this.call = { ...call, op: number };
    const { info, keys } = describe(op);
    this.noteAccesses(this.accessesOf(op, info, keys, op.atUs), number, true);
    if (!isSha) return;
    const header = `*${args.length}\r\n$${args[0]!.length}\r\n${latin1(args[0]!)}\r\n$${NO_SCRIPT.length}\r\n`;
    if (client.idleCalls.length === MAX_IDLE_CALLS) client.idleCalls.shift();
    client.idleCalls.push({
      ...{ line: op.line, sha1: script.sha1, atUs: op.atUs, nameOffset: this.offset[number]! + header.length },
    });
  }

  private addChild(op: OpView): void {
    const { call } = this;
    const own = call?.line === op.parentLine;
    if (own && this.pipeline.clientId === call.clientId) {
      this.pipeline.lastUs = op.atUs;
      this.pipeline.lastBytes = op.lineBytes;
    }
    if (own && call.client.idleCalls.at(-1)?.line === call.line) call.client.idleCalls.pop();
    if (own && call.insteadUs !== undefined && treatmentOf(op.command) === 'replay') {
      this.addPlain(op, call.clientId, call.insteadUs);
      return;
    }
    const { info, keys } = describe(op);
    this.groups.note(op.db, op);
    const accesses = this.accessesOf(op, info, keys, own ? call.calledUs : op.atUs);
    if (own && call.op >= 0) this.noteAccesses(accesses, call.op, true);
  }

  private accessesOf(op: OpView, info: CommandInfo | undefined, keys: KeyPosition[], atUs: number): Access[] {
    const expiry = expiryPlace(op.command);
    const ttl = expiry ? ttlSeconds(op, expiry) : Number.NaN;
    const ttlUs = Number.isNaN(ttl) ? undefined : ttl * 1e6;
    return keys.map((key) => {
      const id = `${op.db} ${latin1(op.arg(key.index))}`;
      if (info) this.presence.note(id, op, info, key, keys.length === 1);
      return { id, writes: key.access !== 'RO', atUs, ttlUs };
    });
  }

  /** What a transaction's body uses counts when EXEC runs it. */
  private noteAccesses(accesses: Access[], op: number, decisive: boolean): void {
    if (this.transaction) {
      this.transaction.accesses.push(...accesses);
      this.transaction.decisive ||= decisive;
    } else for (const access of accesses) this.precedence.note(access, op, this.together.first, decisive);
  }

  /**
   * A client that sends the body of a script was told that the server has none under that name. Its call must fail here
   * too, though the script is loaded: with it the script would run twice.
   */
  private noteBody(op: OpView, client: Client): void {
    if (client.idleCalls.length === 0) return;
    const isLoad = op.command === 'script' && op.argCount === 3 && textOf(op.arg(1)).toLowerCase() === 'load';
    if (!isLoad && !(op.command.startsWith('eval') && !op.command.startsWith('evalsha') && op.argCount > 1)) return;
    const sha1 = sha1Of(op.arg(isLoad ? 2 : 1));
    client.idleCalls = client.idleCalls.filter((call) => {
      if (call.sha1 !== sha1) return true;
      if (op.atUs - call.atUs <= RETRY_US) this.writer.view().set(NO_SCRIPT, call.nameOffset);
      return false;
    });
  }

  /** A channel is disguised as a key is, in PUBLISH and here alike. */
  private channel(name: string): string {
    return this.disguise ? latin1(this.disguise.key(Buffer.from(name, 'latin1'))) : name;
  }

  /** The transaction that is being read was none: what looked like its body stays. */
  private tear(): void {
    if (this.transaction) this.torn.add(this.transaction.multi);
    this.transaction = undefined;
  }

  /** When the pipeline began that this line belongs to. */
  private follow(op: OpView): number {
    const { clientId, startUs, lastUs, lastBytes } = this.pipeline;
    const continues = clientId === op.clientId && continuesPipeline(lastUs, lastBytes, op.atUs);
    this.pipeline = {
      clientId: op.clientId,
      startUs: continues ? startUs : Math.max(op.atUs, this.startUs) - this.startUs,
      lastUs: op.atUs,
      lastBytes: op.lineBytes,
    };
    return this.pipeline.startUs;
  }

  private stayOf(clientId: number, db: number, blocking: boolean): number {
    return intern(
      this.stayNumbers,
      `${clientId} ${db} ${blocking}`,
      () => this.stays.push({ clientId, db, blocking, watched: [] }) - 1,
    );
  }

  /** Writes one op; returns its number. */
  private emit(
    stay: number,
    startUs: number,
    family: string,
    command: string,
    flags: number,
    args: Uint8Array[],
    times: ShiftedTime[] = [],
  ): number {
    // A clock may step back; what was sent later stays later.
    const atUs = Math.max(startUs, this.atUs.at(-1) ?? 0);
    const { together } = this;
    if (together.stay !== stay || together.atUs !== atUs) this.together = { stay, atUs, first: this.atUs.length };
    this.stay.push(stay);
    this.label.push(this.labels.number(family, command));
    this.flags.push(flags);
    this.offset.push(this.writer.length);
    this.writer.begin(args.length);
    const op = this.atUs.push(atUs) - 1;
    this.starts = args.map((arg) => {
      this.writer.bytes(arg);
      return this.writer.length - 2 - arg.length - this.offset[op]!;
    });
    for (const { argument, from, digits, unitMs } of times) {
      // A disguise may have made something else of it.
      const text = latin1(args[argument]!).slice(from, from + digits);
      if (/^\d+$/.test(text) && text.length === digits)
        this.times.push({ op, at: this.starts[argument]! + from, digits, unitMs });
    }
    return op;
  }
}

/** BLPOP and the like always wait; commands that read streams only with BLOCK. */
function waitsForData(op: OpView, info: CommandInfo): boolean {
  if (!info.blocking || info.group !== 'stream') return info.blocking;
  for (let i = 1; i < op.argCount; i++)
    if (op.argLength(i) === 5 && textOf(op.arg(i)).toUpperCase() === 'BLOCK') return true;
  return false;
}

const argumentsOf = (op: OpView) => Array.from({ length: op.argCount }, (_, i) => op.arg(i));
const textOf = (argument: Uint8Array | undefined) => (argument ? latin1(argument) : '');
const sha1Of = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
