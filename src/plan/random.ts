/** Seeds as text → independent streams of numbers, and the distributions that synthesis draws from. */
import { createHash } from 'node:crypto';
import type { ValueCounts } from '../model/histogram.ts';
import { mulberry32 } from '../model/random.ts';

export type Random = () => number;

/** A stream of its own for every purpose: `stream(seed, 'round 3', 'slice 1')`. */
export function stream(...seed: (string | number)[]): Random {
  return mulberry32(createHash('sha256').update(seed.join('\u0000')).digest().readUInt32LE(0));
}

/** Weighted choice by Vose's alias method (1991): O(n) to build, O(1) to draw. */
export class Alias {
  private readonly probability: Float64Array;
  private readonly alias: Uint32Array;

  constructor(weights: ArrayLike<number>) {
    const n = weights.length;
    this.probability = new Float64Array(n).fill(1);
    this.alias = Uint32Array.from({ length: n }, (_, i) => i);
    let total = 0;
    for (let i = 0; i < n; i++) total += weights[i]!;
    const scaled = Float64Array.from({ length: n }, (_, i) => (total === 0 ? 1 : (weights[i]! * n) / total));
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < n; i++) (scaled[i]! < 1 ? small : large).push(i);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large.pop()!;
      this.probability[less] = scaled[less]!;
      this.alias[less] = more;
      scaled[more]! -= 1 - scaled[less]!;
      (scaled[more]! < 1 ? small : large).push(more);
    }
  }

  draw(random: Random): number {
    const at = random() * this.probability.length;
    const i = Math.floor(at);
    return at - i < this.probability[i]! ? i : this.alias[i]!;
  }
}

/** Draws one of the values as often as it was counted. */
export class Sampler {
  private readonly alias: Alias;
  private readonly values: number[];

  constructor(counts: ValueCounts, fallback: number) {
    const usable: ValueCounts = counts.length > 0 ? counts : [[fallback, 1]];
    this.values = usable.map(([value]) => value);
    this.alias = new Alias(usable.map(([, n]) => n));
  }

  draw(random: Random): number {
    return this.values.length === 1 ? this.values[0]! : this.values[this.alias.draw(random)]!;
  }
}

/** 32-bit mix of a few integers: the same identity gives the same bytes everywhere. */
export function mix(a: number, b?: number, c?: number, d?: number): number {
  // Not a list of them: it would be made for each call.
  let h = stir(0x811c9dc5, a);
  if (b !== undefined) h = stir(h, b);
  if (c !== undefined) h = stir(h, c);
  if (d !== undefined) h = stir(h, d);
  return h >>> 0;
}

function stir(hash: number, part: number): number {
  let h = Math.imul(hash ^ (part >>> 0), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
