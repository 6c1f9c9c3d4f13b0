/** Encodes commands as RESP arrays of bulk strings, into a buffer that grows. */

const STAR = 0x2a;
const DOLLAR = 0x24;
const ZERO = 0x30;
const CR = 0x0d;
const LF = 0x0a;
/** A type, a length of up to 16 digits, and the end of the line. */
const MAX_HEADER_BYTES = 19;
const SHORT = 64;

export class RespWriter {
  private buffer = Buffer.allocUnsafe(1 << 16);
  length = 0;

  /** Opens a command of `count` arguments. */
  begin(count: number): void {
    this.header(STAR, count, 0);
  }

  /** One argument given as latin1 text. */
  text(argument: string): void {
    const { length } = argument;
    this.header(DOLLAR, length, length + 2);
    const { buffer, length: at } = this;
    // Most texts are shorter than what a call of the native function costs.
    if (length > SHORT) buffer.write(argument, at, 'latin1');
    else for (let i = 0; i < length; i++) buffer[at + i] = argument.charCodeAt(i);
    this.end(length);
  }

  bytes(argument: Uint8Array): void {
    this.header(DOLLAR, argument.length, argument.length + 2);
    this.buffer.set(argument, this.length);
    this.end(argument.length);
  }

  /** A view of everything written; valid until the next write. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** Copies what stands from `start` to `end` into another array. */
  copy(start: number, end: number, into: Uint8Array, at: number): void {
    const { buffer } = this;
    if (end - start > SHORT) into.set(buffer.subarray(start, end), at);
    else for (let i = start; i < end; i++) into[at++] = buffer[i]!;
  }

  /** Moves it within what was written. */
  move(start: number, end: number, to: number): void {
    this.buffer.copyWithin(to, start, end);
  }

  /** A type and a length, with room for so many bytes behind them. */
  private header(type: number, length: number, more: number): void {
    this.reserve(MAX_HEADER_BYTES + more);
    const { buffer } = this;
    let digits = 1;
    for (let rest = length; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    buffer[this.length] = type;
    const end = this.length + 1 + digits;
    for (let at = end - 1, rest = length; at > this.length; at--, rest = Math.floor(rest / 10))
      buffer[at] = ZERO + (rest % 10);
    this.length = end;
    this.end(0);
  }

  /** The end of a line whose last bytes are there, but not counted yet. */
  private end(bytes: number): void {
    this.length += bytes;
    this.buffer[this.length++] = CR;
    this.buffer[this.length++] = LF;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + more));
    grown.set(this.buffer.subarray(0, this.length));
    this.buffer = grown;
  }
}

type TypedArray = Uint8Array | Uint16Array | Uint32Array | Float64Array;
type SharedArrayType<T> = {
  new (buffer: SharedArrayBuffer, byteOffset: number, length: number): T;
  BYTES_PER_ELEMENT: number;
};

const ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array };

/**
 * An array in shared memory, so that worker threads read it without a copy. Its buffer could grow, and never does: V8 takes
 * the memory of such a one from the system and gives it back, while malloc keeps what it has, ever more of it in pieces.
 */
export function sharedArray<T extends TypedArray>(type: SharedArrayType<T>, length: number): T {
  const bytes = length * type.BYTES_PER_ELEMENT;
  return new type(new SharedArrayBuffer(bytes, { maxByteLength: bytes }), 0, length);
}

/** A copy in shared memory. */
export function share<T extends TypedArray>(array: T): T {
  // Not the array's own constructor: a Buffer's is deprecated.
  const type = ARRAYS[array.BYTES_PER_ELEMENT as keyof typeof ARRAYS] as unknown as SharedArrayType<T>;
  const shared = sharedArray(type, array.length);
  shared.set(array);
  return shared;
}
