/** Which expiry a key has: short-lived keys stay short-lived, whichever command sets it. */
import { quantileOf, type ValueCounts } from '../../model/histogram.ts';
import type { Family, Shape } from '../../model/model.ts';
import { intern } from '../../model/tally.ts';
import { mix } from '../random.ts';
import { popularityOf, requestsByRank } from './ranks.ts';

/** Argument position (from 0, behind the command) of an expiry that is no option. */
const POSITION: Record<string, number> = { setex: 1, psetex: 1, expire: 1, pexpire: 1 };
const OPTIONS = new Set(['EX', 'PX', 'ex', 'px']);

/** Whether an expiry from now stands at this position of a shape. */
export function isExpiry({ command, roles }: Shape, position: number): boolean {
  if (POSITION[command] === position) return true;
  const option = command === 'set' || command === 'getex' ? roles[position - 1] : undefined;
  return option !== undefined && 'literals' in option && option.literals.every(([word]) => OPTIONS.has(word));
}

/** Seconds that one of what stands there is. */
export function expiryUnit({ command, roles }: Shape, position: number): number {
  const option = roles[position - 1];
  const word = option && 'literals' in option ? option.literals[0]?.[0] : undefined;
  return command.startsWith('p') || word?.toLowerCase() === 'px' ? 1e-3 : 1;
}

/** When keys of one family expire in a workload, as far as it has set that. */
export class Deadlines {
  /** In seconds; 0 for none. Made when it is needed. */
  private at: Float32Array | undefined;
  private readonly keys: number;

  constructor(keys: number) {
    this.keys = Math.max(1, keys);
  }

  has(key: number, passedBy: number): boolean {
    const at = this.at?.[key % this.keys] ?? 0;
    return at > 0 && at <= passedBy;
  }

  /** `atSeconds`: 0 for never. */
  set(key: number, atSeconds: number): void {
    if (atSeconds > 0) this.at ??= new Float32Array(this.keys);
    if (this.at) this.at[key % this.keys] = atSeconds;
  }
}

export class KeyExpiries {
  private readonly family: Family;
  private readonly number: number;
  private readonly requests: Uint32Array;
  private readonly total: number;
  /** By popularity class. */
  private readonly classes: ValueCounts[] = [];
  /** By expiry: how many of the family's are shorter, and as long. */
  private readonly places = new Map<number, { below: number; equal: number }>();

  constructor(family: Family, number: number) {
    this.family = family;
    this.number = number;
    this.requests = requestsByRank(family);
    this.total = family.ttlSeconds.reduce((sum, [, n]) => sum + n, 0);
    for (const { class: klass, ttlSeconds } of family.classes) this.classes[klass] = ttlSeconds;
  }

  /** Expiries of keys as popular as this one, in seconds. */
  ofClass(key: number): ValueCounts {
    const popularity = popularityOf(this.requests[key % this.requests.length] ?? 0);
    return this.classes[popularity] ?? NONE;
  }

  /** How long such a key lasts without being written, in seconds; undefined where keys like it do not expire. */
  seconds(key: number): number | undefined {
    const own = this.ofClass(key);
    return own.length === 0 ? undefined : quantileOf(own, mix(this.number, key, 0x771) / 2 ** 32);
  }

  /** Where this key stands among all expiries of its family: 0 is the shortest, 1 the longest. */
  quantile(key: number): number {
    const seconds = this.seconds(key);
    if (seconds === undefined || this.total === 0) return mix(this.number, key, 0x771) / 2 ** 32;
    const { below, equal } = intern(this.places, seconds, () => this.placeOf(seconds));
    return (below + equal * (mix(this.number, key, 0x772) / 2 ** 32)) / this.total;
  }

  private placeOf(seconds: number): { below: number; equal: number } {
    let below = 0;
    let equal = 0;
    for (const [value, n] of this.family.ttlSeconds) {
      if (value < seconds) below += n;
      else if (value === seconds) equal += n;
    }
    return { below, equal };
  }
}

const NONE: ValueCounts = [];
