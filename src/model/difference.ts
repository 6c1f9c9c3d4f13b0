/** Two models → how far apart they are, aspect by aspect: synthesized against captured, half against half, month against month. */
import { divergenceOf } from './fit/clients.ts';
import { labelOfOps } from './fit/summarize.ts';
import type { ValueCounts } from './histogram.ts';
import type { Family, Model } from './model.ts';
import { changesWorkload } from './overrides/overrides.ts';
import { tally } from './tally.ts';

export interface Difference {
  aspect: string;
  metric: string;
  /** Undefined where one of the models has too little of it. */
  value: number | undefined;
  /** What a faithful copy stays below. */
  target: number;
  /** what chance alone exceeds once in a hundred, between two samples of these sizes of one truth; 0 where nothing is drawn. */
  chance: number;
}

/** A metric's value, and what chance alone does to it. */
interface Measured {
  value: number;
  chance: number;
}

/** Families that matter on their own. */
const BUSIEST = 5;
const TOP_KEYS = 100;
/** Requests, values or expiries that a distribution needs to be compared. */
const ENOUGH = 100;

const OF_KEYS = new Set(['popularity', 'locality']);

/** All aspects, in the order in which people ask for them. Relative differences are of `a`. */
export function compareModels(a: Model, b: Model): Difference[] {
  const pairs = busiestOf(a).map((family): [Family, Family | undefined] => [family, counterpart(family, b)]);
  /** The family that is furthest beyond chance. */
  const worst = (metric: (a: Family, b: Family) => Measured | undefined) => {
    const all = pairs.flatMap(([x, y]) => (y ? (metric(x, y) ?? []) : []));
    return all.sort((x, y) => y.value - y.chance - (x.value - x.chance))[0];
  };
  const whole = curveDistance(a.hitRatio, b.hitRatio);
  // What counts of keys and their order mean is known of the captured workload, not of what a person made of it.
  const isKnown = ![a, b].some(({ overrides }) => overrides?.some(changesWorkload));
  const cold = shareDistance([keysOf(a), a.keyAccesses], [keysOf(b), b.keyAccesses]);
  const rows = [
    row('mix', 'families, commands (JS)', mixDistance(mixOf(a), mixOf(b)), 0.01),
    row('popularity', '100 busiest keys, share', shareDistance(topShare(a), topShare(b)), 0.01),
    row('popularity', 'requests by rank (KS) *', worst(rankDistance), 0.05),
    row('locality', 'hit ratios, mean error', whole && plain(whole.mean), 0.02),
    row('locality', 'hit ratios, largest', whole && plain(whole.largest), 0.06),
    row(
      'locality',
      'hit ratios, mean *',
      worst((x, y) => {
        const distance = x.hitRatio && y.hitRatio && curveDistance(x.hitRatio, y.hitRatio);
        return distance && plain(distance.mean);
      }),
      0.02,
    ),
    row('locality', 'first accesses, share', cold, 0.01),
    row('locality', 'keys accessed once, share', shareDistance(onceShare(a), onceShare(b)), 0.01),
    row('locality', 'keys per access, rel.', footprintDistance(a, b), 0.02),
    row(
      'values',
      'sizes (KS) *',
      worst((x, y) => distance(x.valueBytes, y.valueBytes)),
      0.03,
    ),
    row(
      'values',
      'expiries (KS) *',
      worst((x, y) => distance(x.ttlSeconds, y.ttlSeconds)),
      0.03,
    ),
    row('arrivals', 'dispersion, relative', dispersionDistance(a, b), 0.2),
    row('arrivals', 'rate by second, rel.', rateDistance(a, b), 0.05),
    row('sessions', 'pipeline depths (KS)', distance(a.pipelines.depths, b.pipelines.depths), 0.05),
    row('sessions', 'transaction sizes (KS)', distance(a.transactions.sizes, b.transactions.sizes), 0.05),
    row('sessions', 'what follows what (JS)', transitionDistance(a, b), 0.02),
  ];
  return rows.map((one) => (isKnown || !OF_KEYS.has(one.aspect) ? one : { ...one, value: undefined, chance: 0 }));
}

const row = (aspect: string, metric: string, measured: Measured | undefined, target: number): Difference => ({
  ...{ aspect, metric, value: measured?.value, target, chance: measured?.chance ?? 0 },
});
const plain = (value: number): Measured => ({ value, chance: 0 });

/** Difference of two shares, each given as part and whole; normal approximation. */
function shareDistance([partA, wholeA]: [number, number], [partB, wholeB]: [number, number]): Measured | undefined {
  if (wholeA === 0 || wholeB === 0) return undefined;
  const both = (partA + partB) / (wholeA + wholeB);
  return {
    value: Math.abs(partA / wholeA - partB / wholeB),
    chance: 2.58 * Math.sqrt(Math.max(0, both * (1 - both)) * (1 / wholeA + 1 / wholeB)),
  };
}

/** Jensen–Shannon divergence; its expectation by chance is (kinds - 1)(1/n + 1/m) / (8 ln 2) (Grosse et al. 2002). */
function mixDistance(a: Map<string, number>, b: Map<string, number>): Measured {
  const kinds = new Set([...a.keys(), ...b.keys()]).size;
  return {
    value: divergenceOf(a, b),
    chance: (2 * Math.max(0, kinds - 1) * (1 / totalOf(a) + 1 / totalOf(b))) / (8 * Math.LN2),
  };
}

const nameOf = (family: Family) => `${family.db} ${family.template}`;
const busiestOf = (model: Model) =>
  [...model.families]
    .sort((a, b) => b.requests - a.requests)
    .slice(0, BUSIEST)
    .filter((f) => f.requests >= ENOUGH);
const counterpart = (family: Family, model: Model) => model.families.find((other) => nameOf(other) === nameOf(family));

/** Ops by family and command; scripts by their name. */
function mixOf(model: Model): Map<string, number> {
  const mix = new Map<string, number>();
  for (const { count, ops } of model.units) {
    for (const op of ops) {
      const shape = model.shapes[op[0]]!;
      const script = shape.script === undefined ? '' : model.scripts[shape.script]!.sha1;
      tally(mix, `${labelOfOps([op], model.shapes, model.families)} ${script}`, count);
    }
  }
  return mix;
}

/** Requests of all keys, most popular first, with how many keys have so many. */
const ranked = (families: Family[]) => families.flatMap((family) => family.references).sort((a, b) => b[0] - a[0]);
const requestsOf = (references: ValueCounts) => references.reduce((sum, [count, keys]) => sum + count * keys, 0);

function topShare({ families }: Model): [requests: number, all: number] {
  const references = ranked(families);
  let keys = 0;
  let requests = 0;
  for (const [count, n] of references) {
    const taken = Math.min(n, TOP_KEYS - keys);
    keys += taken;
    requests += taken * count;
  }
  return [requests, requestsOf(references)];
}

/** Kolmogorov–Smirnov distance of the share of requests that the most popular share of keys has. */
function rankDistance(a: Family, b: Family): Measured | undefined {
  if (a.requests < ENOUGH || b.requests < ENOUGH) return undefined;
  const lorenz = (family: Family) => {
    const references = ranked([family]);
    const keys = references.reduce((sum, [, n]) => sum + n, 0);
    const requests = requestsOf(references);
    let k = 0;
    let r = 0;
    return [
      [0, 0] as const,
      ...references.map(([count, n]) => {
        k += n;
        r += n * count;
        return [k / keys, r / requests] as const;
      }),
    ];
  };
  const [x, y] = [lorenz(a), lorenz(b)];
  const at = (curve: (readonly [number, number])[], position: number) => {
    const i = curve.findIndex(([p]) => p >= position);
    if (i <= 0) return 0;
    const [p0, q0] = curve[i - 1]!;
    const [p1, q1] = curve[i]!;
    return q0 + ((q1 - q0) * (position - p0)) / (p1 - p0);
  };
  return {
    value: Math.max(...[...x, ...y].map(([p]) => Math.abs(at(x, p) - at(y, p)))),
    chance: ksChance(a.keys, b.keys),
  };
}

function curveDistance(a: Model['hitRatio'], b: Model['hitRatio']): { mean: number; largest: number } | undefined {
  if (a.length === 0 || b.length === 0) return undefined;
  const longest = Math.max(a.length, b.length);
  let sum = 0;
  let largest = 0;
  for (let i = 0; i < longest; i++) {
    const error = Math.abs((a[i] ?? a.at(-1)!)[1] - (b[i] ?? b.at(-1)!)[1]);
    sum += error;
    largest = Math.max(largest, error);
  }
  return { mean: sum / longest, largest };
}

const keysOf = (model: Model) =>
  model.families.reduce((sum, f) => sum + f.references.reduce((n, [, k]) => n + k, 0), 0);

function onceShare(model: Model): [number, number] {
  const once = model.families.reduce((sum, f) => sum + (f.references.find(([count]) => count === 1)?.[1] ?? 0), 0);
  return [once, keysOf(model)];
}

/** Relative difference of the keys that so many accesses touch; keys come and go like Poisson events. */
function footprintDistance(a: Model, b: Model): Measured | undefined {
  const [keysA, keysB] = [keysOf(a), keysOf(b)];
  if (keysA === 0 || keysB === 0) return undefined;
  return {
    value: Math.abs(keysB / b.keyAccesses / (keysA / a.keyAccesses) - 1),
    chance: 2.58 * Math.sqrt(1 / keysA + 1 / keysB),
  };
}

/** Critical distance of two samples at 1 %. */
const ksChance = (n: number, m: number) => 1.63 * Math.sqrt((n + m) / (n * m));

/** Kolmogorov–Smirnov distance of two distributions; undefined where one is too small. */
function distance(a: ValueCounts, b: ValueCounts): Measured | undefined {
  const total = (counts: ValueCounts) => counts.reduce((sum, [, n]) => sum + n, 0);
  const [sumA, sumB] = [total(a), total(b)];
  if (sumA < ENOUGH || sumB < ENOUGH) return undefined;
  let [i, j, cumulativeA, cumulativeB, largest] = [0, 0, 0, 0, 0];
  while (i < a.length || j < b.length) {
    const value = Math.min(a[i]?.[0] ?? Number.POSITIVE_INFINITY, b[j]?.[0] ?? Number.POSITIVE_INFINITY);
    if (a[i]?.[0] === value) cumulativeA += a[i++]![1] / sumA;
    if (b[j]?.[0] === value) cumulativeB += b[j++]![1] / sumB;
    largest = Math.max(largest, Math.abs(cumulativeA - cumulativeB));
  }
  return { value: largest, chance: ksChance(sumA, sumB) };
}

const streamsOf = ({ clients }: Model) => new Map(clients.streams.map((s) => [`${s.db} ${s.blocking}`, s]));

const WINDOW_SECONDS = { ms1: 0.001, ms10: 0.01, ms100: 0.1, ms1000: 1 } as const;

/**
 * Ratio of the index of dispersion less 1, of the stream and window that is furthest beyond chance, of streams with a
 * tenth of the units or more. A variance of n windows has a relative standard error of about √(2/n).
 */
function dispersionDistance(a: Model, b: Model): Measured | undefined {
  const others = streamsOf(b);
  const all = a.clients.streams.reduce((sum, stream) => sum + stream.units, 0);
  const measured = a.clients.streams.flatMap((stream) => {
    const other = others.get(`${stream.db} ${stream.blocking}`);
    if (!other || stream.units < all / 10) return [];
    return (Object.keys(WINDOW_SECONDS) as (keyof typeof WINDOW_SECONDS)[]).flatMap((window): Measured[] => {
      const [x, y] = [stream.dispersion[window], other.dispersion[window]];
      if (!x || !y) return [];
      const n = a.source.spanSeconds / WINDOW_SECONDS[window];
      const m = b.source.spanSeconds / WINDOW_SECONDS[window];
      return [
        { value: Math.exp(Math.abs(Math.log(y / x))) - 1, chance: Math.exp(2.58 * Math.sqrt(2 / n + 2 / m)) - 1 },
      ];
    });
  });
  return measured.sort((x, y) => y.value - y.chance - (x.value - x.chance))[0];
}

/** Mean over bins of |difference| ÷ mean rate, of all units, where both have whole bins of one width. */
function rateDistance(a: Model, b: Model): Measured | undefined {
  const binsOf = ({ clients, source }: Model) => {
    const widest = Math.max(...clients.streams.map((s) => s.arrivals.binSeconds));
    const bins: number[] = [];
    for (const { arrivals } of clients.streams) {
      const per = widest / arrivals.binSeconds;
      arrivals.units.forEach((n, i) => {
        bins[Math.floor(i / per)] = (bins[Math.floor(i / per)] ?? 0) + n;
      });
    }
    return { widest, bins: bins.slice(0, Math.floor(source.spanSeconds / widest)) };
  };
  const [x, y] = [binsOf(a), binsOf(b)];
  const n = Math.min(x.bins.length, y.bins.length);
  if (x.widest !== y.widest || n < 2) return undefined;
  const sum = (bins: number[]) => bins.slice(0, n).reduce((total, units) => total + (units ?? 0), 0);
  const [meanX, meanY] = [sum(x.bins) / n, sum(y.bins) / n];
  let error = 0;
  for (let i = 0; i < n; i++) error += Math.abs((x.bins[i] ?? 0) / meanX - (y.bins[i] ?? 0) / meanY);
  return plain(error / n);
}

/** Jensen–Shannon divergence of what comes next, averaged over what came before. */
function transitionDistance(a: Model, b: Model): Measured | undefined {
  const [x, y] = [followersOf(a), followersOf(b)];
  if (x.size === 0 && y.size === 0) return undefined;
  let sum = 0;
  let weight = 0;
  const mixes = [unitMixes(a), unitMixes(b)] as const;
  const shareOf = (classes: Map<string, number>[], label: string) =>
    classes.reduce((sum, mix) => sum + (mix.get(label) ?? 0), 0) / classes.reduce((sum, mix) => sum + totalOf(mix), 0);
  for (const before of new Set([...x.keys(), ...y.keys()])) {
    // Where a model has no row, the one before told nothing.
    const divergence = divergenceOf(
      x.get(before) ?? mixBehind(mixes[0], before),
      y.get(before) ?? mixBehind(mixes[1], before),
    );
    const n = shareOf(mixes[0], before) + shareOf(mixes[1], before);
    sum += n * divergence;
    weight += n;
  }
  return weight === 0 ? undefined : plain(sum / weight);
}

function followersOf({ transitions }: Model): Map<string, Map<string, number>> {
  const rows = new Map<string, Map<string, number>>();
  for (const { labels, pairs } of transitions) {
    for (const [from, to, n] of pairs) {
      const row = rows.get(labels[from]!) ?? new Map<string, number>();
      rows.set(labels[from]!, row);
      tally(row, labels[to]!, n);
    }
  }
  return rows;
}

/** By class of clients. */
function unitMixes({ clients, units, shapes, families }: Model): Map<string, number>[] {
  const mixes = clients.classes.map(() => new Map<string, number>());
  for (const unit of units) tally(mixes[unit.class]!, labelOfOps(unit.ops, shapes, families), unit.count);
  return mixes;
}

/** What clients do that do this, whatever they did before. */
function mixBehind(mixes: Map<string, number>[], before: string): Map<string, number> {
  const behind = new Map<string, number>();
  for (const mix of mixes) {
    const share = (mix.get(before) ?? 0) / totalOf(mix);
    for (const [label, n] of mix) tally(behind, label, n * share);
  }
  return behind;
}

function totalOf(mix: Map<string, number>): number {
  let total = 0;
  for (const n of mix.values()) total += n;
  return Math.max(1, total);
}
