/** A model → its scorecard: a thread synthesizes, and this one, which has fitted the capture, models what that makes. */
import { on } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { compareModels, type Difference } from '../../model/difference.ts';
import { withSmallHeap } from '../../model/heap.ts';
import type { Model } from '../../model/model.ts';
import { type FidelityRow, type Part, Remodel, scorecardOf } from './fidelity.ts';
import { collectGarbage } from './garbage.ts';

/** What the thread says: the next part; undefined where all is synthesized as captured, and again by independent draws. */
export type FidelityMessage = (Part & { slice: { bytes: Uint8Array<ArrayBuffer> } }) | undefined;

type Halves = [Model, Model] | undefined;

/** What `fidelityOf` says of the same. `halves` is asked for when the thread is at work. */
export async function fidelityApart(model: Model, halves: () => Halves | Promise<Halves>): Promise<FidelityRow[]> {
  collectGarbage();
  let known: Promise<Halves> | undefined;
  const distances = await withSmallHeap('what is synthesized', async (resourceLimits) => {
    const thread = new Worker(new URL(`./fidelity-thread${extname(import.meta.filename)}`, import.meta.url), {
      workerData: model,
      resourceLimits,
    });
    const messages = on(thread, 'message', { close: ['exit'] }) as AsyncIterable<[FidelityMessage]>;
    try {
      known ??= Promise.resolve(halves());
      await known;
      return await distancesApart(model, messages, (bytes) => thread.postMessage(bytes));
    } finally {
      await thread.terminate();
    }
  });
  const both = await known;
  return scorecardOf(model, both && compareModels(...both), distances);
}

/** `taken` is told the bytes of each part that has been modelled. */
async function distancesApart(
  model: Model,
  messages: AsyncIterable<[FidelityMessage]>,
  taken: (bytes: number) => void,
): Promise<Record<'own' | 'naive', Difference[]>> {
  const found: Difference[][] = [];
  let again: Remodel | undefined;
  for await (const [part] of messages) {
    if (part) {
      const { bytes } = part.slice;
      again ??= new Remodel(model);
      again.add(part);
      taken(bytes.length);
      // This thread makes so little garbage that nothing would be collected for long.
      bytes.buffer.transfer(0);
    } else {
      found.push(compareModels(model, again!.end()));
      if (found.length === 2) break;
      // Its tables are outside of the heap: nobody would miss the memory before the next one's are there as well.
      again = undefined;
      collectGarbage();
    }
  }
  const [own, naive] = found;
  return { own: own!, naive: naive! };
}
