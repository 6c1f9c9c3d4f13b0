/** A RESP server in a thread of this process that does nothing but answer +OK: what is left is the generator itself. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { findThreadId } from '../../measure/thread.ts';
import { makeRealtime, type Priority } from '../../servers/priority.ts';
import type { ServerAddress } from '../../servers/server.ts';
import { ReplySkipper } from '../reply-skipper.ts';

const OK = '+OK\r\n';
/** Replies to so many commands at once need no new buffer. */
const MOST_AT_ONCE = 4096;
const QUIT = /quit\r\n$/i;

export interface NullServer extends AsyncDisposable {
  address: ServerAddress;
}

export async function startNullServer(priority: Priority): Promise<NullServer> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { serve: true, priority } satisfies Setup });
  const [port] = (await once(worker, 'message')) as [number];
  return {
    address: { host: '127.0.0.1', port },
    [Symbol.asyncDispose]: async () => {
      await worker.terminate();
    },
  };
}

interface Setup {
  serve: true;
  priority: Priority;
}

async function serve({ priority }: Setup): Promise<void> {
  const threadId = findThreadId();
  if (priority === 'realtime' && threadId !== undefined) makeRealtime(threadId);
  const replies = Buffer.from(OK.repeat(MOST_AT_ONCE));
  const server = createServer({ noDelay: true }, (socket) => {
    // Commands have the grammar of replies.
    const skipper = new ReplySkipper();
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      let commands = 0;
      skipper.feed(chunk, chunk.length, () => {
        commands++;
      });
      for (; commands > MOST_AT_ONCE; commands -= MOST_AT_ONCE) socket.write(replies);
      if (commands > 0) socket.write(replies.subarray(0, commands * OK.length));
      if (QUIT.test(chunk.toString('latin1', chunk.length - 6))) socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  parentPort!.postMessage((server.address() as AddressInfo).port);
}

if (!isMainThread && (workerData as Partial<Setup> | null)?.serve) await serve(workerData as Setup);
