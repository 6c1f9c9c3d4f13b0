/** What two models saw at one argument position of a shape → the role of both. */

import { MAX_LITERALS } from '../fit/literals.ts';
import { ascending, descending } from '../fit/summarize.ts';
import { type ValueCounts, ValueHistogram } from '../histogram.ts';
import type { Role } from '../model.ts';
import { tally } from '../tally.ts';

/** Values of both. Exact while they are few; within 1 % of each value beyond. */
export function addCounts(...all: ValueCounts[]): ValueCounts {
  const sum = new ValueHistogram();
  for (const counts of all) for (const [value, count] of counts) sum.add(value, count);
  return sum.entries();
}

/**
 * The role that one pass would have found, as far as the two roles tell: where they are of two kinds, the more general
 * one, with sizes in bytes for whatever was a word or a number. Times take what is no time with them, and the other way
 * round, by what most calls had there.
 */
export function mergeRoles(a: Role, b: Role): Role {
  if ('key' in a || 'key' in b) return a;
  const merged = mergeArguments(a, b);
  if (!('integers' in merged || 'numbers' in merged || 'times' in merged)) return merged;
  const { open: _, ...role } = merged;
  const most = seenOf(a) >= seenOf(b) ? a : b;
  return 'open' in most && most.open ? { ...role, open: true } : role;
}

function mergeArguments(a: Argument, b: Argument): Argument {
  const [seenA, seenB] = [seenOf(a), seenOf(b)];
  if ('times' in a || 'times' in b) {
    if ('times' in a && 'times' in b && a.times === b.times) {
      return { times: a.times, offsets: addCounts(a.offsets, b.offsets) };
    }
    return seenA >= seenB ? a : b;
  }
  if ('literals' in a && 'literals' in b) {
    const texts = new Map(a.literals);
    for (const [text, n] of b.literals) tally(texts, text, n);
    if (texts.size <= MAX_LITERALS) return { literals: descending(texts) };
  }
  const [integersA, integersB] = [integersOf(a), integersOf(b)];
  if (integersA && integersB) return { integers: addCounts(integersA, integersB) };
  const [numbersA, numbersB] = [numbersOf(a), numbersOf(b)];
  if (numbersA && numbersB) return { numbers: addCounts(numbersA, numbersB) };
  const [distinctA, distinctB] = [distinctOf(a), distinctOf(b)];
  return {
    bytes: addCounts(sizesOf(a), sizesOf(b)),
    distinct: Math.round(distinctOfBoth(distinctA, seenA, distinctB, seenB)),
  };
}

/**
 * How many different values two samples have together, if both are drawn evenly from one universe U: each has seen
 * U (1 - e^(-n/U)) of it. All different in both means an endless universe, and their sum.
 */
export function distinctOfBoth(distinctA: number, seenA: number, distinctB: number, seenB: number): number {
  const most = distinctA + distinctB;
  const least = Math.max(distinctA, distinctB);
  const [distinct, seen] = seenA >= seenB ? [distinctA, seenA] : [distinctB, seenB];
  if (distinct === 0 || distinct >= seen * 0.999) return most;
  const expected = (universe: number, n: number) => -universe * Math.expm1(-n / universe);
  let low = Math.log(distinct);
  let high = low + 20;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (expected(Math.exp(middle), seen) < distinct) low = middle;
    else high = middle;
  }
  return Math.min(most, Math.max(least, expected(Math.exp(low), seenA + seenB)));
}

type Argument = Exclude<Role, { key: number }>;

function countsOf(role: Argument): ValueCounts | [string, number][] {
  if ('literals' in role) return role.literals;
  if ('integers' in role) return role.integers;
  if ('numbers' in role) return role.numbers;
  return 'times' in role ? role.offsets : role.bytes;
}

const seenOf = (role: Argument) => countsOf(role).reduce((sum, [, n]) => sum + n, 0);

function integersOf(role: Argument): ValueCounts | undefined {
  if ('integers' in role) return role.integers;
  if (!('literals' in role) || !role.literals.every(([text]) => /^-?\d{1,15}$/.test(text))) return undefined;
  return ascending(new Map(role.literals.map(([text, n]) => [Number(text), n])));
}

function numbersOf(role: Argument): ValueCounts | undefined {
  if ('numbers' in role) return role.numbers;
  if (!('literals' in role)) return integersOf(role);
  if (!role.literals.every(([text]) => /^-?\d+(\.\d+)?$/.test(text))) return undefined;
  return ascending(new Map(role.literals.map(([text, n]) => [Number(text), n])));
}

function sizesOf(role: Argument): ValueCounts {
  if ('bytes' in role) return role.bytes;
  const sizes = new ValueHistogram();
  for (const [value, n] of countsOf(role)) sizes.add(String(value).length, n);
  return sizes.entries();
}

const distinctOf = (role: Argument) => ('distinct' in role ? role.distinct : countsOf(role).length);
