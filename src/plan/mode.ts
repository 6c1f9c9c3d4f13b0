/** A mode, and a model with the capture that it was made from → the workload to drive. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { CutoverError } from '../errors.ts';
import type { CapturedKeys } from '../model/build.ts';
import type { Model } from '../model/model.ts';
import { type Overrides, scaled } from '../model/overrides/overrides.ts';
import { ArgumentDisguise } from './exact/disguise.ts';
import { capturedRate, ExactWorkload } from './exact/exact.ts';
import { Synthesis } from './synthesis/synthesize.ts';
import type { Workload } from './workload.ts';

export const MODES = ['modelled', 'exact', 'irm'] as const;
export type Mode = (typeof MODES)[number];
export const KEYS = ['real', 'anonymised'] as const;

export interface WorkloadRequest {
  mode: Mode;
  /** How keys and arguments of an exact workload appear; undefined: as captured. */
  keys: (typeof KEYS)[number] | undefined;
  /** The capture or model that the user named. */
  source: string;
  model: Model;
  /** What making the model learnt of its keys: for exact workloads. */
  captured?: CapturedKeys | undefined;
  seed: string;
  epochSeconds: number;
  /** Ops per second. */
  rate: number;
  /** Length of one round's slices and warm-up. */
  seconds: number;
  /** Accept the capture of a replica. */
  replica: boolean;
  /** Bytes that a server may hold at first; undefined: as many as most machines have room for. */
  datasetBytes?: number | undefined;
}

/** Ops per second that the capture had, as a mode counts them: what `--rate 2x` is twice of. */
export function capturedRateOf(mode: Mode, model: Model): number {
  return mode === 'exact' ? capturedRate(model) : Synthesis.capturedRate(model);
}

interface AskedMode extends Pick<WorkloadRequest, 'mode' | 'keys' | 'source'> {
  overrides?: Overrides;
}

/** Throws CutoverError (usage) for what a mode cannot do, before anything is read. */
export function checkMode({ mode, keys, source, overrides }: AskedMode): void {
  if (mode !== 'exact' && keys !== undefined) {
    throw new CutoverError(
      'usage',
      'E_USAGE',
      '--keys is for --mode exact: the keys of a modelled workload are invented.',
      'Leave it out, or add --mode exact.',
    );
  }
  const [factored] = mode === 'exact' && overrides ? scaled(overrides) : [];
  if (factored !== undefined) {
    throw new CutoverError(
      'usage',
      'E_OVERRIDES',
      `--mode exact sends each captured op once: ${JSON.stringify(factored)} cannot have more requests or keys than were captured, or fewer.`,
      'Leave requests and keys out of the overrides, or use --mode modelled; name, merge and exclude hold for both.',
    );
  }
  if (mode !== 'exact' || !(source === '-' || source.endsWith('.json'))) return;
  throw new CutoverError(
    'usage',
    'E_EXACT_SOURCE',
    source === '-'
      ? '--mode exact reads the capture twice, which stdin does not allow.'
      : `--mode exact replays a capture's own ops; ${source} is a model, which holds none.`,
    'Name the file of a capture, or use --mode modelled.',
  );
}

/** Throws CutoverError (usage) where an exact workload is longer than its capture. */
export async function openWorkload(request: WorkloadRequest): Promise<Workload> {
  const { mode, keys, source, model, captured, seed, epochSeconds, rate, seconds, replica, datasetBytes } = request;
  if (mode !== 'exact')
    return new Synthesis(model, { seed, epochSeconds, rate, seconds, datasetBytes, independent: mode === 'irm' });
  if (!captured) throw new TypeError('an exact workload needs what was learnt of single keys');
  const disguise = keys === 'anonymised' ? new ArgumentDisguise(await secretOf(source, seed), model) : undefined;
  return ExactWorkload.read({
    capture: source,
    ...{ model, captured, seed, epochSeconds, rate, seconds, replica, datasetBytes },
    ...(disguise ? { disguise } : {}),
  });
}

/** The same for the same capture and seed, and unknown to all who do not have the capture. */
async function secretOf(path: string, seed: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1 << 16), 0, 1 << 16, 0);
  return createHash('sha256').update(seed).update(buffer.subarray(0, bytesRead)).digest('hex');
}
