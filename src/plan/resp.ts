/** Encodes commands as RESP arrays of bulk strings, into a buffer that grows. */

export class RespWriter {
  private buffer = Buffer.allocUnsafe(1 << 16);
  length = 0;

  /** Opens a command of `count` arguments. */
  begin(count: number): void {
    this.ascii(`*${count}\r\n`);
  }

  /** One argument given as latin1 text. */
  text(argument: string): void {
    this.ascii(`$${argument.length}\r\n${argument}\r\n`);
  }

  bytes(argument: Uint8Array): void {
    this.ascii(`$${argument.length}\r\n`);
    this.reserve(argument.length + 2);
    this.buffer.set(argument, this.length);
    this.length += argument.length;
    this.ascii('\r\n');
  }

  /** A view of everything written; valid until the next write. */
  view(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  private ascii(text: string): void {
    this.reserve(text.length);
    this.length += this.buffer.write(text, this.length, 'latin1');
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
