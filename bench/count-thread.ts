/** A thread that reads stretches of captures, one after the other. */
import { parentPort } from 'node:worker_threads';
import type { ByteRange } from '../src/capture/input.ts';
import { countFamilies } from './count.ts';
import { tokenize } from './tokenize.ts';

export interface Stretch {
  work: 'tokenize' | 'count';
  path: string;
  range: ByteRange | undefined;
}

parentPort!.on('message', async ({ work, path, range }: Stretch) => {
  parentPort!.postMessage(await (work === 'count' ? countFamilies : tokenize)(path, range));
});
