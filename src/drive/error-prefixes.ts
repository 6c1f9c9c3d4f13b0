/** Turns the first words of error replies (`WRONGTYPE`) into small numbers that fit a typed array, and back. */

/** Longest word kept. The servers' own are at most 12 bytes; the rest is hostile. */
export const MAX_PREFIX_BYTES = 64;

/** Words beyond this are one: a server cannot fill our memory with words of its own. */
const MAX_WORDS = 250;

const OTHER = '(other)';

export class ErrorPrefixes {
  readonly #words: Buffer[] = [];
  readonly #onNew: (id: number, word: string) => void;

  /** `onNew` learns each word once, as it first appears: the reader of the numbers may be in another thread. */
  constructor(onNew: (id: number, word: string) => void) {
    this.#onNew = onNew;
  }

  /** The number of the word in `bytes[0 … length)`; allocates only for a word that is new. Ids start at 0. */
  idOf(bytes: Buffer, length: number): number {
    for (let id = 0; id < this.#words.length; id++) {
      const word = this.#words[id]!;
      if (word.length === length && word.compare(bytes, 0, length) === 0) return id;
    }
    if (this.#words.length > MAX_WORDS) return MAX_WORDS;
    const id = this.#words.push(Buffer.from(bytes.subarray(0, length))) - 1;
    this.#onNew(id, id === MAX_WORDS ? OTHER : printable(bytes.toString('latin1', 0, length)));
    return id;
  }

  /** The same for an error that a client library has made into a string. */
  idOfMessage(message: string): number {
    const word = Buffer.from(/^[^ \r\n]*/.exec(message)![0]).subarray(0, MAX_PREFIX_BYTES);
    return this.idOf(word, word.length);
  }
}

/** A server's word is data from outside: it reaches terminals, files and markup as letters, digits, `_` and `-` only. */
const printable = (word: string) => word.replace(/[^A-Za-z0-9_-]/g, '?') || '(none)';
