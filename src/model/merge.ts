/** Models of one workload → the model of all of it. */
import type { Model } from './model.ts';

export function mergeModels(models: Model[]): Model {
  return models[0]!;
}
