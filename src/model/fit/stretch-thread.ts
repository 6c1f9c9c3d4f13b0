/** A stretch of a capture → its model: the thread of `stretches`. */
import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { Capture } from '../../capture/read.ts';
import { CutoverError } from '../../errors.ts';
import { sourceOf } from '../source.ts';
import { Fit } from './fit.ts';
import type { StretchMessage, StretchSetup } from './stretches.ts';
import { summarize } from './summarize.ts';

/** How often the lines that were read are said. */
const TELL_EVERY_MS = 50;

const say = (message: StretchMessage) => parentPort!.postMessage(message);

try {
  const [setup] = await once(parentPort!, 'message');
  const { name, range, capture: options, fit: learning, dataset } = setup as StretchSetup;
  const capture = new Capture(name, options, range);
  const fit = new Fit(learning);
  let toldMs = 0;
  for await (const op of capture.batches()) {
    fit.addAll(op);
    const nowMs = performance.now();
    // To say it of every batch would take a twelfth of the time.
    if (nowMs - toldMs < TELL_EVERY_MS) continue;
    toldMs = nowMs;
    say({ type: 'lines', lines: op.line });
  }
  fit.end();
  const summary = capture.summary();
  say({ type: 'lines', lines: summary.lines });
  say({ type: 'fitted', model: summarize(fit, sourceOf(summary), dataset), summary });
} catch (error) {
  if (!(error instanceof CutoverError)) throw error;
  const { code, message, suggestions } = error;
  say({ type: 'failed', code, message, advice: suggestions });
}
