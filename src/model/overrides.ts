/** A model.yaml → what a person wants different from the capture; and a model with that done and written down. */
import { z } from 'zod';
import { CutoverError } from '../errors.ts';
import { scaleAtStart } from './at-start.ts';
import type { Family, Model, Shape, Unit, UnitOp } from './model.ts';
import { rounded } from './rounding.ts';
import { nearest, readSettings } from './settings.ts';
import { labelOfOps } from './summarize.ts';
import { intern, tally } from './tally.ts';
import { Glob } from './template/glob.ts';

interface Override {
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
  const matched = match(model, overrides);
  const changed = change(model, changesOf(model, matched));
  if (changed.units.length === 0) {
    throw new CutoverError('usage', 'E_OVERRIDES', 'The overrides leave nothing to replay.', 'Exclude fewer families.');
  }
  const done = matched.map(({ override, numbers }) => ({
    ...override,
    families: numbers.map((number) => model.families[number]!.template),
  }));
  return { ...changed, overrides: [...(model.overrides ?? []), ...done] };
}

/** Number of each family of the model when the changes are made; those that are left out have none. */
export function numbersAfter(model: Model, overrides: Overrides): ReadonlyMap<number, number> {
  return renumber(changesOf(model, match(model, overrides)), ({ excluded }) => !excluded);
}

/** What is asked for families whose ops are replayed as they are, and cannot be done there. */
export const scaled = ({ families }: Overrides) =>
  families.filter(({ requests, keys }) => requests !== undefined || keys !== undefined).map(({ match }) => match);

/** An entry of the file, and the numbers of its families. */
interface Matched {
  override: Override;
  numbers: number[];
}

function match(model: Model, overrides: Overrides): Matched[] {
  return overrides.families.map((override) => {
    const glob = new Glob(override.match);
    const numbers = model.families.flatMap(({ template }, i) => (glob.matches(template) ? [i] : []));
    if (numbers.length === 0) throw noFamily(override.match, model.families);
    if (override.merge && !numbers.some((number) => isForced(model.families[number]!, override.match)))
      throw notMerged(override.match);
    return { override, numbers };
  });
}

function changesOf(model: Model, matched: Matched[]): Change[] {
  return model.families.map((_, number): Change => {
    const own = matched.flatMap(({ override, numbers }) => (numbers.includes(number) ? [override] : []));
    const product = (factors: (number | undefined)[]) => factors.reduce<number>((a, b) => a * (b ?? 1), 1);
    return {
      excluded: own.some(({ exclude }) => exclude),
      name: own.findLast(({ name }) => name !== undefined)?.name,
      requests: own.some((one) => one.requests !== undefined) ? product(own.map((one) => one.requests)) : undefined,
      keys: product(own.map((one) => one.keys)),
    };
  });
}

/** What becomes of one family. */
interface Change {
  excluded: boolean;
  name: string | undefined;
  /** Undefined if nothing is said: a unit goes by the families of which something is. */
  requests: number | undefined;
  keys: number;
}

function change(model: Model, changes: Change[]): Model {
  const usesExcluded = ({ family, roles }: Shape) =>
    (family !== null && changes[family]!.excluded) ||
    roles.some((role) => 'key' in role && changes[role.key]!.excluded);
  const familyOf = renumber(changes, ({ excluded }) => !excluded);
  const shapeOf = renumber(model.shapes, (shape) => !usesExcluded(shape));
  const opsOf = (ops: UnitOp[]) =>
    ops.flatMap(([shape, slots]): UnitOp[] => (shapeOf.has(shape) ? [[shapeOf.get(shape)!, slots]] : []));
  const shapes = model.shapes.flatMap((shape, number): Shape[] => {
    if (!shapeOf.has(number)) return [];
    const roles = shape.roles.map((role) => ('key' in role ? { key: familyOf.get(role.key)! } : role));
    return [{ ...shape, family: shape.family === null ? null : familyOf.get(shape.family)!, roles }];
  });

  const scale = rounded();
  const drafts = model.units.map((unit) => ({
    before: unit,
    after: { ...withoutOps(unit, shapeOf), count: scale(unit.count * factorOf(unit, model.shapes, changes)) },
  }));
  const unitOf = renumber(drafts, ({ after }) => after.count > 0 && doesSomething(after.ops, model.shapes));
  const kept = drafts.map((draft, i) => (unitOf.has(i) ? draft : { ...draft, after: { ...draft.after, count: 0 } }));
  const units = kept.flatMap(({ after }, i) => (unitOf.has(i) ? [{ ...after, ops: opsOf(after.ops) }] : []));

  const families = model.families.flatMap((family, number): Family[] =>
    familyOf.has(number)
      ? [
          changedFamily(
            family,
            changes[number]!,
            ratioOf(kept, (unit) => uses(unit, number, model.shapes)),
          ),
        ]
      : [],
  );
  const requests = families.reduce((sum, family) => sum + family.requests, 0);
  return {
    ...model,
    commands: changedCommands(model, kept),
    families: families.map((family) => ({ ...family, share: family.requests / Math.max(1, requests) })),
    shapes,
    units,
    keysAtStart: changedKeysAtStart(model, families),
    clients: changedClients(model.clients, kept),
    transitions: changedTransitions(model, kept, changes),
    scripts: model.scripts.map((script) => ({
      ...script,
      effects: script.effects.map((effect) => ({ ...effect, ops: opsOf(effect.ops) })),
    })),
    stretch: {
      ...model.stretch,
      units: model.stretch.units.flatMap(([unit, calls]): Model['stretch']['units'] =>
        unitOf.has(unit) ? [[unitOf.get(unit)!, calls]] : [],
      ),
      ...(model.stretch.shared
        ? {
            shared: model.stretch.shared.flatMap(([family, ...rest]): [number, number, number][] =>
              familyOf.has(family) ? [[familyOf.get(family)!, ...rest]] : [],
            ),
          }
        : {}),
    },
  };
}

/** Keys that are left out were not there, as far as a sample tells how many they were; others were as many times more. */
function changedKeysAtStart(model: Model, families: Family[]): Model['keysAtStart'] {
  const change = new Map<number, number>();
  for (const { db, atStart } of model.families) tally(change, db, -(atStart?.keys ?? 0));
  for (const { db, atStart } of families) tally(change, db, atStart?.keys ?? 0);
  return (
    model.keysAtStart?.map(([db, keys]): [number, number] => [db, Math.max(0, keys + (change.get(db) ?? 0))]) ?? null
  );
}

/** A unit before and after, with the shapes' old numbers. */
interface Draft {
  before: Unit;
  after: Unit;
}

/** Old number → new number of those that stay. */
function renumber<T>(items: T[], stays: (item: T) => boolean): Map<number, number> {
  const numbers = new Map<number, number>();
  for (const [i, item] of items.entries()) if (stays(item)) numbers.set(i, numbers.size);
  return numbers;
}

/** The largest factor of the families that a unit touches and something is said of. */
function factorOf({ ops }: Unit, shapes: Shape[], changes: Change[]): number {
  const factors = ops.flatMap(([shape]) => keysOf(shapes[shape]!).flatMap((family) => changes[family]!.requests ?? []));
  return factors.length === 0 ? 1 : Math.max(...factors);
}

const keysOf = ({ roles }: Shape) => roles.flatMap((role) => ('key' in role ? [role.key] : []));

/** How often a unit touches a family. */
const uses = ({ ops }: Unit, family: number, shapes: Shape[]) =>
  ops.reduce((sum, [shape]) => sum + keysOf(shapes[shape]!).filter((key) => key === family).length, 0);

/** The unit without the ops that do not stay; a step of which nothing stays falls to the one before. */
function withoutOps(unit: Unit, stays: Map<number, number>): Unit {
  const ops = unit.ops.filter(([shape]) => stays.has(shape));
  if (ops.length === unit.ops.length) return unit;
  const before = (end: number) => unit.ops.slice(0, end).filter(([shape]) => stays.has(shape)).length;
  const steps = unit.steps
    .map(([at, gapUs]): [number, number] => [before(at), gapUs])
    .filter(([at], i, all) => at > 0 && at < ops.length && at !== all[i + 1]?.[0]);
  // States are those of the first key.
  return { ...unit, ops, steps, keyStates: ops[0] === unit.ops[0] ? unit.keyStates : [] };
}

const doesSomething = (ops: UnitOp[], shapes: Shape[]) =>
  ops.some(([shape]) => !['multi', 'exec'].includes(shapes[shape]!.command));

/** Sum of what the units do after over what they did before; 1 if they did nothing. */
function ratioOf(drafts: Draft[], weigh: (unit: Unit) => number): number {
  let [before, after] = [0, 0];
  for (const draft of drafts) {
    before += draft.before.count * weigh(draft.before);
    after += draft.after.count * weigh(draft.after);
  }
  return before === 0 ? 1 : after / before;
}

function changedFamily(family: Family, { name, keys }: Change, requests: number): Family {
  const scale = rounded();
  return {
    ...family,
    template: name ?? family.template,
    keys: Math.max(Math.min(1, family.keys), Math.round(family.keys * keys)),
    ...(family.atStart ? { atStart: scaleAtStart(family.atStart, keys) } : {}),
    // As many requests a key as before: popularity keeps its shape.
    references: family.references.flatMap(([n, count]): [number, number][] => {
      const scaled = scale(count * keys);
      return scaled > 0 ? [[n, scaled]] : [];
    }),
    requests: Math.round(family.requests * requests),
    commands: Object.fromEntries(
      Object.entries(family.commands).map(([command, n]) => [command, Math.round(n * requests)]),
    ),
  };
}

/** Shares of classes that are as good as the same, so that recorded arrivals still tell which class comes when. */
const SAME_SHARE = 0.01;

function changedClients(clients: Model['clients'], drafts: Draft[]): Model['clients'] {
  const classes = clients.classes.map((klass, number) => ({
    ...klass,
    units: Math.round(klass.units * ratioOf(drafts, (unit) => (unit.class === number ? 1 : 0))),
  }));
  const streams = clients.streams.map((stream, number) => {
    const own = clients.classes.flatMap((klass, i) =>
      klass.stream === number ? [{ before: klass.units, after: classes[i]!.units }] : [],
    );
    const sum = (of: 'before' | 'after') =>
      Math.max(
        1,
        own.reduce((total, klass) => total + klass[of], 0),
      );
    const ratio = ratioOf(drafts, (unit) => (clients.classes[unit.class]!.stream === number ? 1 : 0));
    const scale = rounded();
    const same = own.every(
      ({ before, after }) => Math.abs(before / sum('before') - after / sum('after')) <= SAME_SHARE,
    );
    return {
      ...stream,
      units: Math.round(stream.units * ratio),
      arrivals: { ...stream.arrivals, units: stream.arrivals.units.map((units) => scale(units * ratio)) },
      recorded: same ? stream.recorded : null,
    };
  });
  return { ...clients, classes, streams };
}

/** What follows which, by the new names; a kind of unit that comes twice as often follows each other twice as often. */
function changedTransitions(model: Model, drafts: Draft[], changes: Change[]): Model['transitions'] {
  const families = model.families.map((family, i) => ({ ...family, template: changes[i]!.name ?? family.template }));
  return model.transitions.map((transition) => {
    const renamed = new Map<string, { label: string; before: number; after: number }>();
    for (const { before, after } of drafts) {
      if (before.class !== transition.class) continue;
      const known = intern(renamed, labelOfOps(before.ops, model.shapes, model.families), () => ({
        ...{ label: '', before: 0, after: 0 },
      }));
      known.before += before.count;
      known.after += after.count;
      if (after.count > 0) known.label ||= labelOfOps(after.ops, model.shapes, families);
    }
    const labels: string[] = [];
    const numbers = new Map<string, number>();
    const numberOf = (label: string) => intern(numbers, label, () => labels.push(label) - 1);
    const pairs = new Map<string, number>();
    const scale = rounded();
    for (const [from, to, n] of transition.pairs) {
      const [a, b] = [renamed.get(transition.labels[from]!), renamed.get(transition.labels[to]!)];
      if (!a || !b || a.after === 0 || b.after === 0) continue;
      const scaled = scale((n * b.after) / b.before);
      if (scaled > 0) tally(pairs, `${numberOf(a.label)} ${numberOf(b.label)}`, scaled);
    }
    return {
      ...transition,
      labels,
      pairs: [...pairs].map(([pair, n]): [number, number, number] => [
        ...(pair.split(' ').map(Number) as [number, number]),
        n,
      ]),
    };
  });
}

/** Calls as often as the units now have them: what a rehearsal's own are compared with. */
function changedCommands({ commands, shapes }: Model, drafts: Draft[]): Model['commands'] {
  const scaled = Object.entries(commands).flatMap(([name, { count }]): [string, number][] => {
    const has = ({ ops }: Unit) => ops.filter(([shape]) => shapes[shape]!.command === name).length;
    const now = Math.round(count * ratioOf(drafts, has));
    return now > 0 ? [[name, now]] : [];
  });
  const total = scaled.reduce((sum, [, count]) => sum + count, 0);
  return Object.fromEntries(
    scaled.sort((a, b) => b[1] - a[1]).map(([name, count]) => [name, { count, share: count / total }]),
  );
}

/** Whether a family is what the glob made of its keys. */
const isForced = ({ parts }: Family, glob: string) =>
  parts.map((part) => (typeof part === 'string' ? part : '*')).join('') === glob.replace(/\*+/g, '*');

const notMerged = (glob: string) =>
  new CutoverError(
    'usage',
    'E_OVERRIDES',
    `The keys of ${JSON.stringify(glob)} were not merged into one family when this model was made.`,
    'Make the model from its capture with this file: keys are merged while they are read.',
  );

function noFamily(glob: string, families: Family[]): CutoverError {
  const names = families.map(({ template }) => template);
  const meant = nearest(glob, names);
  return new CutoverError('usage', 'E_OVERRIDES', `No family of this model matches ${JSON.stringify(glob)}.`, [
    meant
      ? `Did you mean ${JSON.stringify(meant)}?`
      : `Families here: ${names
          .slice(0, 8)
          .map((name) => JSON.stringify(name))
          .join(', ')}${names.length > 8 ? ', …' : ''}; cutover model show lists all of them.`,
  ]);
}
