/** A model's stretch of script calls → calls without end: after the last, the first again, about other things. */
import { Disguise } from '../../model/disguise.ts';
import { latin1 } from '../../model/fit/roles.ts';
import type { Model } from '../../model/model.ts';
import { vocabularyOf } from '../../model/vocabulary.ts';
import { type Leaving, LeftBehind } from './left-behind.ts';

/** Latin1 texts of one script call, or of one that stores what a script is told later. */
export interface ScriptArguments {
  keys: string[];
  args: string[];
  /** Number of the first key's text in the model. */
  firstKey: number | undefined;
}

export class StretchReplay {
  private readonly model: Pick<Model, 'families' | 'stretch' | 'scripts'>;
  private at = 0;
  /** Undefined the first time over. */
  private disguise: Disguise | undefined;
  /** That of the last time over; and what that left and has yet to go. */
  private lastDisguise: Disguise | undefined;
  private leaving: Leaving[] = [];
  private left: LeftBehind | undefined;

  private readonly renames: boolean;

  /** `renames`: whether each time over is about other things. */
  constructor(model: Pick<Model, 'families' | 'stretch' | 'scripts'>, renames: boolean) {
    this.model = model;
    this.renames = renames;
  }

  get length(): number {
    return this.model.stretch.units.length;
  }

  /** Number of the next unit, what its script calls say, and keys of the last time over that go before it. */
  next(): { unit: number; calls: ScriptArguments[]; gone: { db: number; names: string[] }[] } {
    const { units } = this.model.stretch;
    const place = this.at % units.length;
    if (this.renames && this.at > 0 && place === 0) {
      // Whatever was done has been done: jobs are finished, locks are taken. Queues and ids of another name are new,
      // and scripts that never saw them do what they did.
      const vocabulary = vocabularyOf({ families: [], scripts: this.model.scripts });
      this.lastDisguise = this.disguise;
      this.disguise = new Disguise(`repeat ${this.at / units.length}`, vocabulary);
      this.left ??= new LeftBehind(this.model);
      this.leaving = this.left.leaving(this.at / units.length);
    }
    const [unit, , calls] = units[place]!;
    this.at++;
    const text = (number: number) => this.text(number);
    const gone: { db: number; names: string[] }[] = [];
    while (this.leaving.length > 0 && this.leaving.at(-1)!.place <= place) {
      const { db, texts } = this.leaving.pop()!;
      gone.push({ db, names: texts.map((number) => this.textAs(number, this.lastDisguise)) });
    }
    return {
      unit,
      calls: calls.map(([keys, args]) => ({ keys: keys.map(text), args: args.map(text), firstKey: keys[0] })),
      gone,
    };
  }

  /** What text `number` of the stretch is this time over. */
  text(number: number): string {
    return this.textAs(number, this.disguise);
  }

  private textAs(number: number, disguise: Disguise | undefined): string {
    const text = this.model.stretch.texts[number]!;
    return disguise ? latin1(disguise.apply(Buffer.from(text, 'latin1'))) : text;
  }
}
