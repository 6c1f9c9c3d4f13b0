/** A long capture → models of its stretches, each fitted by a thread of its own; what is compressed is one stretch. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { type ByteRange, sizeOfLines } from '../../capture/input.ts';
import { splitCapture } from '../../capture/split.ts';
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

/** Where to cut a capture; undefined for one that needs no thread. */
export async function stretchesOf(
  name: string,
  minBytes = MIN_STRETCH_BYTES,
): Promise<StretchSetup['range'][] | undefined> {
  const ranges = await splitCapture(name, STRETCHES, minBytes);
  if (ranges.length > 1) return ranges;
  // In a thread what decompression leaves behind is collected sooner, and all is given back in the end.
  return (await isCompressed(name, minBytes / COMPRESSION)) ? ranges : undefined;
}

/** Whether it is a file of at least so many bytes that has no lines as it stands. */
async function isCompressed(name: string, minBytes: number): Promise<boolean> {
  if (name === '-') return false;
  const known = await stat(name);
  return known.isFile() && known.size >= minBytes && (await sizeOfLines(name)) === undefined;
}

/** Fits the stretches side by side, or one after the other on a machine with one core. Throws CutoverError. */
export async function fitStretches(
  setups: StretchSetup[],
  onProgress?: (lines: number) => void,
): Promise<FittedStretch[]> {
  const lines = setups.map(() => 0);
  const fitted: FittedStretch[] = [];
  const waiting = [...setups.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [i, setup] = next;
      const progress = (count: number) => {
        lines[i] = count;
        onProgress?.(lines.reduce((sum, n) => sum + n, 0));
      };
      fitted[i] = await withSmallHeap(setup.name, (limits) => fitInThread(setup, limits, progress));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return fitted;
}

function fitInThread(
  setup: StretchSetup,
  limits: ResourceLimits,
  onProgress: (lines: number) => void,
): Promise<FittedStretch> {
  // The limits of a thread have no such one; V8 reads it when the thread begins.
  setFlagsFromString(`--initial-old-space-size=${UNCOLLECTED_MB}`);
  const worker = new Worker(new URL(`./stretch-thread${extname(import.meta.filename)}`, import.meta.url), {
    workerData: setup,
    resourceLimits: { ...limits, maxYoungGenerationSizeMb: YOUNG_MB },
  });
  worker.once('online', () => setFlagsFromString('--initial-old-space-size=0'));
  return new Promise((resolve, reject) => {
    worker.on('message', (message: StretchMessage) => {
      if (message.type === 'lines') onProgress(message.lines);
      else if (message.type === 'fitted') resolve(message);
      else reject(new CutoverError('usage', message.code, message.message, message.advice));
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the thread that reads ${setup.name} exited with code ${code}`)));
  });
}
