/** Turns a Redis library of the ioredis family into a client, with the accounting of the raw one. */
import { isAscii } from 'node:buffer';
import { messageOf } from '../errors.ts';
import { OpStatus } from '../measure/latency-log.ts';
import { isCursor } from '../plan/walks.ts';
import type { ServerAddress } from '../servers/server.ts';
import type { OpenClient } from './client.ts';
import { nowUs } from './clock.ts';
import { decodeCommand } from './resp-command.ts';
import { LaneOps } from './thread/lane-ops.ts';
import { ReplyOrder } from './thread/reply-order.ts';
import { cannotConnect, handshakeOf, oneLine } from './wire.ts';

/** What ioredis and iovalkey have in common, as far as it is used. */
interface Library<Command> {
  Redis: new (options: ReturnType<typeof optionsFor>) => LibraryConnection<Command>;
  Command: new (name: string, args: (string | Buffer)[], options: { replyEncoding: null }) => Command;
}

interface LibraryConnection<Command> {
  connect(): Promise<void>;
  sendCommand(command: Command): unknown;
  disconnect(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

const CLOSE_TIMEOUT_MS = 1000;

/** A capture may have any number of words that are no commands. */
const MAX_NAMES = 1000;
/** Names as applications have them: the same string for every call, by which a library looks up properties of a command. */
const names = new Map<string, string>();

/**
 * Whatever would hide or delay an op is off: a command on a broken connection fails at once instead of waiting in a
 * queue, being sent again or being batched with others (https://github.com/redis/ioredis/issues/1239). All else,
 * among it the protocol version, is the library's default: that is the client under test.
 */
const optionsFor = (address: ServerAddress) => ({
  ...(address.path === undefined ? { host: address.host, port: address.port } : { path: address.path }),
  ...(address.tls ? { tls: {} } : {}),
  ...(address.username === undefined ? {} : { username: address.username }),
  ...(address.password === undefined ? {} : { password: address.password }),
  lazyConnect: true,
  noDelay: true,
  connectTimeout: 5000,
  enableReadyCheck: false,
  enableOfflineQueue: false,
  enableAutoPipelining: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
});

const asText = (bytes: Buffer, from: number, to: number): string | Buffer => bytes.toString('latin1', from, to);

/** As applications call a library: with strings, and Buffers only for what is none. */
function asArgument(bytes: Buffer, from: number, to: number): string | Buffer {
  const arg = bytes.subarray(from, to);
  return isAscii(arg) ? arg.toString('latin1') : arg;
}

/** All lanes of a slice have the same bytes, which are looked through once. */
const textual = new WeakMap<Uint8Array, boolean>();
function isText(bytes: Uint8Array): boolean {
  const known = textual.get(bytes);
  if (known !== undefined) return known;
  const is = isAscii(bytes);
  textual.set(bytes, is);
  return is;
}

function nameOf(word: string): string {
  let name = names.get(word);
  if (name === undefined) {
    name = word.toLowerCase();
    if (names.size < MAX_NAMES) names.set(word, name);
  }
  return name;
}

/** The cursor that a reply of SCAN and the like begins with. */
function cursorOf(reply: unknown): bigint | undefined {
  const cursor = Array.isArray(reply) && Buffer.isBuffer(reply[0]) ? reply[0].toString('latin1') : '';
  return isCursor(cursor) ? BigInt(cursor) : undefined;
}

export function clientOf<Command>({ Redis, Command }: Library<Command>): OpenClient {
  const commandOf = (name: string, args: (string | Buffer)[]) => new Command(name, args, { replyEncoding: null });

  return async (address, db, prefixes, sink) => {
    const connection = new Redis(optionsFor(address));
    /** What a rejected promise says is only that the connection is closed; the reason comes by an event. */
    let trouble: string | undefined;
    let open = false;
    connection.on('error', (error: NodeJS.ErrnoException) => {
      trouble = error.code ?? error.message;
    });
    connection.on('end', () => {
      if (open) sink.lost(oneLine(trouble ?? 'the server closed the connection'));
      open = false;
    });
    try {
      await connection.connect();
      // By hand, because the library only logs a SELECT that fails. AUTH it has sent itself.
      for (const [name, ...args] of handshakeOf({ ...address, protocol: 2 }, db)) {
        if (name !== 'AUTH') await connection.sendCommand(commandOf(name.toLowerCase(), args));
      }
      // A refused login may only be an event too, the connection going on as another user.
      if (trouble !== undefined) throw new Error(trouble);
    } catch (error) {
      connection.disconnect();
      throw cannotConnect(address, trouble ?? messageOf(error));
    }
    open = true;

    let ops = LaneOps.none;
    let bytes: Buffer;
    let read = asArgument;
    const order = new ReplyOrder(() => sink.sent);
    let onIdle = () => {};
    const settled = (status: number, errorId: number) => {
      sink.replied(order.take()!, status, errorId, nowUs());
      if (order.pending === 0) onIdle();
    };
    // Shared by all ops: the library answers in the order of sending, so no closure per op is needed.
    let answer: unknown;
    const onReply = (reply: unknown) => {
      answer = reply;
      settled(reply === null ? OpStatus.nil : OpStatus.replied, 0);
      answer = undefined;
    };
    const onError = (error: Error) => {
      if (error.name === 'ReplyError') settled(OpStatus.error, prefixes.idOfMessage(error.message));
      // Anything else is the library giving up what was in flight; 'end' follows and says so once.
      else {
        order.take();
        if (order.pending === 0) onIdle();
      }
    };
    const submit = (command: Command) => {
      (connection.sendCommand(command) as Promise<unknown>).then(onReply, onError);
    };
    const commandAt = (bytes: Buffer, start: number, read: typeof asArgument) => {
      const args = decodeCommand(bytes, start, read);
      return commandOf(nameOf(String(args.shift())), args);
    };
    return {
      prepare: (prepared) => {
        ops = prepared;
        order.restart();
        bytes = Buffer.from(ops.bytes.buffer, ops.bytes.byteOffset, ops.bytes.byteLength);
        read = isText(ops.bytes) ? asText : asArgument;
      },
      send: (from, to) => {
        // Made now, not ahead: making commands is part of what a client costs, and a slice of them fills the heap.
        for (let k = from; k < to; k++) submit(commandAt(bytes, ops.start(k), read));
      },
      sendInstead: (k, command) => {
        order.sentAgain(k);
        submit(commandAt(Buffer.from(command), 0, asArgument));
      },
      get cursor() {
        return cursorOf(answer);
      },
      close: async () => {
        if (order.pending > 0)
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
            onIdle = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        open = false;
        connection.disconnect();
      },
      destroy: () => {
        open = false;
        connection.disconnect();
      },
    };
  };
}
