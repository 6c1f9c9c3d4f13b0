/** How unequal the requests of a family's keys are: Zipf's exponent, estimated without the bias of ranking on the same counts. */
import { rootOf } from '../root.ts';
import { popcount } from './bits.ts';

/** Fewer requests than this say nothing about an exponent. */
const MIN_REQUESTS = 200;
const MIN_KEYS = 10;
const MAX_EXPONENT = 4;
/** Of an exponent, and of the logarithm of how many keys there are. */
const TOLERANCE = 1e-4;
/** Up to here ranks are told apart; further ones are grouped by 5 %, which changes the exponent by less than 0.001. */
const SINGLE_RANKS = 64;
const GROUP = 1.05;
/** Of more requests a half is drawn from the normal distribution, which then differs from the binomial one by nothing. */
const MAX_TOSSES = 1 << 10;
/** A key with more requests than this in half of the sample is ranked where it belongs. */
const SURE = 64;
/** As many keys to a seen one are thought possible: beyond, only an exponent below 1 would show. */
const MAX_UNSEEN = 1e4;

/**
 * Zipf exponent s of p(rank) ∝ rank^-s over `counts` (requests per key, any order), or null where there is too little data.
 *
 * Counts are split binomially in two halves: one ranks the keys, the other weighs ln rank by requests, and the other way
 * round, which takes away the bias of ranking and fitting on the same counts. What is left is that keys of few requests
 * are ranked by chance and that some keys are never seen; so s is that for which the same split of Poisson counts of
 * Zipf's rates is expected to give the same mean, with as many keys in all as make the number of seen ones come true.
 * Within 0.01 of the truth from one request a key on (500 keys and 20,000 requests: 0.02); keys that are all alike may
 * come out as 0.05.
 */
export function zipfExponent(counts: ArrayLike<number>, random: () => number): number | null {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  if (total < MIN_REQUESTS) return null;
  /** Keys by their count in one half: how many they are, and their requests in the other half. */
  const ranked = { first: new Map<number, Rank>(), second: new Map<number, Rank>() };
  let seen = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue;
    const first = halfOf(counts[i]!, random);
    const second = counts[i]! - first;
    seen++;
    noteRank(ranked.first, first, second);
    noteRank(ranked.second, second, first);
  }
  if (seen < MIN_KEYS) return null;
  const mean = (sumOfLogs(ranked.first) + sumOfLogs(ranked.second)) / total;
  // The more unequal, the smaller the mean of ln rank.
  const s = rootOf((exponent) => expectedMeanLog(exponent, seen, total) - mean, 0, MAX_EXPONENT, TOLERANCE);
  return Math.round(s * 1000) / 1000;
}

interface Rank {
  keys: number;
  requests: number;
}

/** How many of so many requests fall into the first half: binomial, each with probability ½. */
function halfOf(count: number, random: () => number): number {
  if (count > MAX_TOSSES) {
    // Box and Muller, 1958.
    const deviation = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.round((count + Math.sqrt(count) * deviation) / 2);
  }
  let half = 0;
  // A coin a bit.
  for (let n = count; n > 0; n -= 32) half += popcount((random() * 2 ** 32) >>> Math.max(0, 32 - n));
  return half;
}

function noteRank(ranks: Map<number, Rank>, count: number, requests: number): void {
  const rank = ranks.get(count);
  if (rank === undefined) ranks.set(count, { keys: 1, requests });
  else {
    rank.keys++;
    rank.requests += requests;
  }
}

/** Σ ln rank of the requests; keys are ranked by their count in the other half, and equal ones share their ranks. */
function sumOfLogs(ranks: Map<number, Rank>): number {
  let sum = 0;
  let before = 0;
  for (const [, { keys, requests }] of [...ranks].sort((a, b) => b[0] - a[0])) {
    sum += requests * meanLog(before, keys);
    before += keys;
  }
  return sum;
}

/** Mean of ln rank over the `n` ranks behind the first `before`: ∫ ln x dx from before + ½ to before + n + ½. */
function meanLog(before: number, n: number): number {
  if (n < 1e-6) return Math.log(before + 0.5);
  const integral = (x: number) => x * Math.log(x) - x;
  return (integral(before + n + 0.5) - integral(before + 0.5)) / n;
}

/** What the mean of ln rank is expected to be with exponent s, `seen` keys and `requests` requests. */
function expectedMeanLog(s: number, seen: number, requests: number): number {
  const zipf = new ZipfRates(s);
  zipf.share(keysInAll(s, seen, requests), requests / 2);
  let sure = 0;
  let sum = 0;
  const byCount = new Float64Array(lastCount(SURE) + 1);
  for (let i = 0; i < zipf.groups; i++) {
    const [ranks, rate] = [zipf.ranks(i), zipf.rate(i)];
    if (rate > SURE) {
      sure += ranks;
      sum += ranks * rate * meanLog(zipf.before(i), ranks);
      continue;
    }
    const last = lastCount(rate);
    let p = Math.exp(-rate);
    for (let count = 0; count <= last; count++) {
      byCount[count]! += ranks * p;
      p *= rate / (count + 1);
    }
  }
  const logs = new Float64Array(byCount.length);
  let before = sure;
  for (let count = byCount.length - 1; count > 0; count--) {
    logs[count] = meanLog(before, byCount[count]!);
    before += byCount[count]!;
  }
  // Only those that the other half has seen stand behind.
  logs[0] = meanLog(Math.min(before, seen), Math.max(0, seen - before));
  for (let i = 0; i < zipf.groups; i++) {
    const [ranks, rate] = [zipf.ranks(i), zipf.rate(i)];
    if (rate > SURE) continue;
    const last = lastCount(rate);
    let p = Math.exp(-rate);
    for (let count = 0; count <= last; count++) {
      sum += ranks * rate * p * logs[count]!;
      p *= rate / (count + 1);
    }
  }
  return sum / (requests / 2);
}

/** Poisson counts above this do not matter. */
const lastCount = (rate: number) => Math.ceil(rate + 7 * Math.sqrt(rate) + 7);

/** Number of keys of which so many are expected to be seen. */
export function keysInAll(s: number, seen: number, requests: number): number {
  const zipf = new ZipfRates(s);
  const unseen = (logKeys: number) => {
    zipf.share(Math.exp(logKeys), requests / 2);
    return zipf.seenByBoth() - seen;
  };
  const least = Math.log(seen);
  return Math.exp(rootOf(unseen, least, least + Math.log(MAX_UNSEEN), TOLERANCE));
}

/** Requests of any number of keys whose popularity follows Zipf's law, by groups of ranks that are about as popular. */
class ZipfRates {
  groups = 0;
  /** Of groups that are whole: the first rank, and behind the last the next one; p(rank); and the sum of p before it. */
  private readonly from = [1];
  private readonly p: number[] = [];
  private readonly sum = [0];
  private readonly s: number;
  /** Of the last group, which may be a part of one. */
  private lastRanks = 0;
  private lastP = 0;
  private scale = 0;

  constructor(s: number) {
    this.s = s;
  }

  /** As many requests are shared by so many keys. */
  share(keys: number, requests: number): void {
    const { from, p, sum } = this;
    let last = 0;
    for (; ; last++) {
      if (last === p.length) {
        const until = from[last]! < SINGLE_RANKS ? from[last]! + 1 : Math.floor(from[last]! * GROUP) + 1;
        from.push(until);
        p.push(this.popularity(from[last]!, until));
        sum.push(sum[last]! + (until - from[last]!) * p[last]!);
      }
      if (from[last + 1]! >= keys + 1) break;
    }
    const until = Math.min(keys + 1, from[last + 1]!);
    this.groups = last + 1;
    this.lastRanks = until - from[last]!;
    this.lastP = this.popularity(from[last]!, until);
    this.scale = requests / (sum[last]! + this.lastRanks * this.lastP);
  }

  /** Ranks that stand before a group. */
  before(group: number): number {
    return this.from[group]! - 1;
  }

  ranks(group: number): number {
    return group === this.groups - 1 ? this.lastRanks : this.from[group + 1]! - this.from[group]!;
  }

  /** Requests of each rank of a group. */
  rate(group: number): number {
    return (group === this.groups - 1 ? this.lastP : this.p[group]!) * this.scale;
  }

  /** Keys that are expected to be seen in two such samples. */
  seenByBoth(): number {
    let keys = 0;
    for (let i = 0; i < this.groups; i++) keys -= this.ranks(i) * Math.expm1(-2 * this.rate(i));
    return keys;
  }

  private popularity(from: number, until: number): number {
    const rank = until - from <= 1 ? from : Math.sqrt((from - 0.5) * (until - 0.5));
    return rank ** -this.s;
  }
}
