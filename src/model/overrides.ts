/** A model.yaml → what a person wants different from the capture; and a model with that done and written down. */
import { z } from 'zod';
import { CutoverError } from '../errors.ts';
import type { Family, Model, Shape, Unit, UnitOp } from './model.ts';
import { nearest, readSettings } from './settings.ts';
import { labelOfOps } from './summarize.ts';
import { intern, tally } from './tally.ts';
import { Glob } from './template/glob.ts';

export interface Override {
  /** Glob over families' templates, and over keys for `merge`: `*` is any text, everything else itself. */
  match: string;
  /** Keys that match are one family, whatever they look like; done while a capture is read. */
  merge?: boolean | undefined;
  /** What the families are called in budgets and reports; families of one name are judged as one. */
  name?: string | undefined;
  /** Their keys and the commands on them are left out. */
  exclude?: boolean | undefined;
  /** Factors. */
  requests?: number | undefined;
  keys?: number | undefined;
  by: string;
  why: string;
}

export interface Overrides {
  families: Override[];
}

/** A factor has a unit, `2x` or `50%`: 2 could mean either. */
const factor = z.string({ error: 'needs a unit: 2x or 50%' }).transform((text, context) => {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(x|%)$/.exec(text) ?? [];
  const value = Number(number) * (unit === '%' ? 0.01 : 1);
  if (value > 0 && value <= 1000) return value;
  context.addIssue(value === 0 ? 'expected more than nothing; to leave families out: exclude: true' : 'expected a factor up to 1000x, like 2x or 50%');
  return z.NEVER;
});

const entry = {
  match: z.string().min(1),
  merge: z.literal(true).optional(),
  name: z.string().regex(/^[ -~]{1,100}$/, 'expected 1 to 100 printable ASCII characters').optional(),
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
const WORDS = { '': Object.keys(file), families: Object.keys(entry) };

/**
 * Reads a model.yaml; `name` is the file's name for the error message.
 * @throws CutoverError E_OVERRIDES (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function parseOverrides(text: string, name: string): Overrides {
  return readSettings(text, z.strictObject(file), {
    name,
    code: 'E_OVERRIDES',
    advice: 'docs/families.md shows an example of every key.',
    words: WORDS,
  });
}

/** The globs that a miner must know while it reads keys. */
export function forcedGlobs({ families }: Overrides): string[] {
  return families.flatMap(({ match, merge }) => (merge ? [match] : []));
}

/**
 * The model with the changes made, and who made them and why in `overrides`. Every glob sees the families as they were
 * mined; what several entries say of one family adds up, factors multiply.
 * @throws CutoverError E_OVERRIDES (usage) for a glob that matches no family, or if nothing is left to replay.
 */
export function applyOverrides(model: Model, overrides: Overrides): Model {
  const matched = overrides.families.map((override) => {
    const glob = new Glob(override.match);
    const numbers = model.families.flatMap(({ template }, i) => (glob.matches(template) ? [i] : []));
    if (numbers.length === 0) throw noFamily(override.match, model.families);
    return { override, numbers };
  });
  const excluded = new Set<number>();
  const requests = new Map<number, number>();
  const keys = new Map<number, number>();
  const names = new Map<number, string>();
  for (const { override, numbers } of matched) {
    for (const family of numbers) {
      if (override.exclude) excluded.add(family);
      if (override.name !== undefined) names.set(family, override.name);
      if (override.requests !== undefined) requests.set(family, (requests.get(family) ?? 1) * override.requests);
      if (override.keys !== undefined) keys.set(family, (keys.get(family) ?? 1) * override.keys);
    }
  }
  const scaled = scaleUnits(without(model, excluded), requests, model.families);
  const families = scaled.families.map((family) => ({ ...family }));
  return scaled;
}
