/** Keys that a stretch of script calls leaves behind → which of them go while the stretch is repeated, and at which call. */
import type { Model } from '../../model/model.ts';
import { intern } from '../../model/tally.ts';
import { hashTag, keySlot } from '../slots.ts';

/** Keys that one command removes: few commands, of which none takes long. */
const BATCH = 32;
/** So many keys more, at the same pace: what a few tell of a pace is chance. */
const PRIOR = 4;

/** Keys that one command removes, as numbers of their texts, before the unit that comes in this place. */
export interface Leaving {
  place: number;
  db: number;
  texts: number[];
}

/**
 * Each time over, a stretch works on queues of its own and leaves there what a real one would have finished or replaced
 * by and by: after ten times, ten times as much. So what one time left goes while the next one puts others in its place,
 * all but the keys that would have been more by then. Whether done jobs are kept for ever, or so many of them, or for so
 * long, shows in whether the pace dies away at which keys are left. From the second quarter of the calls to their last half
 * it changed r times, in 3/8 of their time. If it goes on like that, after g keys in the last half come g (h + h²) in the
 * next time over, where h = r^(4/3), and h² times as many in each one after it.
 */
export class LeftBehind {
  private readonly keys: [db: number, text: number][];
  /** Keys that other commands use as well and that were not there at first: their families tell how many there are. */
  private readonly shared: [db: number, text: number][] = [];
  private readonly texts: string[];
  private readonly units: number;
  private readonly gained: number;
  /** What half a time over does to the pace. */
  private readonly half: number;
  /** Whether a cluster could have run the calls. */
  private readonly isOfSlots: boolean;

  constructor({ stretch: { left, shared = [], texts, units }, families }: Pick<Model, 'stretch' | 'families'>) {
    const [quarter, half, all] = left?.counts ?? [0, 0, 0];
    this.keys = left?.keys ?? [];
    this.texts = texts;
    this.units = units.length;
    this.gained = Math.max(0, all - half);
    const pace = (this.gained / 2 + PRIOR) / (Math.max(0, half - quarter) + PRIOR);
    this.half = Math.min(1, pace) ** (4 / 3);
    const known = new Set(this.keys.map(([, text]) => text));
    for (const [number, , text] of shared) {
      const { db, classes, existing, ttlSeconds } = families[number]!;
      const wasThere = existing > 0 || classes.some(({ found = 0 }) => found > 0);
      if (!known.has(text) && !wasThere && ttlSeconds.length === 0) this.shared.push([db, text]);
    }
    const declared = new Set(units.flatMap(([, , calls]) => calls.flatMap(([keys]) => keys)));
    this.isOfSlots =
      this.keys.every(([, text]) => declared.has(text) || hashTag(this.bytes(text))) &&
      units.every(([, , calls]) =>
        calls.every(([keys]) => new Set(keys.map((text) => keySlot(this.bytes(text)))).size <= 1),
      );
  }

  /** What the time over number `times` (from 1) left and the next one lets go, the first to go last. */
  leaving(times: number): Leaving[] {
    const { keys, units, half } = this;
    const kept = Math.min(keys.length, this.gained * (half + half ** 2) * half ** (2 * (times - 1)));
    const share = 1 - kept / Math.max(1, keys.length);
    const going = keys.filter((_, i) => Math.floor(share * (i + 1)) > Math.floor(share * i));
    const groups = new Map<string, Leaving[]>();
    for (const [db, text] of [...going, ...this.shared]) {
      const batches = intern(groups, `${db} ${this.groupOf(text)}`, (): Leaving[] => []);
      if (batches.length === 0 || batches.at(-1)!.texts.length === BATCH) batches.push({ place: 0, db, texts: [] });
      batches.at(-1)!.texts.push(text);
    }
    const all = [...groups.values()].flat();
    all.forEach((batch, i) => {
      batch.place = Math.floor(((i + 1) * units) / (all.length + 1));
    });
    return all.reverse();
  }

  /** Keys of one command are in one slot, where calls are. */
  private groupOf(text: number): string {
    const bytes = this.bytes(text);
    const tag = hashTag(bytes);
    if (tag) return this.texts[text]!.slice(tag.from, tag.to);
    return this.isOfSlots ? this.texts[text]! : '';
  }

  private bytes(text: number): Uint8Array {
    return Buffer.from(this.texts[text]!, 'latin1');
  }
}
