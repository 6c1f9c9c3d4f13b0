/** A key's bytes and its database → 64 bits that stand for it, in JavaScript and as code for the scanner's program. */
import {
  block,
  branch,
  branchIf,
  type Code,
  type I32,
  i32,
  type LocalI32,
  load32,
  loop,
  type Routine,
  when,
} from './assembler.ts';

/** The two halves of the last `hash64`, signed; it returns nothing so that a key costs no allocation. */
export let hashLow = 0;
export let hashHigh = 0;

/**
 * Two 32-bit halves of a MurmurHash3-style mix of `bytes[start..end)`, four bytes a step, left in `hashLow` and
 * `hashHigh`. Collisions of both among 10⁷ keys: about 3 in a million captures. `seed`: of a key, its database.
 */
export function hash64(bytes: Uint8Array, start: number, end: number, seed: number): void {
  let a = seed ^ SEED_A;
  let b = seed ^ SEED_B;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    a = Math.imul(a ^ word, FACTOR_A);
    a = (a << 15) | (a >>> 17);
    b = Math.imul(b ^ word, FACTOR_B);
    b = (((b << 13) | (b >>> 19)) + a) | 0;
  }
  if (i < end) {
    let word = bytes[i]!;
    if (i + 1 < end) word |= bytes[i + 1]! << 8;
    if (i + 2 < end) word |= bytes[i + 2]! << 16;
    a = Math.imul(a ^ word, FACTOR_A);
    a = (a << 15) | (a >>> 17);
    b = Math.imul(b ^ word, FACTOR_B);
    b = (((b << 13) | (b >>> 19)) + a) | 0;
  }
  const length = end - start;
  hashLow = finish(a ^ length);
  hashHigh = finish((b + Math.imul(a, 5) + length) | 0);
}

const SEED_A = 0x9747b28c | 0;
const SEED_B = 0x3c6ef372;
const FACTOR_A = 0xcc9e2d51 | 0;
const FACTOR_B = 0x1b873593;

/** MurmurHash3's last steps. */
function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * Code that leaves the same in `low` and `high` for the text in the program's memory, three bytes beyond which it reads;
 * a test holds the two against each other.
 */
export function hashCode(routine: Routine, text: I32, length: I32, seed: I32, low: LocalI32, high: LocalI32): Code[] {
  const [a, b] = [low, high];
  const at = routine.i32();
  const end = routine.i32();
  const word = routine.i32();
  const mix: Code[] = [
    a.set(a.xor(word).multiply(FACTOR_A).rotateLeft(15)),
    b.set(b.xor(word).multiply(FACTOR_B).rotateLeft(13).add(a)),
  ];
  const finished = (h: LocalI32): Code[] => [
    h.set(h.xor(h.shiftRight(16)).multiply(0x85ebca6b | 0)),
    h.set(h.xor(h.shiftRight(13)).multiply(0xc2b2ae35 | 0)),
    h.set(h.xor(h.shiftRight(16))),
  ];
  return [
    a.set(seed.xor(SEED_A)),
    b.set(seed.xor(SEED_B)),
    at.set(text),
    end.set(text.add(length)),
    block((rest) => [
      loop((more) => [
        branchIf(rest, end.subtract(at).below(4)),
        word.set(load32(at)),
        ...mix,
        at.set(at.add(4)),
        branch(more),
      ]),
    ]),
    when(at.below(end), [
      word.set(load32(at).and(i32(1).shiftLeft(end.subtract(at).shiftLeft(3)).subtract(1))),
      ...mix,
    ]),
    b.set(b.add(a.multiply(5)).add(length)),
    a.set(a.xor(length)),
    ...finished(a),
    ...finished(b),
  ];
}
