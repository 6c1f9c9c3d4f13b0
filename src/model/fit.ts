/** One pass over a capture's ops → the workload model. */
import { createHash } from 'node:crypto';
import type { OpView } from '../capture/ops.ts';
import { Arrivals } from './arrivals.ts';
import { ValueHistogram } from './histogram.ts';
import { FirstAccess, KeyTable } from './keyspace.ts';
import type { Family, Model, Role, Script, Shape, UnitOp } from './model.ts';
import { zipfExponent } from './popularity.ts';
import { mulberry32 } from './random.ts';
import { treatmentOf } from './replayable.ts';
import { latin1, RoleLearner } from './roles.ts';
import { type Call, type CallKey, describe, type LearntShape, ShapeTable, ttlSeconds, valueIndex } from './shapes.ts';
import { intern, tally } from './tally.ts';
import { type Part, TemplateMiner, templateText } from './template.ts';

/**
 * Lines of one client in a row belong to one pipeline if the gap is at most this, plus the time the server needs to
 * print the line before (measured: 30 µs per 1,000 bytes on Redis 7.0).
 */
const PIPELINE_GAP_US = 15;
const PRINT_US_PER_BYTE = 0.05;
const MAX_UNIT_OPS = 128;
/** Distinct kinds of unit that are kept whole; rarer ones beyond are split into single commands. */
const MAX_UNITS = 20_000;
const MAX_EXEMPLARS = 200;
const MAX_EXEMPLAR_BYTES = 16_384;
const MAX_EFFECTS = 64;
const MAX_TOP = 256;

interface Unit {
  clientId: number;
  db: number;
  startUs: number;
  lastUs: number;
  lastBytes: number;
  ops: { shape: number; rows: number[] }[];
}

interface ClientState {
  db: number;
  blocking: boolean;
  firstUs: number;
  lastUs: number;
  /** Commands since MULTI, or undefined outside a transaction. */
  transaction: { shape: number; rows: number[] }[] | undefined;
}

interface ScriptState {
  sha1: string;
  kind: 'script' | 'function';
  body: Uint8Array | undefined;
  calls: number;
  exemplars: { keys: string[]; args: string[] }[];
  effects: Map<string, { count: number; ops: { shape: number; rows: number[] }[] }>;
}

interface TemplateStats {
  db: number;
  requests: number;
  scriptRequests: number;
  commands: Map<string, number>;
  /** Requests by group of command, which tells the type. */
  groups: Map<string, number>;
  arithmetic: boolean;
  values: ValueHistogram;
  integerValues: number;
  ttls: ValueHistogram;
  lengths: ValueHistogram[];
}

const SCRIPT_CALLS = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);
/** A key that is created so soon after its first read was a miss (the cache-aside idiom). */
const FILL_US = 1_000_000;
const CREATES = new Set([
  'set',
  'setex',
  'psetex',
  'setnx',
  'hset',
  'hmset',
  'hsetnx',
  'mset',
  'zadd',
  'sadd',
  'lpush',
  'rpush',
]);
const ARITHMETIC = new Set(['incr', 'decr', 'incrby', 'decrby', 'incrbyfloat']);

/** Learns a model op by op: `add` each op in file order, then `finish`. */
export class Fit {
  private readonly random = mulberry32(0x5eed);
  private readonly keys = new KeyTable();
  /** Miner, and templates' statistics, per database: the same key in two databases is two keys. */
  private readonly miners = new Map<number, TemplateMiner>();
  private readonly templateNumbers = new Map<string, number>();
  private readonly templates: (TemplateStats & { local: number })[] = [];
  private readonly shapes = new ShapeTable();
  private readonly commands = new Map<string, number>();
  private readonly scriptCommands = new Map<string, number>();
  private readonly leftOut = new Map<string, number>();
  private readonly clients = new Map<string, ClientState>();
  private readonly units = new Map<
    string,
    { db: number; blocking: boolean; count: number; ops: { shape: number; rows: number[] }[] }
  >();
  private readonly arrivals = new Map<string, Arrivals>();
  private readonly depths = new ValueHistogram();
  private readonly sizes = new ValueHistogram();
  private readonly scripts: ScriptState[] = [];
  private readonly scriptNumbers = new Map<string, number>();
  private transactions = { committed: 0, empty: 0, discarded: 0 };
  private unit: Unit | undefined;
  private parent: { line: number; script: ScriptState; ops: { shape: number; rows: number[] }[] } | undefined;

  /** `bodies`: script bodies that the user has beside the capture. */
  constructor(bodies: Uint8Array[] = []) {
    for (const body of bodies) this.script(sha1(body), 'script').body = body;
  }

  add(op: OpView): void {
    if (op.kind !== 'command') {
      this.addChild(op);
      return;
    }
    tally(this.commands, op.command);
    this.noteBodies(op);
    const treatment = treatmentOf(op.command);
    if (treatment === 'left-out') tally(this.leftOut, op.command);
    if (treatment !== 'replay') return;
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
    const call = this.learn(op, client);
    if (client.transaction && op.command !== 'exec') {
      client.transaction.push(call);
      return;
    }
    if (op.command !== 'exec') {
      this.append(op, client, [call]);
      return;
    }
    const body = client.transaction ?? [];
    client.transaction = undefined;
    if (body.length > 0) this.transactions.committed++;
    else this.transactions.empty++;
    this.sizes.add(body.length);
    this.append(op, client, [
      { shape: this.shapes.learn({ ...bare(op), command: 'multi' }, [], false), rows: [] },
      ...body,
      call,
    ]);
  }

  /** The model; `source` comes from the capture's own summary. */
  finish(source: Model['source']): Model {
    this.closeUnit();
    this.closeParent();
    const { families, familyOf } = this.families();
    const { shapes, shapeOf } = this.finalShapes(familyOf);
    const finalOps = (ops: { shape: number; rows: number[] }[]): UnitOp[] =>
      slots(ops).map(([shape, keySlots]) => [shapeOf[shape]!, keySlots]);
    const classes = this.classes(source.spanSeconds);
    const merged = new Map<string, Model['units'][number]>();
    for (const unit of this.units.values()) {
      const klass = classes.findIndex((c) => c.db === unit.db && c.blocking === unit.blocking);
      const ops = finalOps(unit.ops);
      const key = `${klass} ${JSON.stringify(ops)}`;
      const known = merged.get(key);
      if (known) known.count += unit.count;
      else merged.set(key, { class: klass, count: unit.count, ops });
    }
    const total = [...this.commands.values()].reduce((a, b) => a + b, 0);
    return {
      schema: 'cutover/model@1',
      source,
      clients: { connections: this.clients.size, classes },
      commands: Object.fromEntries(
        descending(this.commands).map(([name, n]) => [name, { count: n, share: n / total }]),
      ),
      scriptCommands: Object.fromEntries(descending(this.scriptCommands)),
      families,
      shapes,
      units: [...merged.values()].sort((a, b) => b.count - a.count),
      scripts: this.scripts.map(
        (script): Script => ({
          sha1: script.sha1,
          kind: script.kind,
          body: script.body ? Buffer.from(script.body).toString('base64') : null,
          calls: script.calls,
          exemplars: script.exemplars,
          effects: script.body
            ? []
            : [...script.effects.values()].map(({ count, ops }) => ({ count, ops: finalOps(ops) })),
        }),
      ),
      transactions: { ...this.transactions, sizes: this.sizes.entries() },
      pipelines: { depths: this.depths.entries() },
      leftOut: Object.fromEntries(descending(this.leftOut)),
    };
  }

  private client(op: OpView): ClientState {
    const id = `${op.clientId} ${op.db}`;
    const client = intern(this.clients, id, () => ({
      ...{ db: op.db, blocking: false, firstUs: op.atUs, lastUs: op.atUs, transaction: undefined },
    }));
    client.lastUs = op.atUs;
    return client;
  }

  private addChild(op: OpView): void {
    if (op.kind === 'module-child') return;
    tally(this.scriptCommands, op.command);
    if (treatmentOf(op.command) !== 'replay') return;
    const call = this.learn(op, undefined);
    if (this.parent && this.parent.line === op.parentLine && this.parent.ops.length < MAX_UNIT_OPS)
      this.parent.ops.push(call);
  }

  /** Accounts keys and arguments of one call; `client` is undefined for what a script did. */
  private learn(op: OpView, client: ClientState | undefined): { shape: number; rows: number[] } {
    if (SCRIPT_CALLS.has(op.command)) return this.learnScriptCall(op);
    const { info, keys: positions } = describe(op);
    const keys: CallKey[] = [];
    const value = valueIndex(op.command);
    for (const { index, access } of positions) {
      const bytes = op.arg(index);
      const { row, created } = this.keys.row(op.db, bytes);
      if (created) this.keys.template[row] = this.template(op.db, bytes);
      if (this.keys.first[row] === 0) {
        this.keys.first[row] = access === 'RO' ? FirstAccess.read : FirstAccess.write;
        this.keys.firstUs[row] = op.atUs;
      } else if (
        this.keys.first[row] === FirstAccess.read &&
        CREATES.has(op.command) &&
        op.atUs - this.keys.firstUs[row]! <= FILL_US
      ) {
        // Read, not there, filled: the key did not exist before.
        this.keys.first[row] = FirstAccess.write;
      }
      const stats = this.templates[this.keys.template[row]!]!;
      if (client) {
        this.keys.requests[row]!++;
        stats.requests++;
        tally(stats.commands, op.command);
      } else stats.scriptRequests++;
      if (info) tally(stats.groups, info.group);
      if (ARITHMETIC.has(op.command)) stats.arithmetic = true;
      if (keys.length === 0) {
        const ttl = ttlSeconds(op);
        if (ttl !== undefined) stats.ttls.add(ttl);
        if (value > 0 && value < op.argCount) {
          stats.values.add(op.argLength(value));
          if (op.argLength(value) <= 20 && /^-?\d+$/.test(latin1(op.arg(value)))) stats.integerValues++;
        }
      }
      keys.push({ index, row, template: this.keys.template[row]! });
    }
    const blocking = info?.blocking === true && (info.group !== 'stream' || hasWord(op, 'BLOCK'));
    if (client && blocking) client.blocking = true;
    return { shape: this.shapes.learn(op, keys, blocking), rows: keys.map((key) => key.row) };
  }

  private learnScriptCall(op: OpView): { shape: number; rows: number[] } {
    this.closeParent();
    const isFunction = op.command.startsWith('fcall');
    const isSha = op.command.startsWith('evalsha');
    const name = isFunction || isSha ? latin1(op.arg(1)) : sha1(op.arg(1));
    const script = this.script(isSha ? name.toLowerCase() : name, isFunction ? 'function' : 'script');
    script.calls++;
    this.parent = { line: op.line, script, ops: [] };
    const numkeys = op.argCount > 2 ? Number(latin1(op.arg(2))) : Number.NaN;
    if (Number.isInteger(numkeys) && numkeys >= 0 && numkeys + 3 <= op.argCount && op.lineBytes <= MAX_EXEMPLAR_BYTES) {
      const at =
        script.exemplars.length < MAX_EXEMPLARS ? script.exemplars.length : Math.floor(this.random() * script.calls);
      if (at < MAX_EXEMPLARS) {
        const base64 = (from: number, to: number) =>
          Array.from({ length: to - from }, (_, i) => Buffer.from(op.arg(from + i)).toString('base64'));
        script.exemplars[at] = { keys: base64(3, 3 + numkeys), args: base64(3 + numkeys, op.argCount) };
      }
    }
    return { shape: this.shapes.script(op.command, this.scriptNumbers.get(script.sha1)!), rows: [] };
  }

  /** Bodies stand in EVAL, SCRIPT LOAD and FUNCTION LOAD lines only. */
  private noteBodies(op: OpView): void {
    if (op.command === 'eval' || op.command === 'eval_ro') {
      const body = op.argCount > 1 ? op.arg(1) : undefined;
      if (body) this.script(sha1(body), 'script').body ??= Uint8Array.from(body);
    } else if (op.command === 'script' && op.argCount === 3 && latin1(op.arg(1)).toLowerCase() === 'load') {
      this.script(sha1(op.arg(2)), 'script').body ??= Uint8Array.from(op.arg(2));
    } else if (op.command === 'function' && op.argCount >= 3 && latin1(op.arg(1)).toLowerCase() === 'load') {
      const body = Uint8Array.from(op.arg(op.argCount - 1));
      // A library is one body for every function that it registers.
      for (const match of latin1(body).matchAll(
        /register_function\s*[({]\s*(?:function_name\s*=\s*)?['"]([\w]+)['"]/g,
      )) {
        this.script(match[1]!, 'function').body ??= body;
      }
    }
  }

  private script(name: string, kind: 'script' | 'function'): ScriptState {
    let number = this.scriptNumbers.get(name);
    if (number === undefined) {
      number =
        this.scripts.push({ sha1: name, kind, body: undefined, calls: 0, exemplars: [], effects: new Map() }) - 1;
      this.scriptNumbers.set(name, number);
    }
    return this.scripts[number]!;
  }

  private closeParent(): void {
    if (!this.parent) return;
    const { script, ops } = this.parent;
    this.parent = undefined;
    const key = JSON.stringify(slots(ops));
    const known = script.effects.get(key);
    if (known) known.count++;
    else if (script.effects.size < MAX_EFFECTS) script.effects.set(key, { count: 1, ops });
  }

  private template(db: number, bytes: Uint8Array): number {
    const miner = intern(this.miners, db, () => new TemplateMiner());
    const key = latin1(bytes);
    const local = miner.add(key);
    const id = `${db} ${local}`;
    let number = this.templateNumbers.get(id);
    if (number === undefined) {
      number = this.templates.length;
      this.templateNumbers.set(id, number);
      this.templates.push({
        ...{ db, local, requests: 0, scriptRequests: 0, commands: new Map(), groups: new Map(), arithmetic: false },
        ...{ values: new ValueHistogram(), integerValues: 0, ttls: new ValueHistogram(), lengths: [] },
      });
    }
    const lengths = this.templates[number]!.lengths;
    for (const [i, length] of miner.lengths(local, key).entries()) {
      lengths[i] ??= new ValueHistogram();
      lengths[i].add(length);
    }
    return number;
  }

  /** Adds ops to the client's running pipeline, or starts a new unit. */
  private append(op: OpView, client: ClientState, ops: { shape: number; rows: number[] }[]): void {
    const unit = this.unit;
    const joins =
      unit?.clientId === op.clientId &&
      unit.db === op.db &&
      op.atUs - unit.lastUs <= PIPELINE_GAP_US + PRINT_US_PER_BYTE * unit.lastBytes &&
      unit.ops.length + ops.length <= MAX_UNIT_OPS;
    if (joins) unit.ops.push(...ops);
    else {
      this.closeUnit();
      this.unit = { clientId: op.clientId, db: client.db, startUs: op.atUs, lastUs: 0, lastBytes: 0, ops: [...ops] };
    }
    this.unit!.lastUs = op.atUs;
    this.unit!.lastBytes = op.lineBytes;
  }

  private closeUnit(): void {
    const unit = this.unit;
    if (!unit) return;
    this.unit = undefined;
    this.depths.add(unit.ops.length);
    const blocking = unit.ops.some((op) => this.shapes.shapes[op.shape]!.blocking);
    const id = `${unit.db} ${blocking}`;
    intern(this.arrivals, id, () => new Arrivals()).add(unit.startUs);
    const count = (ops: Unit['ops']) => {
      const key = `${id} ${JSON.stringify(slots(ops))}`;
      const known = this.units.get(key);
      if (known) known.count++;
      else this.units.set(key, { db: unit.db, blocking, count: 1, ops });
    };
    if (this.units.size < MAX_UNITS) count(unit.ops);
    else for (const op of unit.ops) count([op]);
  }

  private classes(spanSeconds: number): Model['clients']['classes'] {
    return [...this.arrivals]
      .map(([id, arrivals]) => {
        const [db, blocking] = id.split(' ') as [string, string];
        const members = [...this.clients.values()].filter(
          (c) => c.db === Number(db) && c.blocking === (blocking === 'true'),
        );
        const connections = Math.max(1, members.length);
        const peakConnections = Math.max(1, peakOverlap(members));
        return {
          db: Number(db),
          blocking: blocking === 'true',
          connections,
          peakConnections,
          ...arrivals.summary(spanSeconds),
        };
      })
      .sort((a, b) => a.db - b.db || Number(a.blocking) - Number(b.blocking));
  }

  private families(): { families: Family[]; familyOf: number[] } {
    const familyNumbers = new Map<string, number>();
    const drafts: { db: number; parts: Part[]; stats: TemplateStats; counts: number[]; read: number }[] = [];
    const familyOf: number[] = [];
    for (const [db, miner] of this.miners) {
      const folded = miner.fold();
      for (const template of this.templates) {
        if (template.db !== db) continue;
        const parts = folded.families[folded.familyOf[template.local]!]!;
        template.lengths = folded.origins[template.local]!.map((origin) =>
          'index' in origin ? template.lengths[origin.index]! : ValueHistogram.from([[origin.length, 1]]),
        );
        const id = `${db} ${templateText(parts)}`;
        let number = familyNumbers.get(id);
        if (number === undefined) {
          number = drafts.push({ db, parts, stats: template, counts: [], read: 0 }) - 1;
          familyNumbers.set(id, number);
        } else mergeStats(drafts[number]!.stats, template);
        familyOf[this.templateNumbers.get(`${db} ${template.local}`)!] = number;
      }
    }
    for (let row = 1; row <= this.keys.keys; row++) {
      const draft = drafts[familyOf[this.keys.template[row]!]!]!;
      draft.counts.push(this.keys.requests[row]!);
      if (this.keys.first[row] === FirstAccess.read) draft.read++;
    }
    const total = Math.max(
      1,
      drafts.reduce((sum, draft) => sum + draft.stats.requests, 0),
    );
    const families = drafts.map(({ db, parts, stats, counts, read }): Family => {
      const sorted = counts.sort((a, b) => b - a);
      const top = sorted.slice(0, MAX_TOP);
      let placeholder = 0;
      return {
        template: templateText(parts),
        parts: parts.map((part) =>
          typeof part === 'string'
            ? part
            : { placeholder: part.placeholder, lengths: stats.lengths[placeholder++]?.entries() ?? [] },
        ),
        db,
        type: typeOf(stats),
        keys: counts.length,
        requests: stats.requests,
        scriptRequests: stats.scriptRequests,
        share: stats.requests / total,
        commands: Object.fromEntries(descending(stats.commands)),
        zipf: zipfExponent(counts, this.random),
        top,
        tail: { keys: sorted.length - top.length, requests: sorted.slice(MAX_TOP).reduce((a, b) => a + b, 0) },
        existing: read / counts.length,
        valueBytes: stats.values.entries(),
        ttlSeconds: stats.ttls.entries(),
      };
    });
    return { families, familyOf };
  }

  /** Shapes whose templates have become one family are one shape. */
  private finalShapes(familyOf: number[]): { shapes: Shape[]; shapeOf: number[] } {
    const merged = new Map<string, { learnt: LearntShape; number: number }>();
    const order: LearntShape[] = [];
    const shapeOf = this.shapes.shapes.map((learnt) => {
      const places = learnt.positions.map((p) => (typeof p === 'number' ? familyOf[p] : ''));
      const id = `${learnt.command} ${learnt.script ?? ''} ${learnt.blocking} ${learnt.repeat?.period ?? 0} ${learnt.positions.length} ${places.join(',')}`;
      const known = merged.get(id);
      if (!known) {
        const number = order.push(learnt) - 1;
        merged.set(id, { learnt, number });
        return number;
      }
      known.learnt.positions.forEach((position, i) => {
        const other = learnt.positions[i];
        if (position instanceof RoleLearner && other instanceof RoleLearner) position.addAll(other);
      });
      for (const [n, c] of learnt.repeat?.counts ?? [])
        known.learnt.repeat!.counts.set(n, (known.learnt.repeat!.counts.get(n) ?? 0) + c);
      return known.number;
    });
    const shapes = order.map((learnt): Shape => {
      const first = learnt.positions.find((p) => typeof p === 'number');
      return {
        command: learnt.command,
        ...(learnt.script === undefined ? {} : { script: learnt.script }),
        family: first === undefined ? null : familyOf[first as number]!,
        blocking: learnt.blocking,
        roles: learnt.positions.map((p): Role => (typeof p === 'number' ? { key: familyOf[p]! } : p.role())),
        ...(learnt.repeat
          ? { repeat: { ...learnt.repeat, counts: [...learnt.repeat.counts].sort((a, b) => a[0] - b[0]) } }
          : {}),
      };
    });
    return { shapes, shapeOf };
  }
}

/** A unit's ops with its keys as slots: equal rows become equal small numbers, in order of appearance. */
function slots(ops: { shape: number; rows: number[] }[]): [number, number[]][] {
  const seen = new Map<number, number>();
  return ops.map(({ shape, rows }) => [shape, rows.map((row) => intern(seen, row, () => seen.size))]);
}

function mergeStats(into: TemplateStats, from: TemplateStats): void {
  into.requests += from.requests;
  into.scriptRequests += from.scriptRequests;
  into.arithmetic ||= from.arithmetic;
  into.integerValues += from.integerValues;
  into.values.addAll(from.values);
  into.ttls.addAll(from.ttls);
  for (const [command, n] of from.commands) tally(into.commands, command, n);
  for (const [group, n] of from.groups) tally(into.groups, group, n);
  for (const [i, lengths] of from.lengths.entries()) {
    into.lengths[i] ??= new ValueHistogram();
    into.lengths[i].addAll(lengths);
  }
}

const TYPES: Record<string, Family['type']> = {
  ...{ string: 'string', bitmap: 'string', hash: 'hash', list: 'list', set: 'set', stream: 'stream' },
  ...{ 'sorted-set': 'zset', geo: 'zset', hyperloglog: 'hyperloglog' },
};

/** The type that most typed commands mean; a string that is counted with is an integer. */
function typeOf(stats: TemplateStats): Family['type'] {
  let type: Family['type'] = 'unknown';
  let most = 0;
  for (const [group, n] of stats.groups) {
    if (TYPES[group] && n > most) {
      type = TYPES[group];
      most = n;
    }
  }
  const integers = stats.values.count > 0 && stats.integerValues === stats.values.count;
  return type === 'string' && (stats.arithmetic || integers) ? 'integer' : type;
}

/** The largest number of connections that were open at once, by first and last line. */
function peakOverlap(members: ClientState[]): number {
  const events = members.flatMap((c) => [
    [c.firstUs, 1],
    [c.lastUs, -1],
  ]) as [number, number][];
  events.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let open = 0;
  let peak = 0;
  for (const [, change] of events) {
    open += change;
    peak = Math.max(peak, open);
  }
  return peak;
}

function hasWord(op: Call, word: string): boolean {
  for (let i = 1; i < op.argCount; i++)
    if (op.argLength(i) === word.length && latin1(op.arg(i)).toUpperCase() === word) return true;
  return false;
}

const bare = (op: OpView): Call => ({
  command: op.command,
  argCount: 1,
  arg: (i) => op.arg(i),
  argLength: (i) => op.argLength(i),
  atUs: op.atUs,
});
const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');
const descending = (map: Map<string, number>) => [...map].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
