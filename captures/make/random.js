// Seeded randomness for the workloads: one 32-bit seed gives one stream of draws.

/** mulberry32: 32 bits of state, period 2^32, good enough to shape a workload. */
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Random {
  constructor(seed) {
    this.unit = mulberry32(seed);
  }

  /** An integer in [low, high]. */
  between(low, high) {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(probability) {
    return this.unit() < probability;
  }

  pick(list) {
    return list[Math.floor(this.unit() * list.length)];
  }

  /** `count` picks without repetition (fewer if the list is shorter). */
  sample(list, count) {
    const rest = [...list];
    const taken = [];
    while (taken.length < count && rest.length > 0) {
      taken.push(...rest.splice(Math.floor(this.unit() * rest.length), 1));
    }
    return taken;
  }

  exponential(mean) {
    return -mean * Math.log(1 - this.unit());
  }

  /** Log-normal by the Box–Muller transform. */
  logNormal(median, sigma) {
    const normal = Math.sqrt(-2 * Math.log(1 - this.unit())) * Math.cos(2 * Math.PI * this.unit());
    return median * Math.exp(sigma * normal);
  }

  bytes(length) {
    return Buffer.from(Array.from({ length }, () => this.between(0, 255)));
  }

  id(length) {
    return this.bytes(Math.ceil((length * 3) / 4))
      .toString('base64url')
      .slice(0, length);
  }

  hex(length) {
    return this.bytes(Math.ceil(length / 2))
      .toString('hex')
      .slice(0, length);
  }

  /** A sampler of ranks 0 … count − 1 with P(rank) ∝ 1 / (rank + 1)^exponent. */
  zipf(count, exponent) {
    const cumulative = new Float64Array(count);
    let total = 0;
    for (let rank = 0; rank < count; rank++) {
      total += 1 / (rank + 1) ** exponent;
      cumulative[rank] = total;
    }
    return () => {
      const target = this.unit() * total;
      let low = 0;
      let high = count - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (cumulative[middle] <= target) low = middle + 1;
        else high = middle;
      }
      return low;
    };
  }
}

const GIVEN = [
  'Ada',
  'Bruno',
  'Chidi',
  'Dalia',
  'Emre',
  'Farah',
  'Goran',
  'Hana',
  'Ines',
  'Jonas',
  'Kaito',
  'Lucía',
  'Mira',
  'Nils',
  'Oluwa',
  'Petra',
  'Quim',
  'Rosa',
  'Søren',
  'Tova',
];
const FAMILY = [
  'Abara',
  'Bergström',
  'Castel',
  'Dvorak',
  'Ekholm',
  'Fenn',
  'Garrow',
  'Holt',
  'Ivers',
  'Jansky',
  'Kessel',
  'Lorne',
  'Marsh',
  'Novak',
  'Okafor',
  'Prado',
  'Quill',
  'Rivas',
  'Sato',
  'Thorne',
];

/** A made-up person; the address is in a domain reserved for examples. */
export function person(random) {
  const given = random.pick(GIVEN);
  const family = random.pick(FAMILY);
  const plain = (name) =>
    name
      .normalize('NFD')
      .replace(/[^a-z]/gi, '')
      .toLowerCase();
  return { name: `${given} ${family}`, email: `${plain(given)}.${plain(family)}${random.between(1, 99)}@example.com` };
}

/** An address from the three blocks that RFC 5737 reserves for documentation. */
export function ipAddress(random) {
  return `${random.pick(['192.0.2', '198.51.100', '203.0.113'])}.${random.between(1, 254)}`;
}
