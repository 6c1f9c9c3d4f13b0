/** A capture → a workload of its own ops: their order, connections, transactions and times as captured. */
import { Capture } from '../../capture/read.ts';
import { type Caveat, CutoverError } from '../../errors.ts';
import type { CapturedKeys } from '../../model/build.ts';
import { latin1 } from '../../model/fit/roles.ts';
import type { Family, Model } from '../../model/model.ts';
import { treatmentOf } from '../../model/replayable.ts';
import { intern } from '../../model/tally.ts';
import { listenerCaveats } from '../listeners.ts';
import type { Plan, Preload, Slice } from '../plan.ts';
import { groupCreation, type StreamGroups } from '../preload/consumer-groups.ts';
import { creation, keyIndex, lastingSeconds, typeOf } from '../preload/contents.ts';
import { preloadFrom } from '../preload/filling.ts';
import { hashFieldsOf } from '../preload/hash-fields.ts';
import { StoredKinds, storedType } from '../preload/stored.ts';
import { datasetCaveats, type KeyContents, makeUntouched, untouchedKeys } from '../preload/untouched.ts';
import { Sampler, stream } from '../random.ts';
import { share } from '../resp.ts';
import { scriptsOf } from '../scripts.ts';
import { speedCaveats } from '../speed.ts';
import { keyMakers } from '../synthesis/keys.ts';
import { walksOf } from '../walks.ts';
import type { Workload } from '../workload.ts';
import type { ArgumentDisguise } from './disguise.ts';
import type { PresentKey } from './presence.ts';
import { type Losses, type RecordedOps, Recording } from './recording.ts';

export interface ExactOptions {
  /** Path of the capture that the model was made from. */
  capture: string;
  model: Model;
  /** What making the model learnt of its keys. */
  captured: CapturedKeys;
  seed: string;
  /** Unix time in seconds at which the workload begins: expiries and stream ids are moved there. */
  epochSeconds: number;
  /** Ops per second; undefined: as captured. Times are stretched or compressed alike. */
  rate?: number;
  /** Length of the workload that will be asked for: only so much of the capture is read and kept in memory. */
  seconds: number;
  /** Undefined: keys and arguments as captured. */
  disguise?: ArgumentDisguise;
  /** What a server may hold at first. */
  datasetBytes?: number | undefined;
  /** Accept the capture of a replica. */
  replica?: boolean;
}

/** Size of values that nothing in the capture tells. */
const UNKNOWN_VALUE_BYTES = 128;
const SAME_SPEED = 0.001;
/** What a slice's 16 bits tell apart; a machine has about as many ports. */
const MAX_CONNECTIONS = 1 << 16;

export class ExactWorkload implements Workload {
  readonly plan: Plan;
  readonly caveats: Caveat[];
  private readonly ops: RecordedOps;
  /** Captured seconds that pass in one second. */
  private readonly speed: number;

  /** Reads as much of the capture as `seconds` take. Throws CutoverError (usage) when it is shorter than that. */
  static async read(options: ExactOptions): Promise<ExactWorkload> {
    const { model } = options;
    const captured = capturedRate(model);
    const ratio = (options.rate ?? captured) / captured;
    // A captured rate that somebody wrote down has lost digits.
    const speed = Math.abs(ratio - 1) < SAME_SPEED ? 1 : ratio;
    const { first, spanSeconds } = model.source;
    if (spanSeconds / speed < options.seconds) throw tooShort(options, spanSeconds / speed, speed);
    const startUs = Math.round(first * 1e6);
    const untilUs = startUs + options.seconds * speed * 1e6;
    const plannedMs = (sinceStartUs: number) => options.epochSeconds * 1000 + sinceStartUs / speed / 1000;
    const recording = new Recording({ ...options, startUs, speed, plannedMs });
    const capture = new Capture(options.capture, options.replica ? { replica: true } : {});
    for await (const op of capture.batches()) while (op.next()) if (op.atUs <= untilUs) recording.add(op);
    return new ExactWorkload(options, speed, recording);
  }

  private constructor(options: ExactOptions, speed: number, recording: Recording) {
    const { model, seed } = options;
    const { ops, connections } = recording.finish();
    if (connections.length > MAX_CONNECTIONS) {
      throw new CutoverError(
        'usage',
        'E_CAPTURE_CLIENTS',
        `${options.capture} has ${connections.length.toLocaleString('en')} clients at once, more than one machine can be.`,
        'Use --mode modelled, or a capture behind a proxy that pools connections.',
      );
    }
    this.ops = ops;
    this.speed = speed;
    this.plan = {
      seed,
      rate: capturedRate(model) * speed,
      labels: recording.labels.list,
      connections,
      preload: preloadOf(recording, options),
      scripts: scriptsOf(model),
    };
    this.caveats = [
      ...caveatsOf(model, recording.losses),
      ...datasetCaveats(model, options.datasetBytes),
      ...speedCaveats(model, speed),
      ...listenerCaveats(model, { modelled: false, disguised: options.disguise ? ops.subscriptions : [] }),
    ];
  }

  /** Every round is the same: what was captured, but for times that the server holds against its clock. */
  slice(_round: number, fromSeconds: number, seconds: number, laterSeconds = 0): Slice {
    const { ops, speed } = this;
    // Rounded alike, so that one window ends where the next begins.
    const fromUs = Math.round(fromSeconds * 1e6);
    const first = this.firstAt(fromUs * speed);
    const end = this.firstAt(Math.round((fromSeconds + seconds) * 1e6) * speed);
    const base = ops.offset[first]!;
    return {
      seed: `${this.plan.seed} exact ${fromSeconds}s`,
      durationUs: Math.round(seconds * 1e6),
      count: end - first,
      intendedUs: share(ops.atUs.slice(first, end).map((us) => us / speed - fromUs)),
      connection: share(ops.connection.subarray(first, end)),
      label: share(ops.label.subarray(first, end)),
      flags: share(ops.flags.subarray(first, end)),
      offset: share(Uint32Array.from(ops.offset.subarray(first, end + 1), (offset) => offset - base)),
      bytes: this.bytesOf(first, end, laterSeconds),
      ...this.orderOf(first, end),
      ...walksOf(ops.walks, (op) => (op < end ? op - first : -1)),
      ...this.listenersBetween(fromUs * speed, (fromSeconds + seconds) * 1e6 * speed),
    };
  }

  /** Held for the whole window by whoever held it at any time in it. */
  private listenersBetween(fromUs: number, untilUs: number): Pick<Slice, 'subscriptions'> {
    const held = this.ops.subscriptions.filter((stay) => stay.fromUs < untilUs && stay.untilUs > fromUs);
    if (held.length === 0) return {};
    // Who left a channel and came back within the window listens to it once.
    const once = new Map(
      held.map(({ subscriber, kind, name }) => [`${subscriber} ${kind} ${name}`, { subscriber, kind, name }]),
    );
    return { subscriptions: [...once.values()] };
  }

  /** Times in it are `laterSeconds` later, in as many digits: a rehearsal does not last until they are one more. */
  private bytesOf(first: number, end: number, laterSeconds: number): Uint8Array {
    const { bytes: all, offset, times } = this.ops;
    const base = offset[first]!;
    const bytes = share(all.subarray(base, offset[end]));
    if (laterSeconds === 0) return bytes;
    for (const { op, at, digits, unitMs } of times) {
      if (op < first || op >= end) continue;
      const place = bytes.subarray(offset[op]! - base + at, offset[op]! - base + at + digits);
      const later = String(Number(latin1(place)) + Math.round((laterSeconds * 1000) / unitMs));
      if (later.length === digits) place.set(Buffer.from(later));
    }
    return bytes;
  }

  /** Within the window: what came before it is over. */
  private orderOf(first: number, end: number): Pick<Slice, 'order'> {
    const { from, after, delayUs } = this.ops.order;
    if (from[first] === from[end]) return {};
    const inside = new Uint32Array(end - first + 1);
    const kept: number[] = [];
    for (let op = first; op < end; op++) {
      for (let i = from[op]!; i < from[op + 1]!; i++) if (after[i]! >= first) kept.push(i);
      inside[op - first + 1] = kept.length;
    }
    return {
      order: {
        from: share(inside),
        after: share(Uint32Array.from(kept, (i) => after[i]! - first)),
        delayUs: share(Uint32Array.from(kept, (i) => delayUs[i]!)),
      },
    };
  }

  /** Number of the first op at or after a captured time. */
  private firstAt(us: number): number {
    let low = 0;
    let high = this.ops.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ops.atUs[middle]! < us) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Ops per second that the capture had, commands that are never replayed apart. */
export function capturedRate({ commands, source }: Pick<Model, 'commands' | 'source'>): number {
  let ops = 0;
  for (const [command, { count }] of Object.entries(commands)) if (treatmentOf(command) === 'replay') ops += count;
  return source.spanSeconds > 0 ? ops / source.spanSeconds : ops;
}

function tooShort({ capture, seconds }: ExactOptions, availableSeconds: number, speed: number): CutoverError {
  const available = Math.floor(availableSeconds * 10) / 10;
  const atRate = speed === 1 ? '' : ` at ${Number(speed.toPrecision(3))} times its rate`;
  return new CutoverError(
    'usage',
    'E_CAPTURE_SHORT',
    `${capture} holds ${available} s of workload${atRate}; ${Number(seconds.toPrecision(4))} s are asked for.`,
    [
      `Ask for at most ${available} s: warm-up and all slices of one arm together, or --duration.`,
      'A lower --rate makes it last longer; --mode modelled makes any length. Captured ops are not repeated: they would meet a state that they never had.',
    ],
  );
}

/** A key that is there when the workload begins, and why. */
interface FoundKey {
  name: string;
  family: number;
  /** `unknown`: nothing but its groups. */
  type: Family['type'];
  elements: PresentKey['elements'];
  groups: string[][];
}

/** Creates the keys that the ops find, and those that nobody touches; the others are made by the ops themselves. */
function preloadOf(recording: Recording, options: ExactOptions): Preload {
  const { model, seed, seconds, disguise, datasetBytes } = options;
  const { families, source } = model;
  const fields = families.map((_, number) => hashFieldsOf(model, number));
  const sizes = families.map((family, number) => ({
    valueBytes: new Sampler(
      family.type === 'hash' ? fields[number]!.valueBytes : family.valueBytes,
      UNKNOWN_VALUE_BYTES,
    ),
    ttlSeconds: lastingSeconds(family.ttlSeconds, seconds),
  }));
  const unknown = { valueBytes: new Sampler([], UNKNOWN_VALUE_BYTES), ttlSeconds: undefined };
  const found = foundKeys(recording, options);
  const touched = families.map(() => 0);
  for (const { family } of [...found.values()].flat()) if (family >= 0) touched[family]!++;
  const contents = families.map(
    (family, number): KeyContents =>
      () => ({
        type: family.type,
        elements: family.type === 'hash' ? fields[number]!.names : new Map(),
        ...sizes[number]!,
      }),
  );
  const counts = untouchedKeys(model, touched, datasetBytes);
  const names = counts.some(({ keys }) => keys > 0) ? sentNames(recording, disguise) : new Set<string>();
  const isTaken = (db: number, name: string) => names.has(`${db} ${name}`);
  const makers = keyMakers(families);
  const kinds = new Map<string, StoredKinds | undefined>();
  return preloadFrom([...new Set([...found.keys(), ...families.map(({ db }) => db)])], function* (db) {
    const random = stream(seed, 'preload', db);
    for (const { name, family, type, elements, groups } of found.get(db) ?? []) {
      const stored = intern(kinds, `${family} ${type}`, () =>
        StoredKinds.of(families[family]?.atStart?.kinds, { leastSeconds: source.spanSeconds, type: storedType(type) }),
      )?.draw(random);
      const held = sizes[family] ?? unknown;
      const ttlSeconds = held.ttlSeconds ?? stored?.expiry(random);
      // Besides those that the key's own commands name.
      const others = type === 'hash' ? (fields[family]?.names ?? []) : [];
      const all = new Map([...others, ...elements]);
      const made = creation(name, { ...held, type, elements: all, ttlSeconds, stored }, random);
      yield { name, commands: groups.length > 0 ? [...made, ...groups] : made };
    }
    yield* makeUntouched(model, db, { makers, contents, seed, counts, isTaken });
  });
}

/** By database, as they are sent. */
function foundKeys(
  { presence, groups }: Recording,
  { model, captured, disguise }: ExactOptions,
): Map<number, FoundKey[]> {
  const found = new Map<number, FoundKey[]>();
  const familyOf = (db: number, key: Uint8Array) => captured.familyOf(db, key) ?? -1;
  const atStart = model.keysAtStart ? new Map(model.keysAtStart) : undefined;
  const groupsOf = (streams: StreamGroups | undefined) =>
    Array.from(streams?.groups ?? [], (group) => {
      const command = groupCreation(streams!.key, group).map((text) => Buffer.from(text, 'latin1') as Uint8Array);
      disguise?.plain(command, [keyIndex('xgroup')]);
      return command.map(latin1);
    });
  const streams = new Map(groups.needed);
  const add = (db: number, key: Uint8Array, type: Family['type'], elements: PresentKey['elements']) => {
    const id = `${db} ${latin1(key)}`;
    const own = groupsOf(streams.get(id));
    streams.delete(id);
    if (type === 'unknown' && own.length === 0) return;
    const name = latin1(disguise ? disguise.key(key) : key);
    intern(found, db, () => []).push({ name, family: familyOf(db, key), type, elements, groups: own });
  };
  for (const { db, key, group, elements } of presence.present(captured.existence, atStart)) {
    add(db, key, typeOf(group, model.families[familyOf(db, key)]?.type ?? 'unknown'), elements);
  }
  for (const { db, key } of streams.values()) add(db, Buffer.from(key, 'latin1'), 'unknown', new Map());
  return found;
}

/** Database and name of every key that the ops have, as they are sent. */
function sentNames({ presence }: Recording, disguise: ArgumentDisguise | undefined): Set<string> {
  if (!disguise) return new Set(presence.ids());
  return new Set(
    Array.from(presence.ids(), (id) => {
      const name = id.indexOf(' ') + 1;
      return id.slice(0, name) + latin1(disguise.key(Buffer.from(id.slice(name), 'latin1')));
    }),
  );
}

function caveatsOf(model: Model, losses: Losses): Caveat[] {
  const caveats: Caveat[] = [];
  const left = Object.entries(model.leftOut);
  if (left.length > 0) {
    caveats.push({
      id: 'commands-left-out',
      message: `Never replayed: ${left.map(([name, n]) => `${name} (${n})`).join(', ')}.`,
      advice:
        'These administer the server, block it for everybody or reach other servers. Test them by hand on the candidate.',
      numbers: Object.fromEntries(left),
    });
  }
  const add = (id: string, count: number, message: string, advice: string) => {
    if (count > 0) caveats.push({ id, message, advice, numbers: { count } });
  };
  add(
    'scripts-unknown',
    losses.unknownCalls,
    `${losses.unknownCalls} calls are of scripts whose body the capture does not hold; what they did is replayed instead, command by command.`,
    'Pass --scripts DIR with the Lua files, or begin the capture before the clients load them.',
  );
  add(
    'transactions-torn',
    losses.transactions,
    `${losses.transactions} EXEC or DISCARD are left out because their MULTI is not in the capture; what they ran is replayed outside a transaction.`,
    'A few are usual where a capture begins. Many: were lines removed?',
  );
  add(
    'stream-entries',
    losses.entries,
    `${losses.entries} XACK, XDEL or XCLAIM name stream entries by ids that the captured server made; a replay's entries have other ids, so most of them find nothing.`,
    'Pending lists and streams grow more than they did. Shorten the rehearsal if memory is judged.',
  );
  return caveats;
}
