/** A RESP server that answers every command with +OK at exactly the time a test asked for: the truth to measure against. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Pacer } from '../../src/drive/thread/pacer.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { findThreadId } from '../../src/measure/thread.ts';
import { makeRealtime, type Priority } from '../../src/servers/priority.ts';
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
  /** What became of the script: from a command's arrival until its reply is written, microseconds. */
  delays(): Promise<LatencyHistogram>;
}

interface FakeServerSetup {
  script: FakeServerScript;
  priority: Priority;
}

/** Starts the server in a thread of its own, which polls while replies are due, so that its times hold to microseconds. */
export async function startFakeServer(script: FakeServerScript, priority: Priority = 'normal'): Promise<FakeServer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { script, priority } satisfies FakeServerSetup });
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
const MOST_AT_ONCE = 1000;
const OKS = Buffer.from('+OK\r\n'.repeat(MOST_AT_ONCE));

interface Connection {
  socket: Socket;
  /** The commands that have no reply, in order: when they arrived, and when the reply is due. */
  queue: { arrivedAt: number; dueAt: number; scripted: boolean }[];
}

async function serve({ script, priority }: FakeServerSetup): Promise<void> {
  const connections = new Set<Connection>();
  let delays = LatencyHistogram.empty();
  let commands = 0;
  let stalledAt = Number.POSITIVE_INFINITY;
  let polling = false;
  const pacer = new Pacer('spin', priority === 'realtime');
  if (priority === 'realtime') makeRealtime(findThreadId()!);

  const poll = () => {
    const now = performance.now();
    let waiting = false;
    const written: { queue: Connection['queue']; ready: number; at: number }[] = [];
    for (const { socket, queue } of connections) {
      let ready = 0;
      while (ready < queue.length && queue[ready]!.dueAt <= now) ready++;
      if (ready > 0) {
        written.push({ queue, ready, at: performance.now() });
        for (let left = ready; left > 0; left -= MOST_AT_ONCE)
          socket.write(OKS.subarray(0, OK.length * Math.min(left, MOST_AT_ONCE)));
      }
      waiting ||= queue.length > ready;
    }
    // Not in between: after a stall replies leave on all connections at once, and what else is done would make the last late.
    for (const { queue, ready, at } of written)
      for (const { arrivedAt, scripted } of queue.splice(0, ready))
        if (scripted) delays.record((at - arrivedAt) * 1000);
    polling = waiting;
    if (!waiting) return;
    // At real-time priority it rests now and then.
    pacer.nap(now * 1000, 0, true);
    setImmediate(poll);
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
    const queue: Connection['queue'] = [];
    const connection = { socket, queue };
    connections.add(connection);
    onFrames(
      socket,
      (command) => {
        const now = performance.now();
        if (nameOf(command) === 'QUIT') socket.end(OK);
        else {
          const scripted = !GREETINGS.test(nameOf(command));
          const ownDueAt = scripted ? dueAt(now) : now;
          queue.push({ arrivedAt: now, dueAt: Math.max(queue.at(-1)?.dueAt ?? 0, ownDueAt), scripted });
        }
      },
      () => {
        if (!polling) poll();
      },
    );
    socket.on('error', () => {});
    socket.on('close', () => connections.delete(connection));
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

if (!isMainThread) await serve(workerData as FakeServerSetup);
