/** Connections with the habits of each → a few classes of connections, by what they send. */

export interface ClientHabit {
  db: number;
  firstUs: number;
  lastUs: number;
  /** Units by kind. */
  units: Map<number, number>;
}

export interface ClientClass {
  db: number;
  blocking: boolean;
  members: ClientHabit[];
  /** Units by kind. */
  units: Map<number, number>;
}

export const MAX_CLASSES = 32;
/** Connections whose mixes diverge by less belong together (Jensen–Shannon, base 2), beyond what few units do by chance. */
export const SAME_HABIT = 0.25;

/**
 * Leader clustering: the busiest connection founds a class, the next joins the nearest one or founds its own. Blocking
 * units form classes of their own, because a connection that waits cannot do anything else.
 */
export function classify(
  clients: Iterable<ClientHabit>,
  isBlocking: (kind: number) => boolean,
): { classes: ClientClass[]; classOf: (client: ClientHabit, blocking: boolean) => ClientClass | undefined } {
  const classes: ClientClass[] = [];
  const classOf = { true: new Map<ClientHabit, ClientClass>(), false: new Map<ClientHabit, ClientClass>() };
  const total = (units: Map<number, number>) => {
    let sum = 0;
    for (const n of units.values()) sum += n;
    return sum;
  };
  const sorted = [...clients].map((client) => ({ client, n: total(client.units) })).sort((a, b) => b.n - a.n);
  for (const { client } of sorted) {
    for (const blocking of [false, true]) {
      const own = new Map([...client.units].filter(([kind]) => isBlocking(kind) === blocking));
      if (own.size === 0) continue;
      let best: ClientClass | undefined;
      let bestDivergence = Number.POSITIVE_INFINITY;
      for (const klass of classes) {
        if (klass.db !== client.db || klass.blocking !== blocking) continue;
        const divergence = divergenceOf(klass.units, own) - own.size / (8 * Math.LN2 * total(own));
        if (divergence < bestDivergence) {
          best = klass;
          bestDivergence = divergence;
        }
      }
      if (!best || (bestDivergence > SAME_HABIT && classes.length < MAX_CLASSES)) {
        best = { db: client.db, blocking, members: [], units: new Map() };
        classes.push(best);
      }
      best.members.push(client);
      for (const [kind, n] of own) best.units.set(kind, (best.units.get(kind) ?? 0) + n);
      classOf[`${blocking}`].set(client, best);
    }
  }
  return { classes, classOf: (client, blocking) => classOf[`${blocking}`].get(client) };
}

/** Jensen–Shannon divergence, base 2 (0 to 1), of two count vectors by name. */
export function divergenceOf<K>(a: ReadonlyMap<K, number>, b: ReadonlyMap<K, number>): number {
  let sumA = 0;
  let sumB = 0;
  for (const n of a.values()) sumA += n;
  for (const n of b.values()) sumB += n;
  if (sumA === 0 || sumB === 0) return sumA === sumB ? 0 : 1;
  let js = 0;
  for (const [key, n] of a) {
    const p = n / sumA;
    const q = (b.get(key) ?? 0) / sumB;
    if (p > 0) js += (p * Math.log2((2 * p) / (p + q))) / 2;
    if (q > 0) js += (q * Math.log2((2 * q) / (p + q))) / 2;
  }
  for (const [key, n] of b) if (!a.has(key)) js += n / sumB / 2;
  return Math.max(0, js);
}

/** The largest number of connections that were open at once, by first and last line. */
export function peakOverlap(members: ClientHabit[]): number {
  const events = members.flatMap((c) => [
    [c.firstUs, 1],
    [c.lastUs, -1],
  ]) as [number, number][];
  events.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let open = 0;
  let peak = 0;
  for (const [, change] of events) {
    open += change;
    peak = Math.max(peak, open);
  }
  return peak;
}
