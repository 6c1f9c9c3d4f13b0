/** Captured arguments → arguments that do the same and name nobody. */
import { Disguise } from '../model/disguise.ts';
import type { Model } from '../model/model.ts';
import { vocabularyOf } from '../model/vocabulary.ts';

/** Longer arguments of plain commands are payloads: they become noise. */
const MAX_WORDS_BYTES = 64;

export class ArgumentDisguise {
  private readonly disguise: Disguise;

  /** `secret`: who has it can find out what the words were. */
  constructor(secret: string, model: Pick<Model, 'families' | 'scripts'>) {
    this.disguise = new Disguise(secret, vocabularyOf(model));
  }

  key(key: Uint8Array): Uint8Array {
    return this.disguise.apply(key);
  }

  /** Changes the arguments of a plain command in place; those at `keys` are keys (0 is the command's name). */
  plain(args: Uint8Array[], keys: number[]): void {
    for (let i = 1; i < args.length; i++) {
      const words = keys.includes(i) || args[i]!.length <= MAX_WORDS_BYTES;
      args[i] = words ? this.disguise.apply(args[i]!) : this.disguise.noise(args[i]!);
    }
  }

  /** Changes the keys and arguments of a script's call in place. Scripts may look into any of them. */
  script(args: Uint8Array[]): void {
    for (let i = 3; i < args.length; i++) args[i] = this.disguise.apply(args[i]!);
  }
}
