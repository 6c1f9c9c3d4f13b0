/** A model's scripts → what is loaded before the preload. */
import type { Model } from '../model/model.ts';
import type { Plan } from './plan.ts';

/** Every known body once: a library stands behind each function that it registers. */
export function scriptsOf(model: Pick<Model, 'scripts'>): Plan['scripts'] {
  const bodies = new Map<string, Plan['scripts'][number]>();
  for (const { body, kind } of model.scripts) {
    if (body !== null)
      bodies.set(body, { kind: kind === 'script' ? 'script' : 'library', body: Buffer.from(body, 'latin1') });
  }
  return [...bodies.values()];
}
