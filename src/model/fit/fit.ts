/** One pass over a capture's ops → everything that a model is made of, in bounded memory. */
import { COMMANDS } from '../../capture/commands.ts';
import type { OpView } from '../../capture/ops.ts';
import { SCRIPT_CALLS } from '../../capture/traits.ts';
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import { type Treatment, treatmentOf } from '../replayable.ts';
import { intern, tally } from '../tally.ts';
import { TemplateMiner } from '../template/miner.ts';
import { touchGroup } from '../template/touch.ts';
import { TimeQueue } from '../time-queue.ts';
import { AccessLog } from './access-log.ts';
import { Arrivals } from './arrivals.ts';
import { ElementSample } from './elements.ts';
import { Form, type OptionPlaces, optionPlaces } from './forms.ts';
import { storedHash } from './handover.ts';
import { type KeyStats, newKeyStats } from './key-stats.ts';
import { Birth, Fact, KeyTable, NEVER, Presence, wasRead } from './keyspace.ts';
import { MAX_LITERALS } from './literals.ts';
import { PairCounts, PairTable } from './pair-table.ts';
import { ReuseSample } from './reuse.ts';
import { LITERAL, latin1 } from './roles.ts';
import { ScriptBook } from './scripts.ts';
import {
  type ExpiryPlace,
  expiryPlace,
  type FindKeys,
  findFirst,
  keyFinderOf,
  NumberList,
  ShapeTable,
  ttlSeconds,
  valueIndex,
} from './shapes.ts';
import {
  addListener,
  type ListenerCount,
  noListeners,
  SubscriptionFollower,
  type SubscriptionKind,
} from './subscriptions.ts';
import {
  Access,
  ASKED,
  ASKED_REFILLED,
  Calls,
  type CommandTraits,
  FILL,
  FIRST_ACCESS,
  KeyState,
  NO_GAP,
  NO_KEY,
  REFILLED,
  STATES,
  UNPROVEN,
  UNPROVEN_FILL,
  type Unit,
  UnitBuilder,
  UnitTable,
  Watch,
} from './units.ts';

const REMOVES = new Set(['del', 'unlink', 'getdel']);
const ENDS_WATCH = new Set(['exec', 'unwatch', 'discard']);
/** Writes that make a key from nothing, as a cache does after a miss. */
export const CREATES = new Set([
  ...['set', 'setex', 'psetex', 'setnx', 'mset', 'hset', 'hmset', 'hsetnx', 'zadd', 'sadd', 'lpush', 'rpush'],
]);
/** Writes that do nothing where there is no key: a client that sends one because of what it read has found the key. */
export const KEEPS_UP = new Set([
  ...[
    'expire',
    'pexpire',
    'expireat',
    'pexpireat',
    'persist',
    'del',
    'unlink',
    'ltrim',
    'lrem',
    'hdel',
    'srem',
    'zrem',
  ],
]);
/** Index of the first element that a command names, and how far apart further ones stand. */
export const ELEMENTS: Record<string, [first: number, step: number]> = {
  ...{
    hget: [2, 0],
    hset: [2, 2],
    hsetnx: [2, 0],
    hdel: [2, 1],
    hexists: [2, 0],
    hincrby: [2, 0],
    hincrbyfloat: [2, 0],
  },
  ...{
    hmget: [2, 1],
    hmset: [2, 2],
    hstrlen: [2, 0],
    sadd: [2, 1],
    srem: [2, 1],
    sismember: [2, 0],
    smismember: [2, 1],
  },
  ...{ zincrby: [3, 0], zrem: [2, 1], zscore: [2, 0], zmscore: [2, 1], zrank: [2, 0], zrevrank: [2, 0], zadd: [3, 2] },
  ...{ pfadd: [2, 1] },
};
const MAX_ELEMENTS = 16;
/** 49 days; longer ones count as this where they are told apart by popularity. */
const MAX_EXPIRY_MS = 2 ** 32 - 1;

/** What is learnt from: an op of a capture, or one that was planned. */
export type FitOp = Pick<
  OpView,
  | 'line'
  | 'atUs'
  | 'db'
  | 'clientId'
  | 'kind'
  | 'parentLine'
  | 'command'
  | 'commandId'
  | 'argCount'
  | 'lineBytes'
  | 'arg'
  | 'argLength'
  | 'bytes'
  | 'isPlain'
  | 'argStart'
  | 'argEnd'
  | 'hashKey'
  | 'keyLow'
  | 'keyHigh'
>;

interface Command extends CommandTraits {
  number: number;
  count: number;
  treatment: Treatment;
  keepsUp: boolean;
  isReplayed: boolean;
  /** Opens, ends or gives up a transaction. */
  transaction: 'multi' | 'exec' | 'discard' | undefined;
  callsScript: boolean;
  loadsScripts: boolean;
  findKeys: FindKeys;
  /** Argument that the call stores under its key as a whole; 0 for none. */
  value: number;
  elements: [first: number, step: number] | undefined;
  expiry: ExpiryPlace | undefined;
  options: OptionPlaces | undefined;
  /** May wait for data; some only if told so. */
  blocks: boolean;
  blocksOnWord: boolean;
  /** Group of the command, for the templates of the keys that it touches. */
  touches: number;
}

/** What is counted of the keys of one template. */
interface TemplateStats extends KeyStats {
  miner: TemplateMiner;
  /** The miner's own number. */
  local: number;
}

/** A connection, in one database: one client's doings in two databases are those of two. */
export interface Client {
  /** Its place among the clients. */
  number: number;
  db: number;
  firstUs: number;
  lastUs: number;
  /** Whether it is between MULTI and EXEC; the chain of calls since then, and how many they are. */
  inTransaction: boolean;
  first: number;
  last: number;
  calls: number;
  keepsScript: boolean;
  blocking: boolean;
  /** Kind of the last unit that did not wait for data, -1 for none; and what such units arrive in, see `streams`. */
  lastKind: number;
  arrivals: Arrivals | undefined;
}

interface Stream {
  db: number;
  blocking: boolean;
  arrivals: Arrivals;
}

/** Units per client and kind that are told apart; later ones of further kinds are not counted. */
const MAX_HABITS = 200_000;
/** Kinds of neighbouring units that are told apart; all neighbours count at first, then some. */
const MAX_PAIRS = 100_000;
const EVERY_PAIR = 200_000;
const NO_KEYS = new NumberList();
/** Longer pipelines, which only long transactions are, count as so long. */
const MAX_DEPTH = 4096;
/** When keys were read is counted in so many µs, of which so many are a hundredth of a second. */
const READ_TIME_US = 100;
const READ_TIMES = 100;
/** Who writes the whole of a key within a second after it was read may have filled a miss; in ten, if the key was gone. */
const LATEST_UNPROVEN_FILL = 10_000;
const LATEST_FILL = 100_000;
/** Values that scripts may be told: so many, of such a length at most. */
export const MAX_STORES = 1 << 16;
const MAX_TOLD_BYTES = 64;

export interface FitOptions {
  /** Script bodies that the user has beside the capture. */
  bodies?: Uint8Array[];
  /** Keys that match one are a family. */
  globs?: string[];
  /** Into how many parts the capture is cut: each has that share of the memory. */
  parts?: number;
}

// Bounds on memory, powers of two: beyond them keys and accesses are sampled.
const MAX_KEYS = 1 << 19;
const MAX_ACCESSES = 1 << 19;

/** Learns op by op: `add` each op in file order, or `addAll` of a batch, then `end`; `summarize` turns what was learnt into a model. */
export class Fit {
  readonly keys: KeyTable;
  /** Key accesses by clients so far: one for each key of a unit. */
  clock = 0;
  /** Miner per database, and the numbers that its templates have here: the same key in two databases is two keys. */
  readonly databases = new Map<number, { miner: TemplateMiner; numbers: number[] }>();
  readonly templates: TemplateStats[] = [];
  readonly shapes = new ShapeTable();
  readonly clients: Client[] = [];
  readonly streams = new Map<number, Stream>();
  readonly scripts: ScriptBook;
  /** Row and quarter-octave bucket of the gap, of later accesses. */
  readonly gaps: AccessLog;
  /** Row of the first key and kind × STATES + state, of units. */
  readonly starts: AccessLog;
  /** Row and milliseconds, of expiries that were set. */
  readonly expiries: AccessLog;
  /** Row, of reads of keys that had been there, which a write of the whole followed soon, but not as part of the unit. */
  readonly misses: AccessLog;
  readonly reuse: ReuseSample;
  /** Units by client and kind. */
  readonly habits = new PairCounts(MAX_HABITS);
  /** Kinds of units that followed each other; how often, by client and number of the two kinds. */
  readonly successions = new PairTable();
  readonly neighbours = new PairCounts(MAX_PAIRS);
  readonly sizes = new ValueHistogram();
  readonly transactions = { committed: 0, empty: 0, discarded: 0 };
  readonly scriptCommands = new Map<string, number>();
  /** By name; undefined for kinds whose names are not kept. */
  readonly listeners: Record<SubscriptionKind, Map<string, ListenerCount> | undefined> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  private readonly subscriptions = new SubscriptionFollower((kind, name, begins) => {
    const known = this.listeners[kind];
    if (!known) return;
    // The rule for texts in arguments: many names, or long ones, are of users; and PUBLISH must name the same.
    if (!LITERAL.test(name) || (known.size >= MAX_LITERALS && !known.has(name))) this.listeners[kind] = undefined;
    else addListener(intern(known, name, noListeners), begins);
  });
  /** Units that call scripts whose arguments are kept. */
  readonly stretch: { startUs: number; kind: number; db: number; calls: number[] }[] = [];
  /** Units that stored a short value under their first key, since there were scripts. */
  stores: { startUs: number; kind: number; row: number; hash: number }[] = [];
  private readonly calls = new Calls();
  readonly units = new UnitTable(this.calls);
  private readonly builder: UnitBuilder;
  private readonly commands: Command[] = [];
  /** By the capture's number of the command; and by name. */
  private readonly commandOfId: (Command | undefined)[] = [];
  private readonly commandNames = new Map<string, Command>();
  private multi: { number: number; shape: number } | undefined;
  /** By the capture's number of the client: its last database, and its number here. */
  private readonly clientOfId: (Client | undefined)[] = [];
  private readonly clientNumbers = new PairTable();
  private readonly depthCounts = new Float64Array(MAX_DEPTH + 1);
  /** Argument indexes and templates of the keys of the call that is being learnt. */
  private readonly keyIndexes = new NumberList();
  private readonly callTemplates = new NumberList();
  /** Options of the call that is being learnt. */
  private readonly form = new Form();
  /** Last entry of the call that was learnt last. */
  private lastEntry = 0;
  /** Time of the first unit. */
  private beginUs = -1;
  /** What later steps of units do to keys, until units come that began after that. */
  private readonly changes = new TimeQueue<{ atUs: number; row: number; command: Command; ttlSeconds: number }>();
  private pairs = 0;

  private readonly globs: string[];

  constructor({ bodies = [], globs = [], parts = 1 }: FitOptions = {}) {
    this.globs = globs;
    this.keys = new KeyTable(MAX_KEYS / parts);
    this.gaps = new AccessLog(MAX_ACCESSES / parts);
    this.starts = new AccessLog(MAX_ACCESSES / parts);
    this.expiries = new AccessLog(MAX_ACCESSES / parts);
    this.misses = new AccessLog(MAX_ACCESSES / parts);
    this.reuse = new ReuseSample(this.keys, MAX_ACCESSES / parts);
    this.scripts = new ScriptBook(bodies, this.calls);
    this.builder = new UnitBuilder(this.calls, this.commands, {
      pipeline: (calls) => {
        this.depthCounts[Math.min(MAX_DEPTH, calls)]!++;
      },
      unit: (unit) => this.endUnit(unit),
    });
    this.keys.onThin = (map) => {
      this.calls.remap(map);
      this.builder.rowsChanged();
      this.gaps.remap(map);
      this.starts.remap(map);
      this.expiries.remap(map);
      this.misses.remap(map);
      this.reuse.remap(map);
      for (const change of this.changes.waiting) change.row = map[change.row]!;
      this.stores = this.stores.flatMap((store) => (map[store.row] ? { ...store, row: map[store.row]! } : []));
    };
  }

  /** A cursor's ops, which stands before the first of them. */
  addAll(ops: OpView): void {
    if (!ops.next()) return;
    this.keys.touch(ops.keyLows);
    do this.add(ops);
    while (ops.next());
  }

  add(op: FitOp): void {
    const command = this.command(op);
    if (op.kind !== 'command') {
      this.addChild(op, command);
      return;
    }
    command.count++;
    if (!command.isReplayed) {
      if (command.loadsScripts) this.scripts.noteBodies(op);
      if (command.treatment === 'subscription') this.subscriptions.add(op);
      return;
    }
    const client = this.client(op);
    const { transaction } = command;
    if (transaction !== undefined && transaction !== 'exec') {
      if (transaction === 'discard' && client.inTransaction) this.transactions.discarded++;
      this.forget(client);
      client.inTransaction = transaction === 'multi';
      return;
    }
    const { calls } = this;
    const first =
      command.callsScript && op.argCount > 1 ? this.learnScriptCall(op, command) : this.learn(op, command, true);
    const last = this.lastEntry;
    const blocking = calls.blocking[first] === 1;
    const keepsScript = calls.keepsScript(first);
    if (transaction !== undefined) this.commit(op, command, client, first, last);
    else if (client.inTransaction) {
      if (client.first === 0) client.first = first;
      else calls.next[client.last] = first;
      client.last = last;
      client.calls++;
      client.blocking ||= blocking;
      client.keepsScript ||= keepsScript;
    } else this.append(op, command, client, first, last, 1, blocking, keepsScript);
  }

  end(): void {
    this.builder.finish();
    this.scripts.closeCall();
  }

  /** Calls a pipeline, and how many pipelines had so many. */
  get depths(): ValueCounts {
    return [...this.depthCounts.entries()].filter(([, count]) => count > 0);
  }

  /** Commands by name with their counts, most frequent first; those that are never replayed on request. */
  commandCounts(leftOut = false): [name: string, count: number][] {
    return [...this.commandNames.values()]
      .filter(({ count, treatment }) => count > 0 && (!leftOut || treatment === 'left-out'))
      .map(({ name, count }): [string, number] => [name, count])
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  private append(
    op: FitOp,
    { watch }: Command,
    { number }: Client,
    first: number,
    last: number,
    count: number,
    blocking: boolean,
    keepsScript: boolean,
  ): void {
    const batch = this.builder.append(op, number, first, last, count);
    if (blocking) batch.blocking = true;
    if (keepsScript) batch.keepsScript = true;
    if (watch !== Watch.none) batch.watch = watch;
  }

  /** EXEC: the transaction goes on as one thing, with the MULTI before it. */
  private commit(op: FitOp, command: Command, client: Client, exec: number, last: number): void {
    const { calls } = this;
    if (client.calls > 0) this.transactions.committed++;
    else this.transactions.empty++;
    this.sizes.add(client.calls);
    const multi = this.bareMulti();
    calls.next[multi] = client.first || exec;
    if (client.first !== 0) calls.next[client.last] = exec;
    const { calls: count, blocking, keepsScript } = client;
    client.first = 0;
    this.forget(client);
    this.append(op, command, client, multi, last, count + 2, blocking, keepsScript);
  }

  /** The client is in no transaction any more. */
  private forget(client: Client): void {
    this.calls.release(client.first, client.last);
    client.inTransaction = false;
    client.first = 0;
    client.calls = 0;
    client.blocking = false;
    client.keepsScript = false;
  }

  private addChild(op: FitOp, command: Command): void {
    if (op.kind === 'module-child') return;
    tally(this.scriptCommands, op.command);
    if (!command.isReplayed) return;
    const first = this.learn(op, command, false);
    if (this.scripts.keeps(op.parentLine)) this.noteLeft(op, command, this.calls.ttlSeconds[first]!);
    this.scripts.learnChild(op.parentLine, first, this.lastEntry);
  }

  /** What a kept call does to the keys of `learn`. */
  private noteLeft(op: FitOp, { access, keepsUp, value }: Command, ttlSeconds: number): void {
    if (access !== Access.remove && access !== Access.write) return;
    const { keyIndexes } = this;
    const { left } = this.scripts;
    const expires = !Number.isNaN(ttlSeconds);
    for (let i = 0; i < keyIndexes.length; i++) {
      const name = latin1(op.arg(keyIndexes.at[i]!));
      if (access === Access.remove) left.remove(op.db, name);
      else left.write(op.db, name, !keepsUp, expires || value > 0 ? expires : undefined);
    }
  }

  private client(op: FitOp): Client {
    const { clientId, db, atUs } = op;
    let client = this.clientOfId[clientId];
    if (client === undefined || client.db !== db) {
      const number = this.clientNumbers.find(clientId, db);
      if (number >= 0) client = this.clients[number]!;
      else {
        client = {
          ...{
            number: this.clientNumbers.add(clientId, db),
            db,
            firstUs: atUs,
            lastUs: atUs,
            lastKind: -1,
            arrivals: undefined,
          },
          ...{ inTransaction: false, first: 0, last: 0, calls: 0, keepsScript: false, blocking: false },
        };
        this.clients.push(client);
      }
      this.clientOfId[clientId] = client;
    }
    client.lastUs = atUs;
    return client;
  }

  private command(op: FitOp): Command {
    const { commandId, command: name } = op;
    const known = this.commandOfId[commandId];
    // Beyond those that a capture tells apart, names share a number.
    if (known !== undefined && known.name === name) return known;
    const command = this.commandNamed(name);
    this.commandOfId[commandId] = command;
    return command;
  }

  private commandNamed(name: string): Command {
    return intern(this.commandNames, name, () => {
      const command = { name, number: this.commands.length, count: 0, ...traitsOf(name) };
      this.commands.push(command);
      return command;
    });
  }

  /** A MULTI that the capture does not show in its place. */
  private bareMulti(): number {
    const { calls } = this;
    const entry = calls.add(NO_KEY);
    if (this.multi === undefined) {
      const { number } = this.commandNamed('multi');
      this.multi = { number, shape: this.shapes.find('multi', number, 1, NO_KEYS, NO_KEYS, false) };
    }
    calls.describe(entry, this.multi.number, this.multi.shape, false, Number.NaN);
    return entry;
  }

  private learnScriptCall(op: FitOp, command: Command): number {
    const { calls, scripts } = this;
    const script = scripts.learnCall(op);
    const entry = calls.add(NO_KEY);
    calls.describe(entry, command.number, this.shapes.script(op.command, command.number, script), false, Number.NaN);
    calls.script[entry] = scripts.kept;
    this.lastEntry = entry;
    return entry;
  }

  /** Accounts the keys and arguments of one call; `byClient` is false for what a script did. Returns its first entry. */
  private learn(op: FitOp, command: Command, byClient: boolean): number {
    const { calls, callTemplates, keyIndexes, shapes } = this;
    callTemplates.length = 0;
    keyIndexes.length = 0;
    // Spelt out for most commands: which function it is, the compiler cannot know.
    if (command.findKeys === findFirst) findFirst(op, keyIndexes);
    else command.findKeys(op, keyIndexes);
    let first = 0;
    let last = 0;
    for (let i = 0; i < keyIndexes.length; i++) {
      const entry = calls.add(0);
      // Only now: a full table of keys gives other rows to the keys that it knows.
      calls.row[entry] = this.key(op, keyIndexes.at[i]!, command, byClient);
      if (first === 0) first = entry;
      else calls.next[last] = entry;
      last = entry;
    }
    const hasKeys = first !== 0;
    if (!hasKeys) first = last = calls.add(NO_KEY);
    this.lastEntry = last;
    const blocking = command.blocks && (!command.blocksOnWord || hasWord(op, 'BLOCK'));
    const { options } = command;
    const form = options !== undefined && op.argCount > options.from ? this.form : undefined;
    form?.read(op, options!);
    const shape = shapes.find(op.command, command.number, op.argCount, keyIndexes, callTemplates, blocking, form);
    const ttl = command.expiry ? ttlSeconds(op, command.expiry) : Number.NaN;
    calls.describe(first, command.number, shape, blocking, ttl);
    if (command.value > 0 && byClient && this.mayBeTold(op, command.value))
      calls.stored[first] = storedHash(op.arg(command.value));
    if (shapes.learn(shape, op, byClient) && hasKeys) {
      this.learnContents(op, command, ttl, callTemplates.at[0]!, calls.row[first]!);
    }
    // All of them: of every 32nd, nobody knows how many different ones there are.
    if (command.elements && hasKeys) this.learnElements(op, command.elements, callTemplates.at[0]!, calls.row[first]!);
    return first;
  }

  /** Whether a script may be told this value later: a short one, such as who holds a lock. */
  private mayBeTold(op: FitOp, value: number): boolean {
    const { scripts, stores } = this;
    const isOpen = scripts.scripts.length > 0 && !scripts.full && stores.length < MAX_STORES;
    return isOpen && value < op.argCount && op.argLength(value) <= MAX_TOLD_BYTES;
  }

  /** Row of the key that stands at this argument. */
  private key(op: FitOp, index: number, command: Command, byClient: boolean): number {
    const { keys } = this;
    op.hashKey(index);
    const row = keys.row(op.keyLow, op.keyHigh);
    let template = keys.templateOf(row);
    if (row === 0 || keys.created) {
      template = this.template(op.db, op.arg(index));
      keys.setTemplate(row, template);
    }
    const stats = this.templates[template]!;
    if (byClient) stats.requests++;
    else stats.scriptRequests++;
    stats.miner.touch(stats.local, command.touches);
    this.callTemplates.push(template);
    return row;
  }

  /** One access of a key by a client; the bucket of the gap since the last one, or what there is instead. */
  private access(row: number): number {
    const { keys } = this;
    const now = ++this.clock;
    if (row === 0) return NO_GAP;
    this.reuse.add(row);
    const before = keys.get(row, Fact.last);
    keys.set(row, Fact.last, now);
    const requests = keys.get(row, Fact.requests) + 1;
    keys.set(row, Fact.requests, requests);
    if (requests === 1) {
      keys.set(row, Fact.first, now);
      return FIRST_ACCESS;
    }
    const bucket = gapBucket(now - before);
    this.gaps.add(row, bucket, now);
    return bucket;
  }

  /** Sizes and expiries of what the call's first key holds. */
  private learnContents(op: FitOp, command: Command, ttl: number, template: number, row: number): void {
    const stats = this.templates[template]!;
    if (!Number.isNaN(ttl)) {
      stats.ttls.add(ttl);
      if (row !== 0) this.expiries.add(row, Math.min(MAX_EXPIRY_MS, Math.round(ttl * 1000)));
    }
    if (command.value > 0 && command.value < op.argCount) {
      const length = op.argLength(command.value);
      stats.values.add(length);
      if (length <= 20 && /^-?\d+$/.test(latin1(op.arg(command.value)))) stats.integerValues++;
    }
  }

  private learnElements(op: FitOp, [first, step]: [number, number], template: number, row: number): void {
    if (row === 0) return;
    const stats = this.templates[template]!;
    stats.elements ??= new ElementSample();
    const { elements } = stats;
    for (let index = first, n = 0; index < op.argCount && n < MAX_ELEMENTS; index += step, n++) {
      if (op.isPlain(index)) elements.add(row, op.bytes, op.argStart(index), op.argEnd(index));
      else elements.add(row, op.arg(index));
      if (step === 0) break;
    }
  }

  /** Number of the template of a key: of one that is accessed, or that was looked at in the dataset. */
  template(db: number, key: Uint8Array): number {
    const { miner, numbers } = intern(this.databases, db, () => ({
      miner: new TemplateMiner(this.globs),
      numbers: [],
    }));
    const local = miner.add(key, 0, key.length);
    numbers[local] ??= this.templates.push({ miner, local, ...newKeyStats() }) - 1;
    return numbers[local];
  }

  /** When units arrive of the client's database, those that wait for data or the others. */
  private arrivals(client: Client, blocking: boolean): Arrivals {
    if (blocking) return this.stream(client.db, true).arrivals;
    client.arrivals ??= this.stream(client.db, false).arrivals;
    return client.arrivals;
  }

  /** Apart from the above, whose every call would else make what the function in it refers to. */
  private stream(db: number, blocking: boolean): Stream {
    return intern(this.streams, 2 * db + (blocking ? 1 : 0), () => ({ db, blocking, arrivals: new Arrivals() }));
  }

  private endUnit(unit: Unit): void {
    const { calls } = this;
    this.arrivals(this.clients[unit.client]!, unit.blocking).add(unit);
    const kind = this.units.add(unit);
    if (kind >= 0) this.noteKind(unit, kind, unit.blocking);
    else {
      for (let entry = unit.first; entry !== 0; entry = calls.next[entry]!)
        if (calls.isCall(entry)) this.noteKind(unit, this.units.addCall(entry), calls.blocking[entry] === 1);
    }
    this.noteKeys(unit, kind);
    if (kind < 0) return;
    if (!unit.keepsScript) {
      this.noteStore(unit, kind);
      return;
    }
    const kept: number[] = [];
    for (let entry = unit.first; entry !== 0; entry = calls.next[entry]!)
      if (calls.keepsScript(entry)) kept.push(calls.script[entry]!);
    this.stretch.push({ startUs: unit.startUs, kind, db: unit.db, calls: kept });
  }

  /** What the unit's first call on its first key stored. */
  private noteStore({ first, startUs }: Unit, kind: number): void {
    const { calls } = this;
    let entry = first;
    while (entry !== 0 && calls.row[entry] === NO_KEY) entry = calls.next[entry]!;
    if (entry === 0 || calls.row[entry] === 0 || calls.stored[entry] === 0) return;
    this.stores.push({ startUs, kind, row: calls.row[entry]!, hash: calls.stored[entry]! });
  }

  private noteKind(unit: Unit, kind: number, blocking: boolean): void {
    const client = this.clients[unit.client]!;
    this.habits.add(unit.client, kind);
    // What waits for data is replayed on a connection of its own: what comes after it follows what came before.
    if (blocking) return;
    // All of the first, then some: only proportions matter.
    if (client.lastKind >= 0 && (unit.number % 8 === 0 || this.pairs < EVERY_PAIR)) {
      this.pairs++;
      const known = this.successions.find(client.lastKind, kind);
      if (known >= 0) this.neighbours.add(unit.client, known);
      else if (this.successions.size < MAX_PAIRS)
        this.neighbours.add(unit.client, this.successions.add(client.lastKind, kind));
    }
    client.lastKind = kind;
  }

  /** What the unit proves of its keys: there before, made now, or gone and made again; `kind`: -1 for none. */
  private noteKeys({ number, first, startUs, stepAt, stepGapUs, calls: callCount }: Unit, kind: number): void {
    const { calls, commands, keys } = this;
    if (this.beginUs < 0) this.beginUs = startUs;
    while (this.changes.nextUs <= startUs) this.noteLater();
    const now = this.hundredths(startUs);
    const askedAt = whole(Math.max(0, startUs - this.beginUs) / READ_TIME_US);
    let atUs = startUs;
    let primary = kind >= 0;
    let call = first;
    let called = 0;
    let step = 0;
    for (let entry = first; entry !== 0; entry = calls.next[entry]!) {
      if (calls.isCall(entry)) {
        call = entry;
        if (step < stepAt.length && called === stepAt.at[step]) atUs += stepGapUs.at[step++]!;
        called++;
      }
      const row = calls.row[entry]!;
      if (row === NO_KEY) continue;
      if (row === 0) this.clock++;
      else {
        const command = commands[calls.command[call]!]!;
        if (command.access === Access.none && this.comesAgain(entry, row)) continue;
        // However often a unit names a key, it is one access: what follows at once is part of it.
        const isFirst = !keys.wasIn(number, row);
        if (isFirst) keys.setBatch(row, number);
        const stats = this.templates[keys.templateOf(row)]!;
        const reads = command.access === Access.read && isFirst;
        const refilled = reads && this.isFilled(calls.next[entry]!, row);
        const presence = keys.get(row, Fact.presence);
        const known = presence === Presence.written && keys.get(row, Fact.expires) > now;
        const expired = presence === Presence.written && !known;
        const asked =
          keys.get(row, Fact.readAt) !== 0 &&
          (presence === Presence.removed ||
            (expired && keys.get(row, Fact.readTime) >= keys.get(row, Fact.expires) * READ_TIMES));
        const wasAsked = presence === Presence.unknown && keys.get(row, Fact.readAt) !== 0;
        // So is the fill of a miss, whoever makes it: it is part of the access that asked.
        const fills = isFirst && command.creates && (asked || wasAsked) && this.fillsSoon(row, stats, asked, askedAt);
        const gap = !isFirst || fills ? NO_GAP : this.access(row);
        const at = fills ? 0 : this.clock;
        let found = false;
        if (reads && !refilled && presence === Presence.unknown) {
          found = step < stepAt.length && this.isKeptUp(entry, row, stepAt.at[step]! - called);
          if (callCount === 1)
            keys.set(row, Fact.alone, mostTelling(stats, keys.get(row, Fact.alone), calls.command[call]! + 1));
        }
        if (reads) this.noteRead(row, at, askedAt, known, found, refilled, asked, calls.command[call]!);
        if (gap === FIRST_ACCESS) {
          const asks = command.access === Access.read || (command.access === Access.write && command.keepsUp);
          keys.set(row, Fact.birth, !asks ? Birth.written : refilled ? Birth.refilled : Birth.read);
        } else if (refilled && presence === Presence.unknown && keys.get(row, Fact.birth) === Birth.read) {
          // Nothing has made it since it was asked for first.
          keys.set(row, Fact.birth, Birth.refilledLater);
        }
        if (found) {
          keys.set(row, Fact.presence, Presence.found);
          if (keys.get(row, Fact.birth) === Birth.read) keys.set(row, Fact.birth, Birth.found);
        }
        const refillsLater = isFirst && command.creates && this.refillsLater(row, stats, askedAt);
        if (primary) {
          let state: number = KeyState.old;
          if (gap === FIRST_ACCESS) state = wasRead(keys.get(row, Fact.birth)) ? KeyState.present : KeyState.absent;
          else if (fills) state = asked ? FILL : UNPROVEN_FILL;
          else if (presence === Presence.removed || expired) state = asked ? ASKED : KeyState.gone;
          else if (refillsLater) state = REFILLED;
          else if (refilled) {
            state = wasAsked ? ASKED_REFILLED : REFILLED;
            // Who never had it did not lose it.
            if (presence !== Presence.unknown) tally(stats.refillGaps, gap);
          } else if (presence === Presence.unknown && !found) state = UNPROVEN;
          this.starts.add(row, kind * STATES + state, at);
          if (command.access === Access.write && presence === Presence.written)
            this.noteRenewal(stats, now, keys.get(row, Fact.expires), calls.ttlSeconds[call]!);
        }
        const ttlSeconds = calls.ttlSeconds[call]!;
        const changes = command.access === Access.write || command.access === Access.remove;
        if (changes && step > 0) this.changes.add({ atUs, row, command, ttlSeconds });
        else if (command.access === Access.remove) this.noteRemoval(row);
        else if (changes) this.noteWrite(row, now, known, command, ttlSeconds);
      }
      primary = false;
    }
  }

  /** Where it does not expire, `ttlSeconds` is NaN, or `expires` is NEVER. */
  private noteRenewal(stats: KeyStats, now: number, expires: number, ttlSeconds: number): void {
    if (!(ttlSeconds > 0) || expires === NEVER) return;
    const times = (now - expires) / (100 * ttlSeconds) + 1;
    stats.renewals++;
    stats.renewalTimes += times;
    stats.renewalSquares += times * times;
  }

  /** The next change by a later step: others had come between that and the unit's beginning. */
  private noteLater(): void {
    const { keys } = this;
    const { atUs, row, command, ttlSeconds } = this.changes.take();
    if (row === 0) return;
    const now = this.hundredths(atUs);
    const known = keys.get(row, Fact.presence) === Presence.written && keys.get(row, Fact.expires) > now;
    if (command.access === Access.remove) this.noteRemoval(row);
    else this.noteWrite(row, now, known, command, ttlSeconds);
  }

  /** Of a second, since the first unit. */
  private hundredths(atUs: number): number {
    return whole(Math.max(0, atUs - this.beginUs) / 10_000);
  }

  /** A call that says nothing of the key leaves it to a later one of the unit to be what accesses it. */
  private comesAgain(from: number, row: number): boolean {
    const { calls } = this;
    for (let entry = calls.next[from]!; entry !== 0; entry = calls.next[entry]!)
      if (calls.row[entry] === row) return true;
    return false;
  }

  /** `asked`: somebody did since it was gone; else nobody knows whether those who did found it. */
  private fillsSoon(row: number, stats: KeyStats, asked: boolean, askedAt: number): boolean {
    const after = Math.max(0, askedAt - this.keys.get(row, Fact.readTime));
    if (after > (asked ? LATEST_FILL : LATEST_UNPROVEN_FILL)) return false;
    if (asked) stats.askedFills++;
    else stats.unprovenFills++;
    stats.fillDelays.add((after * READ_TIME_US) / 1e6);
    return true;
  }

  /** `refilled`: the unit goes on to write the whole. */
  private noteRead(
    row: number,
    at: number,
    askedAt: number,
    known: boolean,
    found: boolean,
    refilled: boolean,
    asked: boolean,
    command: number,
  ): void {
    const { keys } = this;
    const stats = this.templates[keys.templateOf(row)]!;
    const presence = keys.get(row, Fact.presence);
    const isGone = presence === Presence.removed || (presence === Presence.written && !known);
    if (refilled) keys.set(row, Fact.readAt, 0);
    else if (
      !asked &&
      (known ||
        keys.get(row, Fact.readAt) === 0 ||
        isGone ||
        askedAt - keys.get(row, Fact.readTime) > LATEST_UNPROVEN_FILL)
    ) {
      // Of reads that one write fills, the first tells since when the key was not there.
      keys.set(row, Fact.readAt, at);
      keys.set(row, Fact.readTime, askedAt);
      if (isGone) stats.asks++;
    }
    if (refilled) stats.filledAfter.add(command);
    if (known) {
      stats.knownReads++;
      if (refilled) stats.knownRefills++;
    } else if (presence !== Presence.removed) {
      stats.otherReads++;
      if (refilled) stats.otherRefills++;
      else if (presence === Presence.written) stats.expiredReads++;
      else if (presence === Presence.unknown && !found) keys.set(row, Fact.unproven, keys.get(row, Fact.unproven) + 1);
    }
  }

  /**
   * Whether what is about to be written as a whole was read shortly before, and had been gone if this is how misses are
   * filled: where connections are shared or come from a pool, other things are done on one between the two.
   */
  private refillsLater(row: number, stats: KeyStats, now: number): boolean {
    const { keys } = this;
    const [at, time] = [keys.get(row, Fact.readAt), keys.get(row, Fact.readTime)];
    const presence = keys.get(row, Fact.presence);
    if (at === 0 || now - time > LATEST_UNPROVEN_FILL || presence === Presence.removed) return false;
    if (presence === Presence.unknown) {
      if (keys.get(row, Fact.birth) === Birth.read) keys.set(row, Fact.birth, Birth.filledLater);
      return false;
    }
    if (presence === Presence.written) {
      if (keys.get(row, Fact.expires) * READ_TIMES > time) stats.knownLaterRefills++;
      else stats.expiredLaterRefills++;
      return false;
    }
    stats.laterRefills++;
    this.misses.add(row, 0, at);
    return true;
  }

  /** Whether a later step, behind so many calls `between`, only means something for a key that is there. */
  private isKeptUp(from: number, row: number, between: number): boolean {
    const { calls, commands } = this;
    let call = from;
    let left = between;
    for (let entry = calls.next[from]!; entry !== 0; entry = calls.next[entry]!) {
      if (calls.isCall(entry)) {
        call = entry;
        left--;
      }
      if (left < 0 && calls.row[entry] === row) return commands[calls.command[call]!]!.keepsUp;
    }
    return false;
  }

  /** Whether a call further on makes the key as a whole: the read before found nothing. */
  private isFilled(from: number, row: number): boolean {
    const { calls, commands } = this;
    for (let entry = from; entry !== 0; entry = calls.next[entry]!)
      if (calls.row[entry] === row && calls.isCall(entry) && commands[calls.command[entry]!]!.creates) return true;
    return false;
  }

  private noteRemoval(row: number): void {
    this.keys.set(row, Fact.presence, Presence.removed);
    this.keys.set(row, Fact.readAt, 0);
  }

  /** `ttlSeconds`: NaN for none. */
  private noteWrite(row: number, now: number, known: boolean, { creates, keepsUp }: Command, ttlSeconds: number): void {
    const { keys } = this;
    const expires = !Number.isNaN(ttlSeconds);
    // An expiry alone makes no key, nor does what takes something out of one.
    if ((keepsUp || (expires && !creates)) && !known) return;
    keys.set(row, Fact.presence, Presence.written);
    if (!keepsUp) keys.set(row, Fact.readAt, 0);
    if (expires) keys.set(row, Fact.expires, whole(now + ttlSeconds * 100));
    else if (creates || !known) keys.set(row, Fact.expires, NEVER);
  }
}

/** Of a time, rounded: no later than what never comes. */
const whole = (time: number) => Math.min(NEVER - 1, time + 0.5) >>> 0;

/** Of two commands (their numbers, and one) that read a key and did nothing else, the one that others follow by filling it. */
const mostTelling = ({ filledAfter }: KeyStats, before: number, now: number) =>
  before !== 0 && filledAfter.has(before - 1) ? before : now;

/** Quarter-octave bucket of a gap ≥ 1: ⌊4 log2 gap⌋. */
function gapBucket(gap: number): number {
  const octave = 31 - Math.clz32(gap);
  // From 2^30 to below 2^31: compared as whole numbers, for a power would cost more than all the rest.
  const mantissa = octave <= 30 ? gap << (30 - octave) : gap >>> 1;
  const quarter = mantissa < HALF_OCTAVE ? (mantissa < QUARTER_OCTAVE ? 0 : 1) : mantissa < THREE_QUARTERS ? 2 : 3;
  return 4 * octave + quarter;
}

const [QUARTER_OCTAVE, HALF_OCTAVE, THREE_QUARTERS] = [2 ** 30.25, 2 ** 30.5, 2 ** 30.75];

function traitsOf(name: string): Omit<Command, 'name' | 'number' | 'count'> {
  const info = COMMANDS.get(name);
  return {
    treatment: treatmentOf(name),
    isReplayed: treatmentOf(name) === 'replay',
    transaction: name === 'multi' || name === 'exec' || name === 'discard' ? name : undefined,
    watch: name === 'watch' ? Watch.begins : ENDS_WATCH.has(name) ? Watch.ends : Watch.none,
    callsScript: SCRIPT_CALLS.has(name),
    loadsScripts: name === 'script' || name === 'function',
    findKeys: keyFinderOf(name),
    blocks: info?.blocking === true,
    access: REMOVES.has(name) ? Access.remove : info?.write ? Access.write : info?.readonly ? Access.read : Access.none,
    creates: CREATES.has(name),
    keepsUp: KEEPS_UP.has(name),
    blocksOnWord: info?.group === 'stream',
    expiry: expiryPlace(name),
    options: optionPlaces(name),
    value: valueIndex(name),
    elements: ELEMENTS[name],
    touches: touchGroup(info?.group ?? 'other', info?.write === true),
  };
}

function hasWord(op: FitOp, word: string): boolean {
  for (let i = 1; i < op.argCount; i++)
    if (op.argLength(i) === word.length && latin1(op.arg(i)).toUpperCase() === word) return true;
  return false;
}
