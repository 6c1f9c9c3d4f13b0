/** A function that rises or falls all the way → where it crosses zero. */

/**
 * Where `f` is zero between the two places, whichever way it goes, to within `tolerance`; the nearer end where it is not.
 * The ITP method (Oliveira and Takahashi, ACM TOMS 47, 2021): as many steps as halving takes and one more at most, and a
 * few of a function that is about straight, for false position is kept as near to the middle as that asks for.
 */
export function rootOf(f: (x: number) => number, low: number, high: number, tolerance: number): number {
  let [a, b] = [low, high];
  let [atA, atB] = [f(a), f(b)];
  if (atA > 0 === atB > 0) return Math.abs(atA) < Math.abs(atB) ? a : b;
  const truncation = 0.2 / (b - a);
  let reach = tolerance * 2 ** (Math.ceil(Math.log2((b - a) / (2 * tolerance))) + 1);
  for (; b - a > 2 * tolerance; reach /= 2) {
    const middle = (a + b) / 2;
    const estimate = (a * atB - b * atA) / (atB - atA);
    const aside = middle - estimate;
    const towards = estimate + Math.sign(aside) * Math.min(Math.abs(aside), truncation * (b - a) ** 2);
    const most = reach - (b - a) / 2;
    const x = Math.min(middle + most, Math.max(middle - most, towards));
    const atX = f(x);
    if (atX > 0 === atB > 0) [b, atB] = [x, atX];
    else [a, atA] = [x, atX];
    if (atX === 0) return x;
  }
  return (a + b) / 2;
}
