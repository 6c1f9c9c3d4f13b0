/** Keys that scripts and other commands both use → the number that each has in its family, and its text. */
import type { Model } from '../model/model.ts';
import { intern } from '../model/tally.ts';
import type { KeyMaker } from './keys.ts';
import { requestsByRank } from './ranks.ts';

/** Scripts have the captured texts, for other arguments of theirs may be made of them: here others use these, too. */
export class ScriptKeys {
  private readonly model: Pick<Model, 'families' | 'stretch'>;
  /** By family and number of the key: number of its text; and the other way round. */
  private readonly texts = new Map<number, Map<number, number>>();
  private readonly numbers = new Map<number, Map<string, number>>();

  constructor(model: Pick<Model, 'families' | 'stretch'>, makers: readonly KeyMaker[]) {
    this.model = model;
    const shared = [...(model.stretch.shared ?? [])].sort((a, b) => b[1] - a[1]);
    const ranks = new Map<number, Uint32Array>();
    const next = new Map<number, number>();
    for (const [family, requests, text] of shared) {
      // Keys of a hash tag have to stay together.
      if (makers[family]!.group) continue;
      const ranked = intern(ranks, family, () => requestsByRank(model.families[family]!));
      let key = next.get(family) ?? 0;
      // One as popular as that.
      while (key + 1 < ranked.length && ranked[key]! > requests) key++;
      if (key >= ranked.length) continue;
      next.set(family, key + 1);
      intern(this.texts, family, () => new Map()).set(key, text);
      intern(this.numbers, family, () => new Map()).set(model.stretch.texts[text]!, key);
    }
  }

  /** Number of the text in `Model.stretch` that such a key has; undefined for keys that no script uses. */
  textOf(family: number, key: number): number | undefined {
    return this.texts.get(family)?.get(key % this.model.families[family]!.keys);
  }

  /** Number of the key in its family; undefined where only scripts use it. */
  numberOf(family: number, text: number): number | undefined {
    return this.numbers.get(family)?.get(this.model.stretch.texts[text]!);
  }
}
