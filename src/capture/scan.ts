/**
 * Whole lines of the common form → records: a WebAssembly program that looks at 64 bytes at a time where they lie, and the layout
 * of its memory.
 *
 * A line is of the common form if its time has 10 and 6 digits, its database one or two, its source and its command's
 * name were seen before, and its arguments keep to the strict grammar. At any other line the scanner stops and leaves it to
 * the parser in `line.ts`, which decides; so everything that is accepted here is accepted there, with the same result.
 */
import {
  Assembly,
  block,
  branch,
  branchIf,
  type Code,
  copyMemory,
  f64,
  giveBack,
  I32,
  type I64,
  i32,
  i64,
  type Label,
  type LocalI32,
  load8,
  load32,
  load64,
  load128,
  loadF64,
  loop,
  type Routine,
  store8,
  store32,
  store64,
  store128,
  storeF64,
  type V128,
  when,
} from './assembler.ts';
import { REDACTED } from './batch.ts';
import { NO_DB } from './dialect.ts';
import { EscapeClass, escapeClass, hexValue } from './encode.ts';
import { hashCode, MAX_CODED_BYTES } from './key-hash.ts';

/** A batch ends at the line where it has so many. */
const BATCH_RECORDS = 1 << 14;
const BATCH_ARGUMENTS = 1 << 16;
/** What servers up to Redis 6.2 take in one command; those since then take more, and nobody sends it. */
export const MAX_ARGUMENTS = 1 << 20;
/** Loads reach so far beyond the last byte of a line, and beyond the header of a line that begins a chunk. */
const SLACK = 128;
/** Longer lines are counted and skipped, so that memory stays bounded: text of as many bytes, or binary data of a quarter of it. */
export const MAX_LINE_BYTES = 64 << 20;
/** So much is read at once: what the processor's cache holds. */
export const CHUNK_BYTES = 256 << 10;

/** Different addresses that are told apart; some 60 bytes each, if they are there. */
export const MAX_SOURCES = 1 << 20;
/** Different spellings of commands' names: more than any server has. */
const MAX_COMMANDS = 1 << 12;
/** Longer names are none of a command; longer sources are paths, which the parser looks up on its own. */
const MAX_NAME_BYTES = 62;
/** A table whose slots are taken by chance or by design is as good as full. */
const MAX_PROBES = 64;

let placed = 0;
const place = (size: number) => {
  const at = placed;
  placed += (size + 15) & ~15;
  return at;
};

/** What the program and its caller tell each other. */
const COUNT = place(4);
const ARGUMENTS = place(4);
const LINE = place(8);
const AMBIGUOUS_LINES = place(4);
const STOP_AT_AMBIGUOUS = place(4);
const MAX_LINE = place(4);
/** Value of each byte as a hexadecimal digit, 255 if it is none; and its EscapeClass. */
const HEX = place(256);
const ESCAPE = place(256);
const MAX_VECTORS = 32;
const VECTORS = place(16 * MAX_VECTORS);
const REDACTED_AT = place(REDACTED.length);
const NAME_AT = place(MAX_NAME_BYTES);
/** The batch: an array for each of its parts. */
const AT_US = place(8 * BATCH_RECORDS);
const LINES = place(8 * BATCH_RECORDS);
const LENGTH = place(4 * BATCH_RECORDS);
const DB = place(4 * BATCH_RECORDS);
const SOURCE = place(4 * BATCH_RECORDS);
const COMMAND = place(4 * BATCH_RECORDS);
const KEY_LOW = place(4 * BATCH_RECORDS);
const KEY_HIGH = place(4 * BATCH_RECORDS);
const KIND = place(BATCH_RECORDS);
const NOTABLE_COUNT = place(4);
const NOTABLE = place(4 * BATCH_RECORDS);
const DB_BEFORE = place(4 * BATCH_RECORDS);
const FIRST_ARG = place(4 * (BATCH_RECORDS + 1));
const ARG_START = place(4 * (BATCH_ARGUMENTS + MAX_ARGUMENTS));
const ARG_END = place(4 * (BATCH_ARGUMENTS + MAX_ARGUMENTS));
const ARG_LENGTH = place(4 * (BATCH_ARGUMENTS + MAX_ARGUMENTS));

/** Byte strings → numbers: open addressing with linear probing, a quarter full at most. */
interface TableLayout {
  capacity: number;
  /** Number of entries, and of bytes of their text. */
  size: number;
  textSize: number;
  /** Number + 1 of the entry, 0 where there is none. */
  slots: number;
  slotMask: number;
  /** First and last eight bytes, length, tag, address of the text, and the database that a source was seen in last. */
  entries: number;
  text: number;
  textBytes: number;
}
const ENTRY_BYTES = 32;
const ENTRY_LENGTH = 16;
const ENTRY_TAG = 20;
const ENTRY_TEXT = 24;
const ENTRY_DB = 28;

function placeTable(capacity: number, bytesPerText: number): TableLayout {
  const slots = capacity * 4;
  return {
    capacity,
    size: place(4),
    textSize: place(4),
    slots: place(4 * slots),
    slotMask: slots - 1,
    entries: place(ENTRY_BYTES * capacity),
    text: place(bytesPerText * capacity),
    textBytes: bytesPerText * capacity,
  };
}

const COMMANDS = placeTable(MAX_COMMANDS, 24);
const SOURCES = placeTable(MAX_SOURCES, 24);

/** Where a capture's text lies: a line of the greatest length, and the chunk that it ends in. */
export const TEXT_START = place(0);
const MEMORY_BYTES = TEXT_START + MAX_LINE_BYTES + CHUNK_BYTES + SLACK;

/** Addresses of what the caller reads and writes, and how many there are of it. */
export const LAYOUT = {
  ...{ COUNT, ARGUMENTS, LINE, AMBIGUOUS_LINES, STOP_AT_AMBIGUOUS, MAX_LINE, REDACTED_AT, NAME_AT },
  ...{
    AT_US,
    LINES,
    LENGTH,
    DB,
    SOURCE,
    COMMAND,
    KEY_LOW,
    KEY_HIGH,
    KIND,
    NOTABLE_COUNT,
    NOTABLE,
    DB_BEFORE,
    FIRST_ARG,
    ARG_START,
    ARG_END,
    ARG_LENGTH,
  },
  ...{ RECORDS: BATCH_RECORDS, FULL_ARGUMENTS: BATCH_ARGUMENTS, ALL_ARGUMENTS: BATCH_ARGUMENTS + MAX_ARGUMENTS },
  ...{ MAX_NAME_BYTES, SOURCES, ENTRY_BYTES, ENTRY_LENGTH, ENTRY_TEXT, ENTRY_DB },
};

/** Exported functions of the program. `text` and `length`: of a name in the memory. */
export interface ScanProgram {
  memory: { buffer: ArrayBuffer };
  /** Adds records of whole lines; returns where the first line begins that it did not take, or `end`. */
  scan(start: number, end: number): number;
  /** Sets the hashes of so many records' first arguments as keys, where these have no escapes and are not long. */
  hashKeys(count: number): number;
  /** Number of a name, or -1. */
  findSource(text: number, length: number): number;
  findCommand(text: number, length: number): number;
  /** Number of a name that is not there yet, or -1 if there is no room. */
  addSource(text: number, length: number, tag: number): number;
  addCommand(text: number, length: number, tag: number): number;
}

const LF = 0x0a;
const SP = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
/** Characters as they stand in a 32-bit word. */
const text = (characters: string) => Buffer.from(characters.padEnd(4, '\0'), 'latin1').readUInt32LE();

/** The program's bytes. */
export function assembleScan(): Uint8Array<ArrayBuffer> {
  const program = new Assembly();
  const vectors = new Vectors();
  const commands = defineTable(program, 'Command', COMMANDS);
  const sources = defineTable(program, 'Source', SOURCES);
  program.define('scan', (routine) => scanLines(routine, vectors, commands, sources));
  program.define('hashKeys', (routine) => hashKeys(routine, vectors));
  program.data(
    HEX,
    Uint8Array.from({ length: 256 }, (_, byte) => hexValue(byte) & 0xff),
  );
  program.data(
    ESCAPE,
    Uint8Array.from({ length: 256 }, (_, byte) => escapeClass(byte)),
  );
  program.data(VECTORS, Buffer.concat(vectors.all));
  program.data(REDACTED_AT, REDACTED);
  return program.assemble(MEMORY_BYTES);
}

/** scan(start, end). */
function scanLines(routine: Routine, vectors: Vectors, commands: Table, sources: Table): Code[] {
  const start = routine.parameter();
  const end = routine.parameter();
  const line = routine.i32();
  const lines = routine.f64();
  const count = routine.i32();
  const args = routine.i32();
  const firstArg = routine.i32();
  const p = routine.i32();
  const atUs = routine.f64();
  const lastUs = routine.f64();
  const kind = routine.i32();
  const notable = routine.i32();
  const notables = routine.i32();
  const db = routine.i32();
  const source = routine.i32();
  const command = routine.i32();
  const digit = routine.i32();
  const sourceLength = routine.i32();
  const nameStart = routine.i32();
  const nameLength = routine.i32();
  const argument = routine.i32();
  const surplus = routine.i32();
  const escaped = routine.i32();
  const escapes = routine.i32();
  const next = routine.i32();
  const at = routine.i32();
  const specials = specialBytes(routine, vectors);
  const addArgument = [
    ...specials.takeQuotes(surplus, escapes),
    store32(args.shiftLeft(2), argument, ARG_START),
    store32(args.shiftLeft(2), at, ARG_END),
    store32(args.shiftLeft(2), at.subtract(argument).subtract(surplus), ARG_LENGTH),
    args.set(args.add(1)),
  ];

  return [
    ...specials.prepare,
    line.set(start),
    count.set(load32(i32(COUNT))),
    args.set(load32(i32(ARGUMENTS))),
    lines.set(loadF64(i32(LINE))),
    // The first record is notable: nothing here knows the time of the one before.
    lastUs.set(f64(Number.POSITIVE_INFINITY)),
    notables.set(load32(i32(NOTABLE_COUNT))),
    block((stop) => [
      loop((another) => [
        firstArg.set(args),
        branchIf(stop, line.atLeast(end)),
        branchIf(stop, count.atLeast(BATCH_RECORDS)),
        branchIf(stop, args.atLeast(BATCH_ARGUMENTS)),
        p.set(line.add(load8(line).equals(PLUS))),
        ...readTime(routine, vectors, p, atUs, stop),
        db.set(load8(p, 19).subtract(ZERO)),
        branchIf(stop, db.above(9)),
        p.set(p.add(20)),
        when(load8(p).differs(SP), [
          digit.set(load8(p).subtract(ZERO)),
          branchIf(stop, digit.above(9)),
          db.set(db.multiply(10).add(digit)),
          p.set(p.add(1)),
          branchIf(stop, load8(p).differs(SP)),
        ]),
        p.set(p.add(1)),
        // The source has no special byte, and `] "` behind it.
        ...specials.from(p),
        branchIf(stop, specials.none()),
        ...specials.pop(),
        branchIf(stop, specials.at.below(p.add(2))),
        branchIf(stop, specials.quotesBefore()),
        branchIf(stop, load32(specials.at.subtract(2)).and(0xffffff).differs(text('] "'))),
        sourceLength.set(specials.at.subtract(p).subtract(2)),
        ...sources.find(routine, p, sourceLength, source),
        branchIf(stop, source.isNegative()),
        argument.set(specials.at.add(1)),
        surplus.set(0),
        escapes.set(0),
        loop((special) => [
          when(specials.none(), [...specials.advance(surplus, escapes), branch(special)]),
          ...specials.pop(),
          at.set(specials.at),
          next.set(load32(at)),
          when(next.and(0xffffff).equals(text('" "')), [
            ...addArgument,
            branchIf(stop, args.subtract(firstArg).atLeast(MAX_ARGUMENTS)),
            argument.set(at.add(3)),
            surplus.set(0),
            when(specials.none(), specials.advance(surplus, escapes)),
            ...specials.pop(),
            branch(special),
          ]),
          when(next.and(0xff).equals(BACKSLASH), [
            escaped.set(load8(next.shiftRight(8).and(0xff), ESCAPE)),
            branchIf(stop, escaped.isZero()),
            escapes.set(escapes.or(escaped)),
            surplus.set(surplus.add(1)),
            when(escaped.equals(EscapeClass.hex), [
              branchIf(
                stop,
                load8(next.shiftRight(16).and(0xff), HEX)
                  .or(load8(next.shiftRight(24), HEX))
                  .above(15),
              ),
              surplus.set(surplus.add(2)),
              branch(special),
            ]),
            when(escaped.equals(EscapeClass.ambiguous), [
              // What is escaped is itself a special byte.
              when(specials.none(), specials.advanceInside()),
              ...specials.pop(),
            ]),
            branch(special),
          ]),
          // The last argument's end, and that of the line.
          branchIf(stop, next.and(0xff).differs(QUOTE)),
          ...addArgument,
        ]),
        p.set(at.add(2)),
        when(next.and(0xff00).differs(LF << 8), [
          branchIf(stop, next.and(0xffff00).differs(text('\0\r\n'))),
          p.set(at.add(3)),
        ]),
        branchIf(stop, p.subtract(line).above(load32(i32(MAX_LINE)))),
        // The name, unless it has escapes: then what it spells is not what stands there.
        at.set(firstArg.shiftLeft(2)),
        nameStart.set(load32(at, ARG_START)),
        nameLength.set(load32(at, ARG_LENGTH)),
        command.set(-1),
        when(load32(at, ARG_END).subtract(nameStart).equals(nameLength), [
          ...commands.find(routine, nameStart, nameLength, command),
          branchIf(stop, command.isNegative().and(load32(i32(COMMANDS.size)).below(MAX_COMMANDS))),
        ]),
        when(escapes.and(EscapeClass.ambiguous), [
          branchIf(stop, load32(i32(STOP_AT_AMBIGUOUS))),
          store32(i32(AMBIGUOUS_LINES), load32(i32(AMBIGUOUS_LINES)).add(1)),
        ]),
        lines.set(lines.add(f64(1))),
        storeF64(count.shiftLeft(3), atUs, AT_US),
        storeF64(count.shiftLeft(3), lines, LINES),
        at.set(count.shiftLeft(2)),
        store32(at, p.subtract(line), LENGTH),
        store32(at, db, DB),
        store32(at, source, SOURCE),
        store32(at, command, COMMAND),
        store32(at, firstArg, FIRST_ARG),
        kind.set(load8(sources.tag(source))),
        store8(count, kind, KIND),
        // Noted where it lies in any case, counted if it is notable: that costs no branch.
        notable.set(
          command
            .isNegative()
            .or(load32(commands.tag(command)))
            .or(kind)
            .or(atUs.below(lastUs)),
        ),
        lastUs.set(atUs),
        at.set(notables.shiftLeft(2)),
        store32(at, count, NOTABLE),
        store32(at, load32(sources.db(source)), DB_BEFORE),
        store32(sources.db(source), db),
        notables.set(notables.add(notable.differs(0))),
        count.set(count.add(1)),
        line.set(p),
        branch(another),
      ]),
    ]),
    store32(i32(COUNT), count),
    store32(i32(NOTABLE_COUNT), notables),
    // Arguments of a line that was left are forgotten.
    store32(i32(ARGUMENTS), firstArg),
    storeF64(i32(LINE), lines),
    line.code,
  ];
}

/** hashKeys(count): four at a time, at the end with up to three that are none. */
function hashKeys(routine: Routine, vectors: Vectors): Code[] {
  const count = routine.parameter();
  const record = routine.i32();
  const at = routine.i32();
  const texts = Array.from({ length: 4 }, () => routine.i32());
  const lengths = routine.v128();
  const ends = routine.v128();
  const starts = routine.v128();
  const known = routine.v128();
  const constant = (lanes: number[]) => vectors.lanes(lanes);
  const { code, low, high } = hashCode(routine, constant, texts, lengths, load128(record.shiftLeft(2), DB));
  return [
    block((done) => [
      loop((another) => [
        branchIf(done, record.atLeast(count)),
        ...texts.flatMap((text, lane) => [
          at.set(load32(record.shiftLeft(2), FIRST_ARG + 4 * lane).shiftLeft(2)),
          text.set(load32(at, ARG_START + 4)),
          lengths.set(lengths.loadLane32(at, lane, ARG_LENGTH + 4)),
          ends.set(ends.loadLane32(at, lane, ARG_END + 4)),
          starts.set(starts.loadLane32(at, lane, ARG_START + 4)),
        ]),
        // One that is there, has no escapes and is short enough.
        known.set(
          load128(record.shiftLeft(2), FIRST_ARG)
            .add32(constant([1]))
            .below32(load128(record.shiftLeft(2), FIRST_ARG + 4))
            .and(ends.subtract32(starts).equal32(lengths))
            .and(lengths.below32(constant([MAX_CODED_BYTES]))),
        ),
        lengths.set(lengths.and(known)),
        ...code,
        store128(record.shiftLeft(2), low.and(known), KEY_LOW),
        store128(record.shiftLeft(2), high.and(known), KEY_HIGH),
        record.set(record.add(4)),
        branch(another),
      ]),
    ]),
    record.code,
  ];
}

/** `1700000000.123456 [` at p → µs. Sixteen digits at once: pairs, then fours, then eights of them. */
function readTime(routine: Routine, vectors: Vectors, p: I32, atUs: ReturnType<Routine['f64']>, stop: Label): Code[] {
  const digits = routine.v128();
  const last = routine.i32();
  const zeros = vectors.bytes(ZERO);
  const words = (...lanes: number[]) => vectors.words(lanes);
  const seconds = Array.from({ length: 10 }, (_, i) => i);
  // The fraction's digits, from the vector that begins one byte later: 16 is its first byte.
  const micros = Array.from({ length: 6 }, (_, i) => 16 + 10 + i);
  return [
    // Sixteen bytes of which all but the dot are digits; then the last digit, a space and the bracket.
    digits.set(load128(p).subtractBytes(zeros)),
    branchIf(stop, digits.belowBytes(vectors.bytes(10)).mask().differs(0xfbff)),
    branchIf(stop, load8(p, 10).differs(DOT)),
    last.set(load32(p, 16)),
    branchIf(stop, last.and(0xffff00).differs(text('\0 ['))),
    branchIf(stop, last.and(0xff).subtract(ZERO).above(9)),
    digits.set(digits.shuffle(load128(p, 1).subtractBytes(zeros), [...seconds, ...micros])),
    digits.set(digits.and(words(0xff)).multiply16(words(10)).add16(digits.shiftRight16(8))),
    digits.set(digits.dot16(words(100, 1))),
    digits.set(digits.narrow32(digits).dot16(words(10_000, 1))),
    atUs.set(digits.lane32(0).toF64().multiply(f64(1e8)).add(digits.lane32(1).toF64())),
  ];
}

/**
 * Quotes, backslashes and what is no printable ASCII, one after the other, found in 64 bytes at a time. Where all
 * backslashes among these escape quotes, as in JSON, both are left out and only counted.
 */
function specialBytes(routine: Routine, vectors: Vectors) {
  const base = routine.i32();
  const left = routine.i64();
  const at = routine.i32();
  const chunk = routine.v128();
  const one = routine.v128();
  const afterSpace = routine.v128();
  const quote = routine.v128();
  const backslash = routine.v128();
  const isEscape = routine.v128();
  const anyEscape = routine.v128();
  const backslashes = routine.i64();
  /** Those of the backslashes that are left out which are not counted yet. */
  const uncounted = routine.i64();
  const count = routine.i32();
  const bits = (maskAt: (offset: number) => I32) => {
    const half = (offset: number) =>
      maskAt(offset)
        .or(maskAt(offset + 16).shiftLeft(16))
        .toI64();
    return half(0).or(half(32).shiftLeft(i64(32n)));
  };
  const specialAt = (offset: number) => {
    // Signed, and DEL wraps around: all that is not printable is below.
    const unprintable = chunk.addBytes(one).belowBytesSigned(afterSpace);
    const found = unprintable.or(chunk.equalBytes(quote)).or(isEscape);
    return new I32([
      ...chunk.set(load128(base, offset)),
      ...isEscape.set(chunk.equalBytes(backslash)),
      ...anyEscape.set(anyEscape.or(isEscape)),
      ...found.mask().code,
    ]);
  };
  const equal = (byte: V128) => bits((offset) => load128(base, offset).equalBytes(byte).mask());
  const lookAtAll = [anyEscape.set(vectors.bytes(0)), left.set(bits(specialAt)), uncounted.set(i64(0n))];
  const escaped = backslashes.shiftLeft(i64(1n));
  const look = [
    ...lookAtAll,
    when(anyEscape.any(), [
      backslashes.set(equal(backslash)),
      // None is the last of the 64: what that escapes would not be seen.
      when(escaped.and(equal(quote).inverted()).isZero().and(backslashes.isNegative().isZero()), [
        left.set(left.and(backslashes.or(escaped).inverted())),
        uncounted.set(backslashes),
      ]),
    ]),
  ];
  const beforeAt = i64(1n).shiftLeft(at.subtract(base).toI64()).subtract(i64(1n));
  const add = (bits: I64, surplus: LocalI32, escapes: LocalI32) => [
    count.set(bits.ones().toI32()),
    surplus.set(surplus.add(count)),
    escapes.set(escapes.or(count.differs(0).multiply(EscapeClass.ambiguous))),
  ];
  const areUncounted = uncounted.differs(i64(0n));
  return {
    /** To be done once. */
    prepare: [
      one.set(vectors.bytes(1)),
      afterSpace.set(vectors.bytes(SP + 1)),
      quote.set(vectors.bytes(QUOTE)),
      backslash.set(vectors.bytes(BACKSLASH)),
    ],
    /** Where the one is that was popped last. */
    at,
    from: (place: I32): Code[] => [base.set(place), ...look],
    /** Whether escaped quotes before the last one that was popped are not counted. */
    quotesBefore: () => uncounted.and(beforeAt).differs(i64(0n)),
    /** Counts these. */
    takeQuotes: (surplus: LocalI32, escapes: LocalI32): Code[] => [
      when(areUncounted, [
        ...add(uncounted.and(beforeAt), surplus, escapes),
        uncounted.set(uncounted.and(beforeAt.inverted())),
      ]),
    ],
    advance: (surplus: LocalI32, escapes: LocalI32): Code[] => [
      when(areUncounted, add(uncounted, surplus, escapes)),
      base.set(base.add(64)),
      ...look,
    ],
    /** Behind a backslash: what it escapes comes next, whatever it is. */
    advanceInside: (): Code[] => [base.set(base.add(64)), ...lookAtAll],
    none: () => left.isZero(),
    pop: (): Code[] => [at.set(base.add(left.trailingZeros().toI32())), left.set(left.and(left.subtract(i64(1n))))],
  };
}

/** Constants of 16 bytes, in memory: a load is cheaper than what engines make of a constant. */
class Vectors {
  readonly all: Uint8Array[] = [];

  bytes(value: number): V128 {
    return this.place(new Uint8Array(16).fill(value));
  }

  /** Four 32-bit lanes. */
  lanes(lanes: number[]): V128 {
    return this.place(new Uint8Array(Int32Array.from({ length: 4 }, (_, i) => lanes[i % lanes.length]!).buffer));
  }

  /** Eight 16-bit lanes. */
  words(lanes: number[]): V128 {
    return this.place(new Uint8Array(Int16Array.from({ length: 8 }, (_, i) => lanes[i % lanes.length]!).buffer));
  }

  private place(vector: Uint8Array): V128 {
    const number = this.all.push(vector) - 1;
    if (number >= MAX_VECTORS) throw new Error('no room for another vector');
    return load128(i32(VECTORS + 16 * number));
  }
}

/** Sets `number` to that of the name, or -1. */
type Find = (routine: Routine, text: I32, length: I32, number: LocalI32) => Code[];

interface Table {
  find: Find;
  /** Address of the tag of an entry. */
  tag(number: I32): I32;
  /** Address of the database that a source was seen in last. */
  db(number: I32): I32;
}

/** Defines find(text, length) and add(text, length, tag). */
function defineTable(program: Assembly, name: string, table: TableLayout): Table {
  const entryOf = (number: I32) => number.multiply(ENTRY_BYTES).add(table.entries);

  /** First and last eight bytes, zeros behind shorter texts; their slot follows from both. */
  const digest = (routine: Routine, text: I32, length: I32) => {
    const first = routine.i64();
    const last = routine.i64();
    const slot = routine.i32();
    const code: Code[] = [
      first.set(load64(text)),
      last.set(i64(0n)),
      when(
        length.below(8),
        [first.set(first.and(i64(1n).shiftLeft(length.shiftLeft(3).toI64()).subtract(i64(1n))))],
        [last.set(load64(text.add(length).subtract(8)))],
      ),
      // Multiplication carries every byte into the topmost bits, which the slot is taken from.
      slot.set(
        first
          .multiply(i64(0x9e3779b97f4a7c15n))
          .xor(last.multiply(i64(0xc2b2ae3d27d4eb4fn)))
          .shiftRight(i64(BigInt(Math.clz32(table.slotMask) + 32)))
          .toI32()
          .add(length)
          .and(table.slotMask),
      ),
    ];
    return { first, last, slot, code };
  };

  const find: Find = (routine, text, length, number) => {
    const { first, last, slot, code } = digest(routine, text, length);
    const entry = routine.i32();
    const probes = routine.i32();
    const i = routine.i32();
    return [
      ...code,
      probes.set(0),
      block((found) => [
        loop((another) => [
          number.set(load32(slot.shiftLeft(2), table.slots).subtract(1)),
          branchIf(found, number.isNegative()),
          entry.set(entryOf(number)),
          block((different) => [
            branchIf(different, load64(entry).differs(first)),
            branchIf(different, load64(entry, 8).differs(last)),
            branchIf(different, load32(entry, ENTRY_LENGTH).differs(length)),
            // What lies between the first and the last eight bytes.
            i.set(8),
            loop((more) => [
              branchIf(found, i.add(8).atLeast(length)),
              branchIf(different, load64(text.add(i)).differs(load64(load32(entry, ENTRY_TEXT).add(i)))),
              i.set(i.add(8)),
              branch(more),
            ]),
          ]),
          slot.set(slot.add(1).and(table.slotMask)),
          probes.set(probes.add(1)),
          branchIf(another, probes.below(MAX_PROBES)),
        ]),
        number.set(-1),
      ]),
    ];
  };

  program.define(`find${name}`, (routine) => {
    const text = routine.parameter();
    const length = routine.parameter();
    const number = routine.i32();
    return [...find(routine, text, length, number), number.code];
  });

  program.define(`add${name}`, (routine) => {
    const text = routine.parameter();
    const length = routine.parameter();
    const tag = routine.parameter();
    const { first, last, slot, code } = digest(routine, text, length);
    const entry = routine.i32();
    const number = routine.i32();
    const at = routine.i32();
    const probes = routine.i32();
    return [
      number.set(load32(i32(table.size))),
      at.set(load32(i32(table.textSize))),
      when(number.atLeast(table.capacity), [giveBack(i32(-1))]),
      when(at.add(length).above(table.textBytes), [giveBack(i32(-1))]),
      ...code,
      loop((another) => [
        when(probes.atLeast(MAX_PROBES), [giveBack(i32(-1))]),
        probes.set(probes.add(1)),
        when(load32(slot.shiftLeft(2), table.slots), [slot.set(slot.add(1).and(table.slotMask)), branch(another)]),
      ]),
      entry.set(entryOf(number)),
      store64(entry, first),
      store64(entry, last, 8),
      store32(entry, length, ENTRY_LENGTH),
      store32(entry, tag, ENTRY_TAG),
      store32(entry, at.add(table.text), ENTRY_TEXT),
      store32(entry, i32(NO_DB), ENTRY_DB),
      copyMemory(at.add(table.text), text, length),
      store32(slot.shiftLeft(2), number.add(1), table.slots),
      store32(i32(table.size), number.add(1)),
      store32(i32(table.textSize), at.add(length)),
      number.code,
    ];
  });

  return {
    find,
    tag: (number: I32) => entryOf(number).add(ENTRY_TAG),
    db: (number: I32) => entryOf(number).add(ENTRY_DB),
  };
}
