/** Script calls as captured → the same calls about other people: keys and arguments of scripts cannot be made up. */
import { createHash } from 'node:crypto';
import { Disguise } from '../disguise.ts';
import type { Model } from '../model.ts';
import { vocabularyOf } from '../vocabulary.ts';
import { latin1 } from './roles.ts';

/**
 * The stretch with every word of the arguments replaced by another of its length, the same one everywhere, but for the
 * words of the scripts themselves, of options and of key templates; numbers stay. The same capture gives the same words,
 * and only who has the capture can find out what they were.
 */
export function disguiseStretch(model: Model): Model['stretch'] {
  const { texts } = model.stretch;
  const secret = createHash('sha256');
  for (const text of texts) secret.update(text, 'latin1');
  const disguise = new Disguise(secret.digest('hex'), vocabularyOf(model));
  const disguised = texts.map((text) => latin1(disguise.apply(Buffer.from(text, 'latin1'))));
  return { ...model.stretch, texts: disguised, disguised: true };
}
