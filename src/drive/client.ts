/** What a client is to the dispatcher: prepared ops in, one outcome per reply out. Every client does the same accounting. */
import type { ServerAddress } from '../servers/server.ts';
import type { ErrorPrefixes } from './error-prefixes.ts';

/** One connection. Sending never throws: trouble reaches the `ClientSink`. */
export interface LoadClient {
  /**
   * Takes the ops that `send` will send, op k being `bytes[offset[k] … offset[k + 1])`, one RESP command. `bytes` stays as
   * it is until the next call.
   */
  prepare(bytes: Uint8Array, offset: Uint32Array): void;
  /** Sends the prepared ops `from … to − 1` now. */
  send(from: number, to: number): void;
  /** Sends one RESP command in place of op k, which was answered but not reported: its reply is op k's. */
  sendInstead(k: number, command: Uint8Array): void;
  /** Waits for the replies to everything that was sent, at most a second, and disconnects. */
  close(): Promise<void>;
  /** Disconnects now, whatever is in flight. */
  destroy(): void;
}

export interface ClientSink {
  /**
   * The prepared op k was answered at `atUs` (clock.ts) with `OpStatus` replied, nil or error; `errorId` is a number of
   * the `ErrorPrefixes`, 0 unless it is an error.
   */
  replied(k: number, status: number, errorId: number, atUs: number): void;
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
