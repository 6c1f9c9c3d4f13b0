/** Captured arguments → arguments that do the same and name nobody. */
import { Disguise } from '../model/disguise.ts';
import type { Model } from '../model/model.ts';
import { latin1 } from '../model/roles.ts';

/** Longer arguments of plain commands are payloads: they become noise. */
const MAX_WORDS_BYTES = 64;

/** Words that commands understand. */
const OPTIONS = `
  after aggregate alpha and andor any asc before bit block by bybox bylex byradius byscore byte ch consumers count create
  createconsumer db delconsumer delref desc destroy diff diff1 encoding entriesadded entriesread ex exat fail fields fnx
  force freq fromlonlat frommember ft full fxx get group groups gt i id ids idle idletime idx ifdeq ifdne ifeq ifne incr
  incrby inf justid keepref keepttl km lastid left len limit lt m match max maxdeletedid maxlen mi min minid
  minmatchlen mkstream nan noack nomkstream not novalues nx one or overflow persist px pxat rank refcount replace retrycount
  rev right sat set setid store storedist stream streams sum time type u values weights withcoord withdist withhash
  withmatchlen withscore withscores withvalues wrap xor xx acked false null true`;

/** Words that stay: options, what templates name, and whatever scripts could compare an argument with. */
function vocabularyOf(model: Pick<Model, 'families' | 'scripts'>): Set<string> {
  const words = new Set(OPTIONS.match(/\w+/g));
  const learn = (text: string) => {
    for (const [word] of text.matchAll(/[A-Za-z0-9]+/g)) words.add(word);
  };
  for (const { parts } of model.families) for (const part of parts) if (typeof part === 'string') learn(part);
  for (const { body } of model.scripts) if (body !== null) learn(latin1(Buffer.from(body, 'base64')));
  return words;
}

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
