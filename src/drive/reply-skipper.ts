/** Turns a stream of RESP2 or RESP3 bytes, split anywhere, into where each reply ends, its kind and its error's first word. */
import { MAX_PREFIX_BYTES } from './error-prefixes.ts';

/** What the next byte is part of. */
const Expect = { type: 0, length: 1, line: 2, errorLine: 3, payload: 4, errorPayload: 5 } as const;
type Expect = (typeof Expect)[keyof typeof Expect];

const LF = 10;
const CR = 13;
const SPACE = 32;
/** Kept of an error: more than `MOVED SLOT HOST:PORT` needs. */
const MAX_ERROR_BYTES = 320;
/** Kept of a reply that began in an earlier chunk: as long as an array of two and a cursor of 20 digits are. */
const HEAD_BYTES = 32;
/** How an answer of SCAN and the like begins: the next cursor, then what was found. */
const CURSOR = /^\*2\r\n\$\d{1,2}\r\n(\d{1,20})\r\n/;
const MINUS = 45;
const ZERO = 48;
const [ERROR, BULK_ERROR, NULL, PUSH, ATTRIBUTE, MAP] = [...Buffer.from('-!_>|%')] as [
  number,
  number,
  number,
  number,
  number,
  number,
];

/** Type byte → what follows it; 255 for bytes that start nothing. */
const FOLLOWS = new Uint8Array(256).fill(255);
for (const type of Buffer.from('+:,#(_')) FOLLOWS[type] = Expect.line;
for (const type of Buffer.from('$=*%~>|!')) FOLLOWS[type] = Expect.length;
FOLLOWS[ERROR] = Expect.errorLine;

/** Types whose length counts bytes; the other lengths count elements. */
const HAS_PAYLOAD = new Uint8Array(256);
for (const type of Buffer.from('$=!')) HAS_PAYLOAD[type] = 1;

/**
 * Skips replies without building them: nothing is allocated per reply. Nesting needs no stack, because only the end of
 * the outermost value matters: `#remaining` counts the values that are still to come before it.
 * RESP commands have the grammar of replies, so this finds their ends too.
 */
export class ReplySkipper {
  /** Of the reply that has just ended: its type byte (`$`, `*`, `-` …). */
  kind = 0;
  /** Payload bytes of a bulk, elements of an aggregate (pairs of a map), −1 for nil; 0 for kinds without a length. */
  length = 0;
  nil = false;
  /** The first word of an error reply: `errorWord[0 … errorWordLength)`. */
  readonly errorWord = Buffer.alloc(MAX_PREFIX_BYTES);
  errorWordLength = 0;
  /** The error reply itself, as much as is kept: `errorText[0 … errorTextLength)`. */
  readonly errorText = Buffer.alloc(MAX_ERROR_BYTES);
  errorTextLength = 0;

  #expect: Expect = Expect.type;
  #remaining = 1;
  /** The outermost value's type byte has been read (an attribute before it is not it). */
  #begun = false;
  #type = 0;
  /** The value being read is the outermost one. */
  #outermost = false;
  #number = 0;
  #negative = false;
  #payloadLeft = 0;
  #wordEnded = false;
  #chunk: Uint8Array = new Uint8Array(0);
  /** Where in the chunk the outermost value begins; negative: so many bytes before, of which the first are kept. */
  #from = 0;
  readonly #head = Buffer.alloc(HEAD_BYTES);

  /**
   * Reads `chunk[0 … end)` and calls `onReply(position)` after each reply that ends in it, with the position after its
   * last byte. Push frames are skipped: they answer nothing. Throws when the bytes are not RESP.
   */
  feed(chunk: Uint8Array, end: number, onReply: (position: number) => void): void {
    let position = 0;
    this.#chunk = chunk;
    while (position < end) {
      switch (this.#expect) {
        case Expect.type: {
          const type = chunk[position++]!;
          const follows = FOLLOWS[type]!;
          if (follows === 255) throw new Error(`byte 0x${type.toString(16).padStart(2, '0')} starts no RESP value`);
          this.#type = type;
          this.#outermost = !this.#begun && this.#remaining === 1 && type !== ATTRIBUTE;
          if (this.#outermost) {
            this.#begun = true;
            this.#from = position - 1;
            this.kind = type;
            this.length = 0;
            this.nil = type === NULL;
            this.errorWordLength = 0;
            this.errorTextLength = 0;
            this.#wordEnded = false;
          }
          this.#number = 0;
          this.#negative = false;
          this.#expect = follows === Expect.errorLine && !this.#outermost ? Expect.line : (follows as Expect);
          break;
        }
        case Expect.length: {
          const byte = chunk[position++]!;
          if (byte >= ZERO && byte <= 57) this.#number = this.#number * 10 + byte - ZERO;
          else if (byte === MINUS) this.#negative = true;
          else if (byte === LF) this.#lengthRead(position, onReply);
          else if (byte !== CR) throw new Error(`byte 0x${byte.toString(16).padStart(2, '0')} in a RESP length`);
          break;
        }
        case Expect.line: {
          while (position < end && chunk[position] !== LF) position++;
          if (position < end) this.#valueRead(++position, onReply);
          break;
        }
        case Expect.errorLine: {
          const byte = chunk[position++]!;
          if (byte === LF) this.#valueRead(position, onReply);
          else this.#collect(byte);
          break;
        }
        case Expect.errorPayload: {
          // The last two bytes are CR LF, which end the word like a space does.
          this.#collect(chunk[position++]!);
          if (--this.#payloadLeft === 0) this.#valueRead(position, onReply);
          break;
        }
        case Expect.payload: {
          const taken = Math.min(this.#payloadLeft, end - position);
          position += taken;
          this.#payloadLeft -= taken;
          if (this.#payloadLeft === 0) this.#valueRead(position, onReply);
          break;
        }
      }
    }
    // The reply that has begun goes on in the next chunk.
    if (this.#begun) {
      this.#readHead(end);
      this.#from -= end;
    }
  }

  /** To the bytes of the reply's head that are kept come those before `end` in this chunk. */
  #readHead(end: number): void {
    const kept = Math.max(0, -this.#from);
    const upTo = Math.min(end, this.#from + HEAD_BYTES);
    if (kept < HEAD_BYTES) this.#head.set(this.#chunk.subarray(this.#from + kept, upTo), kept);
  }

  #collect(byte: number): void {
    if (this.errorTextLength < MAX_ERROR_BYTES) this.errorText[this.errorTextLength++] = byte;
    if (byte === SPACE || byte === CR || byte === LF) this.#wordEnded = true;
    else if (!this.#wordEnded && this.errorWordLength < MAX_PREFIX_BYTES) this.errorWord[this.errorWordLength++] = byte;
  }

  #lengthRead(position: number, onReply: (position: number) => void): void {
    const type = this.#type;
    if (this.#outermost) {
      this.length = this.#negative ? -1 : this.#number;
      this.nil = this.#negative;
    }
    if (HAS_PAYLOAD[type] && !this.#negative) {
      this.#payloadLeft = this.#number + 2;
      this.#expect = type === BULK_ERROR && this.#outermost ? Expect.errorPayload : Expect.payload;
      return;
    }
    if (!HAS_PAYLOAD[type] && !this.#negative)
      this.#remaining += type === MAP || type === ATTRIBUTE ? 2 * this.#number : this.#number;
    // An attribute decorates the value that follows: it is none itself.
    if (type === ATTRIBUTE) this.#expect = Expect.type;
    else this.#valueRead(position, onReply);
  }

  #valueRead(position: number, onReply: (position: number) => void): void {
    this.#expect = Expect.type;
    if (--this.#remaining > 0) return;
    this.#remaining = 1;
    this.#begun = false;
    if (this.kind !== PUSH) onReply(position);
  }

  /**
   * The cursor that a reply of SCAN, HSCAN, SSCAN or ZSCAN begins with; undefined for other replies. Read where it is asked
   * for: of all others nothing is kept but where they begin.
   */
  get cursor(): bigint | undefined {
    this.#readHead(this.#chunk.length);
    const [, cursor] = CURSOR.exec(this.#head.toString('latin1')) ?? [];
    return cursor === undefined ? undefined : BigInt(cursor);
  }

  /** The type byte of the last value in it, which for an aggregate is its last element's. */
  get lastKind(): number {
    return this.#type;
  }

  get isError(): boolean {
    return this.kind === ERROR || this.kind === BULK_ERROR;
  }
}
