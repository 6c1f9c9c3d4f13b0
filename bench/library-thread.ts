/**
 * A thread that uses a Redis library bare, as a program would: each of the connections asks again when it has its answer.
 * No count, no clock per command. It is set up as a load thread is, so that what differs is cutover's part alone.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { LoadThread } from '../src/drive/thread/load-thread.ts';

export interface LibrarySetup {
  library: 'ioredis' | 'iovalkey';
  host: string;
  port: number;
  connections: number;
  keys: number;
}

export interface LibraryFigures {
  seconds: number;
  cpuUs: number;
  gcMs: number;
}

const { library, host, port, connections, keys } = workerData as LibrarySetup;
const options = { host, port, lazyConnect: true };
const clients = Array.from({ length: connections }, () =>
  library === 'ioredis' ? new Redis(options) : new Valkey(options),
);
await Promise.all(clients.map((client) => client.connect()));
const thread = new LoadThread('normal');

parentPort!.on('message', async (count: number) => {
  if (count === 0) {
    for (const client of clients) client.disconnect();
    thread.close();
    parentPort!.close();
    return;
  }
  thread.begin();
  const startedMs = performance.now();
  let left = count;
  await Promise.all(
    clients.map(async (client) => {
      // Replies stay bytes, as a load thread leaves them.
      while (left-- > 0) await client.getBuffer(`key:${Math.floor(Math.random() * keys)}`);
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const { cpuUs, gcPauses } = thread.end();
  parentPort!.postMessage({ seconds, cpuUs, gcMs: gcPauses.totalMs } satisfies LibraryFigures);
});
