/** Turns what a text means into colour, where the stream wants it: NO_COLOR and FORCE_COLOR are obeyed. */
import { styleText } from 'node:util';
import type { JudgedRule } from '../../compare/judgement.ts';

export type Tone = 'good' | 'bad' | 'unsure' | 'strong' | 'quiet';
const STYLES = { good: 'green', bad: 'red', unsure: 'yellow', strong: 'bold', quiet: 'dim' } as const;

/** Every colour repeats a word: it is never the only signal. */
export type Colour = (tone: Tone, text: string) => string;

export const plainColour: Colour = (_, text) => text;

export const colourFor =
  (stream: NodeJS.WriteStream): Colour =>
  (tone, text) =>
    styleText(STYLES[tone], text, { stream });

export const toneOf = ({ outcome, level }: Pick<JudgedRule, 'outcome' | 'level'>): Tone => {
  if (outcome === 'pass') return 'good';
  if (outcome === 'not-judged') return 'quiet';
  return outcome === 'fail' && level === 'error' ? 'bad' : 'unsure';
};
