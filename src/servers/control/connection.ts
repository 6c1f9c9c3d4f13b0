/** A server's address → a control connection: what the server says about itself, and whether it still answers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { identify as identifyServer, parseInfo } from '../../capture/record/identity.ts';
import { CutoverError, messageOf } from '../../errors.ts';
import type { ServerAddress, ServerIdentity } from '../server.ts';

/** Long enough for a server in another region, short enough for a wrong address. */
const CONNECT_TIMEOUT_MS = 5000;
/** INFO waits behind whatever the server is doing; a script of 10 s is a finding, not a dead server. */
const COMMAND_TIMEOUT_MS = 15_000;
/** Directives whose values are credentials: they are reported as set or empty. */
const SECRET_DIRECTIVES = /^(requirepass|masterauth|primaryauth|tls-key-file-pass|tls-client-key-file-pass)$/;

export interface ControlConnection {
  /** `INFO section` as name → value. */
  info(section?: string): Promise<Record<string, string>>;
  /** `CONFIG GET *`, credentials masked; undefined where the server refuses it. */
  config(): Promise<Record<string, string> | undefined>;
  /** The reply to any command, as the library reads it; rejects with an error reply. */
  call(command: string, ...args: string[]): Promise<unknown>;
  identify(): Promise<Pick<ServerIdentity, 'product' | 'version' | 'allocator'> & { processId: number }>;
  /** SCRIPT LOAD: undefined where the script compiles, else the error. Rejects where the question was not answered. */
  compile(script: Buffer): Promise<string | undefined>;
  /** Resolves with the reason when the connection is gone for good and nobody called `close`. */
  readonly lost: Promise<string>;
  close(): void;
}

/**
 * Connects and waits for the answer to PING. Rejects with the plain error of socket, TLS or server.
 * With `reconnects` a lost connection is tried again that many times, one second apart at most, before it counts as lost.
 */
export async function connect(address: ServerAddress, reconnects = 0): Promise<ControlConnection> {
  const { tls, ...where } = address;
  let attempts = 0;
  let answered = false;
  const redis = new Redis({
    ...where,
    ...(tls ? { tls: {} } : {}),
    lazyConnect: true,
    // RESP3 would send HELLO, which a restricted user may be denied; nothing here needs it.
    protocol: 2,
    disableClientInfo: true,
    enableReadyCheck: false,
    enableOfflineQueue: reconnects > 0,
    maxRetriesPerRequest: reconnects,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: () => (answered && attempts++ < reconnects ? Math.min(1000, 100 * attempts) : null),
  });
  let lastError: unknown;
  const { promise: lost, resolve: lose } = Promise.withResolvers<string>();
  redis.on('error', (error) => {
    lastError = error;
  });
  redis.on('ready', () => {
    attempts = 0;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    redis.disconnect();
    // connect() itself says only "Connection is closed."; the reason came by the event.
    throw lastError ?? error;
  }
  answered = true;
  let closed = false;
  redis.on('end', () => {
    if (!closed) lose(messageOf(lastError ?? 'connection closed'));
  });

  const info = async (section?: string) => parseInfo(await (section ? redis.info(section) : redis.info()));
  return {
    info,
    async config() {
      try {
        const reply = (await redis.config('GET', '*')) as string[];
        const entries: [string, string][] = [];
        for (let i = 0; i + 1 < reply.length; i += 2) {
          const [name, value] = [reply[i]!, reply[i + 1]!];
          entries.push([name, value !== '' && SECRET_DIRECTIVES.test(name) ? '(set)' : value]);
        }
        return Object.fromEntries(entries);
      } catch (error) {
        if (redis.status === 'ready') return undefined;
        throw error;
      }
    },
    call: (command, ...args) => redis.call(command, args),
    async identify() {
      const fields = { ...(await info('server')), ...(await info('memory')) };
      return { ...identify(fields), processId: Number(fields.process_id ?? 0) };
    },
    async compile(script) {
      try {
        await redis.script('LOAD', script);
        return undefined;
      } catch (error) {
        const message = messageOf(error);
        // NOPERM, LOADING, BUSY and the like say nothing about the script.
        if (message.startsWith('ERR ')) return message;
        throw error;
      }
    },
    lost,
    close() {
      closed = true;
      redis.disconnect();
    },
  };
}

/**
 * Connects to a server that is just starting, again and again until it answers. Rejects when `ended` resolves first, and
 * after `timeoutMs`.
 */
export async function connectWhenReady(
  address: ServerAddress,
  timeoutMs: number,
  ended: Promise<unknown>,
): Promise<ControlConnection> {
  const deadlineMs = performance.now() + timeoutMs;
  let over = false;
  void ended.then(() => {
    over = true;
  });
  for (;;) {
    try {
      return await connect(address);
    } catch (error) {
      if (over) throw new Error('it ended before it answered', { cause: error });
      if (performance.now() > deadlineMs) {
        throw new Error(`it did not answer PING within ${timeoutMs / 1000} s: ${messageOf(error)}`, { cause: error });
      }
    }
    await sleep(10);
  }
}

/** INFO of a server we started, or the one error that says it is gone. */
export async function askOrReport<T>(spec: string, question: Promise<T>): Promise<T> {
  try {
    return await question;
  } catch (error) {
    // No `cause`: ioredis errors carry the arguments of the command, and AUTH's are credentials.
    throw new CutoverError('cannotRun', 'E_SERVER_SILENT', `${spec} does not answer: ${messageOf(error)}`, [
      'The server ended or hangs; its log, shown with the run, says why.',
    ]);
  }
}

/** Who answers, and which allocator it was built with. */
export function identify(fields: Record<string, string>): Pick<ServerIdentity, 'product' | 'version' | 'allocator'> {
  return { ...identifyServer(fields), allocator: fields.mem_allocator ?? 'unknown' };
}
