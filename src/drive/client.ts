/** What a client is to the load thread: prepared ops in, one outcome per reply out. Every client does the same accounting. */
import type { ServerAddress } from '../servers/server.ts';
import type { ErrorPrefixes } from './error-prefixes.ts';
import type { LaneOps } from './thread/lane-ops.ts';

/** One connection. Sending never throws: trouble reaches the `ClientSink`. */
export interface LoadClient {
  /** Takes the ops that `send` will send, from `ClientSink.sent` on. */
  prepare(ops: LaneOps): void;
  /** Sends the prepared ops `from … to − 1` now; `ClientSink.sent` has counted them. */
  send(from: number, to: number): void;
  /** Sends one RESP command in place of op k, which was answered but not reported: its reply is op k's. */
  sendInstead(k: number, command: Uint8Array): void;
  /** While `ClientSink.replied` is called: the cursor that the reply begins with, as those to SCAN do; undefined for none. */
  readonly cursor: bigint | undefined;
  /** Waits for the replies to everything that was sent, at most a second, and disconnects. */
  close(): Promise<void>;
  /** Disconnects now, whatever is in flight. */
  destroy(): void;
  /** Where another thread may write ops in place of `send`; absent: nowhere. */
  socket?: WritableSocket;
}

/** A socket that other threads can write to, by its descriptor, whenever nobody else does (`LaneTable.lock`). */
interface WritableSocket {
  readonly descriptor: number;
  /** Bytes that this thread wrote and the kernel has not taken yet. */
  readonly unwritten: number;
}

export interface ClientSink {
  /** How many of the prepared ops have been sent, lost ones among them. */
  readonly sent: number;
  /**
   * The prepared op k was answered at `atUs` (clock.ts) with `OpStatus` replied, nil or error; `errorId` is a number of
   * the `ErrorPrefixes`, 0 unless it is an error.
   */
  replied(k: number, status: number, errorId: number, atUs: number): void;
  /** The client's `socket` is about to close: its descriptor may be another file's from then on. */
  closing(): void;
  /** The connection ended although nobody asked it to; nothing follows, and what is in flight has no reply. */
  lost(reason: string): void;
}

/** Connects, logs in, selects the database. Throws E_CONNECT. */
export type OpenClient = (
  address: ServerAddress,
  db: number,
  prefixes: ErrorPrefixes,
  sink: ClientSink,
) => Promise<LoadClient>;
