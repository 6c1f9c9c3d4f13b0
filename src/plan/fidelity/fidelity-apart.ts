/** A model → its scorecard, by two threads of their own: they take less memory than this one would, and leave none behind. */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { compareModels, type Difference } from '../../model/difference.ts';
import { withSmallHeap } from '../../model/heap.ts';
import type { Model } from '../../model/model.ts';
import type { SynthesisOptions } from '../synthesis/synthesize.ts';
import { type FidelityRow, scorecardOf } from './fidelity.ts';
import { collectGarbage } from './garbage.ts';

/** What a thread is given; it answers with the `Difference` of each aspect. */
export interface FidelityInput {
  model: Model;
  options: Partial<SynthesisOptions>;
}

/** What `fidelityOf` says of the same. */
export async function fidelityApart(model: Model, halves: [Model, Model] | undefined): Promise<FidelityRow[]> {
  const noise = halves && compareModels(...halves);
  collectGarbage();
  const [own, naive] = await Promise.all([
    distancesApart({ model, options: {} }),
    distancesApart({ model, options: { independent: true } }),
  ]);
  return scorecardOf(model, noise, { own, naive });
}

function distancesApart(input: FidelityInput): Promise<Difference[]> {
  return withSmallHeap('what is synthesized', async (resourceLimits) => {
    const worker = new Worker(new URL(`./fidelity-thread${extname(import.meta.filename)}`, import.meta.url), {
      workerData: input,
      resourceLimits,
    });
    const [differences] = (await once(worker, 'message')) as [Difference[]];
    return differences;
  });
}
