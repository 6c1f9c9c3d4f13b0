/** How unequal the requests of a family's keys are: Zipf's exponent, estimated without the bias of ranking on the same counts. */
import { popcount } from './bits.ts';

/** Fewer requests than this say nothing about an exponent. */
const MIN_REQUESTS = 200;
const MIN_KEYS = 10;
const MAX_EXPONENT = 4;
/** Halvings of the interval: to a quarter of a thousandth. */
const STEPS = 14;
/** Up to here ranks are told apart; further ones are grouped by 5 %, which changes the exponent by less than 0.001. */
const SINGLE_RANKS = 64;
const GROUP = 1.05;
/** Of more requests a half is drawn from the normal distribution, which then differs from the binomial one by nothing. */
const MAX_TOSSES = 1 << 14;
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
  let low = 0;
  let high = MAX_EXPONENT;
  for (let i = 0; i < STEPS; i++) {
    const s = (low + high) / 2;
    // The more unequal, the smaller the mean of ln rank.
    if (expectedMeanLog(s, seen, total) > mean) low = s;
    else high = s;
  }
  return Math.round(low * 1000) / 1000;
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

/** Ranks of about one popularity: how many stand before them, how many they are, and the requests of each in a half. */
interface RankGroup {
  before: number;
  ranks: number;
  rate: number;
}

/** What the mean of ln rank is expected to be with exponent s, `seen` keys and `requests` requests. */
function expectedMeanLog(s: number, seen: number, requests: number): number {
  const groups = groupsOf(s, keysInAll(s, seen, requests), requests);
  let sure = 0;
  let sum = 0;
  const byCount: number[] = [];
  for (const { before, ranks, rate } of groups) {
    if (rate > SURE) {
      sure += ranks;
      sum += ranks * rate * meanLog(before, ranks);
    } else {
      eachCount(rate, (count, p) => {
        byCount[count] = (byCount[count] ?? 0) + ranks * p;
      });
    }
  }
  const logs: number[] = [];
  let before = sure;
  for (let count = byCount.length - 1; count > 0; count--) {
    logs[count] = meanLog(before, byCount[count]!);
    before += byCount[count]!;
  }
  // Only those that the other half has seen stand behind.
  logs[0] = meanLog(Math.min(before, seen), Math.max(0, seen - before));
  for (const { ranks, rate } of groups) {
    if (rate > SURE) continue;
    eachCount(rate, (count, p) => {
      sum += ranks * rate * p * logs[count]!;
    });
  }
  return sum / (requests / 2);
}

/** Probabilities of a Poisson count, from 0 until what is left does not matter. */
function eachCount(rate: number, visit: (count: number, p: number) => void): void {
  const last = Math.ceil(rate + 7 * Math.sqrt(rate) + 7);
  let p = Math.exp(-rate);
  for (let count = 0; count <= last; count++) {
    visit(count, p);
    p *= rate / (count + 1);
  }
}

/** Number of keys of which so many are expected to be seen. */
export function keysInAll(s: number, seen: number, requests: number): number {
  const expected = (keys: number) =>
    groupsOf(s, keys, requests).reduce((sum, { ranks, rate }) => sum - ranks * Math.expm1(-2 * rate), 0);
  let low = Math.log(seen);
  let high = low + Math.log(MAX_UNSEEN);
  for (let i = 0; i < 2 * STEPS && high - low > 1e-4; i++) {
    const middle = (low + high) / 2;
    if (expected(Math.exp(middle)) < seen) low = middle;
    else high = middle;
  }
  return Math.exp(low);
}

function groupsOf(s: number, keys: number, requests: number): RankGroup[] {
  const groups: RankGroup[] = [];
  let sum = 0;
  for (let from = 1; from < keys + 0.5; ) {
    const until = Math.min(keys + 1, from < SINGLE_RANKS ? from + 1 : Math.floor(from * GROUP) + 1);
    const rank = until - from <= 1 ? from : Math.sqrt((from - 0.5) * (until - 0.5));
    const rate = rank ** -s;
    groups.push({ before: from - 1, ranks: until - from, rate });
    sum += (until - from) * rate;
    from = until;
  }
  for (const group of groups) group.rate *= requests / 2 / sum;
  return groups;
}
