/** A model → its scorecard: the thread of `fidelityApart`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type FidelityInput, fidelityOf } from './fidelity.ts';

const { model, halves, options } = workerData as FidelityInput;
parentPort!.postMessage(fidelityOf(model, halves, options));
