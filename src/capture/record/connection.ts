/** An endpoint → a control connection on which every question may be refused. */
import { Redis } from 'ioredis';

/** Where a server listens, and as whom to ask. Credentials live here only, never in text that is printed or saved. */
export interface Endpoint {
  host: string;
  port: number;
  /** Unix socket; replaces host and port. */
  path?: string;
  tls?: boolean;
  username?: string;
  password?: string;
}

export const CONNECT_TIMEOUT_MS = 5000;
/** Answers wait behind whatever the server is doing. */
const COMMAND_TIMEOUT_MS = 15_000;

export interface Control extends Disposable {
  /** Throws what the server answers, or the reason that the connection is gone. */
  call(...words: string[]): Promise<unknown>;
  /** Bulk strings as they are; undefined where the server refuses. */
  raw(...words: (string | Buffer)[]): Promise<unknown>;
  /** Undefined where the server refuses; throws only when the connection is gone. */
  ask(...words: string[]): Promise<unknown>;
  /** Resolves with the reason when the connection is gone and nobody closed it. */
  readonly lost: Promise<string>;
}

/** Connects and authenticates. Throws the plain error of socket, TLS or server. */
export async function openControl(endpoint: Endpoint): Promise<Control> {
  const { tls, ...where } = endpoint;
  const redis = new Redis({
    ...where,
    ...(tls ? { tls: {} } : {}),
    lazyConnect: true,
    // RESP3 would send HELLO, which a restricted user may be denied; nothing here needs it.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: () => null,
  });
  let lastError: unknown;
  let closed = false;
  const { promise: lost, resolve: lose } = Promise.withResolvers<string>();
  redis.on('error', (error) => {
    lastError = error;
  });
  redis.on('end', () => {
    if (!closed) lose(lastError instanceof Error ? lastError.message : 'connection closed');
  });
  const unlessLost = (error: unknown) => {
    if (redis.status === 'ready' && !(error as Error).message.startsWith('Command timed out')) return undefined;
    throw bare(error);
  };
  try {
    await redis.connect();
    // A wrong password is only noticed by the first command.
    await redis.call('PING').catch(refusedIsFine);
  } catch (error) {
    closed = true;
    redis.disconnect();
    // connect() itself says only "Connection is closed."; the reason came by the event.
    throw bare(lastError ?? error);
  }
  return {
    call: (command, ...words) =>
      redis.call(command!, ...words).catch((error: unknown) => {
        throw bare(error);
      }),
    raw: (command, ...words) => redis.callBuffer(command as string, ...words).catch(unlessLost),
    ask: (command, ...words) => redis.call(command!, ...words).catch(unlessLost),
    lost,
    [Symbol.dispose]() {
      closed = true;
      redis.disconnect();
    },
  };
}

/** NOPERM of PING says nothing about the rest. */
function refusedIsFine(error: Error): void {
  if (!error.message.startsWith('NOPERM')) throw error;
}

/** Without the fields that ioredis adds: the arguments of AUTH are credentials. */
function bare(error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException;
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
