/** Calls of many clients, in file order → what each client sends as one thing: a command, a pipeline, a transaction, an idiom. */
import { continuesPipeline } from './pipeline.ts';
import { intern } from './tally.ts';

/** What follows from a command's name. */
export interface CommandTraits {
  name: string;
  access: 'none' | 'read' | 'write' | 'remove';
  /** Creates its first key as a whole, as a cache fill does. */
  creates: boolean;
}

/** A key that a call names. */
export interface CallKey {
  /** In the key table; 0 for a key that the sample leaves out. */
  row: number;
  /** Bucket of the gap since the key's last access. */
  gap: number;
  /** Number of this access. */
  at: number;
}

/** One learnt call. */
export interface Call {
  shape: number;
  command: CommandTraits;
  blocking: boolean;
  keys: CallKey[];
  /** Expiry that the call sets, in seconds from now. */
  ttlSeconds: number | undefined;
  /** Number in the book of scripts, with the call's arguments. */
  script: number | undefined;
}

/** A client's unit: calls in order, in one or more steps. */
export class Unit {
  /** Distinct from those of all other pipelines. */
  readonly number: number;
  readonly clientId: number;
  readonly db: number;
  readonly startUs: number;
  readonly calls: Call[];
  lastUs: number;
  /** Length of its last line. */
  lastBytes: number;
  /** Where later steps begin (index of the call), and how long after the step before. */
  steps: { at: number; gapUs: number }[] | undefined = undefined;
  watching = false;

  constructor(number: number, clientId: number, db: number, atUs: number, lineBytes: number, calls: Call[]) {
    this.number = number;
    this.clientId = clientId;
    this.db = db;
    this.startUs = atUs;
    this.lastUs = atUs;
    this.lastBytes = lineBytes;
    this.calls = calls;
  }
}

const MAX_UNIT_CALLS = 128;
/** What a client does next with the same key, within this time, is one idiom: read and fill, count and expire, lock and release. */
const IDIOM_US = 50_000;
const MAX_IDIOM_CALLS = 16;
const MAX_STEPS = 4;
/** WATCH … EXEC is one unit however long the client thinks, up to here. */
const WATCH_US = 1_000_000;

export interface UnitSink {
  /** A pipeline ended, which begins a unit or continues `unit`. In file order. */
  batch(batch: Unit, unit: Unit | undefined): void;
  /** A unit is complete. Units of one client come in order. */
  unit(unit: Unit): void;
}

export class UnitBuilder {
  private batch: Unit | undefined;
  private batches = 0;
  private readonly pending = new Map<number, Unit>();
  private readonly sink: UnitSink;

  constructor(sink: UnitSink) {
    this.sink = sink;
  }

  /** Adds calls that the client sent together. */
  append(clientId: number, db: number, atUs: number, lineBytes: number, calls: Call[]): void {
    const batch = this.batch;
    if (
      batch !== undefined &&
      batch.clientId === clientId &&
      batch.db === db &&
      continuesPipeline(batch.lastUs, batch.lastBytes, atUs) &&
      batch.calls.length + calls.length <= MAX_UNIT_CALLS
    ) {
      for (const call of calls) batch.calls.push(call);
      batch.lastUs = atUs;
      batch.lastBytes = lineBytes;
      return;
    }
    this.closeBatch();
    this.batch = new Unit(++this.batches, clientId, db, atUs, lineBytes, calls);
  }

  end(): void {
    this.closeBatch();
    for (const unit of this.pending.values()) this.sink.unit(unit);
    this.pending.clear();
  }

  private closeBatch(): void {
    const batch = this.batch;
    if (!batch) return;
    this.batch = undefined;
    const before = this.pending.get(batch.clientId);
    if (before && continues(before, batch)) {
      this.sink.batch(batch, before);
      before.steps ??= [];
      before.steps.push({ at: before.calls.length, gapUs: Math.max(0, batch.startUs - before.lastUs) });
      for (const call of batch.calls) before.calls.push(call);
      before.lastUs = batch.lastUs;
      before.watching = watches(batch.calls, before.watching);
      return;
    }
    if (before) this.sink.unit(before);
    this.sink.batch(batch, undefined);
    batch.watching = watches(batch.calls, false);
    this.pending.set(batch.clientId, batch);
  }
}

/** Whether a batch is the next step of what its client did before. */
function continues(before: Unit, batch: Unit): boolean {
  if (before.db !== batch.db) return false;
  const gapUs = batch.startUs - before.lastUs;
  if (before.watching) return gapUs <= WATCH_US && before.calls.length + batch.calls.length <= MAX_UNIT_CALLS;
  if (gapUs > IDIOM_US || (before.steps?.length ?? 0) + 2 > MAX_STEPS) return false;
  if (before.calls.length + batch.calls.length > MAX_IDIOM_CALLS) return false;
  const next = batch.calls[0]!;
  const last = before.calls.at(-1)!;
  const row = next.keys[0]?.row ?? 0;
  if (row === 0 || next.blocking || last.blocking || next.command.name === 'watch') return false;
  // A read after a write, or the same again, is what a popular key sees anyway.
  if (next.command === last.command || (last.command.access !== 'read' && next.command.access === 'read')) return false;
  return before.calls.some((call) => call.keys[0]?.row === row);
}

function watches(calls: Call[], before: boolean): boolean {
  let watching = before;
  for (const { command } of calls) {
    if (command.name === 'watch') watching = true;
    else if (command.name === 'exec' || command.name === 'unwatch' || command.name === 'discard') watching = false;
  }
  return watching;
}

/** What a unit's first key was when the unit came to it; `final` is added where nobody came to it again. */
export const KeyState = { old: 0, present: 1, absent: 2, gone: 3, final: 4 } as const;
/** Popularity classes, ⌊log2 requests⌋: a key's state and class are kept as state × POPULARITIES + class. */
export const POPULARITIES = 32;

/** A kind of unit: the same shapes with the same pattern of equal keys, in the same steps. */
export interface UnitKind {
  count: number;
  blocking: boolean;
  ops: [shape: number, slots: number[]][];
  /** First call's index of each later step, with the median of its gaps. */
  steps: { at: number; gaps: number[] }[];
}

/** Distinct kinds that are kept whole; rarer ones beyond are counted as their single calls. */
const MAX_KINDS = 20_000;
/** Gaps kept per step: their median is all that is asked for. */
const MAX_GAPS = 64;

export class UnitTable {
  readonly kinds: UnitKind[] = [];
  /** By a 52-bit hash of shapes, slots and steps; two of 20,000 kinds share one once in 10⁷ captures. */
  private readonly byHash = new Map<number, number>();

  /** Counts a unit; returns the numbers of its kinds: one, or one per call beyond the limit. */
  add(unit: Unit): number[] {
    const { calls, steps } = unit;
    const hash = hashOf(unit);
    let number = this.byHash.get(hash);
    if (number === undefined) {
      if (this.kinds.length >= MAX_KINDS && calls.length > 1) {
        const { number, clientId, db, startUs, lastBytes } = unit;
        return calls.flatMap((call) => this.add(new Unit(number, clientId, db, startUs, lastBytes, [call])));
      }
      const blocking = calls.some((call) => call.blocking);
      const kind = {
        count: 0,
        blocking,
        ops: slotsOf(calls),
        steps: (steps ?? []).map(({ at }) => ({ at, gaps: [] })),
      };
      number = this.kinds.push(kind) - 1;
      this.byHash.set(hash, number);
    }
    const kind = this.kinds[number]!;
    kind.count++;
    for (let i = 0; i < kind.steps.length; i++) {
      const { gaps } = kind.steps[i]!;
      gaps[gaps.length < MAX_GAPS ? gaps.length : kind.count % MAX_GAPS] = steps![i]!.gapUs;
    }
    return [number];
  }
}

/** Rows of the unit that is being hashed, in order of appearance: their places are the slots. */
const rowsSeen: number[] = [];
let hashA = 0;
let hashB = 0;

function mixIn(value: number): void {
  hashA = Math.imul(hashA ^ value, 0x85ebca6b);
  hashA ^= hashA >>> 15;
  hashB = Math.imul(hashB + value, 0xc2b2ae35);
  hashB ^= hashB >>> 13;
}

function hashOf({ calls, steps }: Unit): number {
  // Most units are one call of one key, or of none: the shape says it all.
  if (calls.length === 1 && calls[0]!.keys.length < 2) return -1 - calls[0]!.shape;
  hashA = calls.length;
  hashB = steps?.length ?? 0;
  rowsSeen.length = 0;
  for (const { shape, keys } of calls) {
    mixIn(shape);
    for (const { row } of keys) {
      // Keys that the sample leaves out are taken for different ones.
      let slot = row === 0 ? -1 : rowsSeen.indexOf(row);
      if (slot < 0) slot = rowsSeen.push(row) - 1;
      mixIn(slot);
    }
  }
  if (steps) for (const { at } of steps) mixIn(-at);
  return (hashA >>> 0) * 2 ** 20 + (hashB >>> 12);
}

/** Keys as slots: equal rows become equal small numbers, in order of appearance. */
export function slotsOf(calls: Pick<Call, 'shape' | 'keys'>[]): [number, number[]][] {
  const seen = new Map<number, number>();
  let unknown = 0;
  return calls.map(({ shape, keys }) => [
    shape,
    keys.map(({ row }) => intern(seen, row === 0 ? --unknown : row, () => seen.size)),
  ]);
}
