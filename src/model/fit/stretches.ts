/** A long capture → models of its stretches, each fitted by a thread of its own; what is compressed is one stretch. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { type ByteRange, sizeOfLines } from '../../capture/input.ts';
import type { CaptureOptions, CaptureSummary } from '../../capture/summary.ts';
import { CutoverError } from '../../errors.ts';
import { withSmallHeap } from '../heap.ts';
import type { Model } from '../model.ts';
import type { FitOptions } from './fit.ts';
import type { Dataset } from './summarize.ts';

/**
 * As many whatever the machine has, so that a capture has one model everywhere. More would be faster on large machines,
 * but every stretch costs memory, and every merge exactness.
 */
const STRETCHES = 2;
/**
 * From here on two threads take less time than one that reads the capture and then its halves, which the scorecard needs.
 * The model alone is faster with two from 300 MB of short lines or 800 MB of long ones on: each thread compiles for itself.
 */
const MIN_STRETCH_BYTES = 64 << 20;
/**
 * What the old generation of a thread may hold before it is collected for the first time. Left alone, V8 takes little
 * surviving as a reason to begin at 12 MB, and collects three times while the code is still being compiled that fills it.
 */
const UNCOLLECTED_MB = 48;
/**
 * V8 has made the heap of a thread by then, and the thread has not begun to load Node's own modules, which are compiled
 * anew under any flag that they were not compiled with: 25 ms. If it is early or late, that is all there is to lose.
 */
const HEAP_MADE_MS = 5;
/** What is read leaves little outside of the heap, so that its young generation may be collected half as often: 1.5 % less CPU. */
const YOUNG_MB = 4;
/** Compressed files are about so many times shorter. */
const COMPRESSION = 8;

export interface StretchSetup {
  name: string;
  /** Undefined for the whole capture. */
  range: ByteRange | undefined;
  capture: CaptureOptions;
  fit: FitOptions;
  dataset: Dataset;
}

export interface FittedStretch {
  model: Model;
  summary: CaptureSummary;
}

/** What a thread says: lines read so far, at the end the model, or what a user can do about an error. */
export type StretchMessage =
  | { type: 'lines'; lines: number }
  | ({ type: 'fitted' } & FittedStretch)
  | { type: 'failed'; code: string; message: string; advice: string[] };

/** How many stretches of a capture are worth a thread each; 0 for one that needs none. */
export async function stretchesIn(name: string, minBytes = MIN_STRETCH_BYTES): Promise<number> {
  const size = await sizeOfLines(name);
  // In a thread what decompression leaves behind is collected sooner, and all is given back in the end.
  if (size === undefined) return (await isLarge(name, minBytes / COMPRESSION)) ? 1 : 0;
  return size < STRETCHES * minBytes ? 0 : STRETCHES;
}

/** The stretches of a capture, if it can be cut in so many. */
export async function rangesOf(
  name: string,
  count: number,
  minBytes = MIN_STRETCH_BYTES,
): Promise<(ByteRange | undefined)[]> {
  if (count === 1) return [undefined];
  const { splitCapture } = await import('../../capture/split.ts');
  return splitCapture(name, count, minBytes);
}

async function isLarge(name: string, minBytes: number): Promise<boolean> {
  if (name === '-') return false;
  const known = await stat(name);
  return known.isFile() && known.size >= minBytes;
}

/**
 * Fits `count` stretches or fewer side by side, or one after the other on a machine with one core. Threads are begun before
 * it is known what they are to do, which is soon. `onFitted`: called when one of them is done. Throws CutoverError.
 */
export async function fitStretches(
  name: string,
  count: number,
  setups: Promise<StretchSetup[]>,
  { onProgress, onFitted }: { onProgress?: (lines: number) => void; onFitted?: () => void } = {},
): Promise<FittedStretch[]> {
  const lines = new Array<number>(count).fill(0);
  const fitted: (FittedStretch | undefined)[] = [];
  let begun = 0;
  const work = async () => {
    while (begun < count) {
      const i = begun++;
      const setup = setups.then((all) => all[i]);
      const progress = (read: number) => {
        lines[i] = read;
        onProgress?.(lines.reduce((sum, n) => sum + n, 0));
      };
      fitted[i] = await withSmallHeap(name, (limits) => fitInThread(setup, limits, progress));
      onFitted?.();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return fitted.filter((stretch) => stretch !== undefined);
}

/** Undefined: there is nothing to fit. */
function fitInThread(
  setup: Promise<StretchSetup | undefined>,
  limits: ResourceLimits,
  onProgress: (lines: number) => void,
): Promise<FittedStretch | undefined> {
  // The limits of a thread have no such one; V8 reads it when the thread begins.
  setFlagsFromString(`--initial-old-space-size=${UNCOLLECTED_MB}`);
  const worker = new Worker(new URL(`./stretch-thread${extname(import.meta.filename)}`, import.meta.url), {
    resourceLimits: { ...limits, maxYoungGenerationSizeMb: YOUNG_MB },
  });
  setTimeout(() => setFlagsFromString('--initial-old-space-size=0'), HEAP_MADE_MS);
  return new Promise((resolve, reject) => {
    worker.on('message', (message: StretchMessage) => {
      if (message.type === 'lines') onProgress(message.lines);
      else if (message.type === 'fitted') resolve(message);
      else reject(new CutoverError('usage', message.code, message.message, message.advice));
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`a thread that reads the capture exited with code ${code}`)));
    const end = (finish: () => void) => {
      finish();
      void worker.terminate();
    };
    setup.then(
      (known) => (known ? worker.postMessage(known) : end(() => resolve(undefined))),
      (error) => end(() => reject(error)),
    );
  });
}
