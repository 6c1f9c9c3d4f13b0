/**
 * Expressions in TypeScript → the bytes of a WebAssembly module: just what the scanner needs, checked by type.
 *
 * Opcodes: WebAssembly Core Specification 2.0, appendix "Index of Instructions".
 */

/** A branch names its target; the depth that the binary format wants is known when everything around it is. */
export class Label {}
type Item = number | { open: Label } | { close: Label } | { branch: Label };
/** Instructions in their order, nested as they come. A statement leaves nothing on the stack, an expression one value. */
export type Code = (Item | Code)[];

const TYPES = { i32: 0x7f, i64: 0x7e, f64: 0x7c, v128: 0x7b } as const;
type Type = keyof typeof TYPES;

class Value {
  readonly code: Code;

  constructor(code: Code) {
    this.code = code;
  }
}

export class I32 extends Value {
  add(that: I32 | number) {
    return this.with(that, 0x6a);
  }
  subtract(that: I32 | number) {
    return this.with(that, 0x6b);
  }
  multiply(that: I32 | number) {
    return this.with(that, 0x6c);
  }
  and(that: I32 | number) {
    return this.with(that, 0x71);
  }
  or(that: I32 | number) {
    return this.with(that, 0x72);
  }
  xor(that: I32 | number) {
    return this.with(that, 0x73);
  }
  shiftLeft(that: I32 | number) {
    return this.with(that, 0x74);
  }
  shiftRight(that: I32 | number) {
    return this.with(that, 0x76);
  }
  isZero() {
    return new I32([this.code, 0x45]);
  }
  equals(that: I32 | number) {
    return this.with(that, 0x46);
  }
  differs(that: I32 | number) {
    return this.with(that, 0x47);
  }

  /** Comparisons are unsigned. */
  below(that: I32 | number) {
    return this.with(that, 0x49);
  }
  above(that: I32 | number) {
    return this.with(that, 0x4b);
  }
  atLeast(that: I32 | number) {
    return this.with(that, 0x4f);
  }
  isNegative() {
    return this.with(0, 0x48);
  }
  trailingZeros() {
    return new I32([this.code, 0x68]);
  }
  toI64() {
    return new I64([this.code, 0xad]);
  }
  toF64() {
    return new F64([this.code, 0xb8]);
  }

  private with(that: I32 | number, opcode: number): I32 {
    return new I32([this.code, i32(that).code, opcode]);
  }
}

export class I64 extends Value {
  subtract(that: I64) {
    return this.with(that, 0x7d);
  }
  multiply(that: I64) {
    return this.with(that, 0x7e);
  }
  and(that: I64) {
    return this.with(that, 0x83);
  }
  xor(that: I64) {
    return this.with(that, 0x85);
  }
  shiftLeft(that: I64) {
    return this.with(that, 0x86);
  }
  shiftRight(that: I64) {
    return this.with(that, 0x88);
  }
  or(that: I64) {
    return this.with(that, 0x84);
  }
  isZero() {
    return new I32([this.code, 0x50]);
  }
  isNegative() {
    return new I32([this.code, i64(0n).code, 0x53]);
  }
  trailingZeros() {
    return new I64([this.code, 0x7a]);
  }
  ones() {
    return new I64([this.code, 0x7b]);
  }
  inverted() {
    return this.xor(i64(-1n));
  }
  differs(that: I64) {
    return new I32([this.code, that.code, 0x52]);
  }
  toI32() {
    return new I32([this.code, 0xa7]);
  }

  private with(that: I64, opcode: number): I64 {
    return new I64([this.code, that.code, opcode]);
  }
}

export class F64 extends Value {
  below(that: F64) {
    return new I32([this.code, that.code, 0x63]);
  }
  add(that: F64) {
    return new F64([this.code, that.code, 0xa0]);
  }
  multiply(that: F64) {
    return new F64([this.code, that.code, 0xa2]);
  }
}

/** Sixteen bytes, or what they are taken for: the names say the lanes. */
export class V128 extends Value {
  or(that: V128) {
    return this.with(that, 0x50);
  }
  and(that: V128) {
    return this.with(that, 0x4e);
  }
  equalBytes(that: V128) {
    return this.with(that, 0x23);
  }
  xor(that: V128) {
    return this.with(that, 0x51);
  }
  belowBytesSigned(that: V128) {
    return this.with(that, 0x25);
  }
  belowBytes(that: V128) {
    return this.with(that, 0x26);
  }
  addBytes(that: V128) {
    return this.with(that, 0x6e);
  }
  subtractBytes(that: V128) {
    return this.with(that, 0x71);
  }
  add16(that: V128) {
    return this.with(that, 0x8e);
  }
  multiply16(that: V128) {
    return this.with(that, 0x95);
  }
  shiftRight16(bits: number) {
    return new V128([this.code, i32(bits).code, ...simd(0x8d)]);
  }

  add32(that: V128) {
    return this.with(that, 0xae);
  }
  multiply32(that: V128) {
    return this.with(that, 0xb5);
  }
  subtract32(that: V128) {
    return this.with(that, 0xb1);
  }
  shiftLeft32(bits: number) {
    return new V128([this.code, i32(bits).code, ...simd(0xab)]);
  }
  equal32(that: V128) {
    return this.with(that, 0x37);
  }
  /** Comparisons of these are signed. */
  below32(that: V128) {
    return this.with(that, 0x39);
  }
  above32(that: V128) {
    return this.with(that, 0x3b);
  }
  aboveBytes(that: V128) {
    return this.with(that, 0x27);
  }
  any() {
    return new I32([this.code, ...simd(0x53)]);
  }
  /** With one lane from memory. */
  loadLane32(at: I32, lane: number, offset = 0) {
    return new V128([at.code, this.code, ...simd(0x56), ...access(offset), lane]);
  }
  shiftRight32(bits: number) {
    return new V128([this.code, i32(bits).code, ...simd(0xad)]);
  }

  /** Products of 16-bit lanes, neighbours added: four 32-bit lanes. */
  dot16(that: V128) {
    return this.with(that, 0xba);
  }

  /** 32-bit lanes of both, each as an unsigned 16-bit lane. */
  narrow32(that: V128) {
    return this.with(that, 0x86);
  }

  /** Bytes of `this` (0 to 15) and `that` (16 to 31), by number. */
  shuffle(that: V128, lanes: number[]) {
    return new V128([this.code, that.code, ...simd(0x0d), ...lanes]);
  }

  /** The top bit of each byte. */
  mask() {
    return new I32([this.code, ...simd(0x64)]);
  }
  lane32(lane: number) {
    return new I32([this.code, ...simd(0x1b), lane]);
  }

  private with(that: V128, opcode: number): V128 {
    return new V128([this.code, that.code, ...simd(opcode)]);
  }
}

const simd = (opcode: number) => [0xfd, ...unsigned(opcode)];

export const i32 = (value: I32 | number) =>
  typeof value === 'number' ? new I32([0x41, ...signed(BigInt(value))]) : value;
export const i64 = (value: bigint) => new I64([0x42, ...signed(BigInt.asIntN(64, value))]);
export const f64 = (value: number) => new F64([0x44, ...new Uint8Array(Float64Array.of(value).buffer)]);

/** Natural alignment is not required: 0 is always true. */
const access = (offset: number) => [0, ...unsigned(offset)];
export const load8 = (at: I32, offset = 0) => new I32([at.code, 0x2d, ...access(offset)]);
export const load32 = (at: I32, offset = 0) => new I32([at.code, 0x28, ...access(offset)]);
export const load64 = (at: I32, offset = 0) => new I64([at.code, 0x29, ...access(offset)]);
export const loadF64 = (at: I32, offset = 0) => new F64([at.code, 0x2b, ...access(offset)]);
export const load128 = (at: I32, offset = 0) => new V128([at.code, ...simd(0x00), ...access(offset)]);

export const store128 = (at: I32, value: V128, offset = 0): Code => [
  at.code,
  value.code,
  ...simd(0x0b),
  ...access(offset),
];
export const store8 = (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0x3a, ...access(offset)];
export const store32 = (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0x36, ...access(offset)];
export const store64 = (at: I32, value: I64, offset = 0): Code => [at.code, value.code, 0x37, ...access(offset)];
export const storeF64 = (at: I32, value: F64, offset = 0): Code => [at.code, value.code, 0x39, ...access(offset)];
export const copyMemory = (to: I32, from: I32, length: I32): Code => [
  ...[to.code, from.code, length.code],
  ...[0xfc, 0x0a, 0, 0],
];

/** `exit` leads behind the block. */
export function block(body: (exit: Label) => Code[]): Code {
  const label = new Label();
  return [0x02, 0x40, { open: label }, body(label), 0x0b, { close: label }];
}

/** `again` leads to its beginning; what reaches the end goes on behind it. */
export function loop(body: (again: Label) => Code[]): Code {
  const label = new Label();
  return [0x03, 0x40, { open: label }, body(label), 0x0b, { close: label }];
}

export function when(condition: I32, then: Code[], otherwise?: Code[]): Code {
  const label = new Label();
  const alternative = otherwise ? [0x05, otherwise] : [];
  return [condition.code, 0x04, 0x40, { open: label }, then, alternative, 0x0b, { close: label }];
}

export const branch = (to: Label): Code => [0x0c, { branch: to }];
export const branchIf = (to: Label, condition: I32): Code => [condition.code, 0x0d, { branch: to }];
export const giveBack = (value: I32): Code => [value.code, 0x0f];

export class LocalI32 extends I32 {
  private readonly index: number;

  constructor(index: number) {
    super([0x20, index]);
    this.index = index;
  }

  set(value: I32 | number): Code {
    return [i32(value).code, 0x21, this.index];
  }
}

class LocalI64 extends I64 {
  private readonly index: number;

  constructor(index: number) {
    super([0x20, index]);
    this.index = index;
  }

  set(value: I64): Code {
    return [value.code, 0x21, this.index];
  }
}

class LocalF64 extends F64 {
  private readonly index: number;

  constructor(index: number) {
    super([0x20, index]);
    this.index = index;
  }

  set(value: F64): Code {
    return [value.code, 0x21, this.index];
  }
}

export class LocalV128 extends V128 {
  private readonly index: number;

  constructor(index: number) {
    super([0x20, index]);
    this.index = index;
  }

  set(value: V128): Code {
    return [value.code, 0x21, this.index];
  }
}

/** A function of 32-bit integers that returns one: first its parameters, then its variables, which begin as 0. */
export class Routine {
  parameters = 0;
  readonly variables: Type[] = [];

  parameter() {
    return new LocalI32(this.parameters++);
  }
  i32() {
    return new LocalI32(this.variable('i32'));
  }
  i64() {
    return new LocalI64(this.variable('i64'));
  }
  f64() {
    return new LocalF64(this.variable('f64'));
  }
  v128() {
    return new LocalV128(this.variable('v128'));
  }

  private variable(type: Type): number {
    return this.parameters + this.variables.push(type) - 1;
  }
}

/** Functions and the memory that they share, exported under their names; the memory as `memory`. */
export class Assembly {
  private readonly routines: { name: string; routine: Routine; body: Code }[] = [];
  private readonly segments: { at: number; bytes: Uint8Array }[] = [];

  /** `bodyOf` returns a body that ends in the value to return. */
  define(name: string, bodyOf: (routine: Routine) => Code[]): void {
    const routine = new Routine();
    this.routines.push({ name, routine, body: bodyOf(routine) });
  }

  /** What the memory holds at first, instead of zeros. */
  data(at: number, bytes: Uint8Array): void {
    this.segments.push({ at, bytes });
  }

  /** A module with a memory of that many bytes, which never grows. */
  assemble(memoryBytes: number): Uint8Array<ArrayBuffer> {
    const { routines, segments } = this;
    const pages = Math.ceil(memoryBytes / 65536);
    const integers = (count: number) => list(Array.from({ length: count }, () => [TYPES.i32]));
    return Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, list(routines.map(({ routine }) => [0x60, ...integers(routine.parameters), ...integers(1)]))),
      ...section(3, list(routines.map((_, index) => unsigned(index)))),
      ...section(5, list([[1, ...unsigned(pages), ...unsigned(pages)]])),
      ...section(
        7,
        list([[...text('memory'), 2, 0], ...routines.map(({ name }, index) => [...text(name), 0, ...unsigned(index)])]),
      ),
      ...section(
        10,
        list(
          routines.map(({ routine, body }) => {
            const code = [...list(routine.variables.map((type) => [1, TYPES[type]])), ...resolve(body), 0x0b];
            return [...unsigned(code.length), ...code];
          }),
        ),
      ),
      ...section(
        11,
        list(segments.map(({ at, bytes }) => [0, ...resolve(i32(at).code), 0x0b, ...unsigned(bytes.length), ...bytes])),
      ),
    ]);
  }
}

const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
const list = (items: number[][]) => [...unsigned(items.length), ...items.flat()];
const text = (name: string) => list([...Buffer.from(name)].map((byte) => [byte]));

/** Labels become the number of blocks between the branch and its target. */
function resolve(code: Code, open: Label[] = [], bytes: number[] = []): number[] {
  for (const item of code) {
    if (typeof item === 'number') bytes.push(item);
    else if (Array.isArray(item)) resolve(item, open, bytes);
    else if ('branch' in item) bytes.push(...unsigned(open.length - 1 - open.lastIndexOf(item.branch)));
    else if ('open' in item) open.push(item.open);
    else open.pop();
  }
  return bytes;
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  return rest === (low & 0x40 ? -1n : 0n) ? [low] : [low | 0x80, ...signed(rest)];
}
