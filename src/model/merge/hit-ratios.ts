/** Hit ratio curves of two models → that of both, as well as curves tell. */
import type { Model } from '../model.ts';

type Curve = Model['hitRatio'];

/** A curve with the accesses and keys that it is of. */
export interface Reuse {
  curve: Curve;
  accesses: number;
  keys: number;
}

/** Accesses that come back to a key over the border of two models: after how many others, and how many there are. */
export type Bridges = [gap: number, count: number][];

const SIZES_PER_OCTAVE = 2;
/** Windows that are looked at are this much longer each time. */
const STEP = 1.05;

/**
 * Of consecutive parts: hits of both at each size, and the accesses that were their key's first in the second part only,
 * which hit in a cache that holds what was touched meanwhile. A window's number of keys follows from the curve itself
 * (f(w + 1) = f(w) + 1 - h(f(w)): Xiang, Ding, Luo, Bao 2013). Not exact: the curve is an average over the whole part,
 * and a border is one moment of it; the mean error is 0.01 where the parts are alike.
 */
export function consecutiveCurve(a: Reuse, b: Reuse, keys: number, bridges: Bridges): Curve {
  const [windowA, windowB] = [footprintOf(a), footprintOf(b)];
  const returns = bridges
    .map(([gap, count]): [number, number] => [Math.min(keys, (windowA(gap) + windowB(gap)) / 2), count])
    .sort((x, y) => x[0] - y[0]);
  let next = 0;
  let returned = 0;
  return sizesFor(keys).map((size) => {
    for (; next < returns.length && returns[next]![0] <= size; next++) returned += returns[next]![1];
    const hits = a.accesses * hitsAt(a.curve, size) + b.accesses * hitsAt(b.curve, size) + returned;
    return point(size, hits / (a.accesses + b.accesses));
  });
}

/**
 * Of models of the same time: a window of both holds a window of each, and what hits in these hits in a cache of as many
 * keys as the two windows have together. As exact as windows are even: 0.01 on average where the keys are different ones,
 * 0.04 where they are the same, whose accesses of both meet in ways that two curves do not show. `bridges` are accesses
 * to keys that both have.
 */
export function overlappingCurve(a: Reuse, b: Reuse, keys: number, bridges: Bridges): Curve {
  const [windowA, windowB] = [footprintOf(a), footprintOf(b)];
  const accesses = a.accesses + b.accesses;
  const distinct = keys / Math.max(1, a.keys + b.keys);
  const curve: Curve = [];
  for (let window = 1; window < 2 * accesses; window = Math.max(window + 1, window * STEP)) {
    const keysA = windowA((window * a.accesses) / accesses);
    const keysB = windowB((window * b.accesses) / accesses);
    const returned = bridges.reduce((sum, [gap, count]) => sum + (gap <= window ? count : 0), 0);
    const hits = a.accesses * hitsAt(a.curve, keysA) + b.accesses * hitsAt(b.curve, keysB) + returned;
    curve.push([(keysA + keysB) * distinct, hits / accesses]);
  }
  return sizesFor(keys).map((size) => point(size, hitsAt(curve, size)));
}

const point = (size: number, ratio: number): Curve[number] => [
  Math.round(size * 100) / 100,
  Math.round(Math.min(1, ratio) * 1e5) / 1e5,
];

const sizesFor = (keys: number) =>
  Array.from(
    { length: Math.ceil(Math.log2(Math.max(1, keys)) * SIZES_PER_OCTAVE) + 1 },
    (_, i) => 2 ** (i / SIZES_PER_OCTAVE),
  );

/** Hit ratio of a cache of so many keys. */
function hitsAt(curve: Curve, size: number): number {
  let [x0, y0] = [0, 0];
  for (const [x, y] of curve) {
    if (size < x) return y0 + ((y - y0) * (size - x0)) / (x - x0);
    [x0, y0] = [x, y];
  }
  return y0;
}

/** Number of keys that a window of so many accesses touches on average. */
function footprintOf({ curve, keys }: Reuse): (window: number) => number {
  const windows = [0];
  const footprints = [0];
  let [window, footprint] = [0, 0];
  while (footprint < keys * 0.999 && window < 2 ** 40) {
    const step = Math.max(1, window * (STEP - 1));
    window += step;
    footprint = Math.min(keys, footprint + step * Math.max(0.001, 1 - hitsAt(curve, footprint)));
    windows.push(window);
    footprints.push(footprint);
  }
  return (wanted) => {
    const i = windows.findIndex((w) => w >= wanted);
    if (i < 0) return keys;
    if (i === 0) return 0;
    const share = (wanted - windows[i - 1]!) / (windows[i]! - windows[i - 1]!);
    return footprints[i - 1]! + share * (footprints[i]! - footprints[i - 1]!);
  };
}
