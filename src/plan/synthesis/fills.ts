/** A family's misses → what others do about them, and when: the writes of its keys that follow from reads. */

import { beforeEnd, KeyState, POPULARITIES } from '../../model/fit/units.ts';
import type { Family, Model } from '../../model/model.ts';
import { Alias, type Random, Sampler } from '../random.ts';

/** A write that is to come. */
export interface Fill {
  atUs: number;
  family: number;
  key: number;
}

/** Who fills the misses of one family. */
export class Fillers {
  private readonly units: number[] = [];
  private readonly alias: Alias;
  private readonly delays: Sampler;
  private readonly shares: { missing: number; gone: number };

  /** `units`: such as make their first key, which is of the family. */
  constructor(
    { missing, gone, delaySeconds }: NonNullable<Family['fills']>,
    units: readonly number[],
    all: Model['units'],
  ) {
    const weights: number[] = [];
    for (const unit of units) {
      const weight = all[unit]!.count * fillingShare(all[unit]!);
      if (weight === 0) continue;
      this.units.push(unit);
      weights.push(weight);
    }
    this.alias = new Alias(weights);
    this.delays = new Sampler(delaySeconds, 0);
    const share = ([asked, filled]: [number, number]) => filled / Math.max(1, asked);
    this.shares = this.units.length > 0 ? { missing: share(missing), gone: share(gone) } : { missing: 0, gone: 0 };
  }

  /** When the key that somebody has just asked for, which is not there, is filled; undefined if nobody does. */
  after(wasThere: boolean, random: Random): number | undefined {
    if (random() >= this.shares[wasThere ? 'gone' : 'missing']) return undefined;
    return Math.max(0, this.delays.draw(random)) * 1e6;
  }

  unit(random: Random): number {
    return this.units[this.alias.draw(random)]!;
  }
}

/** Share of a unit that fills what others have asked for. */
export function fillingShare({ keyStates }: Model['units'][number]): number {
  let [filled, all] = [0, 0];
  for (const [at, n] of keyStates) {
    all += n;
    if (beforeEnd(Math.floor(at / POPULARITIES)) === KeyState.filled) filled += n;
  }
  return filled / Math.max(1, all);
}
