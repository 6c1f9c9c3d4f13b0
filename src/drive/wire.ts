/** Turns a server address into one RESP connection: logged in, database selected, replies reported as they end. */
import { type OnReadOpts, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CutoverError, messageOf } from '../errors.ts';
import type { ServerAddress } from '../servers/server.ts';
import { nowUs } from './clock.ts';
import { ErrorPrefixes } from './error-prefixes.ts';
import { ReplySkipper } from './reply-skipper.ts';
import { encodeCommands } from './resp-command.ts';

const CONNECT_TIMEOUT_MS = 5000;

/** A graceful close waits this long for replies that are still to come. */
const CLOSE_TIMEOUT_MS = 1000;

/**
 * One read buffer for all connections of a thread: a read and its callback are one synchronous step, so no two
 * connections hold it at once. It spares a Buffer per read.
 */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** A lost connection is opened again after n · 50 ms at the nth try, at most 2 s: what ioredis and iovalkey do by default. */
export const retryDelayMs = (attempt: number): number => Math.min(attempt * 50, 2000);

/** What a connection says before its first op. PING shows whether we are let in at all. */
export function handshakeOf(
  { username, password, protocol }: ServerAddress,
  db: number,
): [name: string, ...args: string[]][] {
  const commands: [string, ...string[]][] = [];
  if (protocol === 3)
    commands.push(['HELLO', '3', ...(password === undefined ? [] : ['AUTH', username ?? 'default', password])]);
  else if (password !== undefined)
    commands.push(username === undefined ? ['AUTH', password] : ['AUTH', username, password]);
  if (db !== 0) commands.push(['SELECT', String(db)]);
  return [...commands, ['PING']];
}

/** Text of a server or library as one short line that a terminal can show. */
export const oneLine = (text: string) => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);

/** The error for a server that does not let us in; `detail` must hold no credentials. */
export function cannotConnect(address: ServerAddress, detail: string): CutoverError {
  const where = address.path ?? `${address.host}:${address.port}`;
  return new CutoverError(
    'cannotRun',
    'E_CONNECT',
    `cannot use the server at ${where}: ${oneLine(detail)}`,
    'Check that it runs, and the address, user, password, number of databases and maxclients.',
  );
}

/** A socket that says when its descriptor is about to be closed, by whatever cause: `_destroy` is what closes it. */
class TellingSocket extends Socket {
  onClosing = () => {};

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.onClosing();
    super._destroy(error, callback);
  }
}

export class Wire {
  /** Called for each reply, in order; `reply` is valid during the call. The default drops replies. */
  onReply: (reply: ReplySkipper, atUs: number) => void = () => {};
  /** Called at most once, when the connection ends although `close` or `destroy` was not called. */
  onLost: (reason: string) => void = () => {};
  /** Called before the descriptor closes. */
  onClosing: () => void = () => {};

  /** The reply that `onReply` tells of, while it does. */
  readonly reply = new ReplySkipper();
  readonly #socket: Socket;
  /** When the bytes that are being read arrived. */
  #arrivedUs = 0;
  #closing = false;
  #lost = false;

  /** Throws E_CONNECT if the server cannot be reached or refuses the handshake. */
  static async open(address: ServerAddress, db: number): Promise<Wire> {
    const wire = new Wire(address);
    const steps = handshakeOf(address, db);
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)),
          CONNECT_TIMEOUT_MS,
        );
        const words = new Map<number, string>();
        const prefixes = new ErrorPrefixes((id, word) => words.set(id, word));
        let answered = 0;
        const settle = (error?: Error) => {
          clearTimeout(timer);
          if (error) reject(error);
          else resolve();
        };
        wire.onLost = (reason) => settle(new Error(reason));
        wire.onReply = (reply) => {
          if (reply.isError) {
            const word = words.get(prefixes.idOf(reply.errorWord, reply.errorWordLength));
            settle(new Error(`it answered ${steps[answered]![0]} with the error ${word}`));
          } else if (++answered === steps.length) settle();
        };
        wire.write(encodeCommands(steps));
      });
    } catch (error) {
      wire.destroy();
      throw cannotConnect(address, messageOf(error));
    }
    wire.onReply = () => {};
    wire.onLost = () => {};
    return wire;
  }

  private constructor(address: ServerAddress) {
    const onEnd = () => this.onReply(this.reply, this.#arrivedUs);
    const onread: OnReadOpts = {
      buffer: readBuffer,
      callback: (bytesRead, buffer) => {
        this.#arrivedUs = nowUs();
        try {
          this.reply.feed(buffer, bytesRead, onEnd);
        } catch (error) {
          this.#fail(messageOf(error));
        }
        return true;
      },
    };
    const target = {
      ...(address.path === undefined ? { host: address.host, port: address.port } : { path: address.path }),
      onread,
    };
    if (address.tls) this.#socket = connectTls(target);
    else {
      const socket = new TellingSocket({ onread } as ConstructorParameters<typeof Socket>[0]);
      socket.onClosing = () => this.onClosing();
      this.#socket = socket.connect(target);
    }
    this.#socket.setNoDelay(true);
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(error.code ?? error.message));
    this.#socket.on('close', () => this.#fail('the server closed the connection'));
  }

  /** Sends bytes, which must stay as they are until they are written; false: more than enough waits to be written. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  /** Of a plain socket: what other threads can write to as well. Undefined with TLS, and where descriptors are not files. */
  get descriptor(): number | undefined {
    const { _handle: handle } = this.#socket as Socket & { _handle?: { fd?: number } };
    return this.#socket instanceof TellingSocket && handle?.fd !== undefined && handle.fd > 0 ? handle.fd : undefined;
  }

  /** Bytes that the kernel has not taken yet. */
  get unwritten(): number {
    return this.#socket.writableLength;
  }

  /** Resolves when everything written has left. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  /** Waits for the replies to everything that was sent, at most a second, and disconnects. */
  async close(): Promise<void> {
    if (this.#closing || this.#lost) return;
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    // Not end(): a server that reads the end of the stream drops replies that are still to be written.
    this.#socket.write(encodeCommands([['QUIT']]));
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
  }

  /** Disconnects now, whatever is in flight. */
  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  #fail(reason: string): void {
    if (!this.#closing && !this.#lost) {
      this.#lost = true;
      this.#socket.destroy();
      this.onLost(reason);
    }
  }
}
