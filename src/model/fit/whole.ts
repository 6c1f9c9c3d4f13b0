/** A capture, or several that are merged by time → their model, and those of their halves, fitted by this thread. */
import { openCaptures } from '../../capture/merge.ts';
import type { CaptureOptions, CaptureSummary } from '../../capture/summary.ts';
import type { Model } from '../model.ts';
import type { Existence } from './existence.ts';
import { Fit, type FitOptions } from './fit.ts';
import { type Dataset, existenceOf, summarize } from './summarize.ts';

export interface Whole {
  model: Model;
  summary: CaptureSummary;
  /** What was there at first, by single keys; only good as long as the fit is kept. */
  existence(): Existence;
}

/** `sourceOf`: what the model says of its source. */
export async function fitWhole(
  names: string[],
  options: CaptureOptions & { onProgress?: (lines: number) => void },
  learning: FitOptions,
  dataset: Dataset,
  sourceOf: (summary: CaptureSummary) => Model['source'],
): Promise<Whole> {
  const capture = openCaptures(names, options);
  const fit = new Fit(learning);
  for await (const op of capture.batches()) {
    fit.addAll(op);
    options.onProgress?.(op.line);
  }
  fit.end();
  const summary = capture.summary();
  const model = summarize(fit, sourceOf(summary), dataset);
  return { model, summary, existence: () => existenceOf(fit, dataset) };
}

/** `source`: of the whole. */
export async function fitHalves(
  names: string[],
  options: CaptureOptions,
  learning: FitOptions,
  source: Model['source'],
): Promise<[Model, Model]> {
  const fits = [new Fit(learning), new Fit(learning)] as const;
  const middleUs = ((source.first + source.last) / 2) * 1e6;
  for await (const op of openCaptures(names, options).batches())
    while (op.next()) fits[op.atUs < middleUs ? 0 : 1].add(op);
  const [first, second] = fits.map((fit) => {
    fit.end();
    return summarize(fit, { ...source, spanSeconds: source.spanSeconds / 2 });
  });
  return [first!, second!];
}
