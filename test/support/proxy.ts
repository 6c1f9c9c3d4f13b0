/** A TCP proxy in front of a real server that delays, or answers with an error, a known share of the commands, or stalls. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { firstArgumentOf, nameOf, onFrames } from './frames.ts';

export interface Fault {
  /** This share of the replies (0 … 1) arrives `delayMs` late. */
  delayShare?: number;
  delayMs?: number;
  /** Only commands with such a first argument are delayed. */
  delayed?: RegExp;
  /** Every so often no reply leaves for `stallMs`. */
  stallEveryMs?: number;
  stallMs?: number;
  /** This share of the commands is answered `-errorText` instead of reaching the server. */
  errorShare?: number;
  errorText?: string;
}

/** What went over one of the proxy's connections: a command, and what the server answered. */
export type Exchange = (connection: number, command: Buffer, reply: Buffer) => void;

export interface Proxy extends AsyncDisposable {
  port: number;
  /** How many of its stalls began in this time, Unix milliseconds. */
  stallsBetween(fromMs: number, untilMs: number): number;
}

/** Left alone: the tool's own commands, and those that would change what later commands mean. */
const UNTOUCHED =
  /^(auth|hello|select|ping|quit|client|info|config|command|dbsize|memory|flushall|flushdb|script|function|cluster|multi|exec|discard|watch|unwatch|lolwut|debug|shutdown)$/i;

/** True for `share` of the calls, spread evenly and the same in every run. */
function everyShareOf(share: number): () => boolean {
  let owed = 0;
  return () => {
    owed += share;
    if (owed < 1) return false;
    owed -= 1;
    return true;
  };
}

/** Answers of one connection in the order of its commands; each leaves when it is complete, due, and first in line. */
interface Answer {
  command: Buffer;
  bytes: Buffer | undefined;
  delayMs: number;
  dueAt: number;
}

/** Starts the proxy on a free loopback port. Which commands are hit is counted over all connections. */
export async function startProxy(
  options: Fault & { target: { host: string; port: number }; onExchange?: Exchange },
): Promise<Proxy> {
  const {
    target,
    onExchange,
    delayShare = 0,
    delayMs = 0,
    delayed,
    stallEveryMs = Number.POSITIVE_INFINITY,
    stallMs = 0,
  } = options;
  const { errorShare = 0, errorText = 'ERR injected by the proxy' } = options;
  const startedAt = performance.now();
  const isDelayed = everyShareOf(delayShare);
  const isRefused = everyShareOf(errorShare);
  const refusal = Buffer.from(`-${errorText}\r\n`);
  const sockets = new Set<Socket>();
  let connections = 0;

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ ...target, noDelay: true });
    const connection = connections++;
    const answers: Answer[] = [];
    /** Those of them that the server will give. */
    const asked: Answer[] = [];
    let timer: NodeJS.Timeout | undefined;
    const flush = () => {
      clearTimeout(timer);
      const now = performance.now();
      let ready = 0;
      while (ready < answers.length && answers[ready]!.bytes && answers[ready]!.dueAt <= now) ready++;
      if (ready > 0) client.write(Buffer.concat(answers.splice(0, ready).map(({ bytes }) => bytes!)));
      const first = answers[0];
      if (first?.bytes) timer = setTimeout(flush, Math.max(1, Math.ceil(first.dueAt - now)));
    };
    const fill = (answer: Answer, bytes: Buffer) => {
      answer.bytes = bytes;
      const now = performance.now();
      const intoStallMs = (now - startedAt) % stallEveryMs;
      // The first period has none: servers are prepared in it.
      const isStalled = now - startedAt > stallEveryMs && intoStallMs < stallMs;
      answer.dueAt = now + Math.max(answer.delayMs, isStalled ? stallMs - intoStallMs : 0);
    };

    onFrames(
      client,
      (command) => {
        const answer: Answer = { command, bytes: undefined, delayMs: 0, dueAt: 0 };
        answers.push(answer);
        const touched = !UNTOUCHED.test(nameOf(command));
        if (touched && isRefused()) {
          fill(answer, refusal);
          return;
        }
        if (touched && (!delayed || delayed.test(firstArgumentOf(command))) && isDelayed()) answer.delayMs = delayMs;
        asked.push(answer);
        upstream.write(command);
      },
      flush,
    );
    onFrames(
      upstream,
      (reply) => {
        const answer = asked.shift()!;
        onExchange?.(connection, answer.command, reply);
        fill(answer, reply);
      },
      flush,
    );
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        clearTimeout(timer);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stallsBetween(fromMs, untilMs) {
      const begunBefore = (ms: number) =>
        Math.max(0, Math.ceil((ms - performance.timeOrigin - startedAt) / stallEveryMs) - 1);
      return stallMs === 0 ? 0 : begunBefore(untilMs) - begunBefore(fromMs);
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
