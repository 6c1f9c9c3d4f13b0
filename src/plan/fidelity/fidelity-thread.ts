/** A model → how far what is synthesized from it is from it: the thread of `fidelity-apart`. */
import { parentPort, workerData } from 'node:worker_threads';
import { distancesOf } from './fidelity.ts';
import type { FidelityInput } from './fidelity-apart.ts';

const { model, options } = workerData as FidelityInput;
parentPort!.postMessage(distancesOf(model, options));
