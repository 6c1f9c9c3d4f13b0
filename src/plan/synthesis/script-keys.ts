/** Keys that scripts and other commands both use → the number that each has in its family, and its text. */
import type { Model } from '../../model/model.ts';
import { intern } from '../../model/tally.ts';
import type { KeyMaker } from './keys.ts';
import { requestsByRank } from './ranks.ts';
import type { StretchReplay } from './stretch-replay.ts';

/** What stands between the first brace and the next: keys that have it in common are in one slot. */
const HASH_TAG = /\{([^}]+)\}/;

/**
 * Scripts have the captured texts, for other arguments of theirs may be made of them: here others use these, too. A hash
 * tag in such a text is the tag of all keys that have its number, so that what belongs together stays together.
 */
export class ScriptKeys {
  private readonly model: Pick<Model, 'families' | 'stretch'>;
  private readonly makers: readonly KeyMaker[];
  /** By family and number of the key: number of its text; and the other way round. */
  private readonly texts = new Map<number, Map<number, number>>();
  private readonly numbers = new Map<number, Map<string, number>>();
  /** By group of families that share tags: a text for each number of a tag, and the other way round. */
  private readonly tagTexts = new Map<KeyMaker['group'], Map<number, number>>();
  private readonly tagNumbers = new Map<KeyMaker['group'], Map<string, number>>();

  constructor(model: Pick<Model, 'families' | 'stretch'>, makers: readonly KeyMaker[]) {
    this.model = model;
    this.makers = makers;
    const shared = [...(model.stretch.shared ?? [])].sort((a, b) => b[1] - a[1]);
    const ranks = new Map<number, Uint32Array>();
    const next = new Map<number, number>();
    for (const [family, requests, text] of shared) {
      const ranked = intern(ranks, family, () => requestsByRank(model.families[family]!));
      const tag = makers[family]!.group && HASH_TAG.exec(model.stretch.texts[text]!)?.[1];
      let key = tag === undefined ? undefined : this.withKnownTag(family, tag, ranked.length);
      if (key === undefined) {
        key = next.get(family) ?? 0;
        // One as popular as that, whose tag is no other's.
        while (key + 1 < ranked.length && (ranked[key]! > requests || this.isTaken(family, key))) key++;
        if (key >= ranked.length || this.isTaken(family, key)) continue;
        next.set(family, key + 1);
      }
      intern(this.texts, family, () => new Map()).set(key, text);
      intern(this.numbers, family, () => new Map()).set(model.stretch.texts[text]!, key);
      if (tag === undefined) continue;
      const { group } = makers[family]!;
      const number = makers[family]!.tagOf(key);
      intern(this.tagTexts, group, () => new Map()).set(number, text);
      intern(this.tagNumbers, group, () => new Map()).set(tag, number);
    }
  }

  /** Latin1 text of a key, among the texts that the stretch has now. */
  nameOf(family: number, key: number, stretch: Pick<StretchReplay, 'text'>): string {
    const number = key % this.model.families[family]!.keys;
    const own = this.texts.get(family)?.get(number);
    if (own !== undefined) return stretch.text(own);
    const maker = this.makers[family]!;
    const name = maker.key(key);
    const tagged = maker.group && this.tagTexts.get(maker.group)?.get(maker.tagOf(number));
    if (tagged === undefined) return name;
    const tag = HASH_TAG.exec(stretch.text(tagged))?.[0];
    return tag === undefined ? name : name.replace(HASH_TAG, () => tag);
  }

  /** Number of the key in its family; undefined where only scripts use it. */
  numberOf(family: number, text: number): number | undefined {
    return this.numbers.get(family)?.get(this.model.stretch.texts[text]!);
  }

  /** Another key of a tag that has its number already. */
  private withKnownTag(family: number, tag: string, keys: number): number | undefined {
    const maker = this.makers[family]!;
    const number = this.tagNumbers.get(maker.group)?.get(tag);
    if (number === undefined) return undefined;
    const first = maker.withTag(0, number);
    for (let i = 0; i < keys; i++) {
      const key = maker.withTag(i, number);
      if (key >= keys || (i > 0 && key === first)) return undefined;
      if (!this.texts.get(family)?.has(key)) return key;
    }
    return undefined;
  }

  /** Whether the key's tag, or the key, has its text already. */
  private isTaken(family: number, key: number): boolean {
    const maker = this.makers[family]!;
    return this.texts.get(family)?.has(key) === true || this.tagTexts.get(maker.group)?.has(maker.tagOf(key)) === true;
  }
}
