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
  command: Int32Array;
  /** Two halves of the hash of each record's first argument as a key of the database, see `hash64`; both 0 where it is not known. Set by `hashKeys`. */
  keyLow: Int32Array;
  keyHigh: Int32Array;
  keysHashed: boolean;
  /** Of a child, line of the command that it belongs to, 0 for an orphan; set by the one who looks at it as ops. */
  parentLine: Float64Array;
  /**
   * Numbers of the records that matter to others, or that others matter to, and a few more, in their order; and the
   * database in which the source of each was seen before, NO_DB if it was not. All others are commands of clients that came
   * over TCP, later than the one before, whose names have none of NOTABLE_TRAITS.
   */
  notable: Uint32Array;
  dbBefore: Int32Array;
  notableCount: number;
  firstArg: Uint32Array;
  argStart: Uint32Array;
  argEnd: Uint32Array;
  /** Bytes that the argument means: as many as its text has, unless that has escapes. UNQUOTED where it must be decoded to know. */
  argLength: Uint32Array;
  /** Where `bytes` holds the text that stands for a credential. */
  redactedAt: number;
  hashKeys(): void;
  /** Sets the database that a source was seen in last. */
  setDb(source: number, db: number): void;
}

export const NO_COMMAND = -1;
/** Text of a server that leaves quotes and backslashes as they are (Valkey 8.1.0 and 8.1.1). */
export const UNQUOTED = 0xffffffff;
export const REDACTED = Buffer.from('(redacted)');
