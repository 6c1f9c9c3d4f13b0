/** A preload → the same keys filled, overwritten, deleted and refilled, with the payload bytes that a server then holds. */
import { latin1 } from '../../model/fit/roles.ts';
import { intern } from '../../model/tally.ts';
import type { Plan, Preload, Slice } from '../plan.ts';
import { readCommand } from '../planned-ops.ts';
import { type Random, stream } from '../random.ts';
import { RespWriter, share, sharedArray } from '../resp.ts';
import { keyIndex, payloadEnd } from './contents.ts';

/** Keys must not expire while memory is measured: one server would free them sooner than the other. */
const TTL_SECONDS = Buffer.from('604800');
/** One size class of jemalloc, which has four to a doubling: the slots that were freed are too small for what comes. */
const GROWTH = 1 / 4;
const ONLY_DIGITS = /^\d+$/;

/** The keys of one database, in the order in which they are overwritten and deleted. */
interface Database {
  db: number;
  bytes: Uint8Array;
  keys: Key[];
}

interface Key {
  name: Buffer;
  /** Positions in the database's bytes of the commands that make it. */
  start: number;
  end: number;
  /** Keys that can take its contents and keep their type, itself among them; and its place there. */
  kind: Key[];
  place: number;
  /** Payload bytes that a server holds under it; undefined: it has no such key. */
  payload: number | undefined;
}

/** Commands by database, to be sent in order. */
export type Traffic = { db: number; commands: number; bytes: Uint8Array }[];

/** Part of each database's keys, in their order: from 0 to 1. */
interface Part {
  from: number;
  to: number;
}

/**
 * Keeps the books of a server that is sent all that the methods return: `keys` and `logicalBytes` are exact then. Payload
 * is keys, values, fields, elements and scores, not times to live. The same preload, seed and calls give the same bytes.
 */
export class Dataset {
  keys = 0;
  logicalBytes = 0;
  readonly #databases: Database[];
  readonly #seed: string;

  /** @param copies how many times over the preload's keys are there, under names of their own. */
  constructor(preload: Preload, copies: number, seed: string) {
    this.#seed = seed;
    const random = stream(seed, 'order');
    this.#databases = preload.databases.map(({ db, chunks }) => {
      const bytes = Buffer.concat([...chunks()]);
      return { db, bytes, keys: keysOf(bytes, copies, random) };
    });
  }

  /** Every key with the contents that the preload gives it. */
  fill(): Traffic {
    return this.#commands({ from: 0, to: 1 }, (database, key, writer) => this.#put(database, key, key, writer));
  }

  /**
   * Keys take the contents of others of their kind: another size for each, and once all parts of a turn are sent, the same
   * sizes over all as after the fill.
   */
  overwrite(turn: number, part: Part): Traffic {
    const exchange = this.#exchange(turn);
    return this.#commands(part, (database, key, writer) => this.#put(database, key, exchange(key), writer));
  }

  /** Deletes keys in their seeded order: the holes are where chance put them. */
  delete(part: Part): Traffic {
    return this.#commands(part, (_, key, writer) => {
      writer.begin(2);
      writer.text('del');
      writer.bytes(key.name);
      this.#book(key, undefined);
      return 1;
    });
  }

  /** Makes keys again with values a quarter longer. */
  refill(part: Part): Traffic {
    return this.#commands(part, (database, key, writer) => this.#put(database, key, key, writer, GROWTH));
  }

  /** Overwrites keys one after the other at a steady `rate` (keys per second), as a slice of `plan`. */
  overwriteSlowly(
    turn: number,
    rate: number,
    seconds: number,
  ): { plan: Pick<Plan, 'labels' | 'connections'>; slice: Slice } {
    const exchange = this.#exchange(turn);
    const writer = new RespWriter();
    const intendedUs: number[] = [];
    const connection: number[] = [];
    const offset = [0];
    const all = this.#databases.flatMap((database, number) => database.keys.map((key) => ({ database, number, key })));
    for (let i = 0; all.length > 0 && i < rate * seconds; i++) {
      const { database, number, key } = all[i % all.length]!;
      for (let n = this.#put(database, key, exchange(key), writer, 0, offset); n > 0; n--) {
        intendedUs.push((i / rate) * 1e6);
        connection.push(number);
      }
    }
    const count = intendedUs.length;
    return {
      plan: {
        labels: [{ family: '(memory)', command: 'overwrite' }],
        connections: this.#databases.map(({ db }) => ({ db })),
      },
      slice: {
        ...{ seed: 'overwrite', durationUs: seconds * 1e6, count, bytes: share(writer.view()) },
        intendedUs: share(Float64Array.from(intendedUs)),
        connection: share(Uint16Array.from(connection)),
        offset: share(Uint32Array.from(offset)),
        label: sharedArray(Uint16Array, count),
        flags: sharedArray(Uint8Array, count),
      },
    };
  }

  /** Which key's contents each key takes in this turn: one so many places on, and never itself if there are others. */
  #exchange(turn: number): (key: Key) => Key {
    const draw = stream(this.#seed, 'turn', turn)();
    return ({ kind, place }) => kind[(place + 1 + Math.floor(draw * (kind.length - 1))) % kind.length]!;
  }

  #commands(part: Part, make: (database: Database, key: Key, writer: RespWriter) => number): Traffic {
    return this.#databases.map((database) => {
      const writer = new RespWriter();
      const [from, to] = [part.from, part.to].map((end) => Math.round(end * database.keys.length));
      let commands = 0;
      for (const key of database.keys.slice(from, to)) commands += make(database, key, writer);
      return { db: database.db, commands, bytes: writer.view() };
    });
  }

  /**
   * Writes the commands that give `key` the contents of `source`, `growth` longer, and returns how many.
   * @param ends gets the writer's position after each.
   */
  #put({ bytes }: Database, key: Key, source: Key, writer: RespWriter, growth = 0, ends?: number[]): number {
    let payload = key.name.length;
    let commands = 0;
    for (const { command } of commandsFrom(bytes, source.start, source.end)) {
      const word = latin1(command[0]!);
      const end = payloadEnd(word, command.length);
      writer.begin(command.length);
      for (const [i, argument] of command.entries()) {
        const isTtl = word !== 'xgroup' && i >= end && ONLY_DIGITS.test(latin1(argument));
        const kept = i === keyIndex(word) ? key.name : isTtl ? TTL_SECONDS : argument;
        const written = growth > 0 && i < end && isValue(word, i, kept) ? lengthen(kept, growth) : kept;
        writer.bytes(written);
        if (i > 1 && i < end) payload += written.length;
      }
      ends?.push(writer.length);
      commands++;
    }
    this.#book(key, payload);
    return commands;
  }

  #book(key: Key, payload: number | undefined): void {
    this.logicalBytes += (payload ?? 0) - (key.payload ?? 0);
    this.keys += Number(payload !== undefined) - Number(key.payload !== undefined);
    key.payload = payload;
  }
}

/** The keys that a preload makes, in a random order. Commands of one key stand together; `del` only comes first. */
function keysOf(bytes: Uint8Array, copies: number, random: Random): Key[] {
  const originals: Key[] = [];
  const kinds = new Map<string, Key[]>();
  let last: Key | undefined;
  for (const { command, start, end } of commandsFrom(bytes, 0, bytes.length)) {
    const word = latin1(command[0]!);
    const name = command[keyIndex(word)]!;
    if (!last || Buffer.compare(last.name, name) !== 0) {
      last = { name: Buffer.from(name), start, end, kind: [], place: 0, payload: undefined };
      originals.push(last);
    }
    last.end = end;
    if (word === 'del' || word === 'expire') continue;
    // A counter stays one: what increments it later must find a number.
    const isNumber = word === 'set' && ONLY_DIGITS.test(latin1(command[2]!));
    last.kind = intern(kinds, isNumber ? 'number' : word, () => []);
  }
  const keys = originals.flatMap((key) =>
    Array.from({ length: copies }, (_, copy) =>
      copy === 0 ? key : { ...key, name: Buffer.concat([key.name, Buffer.from(`~${copy}`)]) },
    ),
  );
  shuffle(keys, random);
  for (const key of keys) {
    key.place = key.kind.length;
    key.kind.push(key);
  }
  return keys;
}

function* commandsFrom(bytes: Uint8Array, start: number, end: number) {
  while (start < end) {
    const command = readCommand(bytes, start);
    const last = command.at(-1)!;
    const next = last.byteOffset - bytes.byteOffset + last.length + CRLF;
    yield { command, start, end: next };
    start = next;
  }
}

const CRLF = 2;

/** Fisher and Yates. */
function shuffle<T>(items: T[], random: Random): void {
  for (let i = items.length - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [items[i], items[other]] = [items[other]!, items[i]!];
  }
}

/** Whether argument `i` of a creating command is a value or element that can have any length. */
function isValue(word: string, i: number, argument: Uint8Array): boolean {
  if (i < 2 || (word === 'hset' && i % 2 === 0) || (word === 'xadd' && (i < 4 || i % 2 === 1))) return false;
  return !ONLY_DIGITS.test(latin1(argument));
}

/** Its beginning again behind it; what was different stays so, because longer stays longer. */
const lengthen = (value: Uint8Array, growth: number) =>
  Buffer.concat([value, value.subarray(0, Math.ceil(value.length * growth))]);
