/** A model's families → those that the capture touches, busiest first, with the requests that tables show. */
import type { Family, Model } from './model.ts';

/** `requests`: by clients and by scripts; `share`: of the requests of all families. */
export function busiestFamilies({ families }: Pick<Model, 'families'>): (Family & { share: number })[] {
  const touched = families
    .filter(({ keys }) => keys > 0)
    .map((family) => ({ ...family, requests: family.requests + family.scriptRequests }))
    .sort((a, b) => b.requests - a.requests);
  const all = touched.reduce((sum, { requests }) => sum + requests, 0);
  return touched.map((family) => ({ ...family, share: family.requests / Math.max(1, all) }));
}
