/** How unequal the requests of a family's keys are: Zipf's exponent, estimated without the bias of ranking on the same counts. */

/** Fewer requests than this say nothing about an exponent. */
const MIN_REQUESTS = 200;
const MIN_KEYS = 10;

/**
 * Zipf exponent s of p(rank) ∝ rank^-s over `counts` (requests per key, any order), or null where there is too little data.
 * Counts are split binomially in two halves: one ranks the keys, the other is fitted by maximum likelihood
 * (Σ c_r ln r / N = Σ r^-s ln r / Σ r^-s), which removes the upward bias of ranking and fitting on the same sample.
 */
export function zipfExponent(counts: ArrayLike<number>, random: () => number): number | null {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i]!;
  if (total < MIN_REQUESTS || counts.length < MIN_KEYS) return null;
  const ranked: { rank: number; fit: number }[] = [];
  for (let i = 0; i < counts.length; i++) {
    let rank = 0;
    for (let n = counts[i]!; n > 0; n--) if (random() < 0.5) rank++;
    ranked.push({ rank, fit: counts[i]! - rank });
  }
  ranked.sort((a, b) => b.rank - a.rank);
  let weighted = 0;
  let fitted = 0;
  for (let r = 0; r < ranked.length; r++) {
    fitted += ranked[r]!.fit;
    weighted += ranked[r]!.fit * Math.log(r + 1);
  }
  if (fitted === 0) return null;
  const target = weighted / fitted;
  // Mean of ln r under exponent s falls monotonically in s: bisection.
  let low = -0.5;
  let high = 4;
  for (let i = 0; i < 40; i++) {
    const s = (low + high) / 2;
    let sum = 0;
    let logs = 0;
    for (let r = 1; r <= ranked.length; r++) {
      const p = r ** -s;
      sum += p;
      logs += p * Math.log(r);
    }
    if (logs / sum > target) low = s;
    else high = s;
  }
  return Math.max(0, Math.round(low * 1000) / 1000);
}
