/** A model.yaml → what a person wants different from the capture. */
import { z } from 'zod';
import { readSettings } from '../settings.ts';
import type { Overrides } from './overrides.ts';

/** A factor has a unit, `2x` or `50%`: 2 could mean either. */
const factor = z.string({ error: 'needs a unit: 2x or 50%' }).transform((text, context) => {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(x|%)$/.exec(text) ?? [];
  const value = Number(number) * (unit === '%' ? 0.01 : 1);
  if (value > 0 && value <= 1000) return value;
  context.addIssue(
    value === 0
      ? 'expected more than nothing; to leave families out: exclude: true'
      : 'expected a factor up to 1000x, like 2x or 50%',
  );
  return z.NEVER;
});

const entry = {
  match: z.string().min(1),
  merge: z.literal(true).optional(),
  name: z
    .string()
    .regex(/^[ -~]{1,100}$/, 'expected 1 to 100 printable ASCII characters')
    .optional(),
  exclude: z.literal(true).optional(),
  requests: factor.optional(),
  keys: factor.optional(),
  by: z.string().min(1),
  why: z.string().min(1),
};
const CHANGES = ['merge', 'name', 'exclude', 'requests', 'keys'] as const;
const file = {
  apiVersion: z.literal('cutover/overrides@1'),
  families: z.array(z.strictObject(entry)).superRefine((all, context) => {
    for (const [i, one] of all.entries()) {
      const issue = (key: string, message: string) => context.addIssue({ code: 'custom', path: [i, key], message });
      const changes = CHANGES.filter((change) => one[change] !== undefined);
      if (changes.length === 0) issue('match', `changes nothing: give one or more of ${CHANGES.join(', ')}`);
      if (one.exclude && changes.some((change) => change !== 'exclude' && change !== 'merge'))
        issue('exclude', 'families that are left out cannot be changed otherwise');
      if (all.findIndex(({ match }) => match === one.match) < i) issue('match', 'this glob has an entry already');
    }
  }),
};
/** The file, as zod and, by `z.toJSONSchema`, as JSON Schema for editors. */
export const OverridesSchema = z.strictObject(file);
const WORDS = { '': Object.keys(file), families: Object.keys(entry) };

/**
 * Reads a model.yaml; `name` is the file's name for the error message.
 * @throws CutoverError E_OVERRIDES (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function parseOverrides(text: string, name: string): Overrides {
  const { families } = readSettings(text, OverridesSchema, {
    name,
    code: 'E_OVERRIDES',
    advice: 'docs/families.md shows an example of every key.',
    words: WORDS,
  });
  return { families };
}
