/** A key's bytes and its database → 64 bits that stand for it, in JavaScript and as code for the scanner's program. */
import {
  block,
  branch,
  branchIf,
  type Code,
  type LocalI32,
  type LocalV128,
  loop,
  type Routine,
  type V128,
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

/** Longer texts are left to JavaScript: what is left of one must fit into a signed byte. */
export const MAX_CODED_BYTES = 120;

/**
 * Code for four texts at once, one in each lane: leaves in `low` and `high` what `hash64` does, which a test holds it
 * against. As many bytes are read of each text as of the longest, and up to three more. `lengths`: MAX_CODED_BYTES at most.
 */
export function hashCode(
  routine: Routine,
  constant: (lanes: number[]) => V128,
  texts: LocalI32[],
  lengths: V128,
  seeds: V128,
) {
  const vector = () => routine.v128();
  const low = vector();
  const high = vector();
  const words = vector();
  const left = vector();
  const mask = vector();
  const product = vector();
  const zero = constant([0]);
  const rotated = (v: V128, bits: number) => [
    product.set(v),
    product.set(product.shiftLeft32(bits).or(product.shiftRight32(32 - bits))),
  ];
  const finished = (h: LocalV128): Code[] => [
    h.set(h.xor(h.shiftRight32(16)).multiply32(constant([0x85ebca6b]))),
    h.set(h.xor(h.shiftRight32(13)).multiply32(constant([0xc2b2ae35]))),
    h.set(h.xor(h.shiftRight32(16))),
  ];
  /** Only where a text goes on. */
  const become = (v: LocalV128, next: V128) => v.set(v.xor(v.xor(next).and(mask)));
  const code: Code[] = [
    low.set(seeds.xor(constant([SEED_A]))),
    high.set(seeds.xor(constant([SEED_B]))),
    left.set(lengths),
    block((done) => [
      loop((more) => [
        mask.set(left.above32(zero)),
        branchIf(done, mask.any().isZero()),
        words.set(zero),
        ...texts.map((text, lane) => words.set(words.loadLane32(text, lane))),
        // Bytes behind the end are zeros.
        words.set(
          words.and(
            left.shuffle(left, [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12]).aboveBytes(constant([0x03020100])),
          ),
        ),
        ...rotated(low.xor(words).multiply32(constant([FACTOR_A])), 15),
        become(low, product),
        ...rotated(high.xor(words).multiply32(constant([FACTOR_B])), 13),
        become(high, product.add32(low)),
        left.set(left.subtract32(constant([4]))),
        ...texts.map((text) => text.set(text.add(4))),
        branch(more),
      ]),
    ]),
    high.set(high.add32(low).add32(low.shiftLeft32(2)).add32(lengths)),
    low.set(low.xor(lengths)),
    ...finished(low),
    ...finished(high),
  ];
  return { code, low, high };
}
