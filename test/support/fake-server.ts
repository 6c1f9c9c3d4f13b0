/** A RESP server that answers every command with +OK at exactly the time a test asked for: the truth to measure against. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { nameOf, onFrames } from './frames.ts';

/** A connection's greetings are answered at once; the script is about the other commands. */
export interface FakeServerScript {
  /** Each command is answered so long after it arrived. */
  delayMs: number;
  /** Every nth command, counted over all connections, is answered after `delayMs` instead. */
  slow?: { every: number; delayMs: number };
  /** From `afterMs` after the first command, nothing is answered for `ms`. */
  stall?: { afterMs: number; ms: number };
}

export interface FakeServer extends AsyncDisposable {
  port: number;
}

/** Starts the server in a thread of its own, which polls while replies are due, so that its times hold to microseconds. */
export async function startFakeServer(script: FakeServerScript): Promise<FakeServer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: script });
  const [port] = (await once(worker, 'message')) as [number];
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}

const GREETINGS = /^(auth|hello|select|ping|client)$/i;

const OK = Buffer.from('+OK\r\n');

async function serve(script: FakeServerScript): Promise<void> {
  /** When the replies that each connection waits for are due, in order. */
  const queues = new Map<Socket, number[]>();
  let commands = 0;
  let firstAt: number | undefined;
  let polling = false;

  const poll = () => {
    const now = performance.now();
    let waiting = false;
    for (const [socket, due] of queues) {
      let ready = 0;
      while (ready < due.length && due[ready]! <= now) ready++;
      if (ready > 0) {
        due.splice(0, ready);
        socket.write(ready === 1 ? OK : Buffer.from('+OK\r\n'.repeat(ready)));
      }
      waiting ||= due.length > 0;
    }
    polling = waiting;
    if (waiting) setImmediate(poll);
  };

  const dueAt = (arrivedAt: number): number => {
    const { slow, stall } = script;
    commands++;
    firstAt ??= arrivedAt;
    const at = arrivedAt + (slow && commands % slow.every === 0 ? slow.delayMs : script.delayMs);
    if (!stall) return at;
    const stallStart = firstAt + stall.afterMs;
    return at >= stallStart && at < stallStart + stall.ms ? stallStart + stall.ms : at;
  };

  const server = createServer({ noDelay: true }, (socket) => {
    const due: number[] = [];
    queues.set(socket, due);
    onFrames(
      socket,
      (command) => {
        const now = performance.now();
        if (nameOf(command) === 'QUIT') socket.end(OK);
        else due.push(Math.max(due.at(-1) ?? 0, GREETINGS.test(nameOf(command)) ? now : dueAt(now)));
      },
      () => {
        if (!polling) poll();
      },
    );
    socket.on('error', () => {});
    socket.on('close', () => queues.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  parentPort!.postMessage((server.address() as AddressInfo).port);
}

if (!isMainThread) await serve(workerData as FakeServerScript);
