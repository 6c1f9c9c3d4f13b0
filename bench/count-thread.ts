/** A thread that counts stretches of captures, one after the other. */
import { parentPort } from 'node:worker_threads';
import type { ByteRange } from '../src/capture/input.ts';
import { countOps } from './count.ts';

parentPort!.on('message', async ({ path, range }: { path: string; range: ByteRange | undefined }) => {
  parentPort!.postMessage(await countOps(path, range));
});
