/** A model's stretch of script calls → calls without end: after the last, the first again, about other things. */
import { Disguise } from '../../model/disguise.ts';
import { latin1 } from '../../model/fit/roles.ts';
import type { Model } from '../../model/model.ts';
import { vocabularyOf } from '../../model/vocabulary.ts';

/** Latin1 texts of one script call, or of one that stores what a script is told later. */
export interface ScriptArguments {
  keys: string[];
  args: string[];
  /** Number of the first key's text in the model. */
  firstKey: number | undefined;
}

export class StretchReplay {
  private readonly model: Pick<Model, 'stretch' | 'scripts'>;
  private at = 0;
  /** Undefined the first time over. */
  private disguise: Disguise | undefined;

  private readonly renames: boolean;

  /** `renames`: whether each time over is about other things. */
  constructor(model: Pick<Model, 'stretch' | 'scripts'>, renames: boolean) {
    this.model = model;
    this.renames = renames;
  }

  get length(): number {
    return this.model.stretch.units.length;
  }

  /** Number of the next unit, and what its script calls say. */
  next(): { unit: number; calls: ScriptArguments[] } {
    const { units } = this.model.stretch;
    if (this.renames && this.at > 0 && this.at % units.length === 0) {
      // Whatever was done has been done: jobs are finished, locks are taken. Queues and ids of another name are new,
      // and scripts that never saw them do what they did.
      const vocabulary = vocabularyOf({ families: [], scripts: this.model.scripts });
      this.disguise = new Disguise(`repeat ${this.at / units.length}`, vocabulary);
    }
    const [unit, , calls] = units[this.at++ % units.length]!;
    const text = (number: number) => this.text(number);
    return {
      unit,
      calls: calls.map(([keys, args]) => ({ keys: keys.map(text), args: args.map(text), firstKey: keys[0] })),
    };
  }

  /** What text `number` of the stretch is this time over. */
  text(number: number): string {
    const text = this.model.stretch.texts[number]!;
    return this.disguise ? latin1(this.disguise.apply(Buffer.from(text, 'latin1'))) : text;
  }
}
