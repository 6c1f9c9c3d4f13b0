/** The records of a stretch of a capture, as numbers that say where their arguments lie: what every decoder yields. */

/** Where a record comes from. Children are what a script or a module did on behalf of another one. */
export const SourceKind = { client: 0, unix: 1, script: 2, module: 3 } as const;

/** Record r has arguments `firstArg[r] … firstArg[r + 1] - 1`. */
export interface Batch {
  /** What all places refer to. */
  bytes: Buffer;
  count: number;
  /** Unix time in µs; integers below 2^53. */
  atUs: Float64Array;
  /** 1-based number of the line, or of the command where the input has no lines. */
  line: Float64Array;
  /** Bytes that the record takes in the capture, the end of its line included. */
  length: Uint32Array;
  db: Uint32Array;
  source: Uint32Array;
  kind: Uint8Array;
  /** Number of the way that the command is spelled; NO_COMMAND where it has none. */
  command: Uint32Array;
  /** Hash of the first argument in the database, see `hash64`, where that is a key; both 0 where it is not known. */
  keyLow: Int32Array;
  keyHigh: Int32Array;
  firstArg: Uint32Array;
  argStart: Uint32Array;
  argEnd: Uint32Array;
  /** Bytes that the argument means: as many as its text has, unless that has escapes. UNQUOTED where it must be decoded to know. */
  argLength: Uint32Array;
  /** Where `bytes` holds the text that stands for a credential. */
  redactedAt: number;
}

export const NO_COMMAND = 0xffffffff;
/** Text of a server that leaves quotes and backslashes as they are (Valkey 8.1.0 and 8.1.1). */
export const UNQUOTED = 0xffffffff;
export const REDACTED = Buffer.from('(redacted)');
