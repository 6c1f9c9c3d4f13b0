/** A workload's own words, which say nothing of its users: they stay when everything else is disguised. */
import type { Model } from './model.ts';

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
export function vocabularyOf(model: Pick<Model, 'families' | 'scripts'>): Set<string> {
  const words = new Set(OPTIONS.match(/\w+/g));
  const learn = (text: string) => {
    for (const [word] of text.matchAll(/[A-Za-z0-9]+/g)) words.add(word);
  };
  for (const { parts } of model.families) for (const part of parts) if (typeof part === 'string') learn(part);
  for (const { body } of model.scripts) if (body !== null) learn(body);
  return words;
}
