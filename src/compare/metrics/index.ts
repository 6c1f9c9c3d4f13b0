/** To add a metric: write a function from evidence to assessments in a file of its own, and list it below. */
import type { Metric } from '../assessment.ts';
import { judgeErrors } from './errors.ts';
import { judgeLatency } from './latency.ts';
import { judgeMemory } from './memory.ts';
import { judgeSlo } from './slo.ts';
import { judgeStalls } from './stalls.ts';

export const METRICS: Record<string, Metric> = {
  latency: judgeLatency,
  slo: judgeSlo,
  stalls: judgeStalls,
  memory: judgeMemory,
  errors: judgeErrors,
};
