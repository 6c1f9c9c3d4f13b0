/** A RESP server that answers every command with +OK at exactly the time a test asked for: the truth to measure against. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { nameOf, onFrames } from './frames.ts';

/** A connection's greetings are answered at once; the script is about the other commands. */
export interface FakeServerScript {
  /** Each command is answered so long after it arrived. */
  delayMs: number;
  /** Every nth command, counted over all connections, is answered after `delayMs` instead. */
  slow?: { every: number; delayMs: number };
  /** From the arrival of the `atCommand`th on, counted over all connections, nothing is answered for `ms`. */
  stall?: { atCommand: number; ms: number };
}

export interface FakeServer extends AsyncDisposable {
  port: number;
  /** The next command counts as the first, for the script and for `delays`. */
  restart(): Promise<void>;
  /** What became of the script: from a command's arrival until its reply is written, microseconds; greetings included. */
  delays(): Promise<LatencyHistogram>;
}

/** Starts the server in a thread of its own, which polls while replies are due, so that its times hold to microseconds. */
export async function startFakeServer(script: FakeServerScript): Promise<FakeServer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: script });
  const [port] = (await once(worker, 'message')) as [number];
  const ask = async (message: 'restart' | 'delays') => {
    worker.postMessage(message);
    return ((await once(worker, 'message')) as [unknown])[0];
  };
  return {
    port,
    restart: async () => void (await ask('restart')),
    delays: async () => LatencyHistogram.decode((await ask('delays')) as string),
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}

const GREETINGS = /^(auth|hello|select|ping|client)$/i;

const OK = Buffer.from('+OK\r\n');

async function serve(script: FakeServerScript): Promise<void> {
  /** The commands that each connection has no reply to, in order: when they arrived, and when the reply is due. */
  const queues = new Map<Socket, { arrivedAt: number; dueAt: number }[]>();
  let delays = LatencyHistogram.empty();
  let commands = 0;
  let stalledAt = Number.POSITIVE_INFINITY;
  let polling = false;

  const poll = () => {
    const now = performance.now();
    let waiting = false;
    for (const [socket, queue] of queues) {
      let ready = 0;
      while (ready < queue.length && queue[ready]!.dueAt <= now) ready++;
      if (ready > 0) {
        const writtenAt = performance.now();
        for (const { arrivedAt } of queue.splice(0, ready)) delays.record((writtenAt - arrivedAt) * 1000);
        socket.write(ready === 1 ? OK : Buffer.from('+OK\r\n'.repeat(ready)));
      }
      waiting ||= queue.length > 0;
    }
    polling = waiting;
    if (waiting) setImmediate(poll);
  };

  const dueAt = (arrivedAt: number): number => {
    const { slow, stall } = script;
    commands++;
    if (commands === stall?.atCommand) stalledAt = arrivedAt;
    const at = arrivedAt + (slow && commands % slow.every === 0 ? slow.delayMs : script.delayMs);
    const stallEndsAt = stalledAt + (stall?.ms ?? 0);
    return at >= stalledAt && at < stallEndsAt ? stallEndsAt : at;
  };

  const server = createServer({ noDelay: true }, (socket) => {
    const queue: { arrivedAt: number; dueAt: number }[] = [];
    queues.set(socket, queue);
    onFrames(
      socket,
      (command) => {
        const now = performance.now();
        if (nameOf(command) === 'QUIT') socket.end(OK);
        else {
          const ownDueAt = GREETINGS.test(nameOf(command)) ? now : dueAt(now);
          queue.push({ arrivedAt: now, dueAt: Math.max(queue.at(-1)?.dueAt ?? 0, ownDueAt) });
        }
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
  parentPort!.on('message', (message: 'restart' | 'delays') => {
    parentPort!.postMessage(delays.encode());
    if (message === 'delays') return;
    delays = LatencyHistogram.empty();
    commands = 0;
    stalledAt = Number.POSITIVE_INFINITY;
  });
  parentPort!.postMessage((server.address() as AddressInfo).port);
}

if (!isMainThread) await serve(workerData as FakeServerScript);
