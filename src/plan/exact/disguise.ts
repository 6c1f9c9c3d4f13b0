/** Captured arguments → arguments that do the same and name nobody. */
import { Disguise } from '../../model/disguise.ts';
import type { Model } from '../../model/model.ts';
import { vocabularyOf } from '../../model/vocabulary.ts';
import { hashTag } from '../slots.ts';

/** Longer arguments of plain commands are payloads: they become noise. */
const MAX_WORDS_BYTES = 64;

export class ArgumentDisguise {
  private readonly disguise: Disguise;

  /** `secret`: who has it can find out what the words were. */
  constructor(secret: string, model: Pick<Model, 'families' | 'scripts'>) {
    this.disguise = new Disguise(secret, vocabularyOf(model));
  }

  /** A hash tag is disguised by itself: whatever stands around it, keys of one tag still have one tag. */
  key(key: Uint8Array): Uint8Array {
    const tag = hashTag(key);
    if (!tag) return this.disguise.apply(key);
    const parts = [key.subarray(0, tag.from), key.subarray(tag.from, tag.to), key.subarray(tag.to)];
    return Buffer.concat(parts.map((part) => this.disguise.apply(part)));
  }

  /** Changes the arguments of a plain command in place; those at `keys` are keys (0 is the command's name). */
  plain(args: Uint8Array[], keys: number[]): void {
    for (let i = 1; i < args.length; i++) {
      if (keys.includes(i)) args[i] = this.key(args[i]!);
      else if (args[i]!.length <= MAX_WORDS_BYTES) args[i] = this.disguise.apply(args[i]!);
      else args[i] = this.disguise.noise(args[i]!);
    }
  }

  /** Changes the keys and arguments of a script's call in place. Scripts may look into any of them. */
  script(args: Uint8Array[]): void {
    const keysEnd = 3 + (Number(Buffer.from(args[2] ?? []).toString()) || 0);
    for (let i = 3; i < args.length; i++) args[i] = i < keysEnd ? this.key(args[i]!) : this.disguise.apply(args[i]!);
  }
}
