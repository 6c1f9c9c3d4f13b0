/** An endpoint → the bytes of MONITOR, from a connection that does nothing else. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { CONNECT_TIMEOUT_MS, type Endpoint } from './connection.ts';

export interface MonitorStream extends Disposable {
  /** Number by which CLIENT KILL knows the connection; undefined where the server does not tell (before 5.0, or refused). */
  readonly clientId: number | undefined;
  /**
   * MONITOR, over before the server turns to anybody else, so that nobody has to guard it: nothing but the answer says
   * for sure that it is allowed. Throws the answer if it refuses.
   */
  probe(): Promise<void>;
  /** Sends MONITOR; `take` gets what comes behind its OK. Throws the server's answer if it refuses. */
  start(take: (chunk: Buffer) => void): Promise<void>;
  /** Resolves when the server, or the network, has ended the connection. */
  readonly ended: Promise<void>;
}

/** How administrators see the connection in CLIENT LIST. */
const CLIENT_NAME = 'cutover-capture';
const SERVER_NAME_LIMIT = /^[\d.]+$|:/;

/** Connects and authenticates, and does not yet start. Throws the plain error of socket, TLS or server. */
export async function openMonitor(endpoint: Endpoint): Promise<MonitorStream> {
  const socket = await connectSocket(endpoint);
  const replies = new Replies(socket);
  const { username, password } = endpoint;
  try {
    if (password !== undefined) {
      accepted(await replies.ask(['AUTH', ...(username === undefined ? [] : [username]), password]));
    }
    await replies.ask(['CLIENT', 'SETNAME', CLIENT_NAME]);
    const id = /^:(\d+)$/.exec(await replies.ask(['CLIENT', 'ID']))?.[1];
    return {
      clientId: id === undefined ? undefined : Number(id),
      async probe() {
        accepted(await replies.ask(['MONITOR'], ['QUIT']));
      },
      async start(take) {
        accepted(await replies.ask(['MONITOR']));
        replies.handOver(take);
      },
      ended: replies.ended,
      [Symbol.dispose]: () => socket.destroy(),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Throws what an error reply says. */
function accepted(answer: string): void {
  if (answer.startsWith('-')) throw new Error(answer.slice(1));
}

async function connectSocket({ host, port, path, tls }: Endpoint): Promise<Socket> {
  const socket = path
    ? connect({ path })
    : tls
      ? connectTls({ host, port, ...(SERVER_NAME_LIMIT.test(host) ? {} : { servername: host }) })
      : connect({ host, port });
  socket.setNoDelay(true);
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('connect ETIMEDOUT')));
  await once(socket, tls && !path ? 'secureConnect' : 'connect');
  socket.setTimeout(0);
  return socket;
}

/** Replies of one line each, until the stream is handed over. */
class Replies {
  readonly ended: Promise<void>;
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  private waiting: ((line: string) => void) | undefined;
  private fail: ((error: Error) => void) | undefined;
  private take: ((chunk: Buffer) => void) | undefined;
  private error: Error | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.fail?.(this.error ?? new Error('connection closed'));
        resolve();
      });
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('data', (chunk: Buffer) => {
      if (this.take) this.take(chunk);
      else {
        this.rest = Buffer.concat([this.rest, chunk]);
        this.answer();
      }
    });
  }

  /** The first reply to commands that leave as one. */
  ask(...commands: string[][]): Promise<string> {
    return new Promise((resolve, reject) => {
      this.waiting = resolve;
      this.fail = reject;
      this.socket.write(commands.map(encode).join(''));
    });
  }

  /** From now on chunks are the caller's, beginning with what came behind the last reply. */
  handOver(take: (chunk: Buffer) => void): void {
    this.take = take;
    this.fail = undefined;
    if (this.rest.length > 0) take(this.rest);
    this.rest = Buffer.alloc(0);
  }

  private answer(): void {
    const end = this.rest.indexOf('\r\n');
    if (end < 0 || !this.waiting) return;
    const line = this.rest.toString('latin1', 0, end);
    this.rest = this.rest.subarray(end + 2);
    const { waiting } = this;
    this.waiting = undefined;
    waiting(line);
  }
}

function encode(words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}
