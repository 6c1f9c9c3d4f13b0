/** One pass over a capture's ops → everything that a model is made of, in bounded memory. */
import { COMMANDS } from '../capture/commands.ts';
import type { OpView } from '../capture/ops.ts';
import { AccessLog } from './access-log.ts';
import { Arrivals } from './arrivals.ts';
import type { ClientHabit } from './clients.ts';
import { ElementSample } from './elements.ts';
import { ValueHistogram } from './histogram.ts';
import { type KeyStats, newKeyStats } from './key-stats.ts';
import { Birth, KeyTable, NEVER, Presence } from './keyspace.ts';
import { type Treatment, treatmentOf } from './replayable.ts';
import { ReuseSample } from './reuse.ts';
import { latin1 } from './roles.ts';
import { ScriptBook } from './scripts.ts';
import { EXPIRES, keysOf, ShapeTable, ttlSeconds, valueIndex } from './shapes.ts';
import { intern, tally } from './tally.ts';
import { TemplateMiner } from './template/miner.ts';
import { touchGroup } from './template/touch.ts';
import { type Call, type CallKey, type CommandTraits, KeyState, type Unit, UnitBuilder, UnitTable } from './units.ts';

const SCRIPT_CALLS = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);
const REMOVES = new Set(['del', 'unlink', 'getdel']);
/** Writes that make a key from nothing, as a cache does after a miss. */
export const CREATES = new Set([
  ...['set', 'setex', 'psetex', 'setnx', 'mset', 'hset', 'hmset', 'hsetnx', 'zadd', 'sadd', 'lpush', 'rpush'],
]);
/** Index of the first element that a command names, and how far apart further ones stand. */
const ELEMENTS: Record<string, [first: number, step: number]> = {
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
  | 'argCount'
  | 'lineBytes'
  | 'arg'
  | 'argLength'
  | 'bytes'
  | 'isPlain'
  | 'argStart'
  | 'argEnd'
>;

interface Command extends CommandTraits {
  number: number;
  count: number;
  treatment: Treatment;
  callsScript: boolean;
  /** Argument that the call stores under its key as a whole; 0 for none. */
  value: number;
  elements: [first: number, step: number] | undefined;
  /** May set an expiry. */
  expires: boolean;
  /** Blocks only if told so. */
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

export interface Client extends ClientHabit {
  /** Calls since MULTI, or undefined outside a transaction. */
  transaction: Call[] | undefined;
  /** Kind of the last unit, -1 for none. */
  lastKind: number;
}

/** Units per client and kind that are told apart; later ones of further kinds count as one kind of other. */
const MAX_HABITS = 200_000;
/** Kinds of neighbouring units that are told apart; all neighbours count at first, then some. */
const MAX_PAIRS = 100_000;
const EVERY_PAIR = 200_000;

/** Learns op by op: `add` each op in file order, then `end`; `summarize` turns what was learnt into a model. */
export class Fit {
  readonly keys = new KeyTable();
  /** Key accesses by clients so far: one for each key of a unit. */
  clock = 0;
  /** Miner per database, and the numbers that its templates have here: the same key in two databases is two keys. */
  readonly databases = new Map<number, { miner: TemplateMiner; numbers: number[] }>();
  readonly templates: TemplateStats[] = [];
  readonly shapes = new ShapeTable();
  readonly units = new UnitTable();
  readonly clients = new Map<number, Client>();
  readonly streams = new Map<string, { db: number; blocking: boolean; arrivals: Arrivals }>();
  readonly scripts: ScriptBook;
  /** Row and quarter-octave bucket of the gap, of later accesses. */
  readonly gaps = new AccessLog();
  /** Row of the first key and kind × 4 + state, of units. */
  readonly starts = new AccessLog();
  /** Row and milliseconds, of expiries that were set. */
  readonly expiries = new AccessLog();
  readonly reuse = new ReuseSample(this.keys);
  /** Client, kind before × 2^20 + kind after. */
  readonly neighbours = new Map<Client, Map<number, number>>();
  readonly depths = new ValueHistogram();
  readonly sizes = new ValueHistogram();
  readonly transactions = { committed: 0, empty: 0, discarded: 0 };
  readonly scriptCommands = new Map<string, number>();
  /** Units that call scripts whose arguments are kept. */
  readonly stretch: { startUs: number; kind: number; calls: number[] }[] = [];
  private readonly commandNames = new Map<string, Command>();
  /** Templates of the keys of the call that is being learnt. */
  private readonly callTemplates: number[] = [];
  private readonly builder: UnitBuilder;
  private habits = 0;
  /** Time of the first unit. */
  private beginUs = -1;
  private pairs = 0;
  private kindsOfPairs = 0;

  private readonly globs: string[];

  /** `bodies`: script bodies that the user has beside the capture; `globs`: keys that match one are a family. */
  constructor(bodies: Uint8Array[] = [], globs: string[] = []) {
    this.globs = globs;
    this.scripts = new ScriptBook(bodies);
    this.builder = new UnitBuilder({
      batch: (batch, unit) => this.endBatch(batch, unit),
      unit: (unit) => this.endUnit(unit),
    });
    this.keys.onThin = (map) => {
      this.gaps.remap(map);
      this.starts.remap(map);
      this.expiries.remap(map);
      this.reuse.remap(map);
    };
  }

  add(op: FitOp): void {
    if (op.kind !== 'command') {
      this.addChild(op);
      return;
    }
    const command = this.command(op.command);
    command.count++;
    if (command.treatment !== 'replay') {
      this.scripts.noteBodies(op);
      return;
    }
    const client = this.client(op);
    if (op.command === 'multi') {
      client.transaction = [];
      return;
    }
    if (op.command === 'discard') {
      if (client.transaction) this.transactions.discarded++;
      client.transaction = undefined;
      return;
    }
    const call = command.callsScript ? this.learnScriptCall(op, command) : this.learn(op, command, true);
    if (op.command === 'exec') {
      const body = client.transaction ?? [];
      client.transaction = undefined;
      if (body.length > 0) this.transactions.committed++;
      else this.transactions.empty++;
      this.sizes.add(body.length);
      this.append(op, [this.bare('multi'), ...body, call]);
    } else if (client.transaction) client.transaction.push(call);
    else this.append(op, [call]);
  }

  end(): void {
    this.builder.end();
    this.scripts.closeCall();
  }

  /** Commands by name with their counts, most frequent first; those that are never replayed on request. */
  commandCounts(leftOut = false): [name: string, count: number][] {
    return [...this.commandNames.values()]
      .filter(({ count, treatment }) => count > 0 && (!leftOut || treatment === 'left-out'))
      .map(({ name, count }): [string, number] => [name, count])
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  private append(op: FitOp, calls: Call[]): void {
    this.builder.append(op.clientId, op.db, op.atUs, op.lineBytes, calls);
  }

  private addChild(op: FitOp): void {
    if (op.kind === 'module-child') return;
    tally(this.scriptCommands, op.command);
    const command = this.command(op.command);
    if (command.treatment === 'replay') this.scripts.learnChild(op.parentLine, this.learn(op, command, false));
  }

  private client(op: FitOp): Client {
    const id = clientNumber(op.clientId, op.db);
    let client = this.clients.get(id);
    if (client === undefined) {
      client = {
        ...{ db: op.db, firstUs: op.atUs, lastUs: op.atUs, units: new Map(), blockingUnits: 0 },
        ...{ transaction: undefined, lastKind: -1 },
      };
      this.clients.set(id, client);
    }
    client.lastUs = op.atUs;
    return client;
  }

  private command(name: string): Command {
    let command = this.commandNames.get(name);
    if (command === undefined) {
      command = { name, number: this.commandNames.size, count: 0, ...traitsOf(name) };
      this.commandNames.set(name, command);
    }
    return command;
  }

  /** A call without arguments that the capture does not show in its place. */
  private bare(name: string): Call {
    const command = this.command(name);
    const shape = this.shapes.find(name, command.number, 1, [], [], false);
    return { shape, command, blocking: false, keys: [], ttlSeconds: undefined, script: undefined };
  }

  private learnScriptCall(op: FitOp, command: Command): Call {
    this.scripts.noteBodies(op);
    const { script, call } = this.scripts.learnCall(op);
    const shape = this.shapes.script(op.command, command.number, script);
    return { shape, command, blocking: false, keys: [], ttlSeconds: undefined, script: call };
  }

  /** Accounts the keys and arguments of one call; `byClient` is false for what a script did. */
  private learn(op: FitOp, command: Command, byClient: boolean): Call {
    const { callTemplates, shapes } = this;
    callTemplates.length = 0;
    const { indexes, blocking: mayBlock } = keysOf(op);
    const keys: CallKey[] = [];
    for (let i = 0; i < indexes.length; i++)
      keys.push({ row: this.key(op, indexes[i]!, command, byClient), gap: NO_GAP, at: 0 });
    const blocking = mayBlock && (!command.blocksOnWord || hasWord(op, 'BLOCK'));
    const shape = shapes.find(op.command, command.number, op.argCount, indexes, callTemplates, blocking);
    const ttl = command.expires ? ttlSeconds(op) : undefined;
    if (shapes.learn(shape, op, byClient) && keys.length > 0) {
      this.learnContents(op, command, ttl, callTemplates[0]!, keys[0]!.row);
    }
    return { shape, command, blocking, keys, ttlSeconds: ttl, script: undefined };
  }

  /** Row of the key that stands at this argument. */
  private key(op: FitOp, index: number, command: Command, byClient: boolean): number {
    const { keys } = this;
    // In place where the bytes stand for themselves: most keys do.
    const plain = op.isPlain(index);
    const bytes = plain ? op.bytes : op.arg(index);
    const start = plain ? op.argStart(index) : 0;
    const end = plain ? op.argEnd(index) : bytes.length;
    const row = keys.row(op.db, bytes, start, end);
    let template = keys.template[row]!;
    if (row === 0 || keys.created) {
      template = this.template(op.db, bytes, start, end);
      keys.template[row] = template;
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
    const before = keys.last[row]!;
    keys.last[row] = now;
    if (++keys.requests[row]! === 1) {
      keys.first[row] = now;
      return FIRST_ACCESS;
    }
    const bucket = gapBucket(now - before);
    this.gaps.add(row, bucket);
    return bucket;
  }

  /** Sizes, expiries and elements of what the call's first key holds. */
  private learnContents(op: FitOp, command: Command, ttl: number | undefined, template: number, row: number): void {
    const stats = this.templates[template]!;
    if (ttl !== undefined) {
      stats.ttls.add(ttl);
      if (row !== 0) this.expiries.add(row, Math.min(MAX_EXPIRY_MS, Math.round(ttl * 1000)));
    }
    if (command.value > 0 && command.value < op.argCount) {
      const length = op.argLength(command.value);
      stats.values.add(length);
      if (length <= 20 && /^-?\d+$/.test(latin1(op.arg(command.value)))) stats.integerValues++;
    }
    if (!command.elements || row === 0) return;
    const [first, step] = command.elements;
    stats.elements ??= new ElementSample();
    for (let index = first, n = 0; index < op.argCount && n < MAX_ELEMENTS; index += step, n++) {
      stats.elements.add(row, op.arg(index));
      if (step === 0) break;
    }
  }

  private template(db: number, bytes: Uint8Array, start: number, end: number): number {
    const { miner, numbers } = intern(this.databases, db, () => ({
      miner: new TemplateMiner(this.globs),
      numbers: [],
    }));
    const local = miner.add(bytes, start, end);
    numbers[local] ??= this.templates.push({ miner, local, ...newKeyStats() }) - 1;
    return numbers[local];
  }

  private endBatch(batch: Unit, unit: Unit | undefined): void {
    this.depths.add(batch.calls.length);
    for (const { keys } of batch.calls) {
      for (const key of keys) {
        const { row } = key;
        // However often a unit names a key, it is one access: what follows at once is part of it.
        if (row !== 0 && this.keys.batch[row] === batch.number) continue;
        if (unit?.calls.some((earlier) => earlier.keys.some((known) => known.row === row))) continue;
        this.keys.batch[row] = batch.number;
        key.gap = this.access(row);
        key.at = this.clock;
      }
    }
    if (unit) return;
    const blocking = batch.calls.some((call) => call.blocking);
    const id = `${batch.db} ${blocking}`;
    intern(this.streams, id, () => ({ db: batch.db, blocking, arrivals: new Arrivals() })).arrivals.add(
      batch.startUs,
      clientNumber(batch.clientId, batch.db),
    );
  }

  private endUnit(unit: Unit): void {
    const kinds = this.units.add(unit);
    const client = this.clients.get(clientNumber(unit.clientId, unit.db))!;
    for (const kind of kinds) {
      const known = client.units.get(kind);
      if (known !== undefined || this.habits < MAX_HABITS) {
        if (known === undefined) this.habits++;
        client.units.set(kind, (known ?? 0) + 1);
      }
      if (this.units.kinds[kind]!.blocking) client.blockingUnits++;
      // All of the first, then some: only proportions matter.
      if (client.lastKind >= 0 && (this.pairs < EVERY_PAIR || unit.number % 8 === 0)) this.noteNeighbours(client, kind);
      client.lastKind = kind;
    }
    this.noteKeys(unit, kinds.length === 1 ? kinds[0]! : undefined);
    if (kinds.length === 1 && unit.calls.some((call) => call.script !== undefined)) {
      const calls = unit.calls.flatMap((call) => call.script ?? []);
      this.stretch.push({ startUs: unit.startUs, kind: kinds[0]!, calls });
    }
  }

  private noteNeighbours(client: Client, kind: number): void {
    const pairs = intern(this.neighbours, client, () => new Map<number, number>());
    const id = client.lastKind * 2 ** 20 + kind;
    const known = pairs.get(id);
    if (known === undefined && this.kindsOfPairs >= MAX_PAIRS) return;
    if (known === undefined) this.kindsOfPairs++;
    this.pairs++;
    pairs.set(id, (known ?? 0) + 1);
  }

  /** What the unit proves of its keys: there before, made now, or gone and made again. */
  private noteKeys({ calls, startUs }: Unit, kind: number | undefined): void {
    const { keys } = this;
    if (this.beginUs < 0) this.beginUs = startUs;
    const now = Math.max(0, Math.min(NEVER - 1, Math.round((startUs - this.beginUs) / 10_000)));
    let primary = kind !== undefined;
    for (let i = 0; i < calls.length; i++) {
      const { command, keys: named, ttlSeconds } = calls[i]!;
      for (const { row, gap, at } of named) {
        if (row !== 0) {
          const refilled = command.access === 'read' && gap !== NO_GAP && isFilled(calls, i + 1, row);
          const presence = keys.presence[row]!;
          const known = presence === Presence.written && keys.expires[row]! > now;
          const stats = this.templates[keys.template[row]!]!;
          if (command.access === 'read' && gap !== NO_GAP) {
            if (known) {
              stats.knownReads++;
              if (refilled) stats.knownRefills++;
            } else if (presence !== Presence.removed) {
              stats.otherReads++;
              if (refilled) stats.otherRefills++;
              else if (presence === Presence.unknown) stats.unprovenReads++;
            }
          }
          if (gap === FIRST_ACCESS) {
            keys.birth[row] = command.access !== 'read' ? Birth.written : refilled ? Birth.refilled : Birth.read;
          }
          if (primary) {
            let state: number = KeyState.old;
            if (gap === FIRST_ACCESS) state = keys.birth[row] === Birth.read ? KeyState.present : KeyState.absent;
            else if (presence === Presence.removed) state = KeyState.gone;
            else if (refilled) {
              state = KeyState.gone;
              tally(stats.refillGaps, gap);
            }
            this.starts.add(row, kind! * 4 + state, at);
          }
          if (command.access === 'remove') keys.presence[row] = Presence.removed;
          else if (command.access === 'write') this.noteWrite(row, now, known, command.creates, ttlSeconds);
        }
        primary = false;
      }
    }
  }

  private noteWrite(row: number, now: number, known: boolean, creates: boolean, ttlSeconds: number | undefined): void {
    const { keys } = this;
    // An expiry alone makes no key.
    if (ttlSeconds !== undefined && !creates && !known) return;
    keys.presence[row] = Presence.written;
    if (ttlSeconds !== undefined) keys.expires[row] = Math.min(NEVER - 1, now + Math.round(ttlSeconds * 100));
    else if (creates || !known) keys.expires[row] = NEVER;
  }
}

/** One client's doings in two databases are those of two. */
const clientNumber = (clientId: number, db: number) => clientId * 65_536 + db;

/** Instead of a gap: the key's first access, or none that is known. */
const FIRST_ACCESS = -1;
const NO_GAP = -2;

/** Quarter-octave bucket of a gap ≥ 1: ⌊4 log2 gap⌋. */
function gapBucket(gap: number): number {
  const octave = 31 - Math.clz32(gap);
  const mantissa = gap / 2 ** octave;
  const quarter = mantissa < Math.SQRT2 ? (mantissa < 2 ** 0.25 ? 0 : 1) : mantissa < 2 ** 0.75 ? 2 : 3;
  return 4 * octave + quarter;
}

/** Made as a whole by the same client at once: the read before found nothing. */
function isFilled(calls: Call[], from: number, row: number): boolean {
  for (let i = from; i < calls.length; i++)
    if (calls[i]!.command.creates && calls[i]!.keys[0]?.row === row) return true;
  return false;
}

function traitsOf(name: string): Omit<Command, 'name' | 'number' | 'count'> {
  const info = COMMANDS.get(name);
  return {
    treatment: treatmentOf(name),
    callsScript: SCRIPT_CALLS.has(name),
    access: REMOVES.has(name) ? 'remove' : info?.write ? 'write' : info?.readonly ? 'read' : 'none',
    creates: CREATES.has(name),
    blocksOnWord: info?.group === 'stream',
    expires: EXPIRES.has(name),
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
