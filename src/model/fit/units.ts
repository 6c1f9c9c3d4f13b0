/** Calls of many clients, in file order → what each client sends as one thing: a command, a pipeline, a transaction, an idiom. */

import { continuesPipeline } from '../pipeline.ts';
import { intern } from '../tally.ts';
import { PairTable, widened } from './pair-table.ts';
import { NumberList } from './shapes.ts';

/** What a command does to its keys. Numbers, as they are compared for every call. */
export const Access = { none: 0, read: 1, write: 2, remove: 3 } as const;
/** What it does to its connection's watch. */
export const Watch = { none: 0, begins: 1, ends: 2 } as const;

/** What follows from a command's name. */
export interface CommandTraits {
  name: string;
  /** One of `Access`. */
  access: number;
  /** Creates its first key as a whole, as a cache fill does. */
  creates: boolean;
  /** One of `Watch`. */
  watch: number;
}

/** Instead of a gap: the key's first access, or none that is known. */
export const FIRST_ACCESS = -1;
export const NO_GAP = -2;
/** Instead of a call's number in the book of scripts. */
const NO_SCRIPT = -1;
/** In the column of commands: the entry is another key of the call before it. */
const SAME_CALL = -1;

/** Instead of a row: the call has no key. */
export const NO_KEY = 0xffffffff;

/**
 * Calls of units that are not complete yet, in columns and without an object for each. A call has an entry for each of
 * its keys, or one if it has none; entries are chained by `next`, those of a unit to one chain that ends in 0.
 */
export class Calls {
  next = new Uint32Array(256);
  /** Of a call's first entry: its command, by number; SAME_CALL in the others. */
  command = new Int32Array(256);
  shape = new Uint32Array(256);
  blocking = new Uint8Array(256);
  /** Expiry that the call sets, in seconds from now; NaN for none. */
  ttlSeconds = new Float64Array(256);
  /** Hash of a short value that the call stores, while scripts may be told it; 0 for none. */
  stored = new Uint32Array(256);
  /** Number in the book of scripts, with the call's arguments. */
  script = new Int32Array(256);
  /** The key's row in the key table; 0 for a key that the sample leaves out, NO_KEY for none. */
  row = new Uint32Array(256);
  private used = 1;
  /** Chain of the entries that are free. */
  private free = 0;

  /** An entry for a key of a call that is still to be described, or for a call without keys. */
  add(row: number): number {
    let entry = this.free;
    if (entry !== 0) this.free = this.next[entry]!;
    else {
      entry = this.used++;
      if (entry === this.next.length) this.grow();
    }
    this.next[entry] = 0;
    this.command[entry] = SAME_CALL;
    this.script[entry] = NO_SCRIPT;
    this.stored[entry] = 0;
    this.row[entry] = row;
    return entry;
  }

  /** Says what call the entry is the first of. */
  describe(entry: number, command: number, shape: number, blocking: boolean, ttlSeconds: number): void {
    this.command[entry] = command;
    this.shape[entry] = shape;
    this.blocking[entry] = blocking ? 1 : 0;
    this.ttlSeconds[entry] = ttlSeconds;
  }

  isCall(entry: number): boolean {
    return this.command[entry]! >= 0;
  }

  keepsScript(entry: number): boolean {
    return this.script[entry] !== NO_SCRIPT;
  }

  /** Gives back a chain; 0 for none. */
  release(first: number, last: number): void {
    if (first === 0) return;
    this.next[last] = this.free;
    this.free = first;
  }

  /** `map[old row]` is the new row, 0 for one that is no longer known. */
  remap(map: Uint32Array): void {
    for (let entry = 1; entry < this.used; entry++)
      if (this.row[entry] !== NO_KEY) this.row[entry] = map[this.row[entry]!] ?? 0;
  }

  /** The calls of a chain by shape, with their keys as slots: equal rows become equal small numbers, in order of appearance. */
  slots(first: number): [shape: number, slots: number[]][] {
    const seen = new Map<number, number>();
    const ops: [number, number[]][] = [];
    let unknown = 0;
    for (let entry = first; entry !== 0; entry = this.next[entry]!) {
      if (this.isCall(entry)) ops.push([this.shape[entry]!, []]);
      if (this.row[entry] === NO_KEY) continue;
      // Keys that the sample leaves out are taken for different ones.
      const row = this.row[entry]! || --unknown;
      ops.at(-1)![1].push(intern(seen, row, () => seen.size));
    }
    return ops;
  }

  private grow(): void {
    this.next = widened(this.next);
    this.command = widened(this.command);
    this.shape = widened(this.shape);
    this.blocking = widened(this.blocking);
    this.ttlSeconds = widened(this.ttlSeconds);
    this.script = widened(this.script);
    this.stored = widened(this.stored);
    this.row = widened(this.row);
  }
}

/** A client's unit: calls in order, in one or more steps. Used again when it has been emitted. */
export class Unit {
  /** Distinct from those of all other pipelines. */
  number = 0;
  clientId = 0;
  /** Number of the client in the unit's database. */
  client = 0;
  db = 0;
  startUs = 0;
  lastUs = 0;
  /** Length of its last line. */
  lastBytes = 0;
  /** Chain of its calls, and how many they are. */
  first = 0;
  last = 0;
  calls = 0;
  blocking = false;
  /** Whether any call is kept in the book of scripts. */
  keepsScript = false;
  /** What the last of its calls that has to do with a watch did to it. */
  watch: number = Watch.none;
  /** Where later steps begin (index of the call), and how long after the step before. */
  readonly stepAt = new NumberList(MAX_STEPS);
  readonly stepGapUs = new NumberList(MAX_STEPS);
}

const MAX_UNIT_CALLS = 128;
/** What a client does next with the same key, within this time, is one idiom: read and fill, count and expire, lock and release. */
const IDIOM_US = 50_000;
const MAX_IDIOM_CALLS = 16;
const MAX_STEPS = 4;
/** Units of one client that a next step is looked for in: clients share connections, and do other things between two steps. */
const MAX_OPEN = 8;
/** WATCH … EXEC is one unit however long the client thinks, up to here. */
const WATCH_US = 1_000_000;

/** Units that wait for what may continue them, or those before them; of more the first does not wait any longer. */
const MAX_WAITING = 8192;

/** So many are emitted one behind the other: code that is new to the processor's cache each time costs more than it does. */
const AT_ONCE = 32;

/** From when on nothing continues the unit. */
const endsUs = ({ watch, lastUs }: Unit) => lastUs + (watch === Watch.begins ? WATCH_US : IDIOM_US);

/** Calls that begin with the same row share a bit; others seldom do. */
const bitOf = (row: number) => 1 << (row & 31);
const ALL_BITS = 0xffffffff;

/** An object: its time would be boxed. */
interface SentLine {
  clientId: number;
  db: number;
  atUs: number;
  lineBytes: number;
}

export interface UnitSink {
  /** A pipeline of so many calls ended. */
  pipeline(calls: number): void;
  /** A unit is complete. They come in the order in which they began. It is not to be kept. */
  unit(unit: Unit): void;
}

export class UnitBuilder {
  private isOpen = false;
  /** The pipeline that is open, if there is one. */
  private batch = new Unit();
  private batches = 0;
  /**
   * Units by their place, which counts up: a ring, so long as there were ever waiting at once. From `first` to before
   * `end` they wait; before `emitted` they are gone. What one client finds of a key depends on what others did: their
   * order is kept.
   */
  private ring: Unit[] = Array.from({ length: 16 }, () => new Unit());
  /** Of the units in the ring: the place of the one that its client began before, -1 for none. */
  private before = new Float64Array(16);
  /** Of the units in the ring: a bit for each row that a call begins with, all of them for one that a watch holds open. */
  private rowBits = new Uint32Array(16);
  private emitted = 0;
  private first = 0;
  private end = 0;
  /** By `clientId`: one more than the place of the unit that it began last. */
  private latest = new Float64Array(64);
  private readonly calls: Calls;
  private readonly commands: readonly CommandTraits[];
  private readonly sink: UnitSink;

  /** `commands`: what the numbers in `calls` stand for; it may grow. */
  constructor(calls: Calls, commands: readonly CommandTraits[], sink: UnitSink) {
    this.calls = calls;
    this.commands = commands;
    this.sink = sink;
  }

  /** Adds a chain of `count` calls that the client sent together, the last of them as that line. */
  append(
    { clientId, db, atUs, lineBytes }: SentLine,
    client: number,
    first: number,
    last: number,
    count: number,
  ): Unit {
    const before = this.batch;
    if (
      this.isOpen &&
      before.clientId === clientId &&
      before.db === db &&
      continuesPipeline(before.lastUs, before.lastBytes, atUs) &&
      before.calls + count <= MAX_UNIT_CALLS
    ) {
      this.calls.next[before.last] = first;
      before.last = last;
      before.calls += count;
      before.lastUs = atUs;
      before.lastBytes = lineBytes;
      return before;
    }
    this.closeBatch();
    const { batch } = this;
    batch.number = ++this.batches;
    batch.clientId = clientId;
    batch.client = client;
    batch.db = db;
    batch.startUs = atUs;
    batch.lastUs = atUs;
    batch.lastBytes = lineBytes;
    batch.first = first;
    batch.last = last;
    batch.calls = count;
    batch.blocking = false;
    batch.keepsScript = false;
    batch.watch = Watch.none;
    this.isOpen = true;
    return batch;
  }

  finish(): void {
    this.closeBatch();
    this.first = this.end;
    this.emit();
  }

  private closeBatch(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { batch } = this;
    const place = this.continued(batch);
    this.sink.pipeline(batch.calls);
    if (place < 0) this.wait(batch);
    else this.join(place, batch);
  }

  private join(place: number, batch: Unit): void {
    const unit = this.at(place);
    unit.stepAt.push(unit.calls);
    unit.stepGapUs.push(Math.max(0, batch.startUs - unit.lastUs));
    this.calls.next[unit.last] = batch.first;
    unit.last = batch.last;
    unit.calls += batch.calls;
    unit.lastUs = batch.lastUs;
    unit.blocking ||= batch.blocking;
    unit.keepsScript ||= batch.keepsScript;
    if (batch.watch !== Watch.none) unit.watch = batch.watch;
    this.rowBits[place & (this.ring.length - 1)] = this.bitsOf(unit);
  }

  /** What a next step must share with the unit. */
  private bitsOf({ watch, first }: Unit): number {
    if (watch === Watch.begins) return ALL_BITS;
    const { calls } = this;
    let bits = 0;
    for (let entry = first; entry !== 0; entry = calls.next[entry]!)
      if (calls.isCall(entry)) bits |= bitOf(calls.row[entry]!);
    return bits;
  }

  /** A pipeline that begins a unit takes its place. */
  private wait(batch: Unit): void {
    const place = this.end++;
    const { clientId, startUs } = batch;
    while (clientId >= this.latest.length) this.latest = widened(this.latest);
    const { ring } = this;
    const index = place & (ring.length - 1);
    this.batch = ring[index]!;
    ring[index] = batch;
    this.before[index] = this.latest[clientId]! - 1;
    this.rowBits[index] = this.bitsOf(batch);
    this.latest[clientId] = place + 1;
    while (this.end - this.first > MAX_WAITING || startUs > endsUs(this.at(this.first))) this.first++;
    if (this.first - this.emitted >= AT_ONCE) this.emit();
    if (this.end - this.emitted === this.ring.length) this.grow();
  }

  private at(place: number): Unit {
    const { ring } = this;
    return ring[place & (ring.length - 1)]!;
  }

  private grow(): void {
    const { ring, before } = this;
    this.ring = Array.from({ length: ring.length * 2 }, () => new Unit());
    this.before = new Float64Array(this.ring.length);
    for (let place = this.emitted; place < this.end; place++) {
      this.ring[place & (this.ring.length - 1)] = ring[place & (ring.length - 1)]!;
      this.before[place & (this.ring.length - 1)] = before[place & (ring.length - 1)]!;
    }
    this.rowBits = new Uint32Array(this.ring.length);
    this.rowsChanged();
  }

  /** To be called when keys have got other rows. */
  rowsChanged(): void {
    for (let place = this.first; place < this.end; place++)
      this.rowBits[place & (this.ring.length - 1)] = this.bitsOf(this.at(place));
  }

  /** Those that do not wait any longer. */
  private emit(): void {
    while (this.emitted < this.first) {
      const unit = this.at(this.emitted++);
      this.sink.unit(unit);
      this.calls.release(unit.first, unit.last);
      unit.stepAt.length = 0;
      unit.stepGapUs.length = 0;
    }
  }

  /** Place of the unit of its client that a pipeline is the next step of, -1 for none. */
  private continued(batch: Unit): number {
    const { calls, rowBits, before } = this;
    const { clientId, db, startUs, first } = batch;
    const mask = rowBits.length - 1;
    const row = calls.row[first]!;
    const namesKey = row !== 0 && row !== NO_KEY && calls.blocking[first] === 0;
    const bit = bitOf(row);
    let place = clientId < this.latest.length ? this.latest[clientId]! - 1 : -1;
    for (let i = 0; i < MAX_OPEN && place >= this.first; i++) {
      const index = place & mask;
      // Most units share nothing with the pipeline: they are not looked at.
      if ((rowBits[index]! & bit) !== 0) {
        const unit = this.ring[index]!;
        const goesOn =
          unit.watch === Watch.begins
            ? startUs - unit.lastUs <= WATCH_US && unit.calls + batch.calls <= MAX_UNIT_CALLS
            : namesKey && this.goesOn(unit, batch, row);
        if (goesOn && unit.db === db) return place;
      }
      place = before[index]!;
    }
    return -1;
  }

  /** Whether a pipeline that begins with the key in `row` is the next step of what its client did before. */
  private goesOn(before: Unit, batch: Unit, row: number): boolean {
    if (batch.startUs - before.lastUs > IDIOM_US || before.stepAt.length + 2 > MAX_STEPS) return false;
    if (before.calls + batch.calls > MAX_IDIOM_CALLS) return false;
    const { calls, commands } = this;
    let isKnown = false;
    let last = 0;
    for (let entry = before.first; entry !== 0; entry = calls.next[entry]!) {
      if (!calls.isCall(entry)) continue;
      last = entry;
      isKnown ||= calls.row[entry] === row;
    }
    if (!isKnown || calls.blocking[last] === 1) return false;
    // A read after a write, or the same again, is what a popular key sees anyway.
    const next = commands[calls.command[batch.first]!]!;
    const ended = commands[calls.command[last]!]!;
    if (next === ended || next.name === 'watch') return false;
    return ended.access === Access.read || next.access !== Access.read;
  }
}

/**
 * What a unit's first key was when the unit came to it. To new keys: `present` before the capture, `absent` but made by
 * the unit, `missing` and not made; later: `old`, `gone`, gone and `asked` for since, or asked for and `filled` soon after
 * by this unit. `final` is added where nobody came to it again. Models that
 * are saved have these numbers.
 */
export const KeyState = { old: 0, present: 1, absent: 2, gone: 3, final: 4, missing: 8, asked: 9, filled: 10 } as const;
/** One more than the largest state. */
export const ALL_STATES = 16;
/** A state but for whether it is `final`. */
export const beforeEnd = (state: number) => state & ~KeyState.final;
/** In the place of a state while keys are followed: it was read before, and nothing tells whether it was or is there. */
export const UNPROVEN = 4;
/** Likewise: it was made since it was read, or is made by the unit, which means that it was gone if this is how misses are filled. */
export const REFILLED = 5;
/** Of a key that was gone, and asked for since; and of one that is refilled, and was asked for before. */
export const ASKED = 6;
export const ASKED_REFILLED = 7;
/** Soon after it was asked for; and if the key was there, for nobody knows, not even that. */
export const FILL = 8;
export const UNPROVEN_FILL = 9;
/** States are kept as kind × STATES + state while keys are followed. */
export const STATES = 16;
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
/** Instead of the hash's second half: a unit of one call with one key or none, whose shape says it all. */
const SINGLE_CALL = -1;

export class UnitTable {
  readonly kinds: UnitKind[] = [];
  /** By a 52-bit hash of shapes, slots and steps; two of 20,000 kinds share one once in 10⁷ captures. */
  private readonly byHash = new PairTable();
  /** By shape: 1 + the kind of a single call with one key or none, 0 if it is not known yet. Most units are one. */
  private single = new Uint32Array(64);
  private readonly calls: Calls;
  private readonly hash: ChainHash;

  constructor(calls: Calls) {
    this.calls = calls;
    this.hash = new ChainHash(calls);
  }

  /** Counts a unit; returns the number of its kind, or -1 if there are too many: then count its calls. */
  add({ first, calls, stepAt, stepGapUs, blocking }: Unit): number {
    return this.count(first, calls, stepAt, stepGapUs, blocking);
  }

  /** Counts one call of a unit, whose first entry this is, as a unit; returns the number of its kind. */
  addCall(first: number): number {
    const { calls } = this;
    let last = first;
    while (calls.next[last] !== 0 && !calls.isCall(calls.next[last]!)) last = calls.next[last]!;
    const rest = calls.next[last]!;
    calls.next[last] = 0;
    const number = this.count(first, 1, NONE, NONE, calls.blocking[first] === 1);
    calls.next[last] = rest;
    return number;
  }

  private count(first: number, count: number, stepAt: NumberList, stepGapUs: NumberList, blocking: boolean): number {
    const { calls } = this;
    const isSingle = count === 1 && calls.next[first] === 0;
    const shape = calls.shape[first]!;
    let number = isSingle && shape < this.single.length ? this.single[shape]! - 1 : -1;
    if (number < 0) number = this.find(first, count, stepAt, blocking, isSingle);
    if (number < 0) return -1;
    const kind = this.kinds[number]!;
    kind.count++;
    for (let i = 0; i < stepAt.length; i++) {
      const { gaps } = kind.steps[i]!;
      gaps[gaps.length < MAX_GAPS ? gaps.length : kind.count % MAX_GAPS] = stepGapUs.at[i]!;
    }
    return number;
  }

  /** Number of the kind, made if it is new; -1 if there are too many. */
  private find(first: number, count: number, stepAt: NumberList, blocking: boolean, isSingle: boolean): number {
    const { calls, hash, byHash } = this;
    const shape = calls.shape[first]!;
    if (isSingle) hash.set(shape, SINGLE_CALL);
    else hash.of(first, count, stepAt);
    let number = byHash.find(hash.low, hash.high);
    if (number < 0) {
      if (this.kinds.length >= MAX_KINDS && count > 1) return -1;
      number = byHash.add(hash.low, hash.high);
      const steps = Array.from(stepAt.values(), (at) => ({ at, gaps: [] }));
      this.kinds.push({ count: 0, blocking, ops: calls.slots(first), steps });
    }
    if (isSingle) {
      while (shape >= this.single.length) this.single = widened(this.single);
      this.single[shape] = number + 1;
    }
    return number;
  }
}

const NONE = new NumberList(0);

/** Two numbers by which chains of calls are told apart: same shapes, same pattern of equal keys, same steps. */
export class ChainHash {
  low = 0;
  high = 0;
  private readonly calls: Calls;
  /** Rows of the chain, in order of appearance: their places are the slots. */
  private rows = new Uint32Array(256);

  constructor(calls: Calls) {
    this.calls = calls;
  }

  set(low: number, high: number): void {
    this.low = low;
    this.high = high;
  }

  of(first: number, count: number, stepAt: NumberList): void {
    const { calls } = this;
    this.low = count;
    this.high = stepAt.length;
    let known = 0;
    for (let entry = first; entry !== 0; entry = calls.next[entry]!) {
      if (calls.isCall(entry)) this.mix(calls.shape[entry]!);
      const row = calls.row[entry]!;
      if (row === NO_KEY) continue;
      // Keys that the sample leaves out are taken for different ones.
      let slot = row === 0 ? known : 0;
      while (slot < known && this.rows[slot] !== row) slot++;
      if (slot === known) {
        if (known === this.rows.length) this.rows = widened(this.rows);
        this.rows[known++] = row;
      }
      this.mix(slot);
    }
    for (let i = 0; i < stepAt.length; i++) this.mix(-stepAt.at[i]!);
    this.high >>>= 12;
  }

  private mix(value: number): void {
    const low = Math.imul(this.low ^ value, 0x85ebca6b);
    this.low = low ^ (low >>> 15);
    const high = Math.imul(this.high + value, 0xc2b2ae35);
    this.high = high ^ (high >>> 13);
  }
}
