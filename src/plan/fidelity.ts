/** How closely a synthesized workload repeats the model's mix, beside what chance alone would do. */
import type { Model } from '../model/model.ts';
import { Synthesis } from './synthesize.ts';

export interface FidelityRow {
  aspect: string;
  metric: string;
  value: number;
  /** The same metric for a random sample of the capture's own mix, of the same size: no synthesis can be closer. */
  noise: number;
  target: number;
}

const SAMPLE_OPS = 50_000;
const TARGET = 0.01;

/** Synthesizes about 50,000 ops and compares the mix of family and command by Jensen–Shannon divergence (base 2, 0 to 1). */
export function fidelityOf(model: Model): FidelityRow[] {
  const synthesis = new Synthesis(model, { seed: 'fidelity', epochSeconds: Math.floor(model.source.first) });
  const slice = synthesis.slice('fidelity', SAMPLE_OPS / synthesis.plan.rate);
  const made = new Float64Array(synthesis.plan.labels.length);
  for (const label of slice.label) made[label]!++;
  const captured = new Float64Array(made.length);
  for (const unit of model.units) for (const [shape] of unit.ops) captured[synthesis.labelOf(shape)]! += unit.count;
  const used = captured.filter((n) => n > 0).length;
  // E[JS] of two samples of one distribution ≈ (k − 1)(1/n + 1/m) / (8 ln 2) (Grosse et al. 2002).
  const total = captured.reduce((a, b) => a + b, 0);
  const noise = ((used - 1) * (1 / slice.count + 1 / total)) / (8 * Math.LN2);
  return [
    {
      aspect: 'mix of families and commands',
      metric: 'Jensen–Shannon divergence',
      value: divergence(made, captured),
      noise,
      target: TARGET,
    },
  ];
}

/** Jensen–Shannon divergence, base 2, of two count vectors. */
function divergence(a: Float64Array, b: Float64Array): number {
  const sumA = a.reduce((x, y) => x + y, 0);
  const sumB = b.reduce((x, y) => x + y, 0);
  let js = 0;
  for (let i = 0; i < a.length; i++) {
    const p = a[i]! / sumA;
    const q = b[i]! / sumB;
    const m = (p + q) / 2;
    if (p > 0) js += (p * Math.log2(p / m)) / 2;
    if (q > 0) js += (q * Math.log2(q / m)) / 2;
  }
  return Math.max(0, js);
}
