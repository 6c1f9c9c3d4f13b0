/** Seeded randomness: the same seed gives the same numbers on every machine. */

/** Mulberry32 (Tommy Ettinger): uniform in [0, 1), 2^32 states; enough for a slice, which is seeded on its own. */
export function mulberry32(seed: number): () => number {
  // Signed: larger numbers than V8 keeps as integers would each be an object.
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
