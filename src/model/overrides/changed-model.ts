/** A model and what a person wants different → the model with that done and written down. */
import { type Caveat, CutoverError } from '../../errors.ts';
import { printable } from '../../printable.ts';
import { bytesAtStart, scaleAtStart } from '../fit/at-start.ts';
import { ascending, labelOfOps, mutualInformation } from '../fit/summarize.ts';
import type { ValueCounts } from '../histogram.ts';
import type { Family, Model, Shape, Unit, UnitOp } from '../model.ts';
import { rounded } from '../rounding.ts';
import { nearest } from '../settings.ts';
import { intern, tally } from '../tally.ts';
import { Glob } from '../template/glob.ts';
import { changesWorkload, type Override, type Overrides } from './overrides.ts';

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

const SAID = 4;

/** What the reader must know of a workload that is not the captured one. */
export function overrideCaveats({ overrides = [], families }: Model): Caveat[] {
  const changes = overrides.filter(changesWorkload);
  if (changes.length === 0) return [];
  const said = changes.slice(0, SAID).map(({ match, exclude, requests, keys, by }) => {
    const what = [
      ...(exclude ? ['left out'] : []),
      ...(requests === undefined ? [] : [`requests ${requests}x`]),
      ...(keys === undefined ? [] : [`keys ${keys}x`]),
    ];
    return `${match} (${what.join(', ')}; by ${by})`;
  });
  const more = changes.length > SAID ? `, and ${changes.length - SAID} more` : '';
  const caveats: Caveat[] = [
    {
      id: 'workload-changed',
      message: `A model.yaml makes this another workload than the captured one: ${printable(said.join(', '))}${more}. How its keys come again nobody has seen: hit ratios and popularity are not compared. Sizes, expiries, bursts, connections and subscriptions are as captured.`,
      advice: 'Read the verdict as that of this workload; without --config it is that of the captured one.',
      numbers: { entries: changes.length },
    },
  ];
  const asked = new Set(changes.flatMap(({ requests, name, families: own }) => (requests ? [...own, name] : [])));
  const byScripts = families.filter((one) => asked.has(one.template) && one.requests === 0 && one.scriptRequests > 0);
  if (byScripts.length > 0) {
    const names = byScripts.slice(0, SAID).map(({ template }) => template);
    caveats.push({
      id: 'override-scripts',
      message: `Only scripts touch ${printable(names.join(', '))}: how often does not follow "requests", because scripts are called whole.`,
      advice: 'Scale a family that the units with these calls touch as well, or the whole workload with --rate.',
      numbers: { families: byScripts.length },
    });
  }
  return caveats;
}

/** Number of each family of the model when the changes are made; those that are left out have none. */
export function numbersAfter(model: Model, overrides: Overrides): ReadonlyMap<number, number> {
  return renumber(changesOf(model, match(model, overrides)), ({ excluded }) => !excluded);
}

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
  const isOther = changes.some(({ excluded, requests, keys }) => excluded || requests !== undefined || keys !== 1);
  if (!isOther) return withNames(model, changes);
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
    after: {
      ...withoutOps(unit, model.shapes, shapeOf),
      count: scale(unit.count * factorOf(unit, model.shapes, changes)),
    },
  }));
  const unitOf = renumber(drafts, ({ after }) => after.count > 0 && after.ops.length > 0);
  const kept = drafts.map((draft, i) => (unitOf.has(i) ? draft : { ...draft, after: { ...draft.after, count: 0 } }));
  const units = kept.flatMap(({ after }, i) => (unitOf.has(i) ? [{ ...after, ops: opsOf(after.ops) }] : []));

  const calls = (isOf: (script: number) => boolean) => ratioOf(kept, (unit) => callsOf(unit, model.shapes, isOf));
  const scripted = calls(() => true);
  const requestsOf = model.families.map((_, number) => ratioOf(kept, (unit) => uses(unit, number, model.shapes)));
  const families = model.families.flatMap((family, number): Family[] =>
    familyOf.has(number) ? [changedFamily(family, changes[number]!, requestsOf[number]!, scripted)] : [],
  );
  const requests = families.reduce((sum, family) => sum + family.requests, 0);
  // What the captured server did is no measure of another workload.
  const { counted: _, ...rest } = model;
  return {
    ...rest,
    commands: changedCommands(model, kept),
    scriptCommands: Object.fromEntries(
      Object.entries(model.scriptCommands).flatMap(([name, n]): [string, number][] => {
        const now = Math.round(n * scripted);
        return now > 0 ? [[name, now]] : [];
      }),
    ),
    families: families.map((family) => ({ ...family, share: family.requests / Math.max(1, requests) })),
    shapes,
    units,
    keysAtStart: changedKeysAtStart(model, families),
    ...changedSample(model, familyOf, families),
    lookups: null,
    hitRatio: [],
    transactions: changedTransactions(model, kept),
    pipelines: { depths: moved(model.pipelines.depths, kept, depthsOf) },
    clients: changedClients(model.clients, kept),
    transitions: changedTransitions(model, kept, changes),
    scripts: model.scripts.map((script, number) => ({
      ...script,
      calls: Math.round(script.calls * calls((other) => other === number)),
      effects: script.effects.map((effect) => ({ ...effect, ops: opsOf(effect.ops) })),
    })),
    ...(model.unkeptScriptCalls ? { unkeptScriptCalls: Math.round(model.unkeptScriptCalls * scripted) } : {}),
    stretch: {
      ...model.stretch,
      units: model.stretch.units.flatMap(([unit, atUs, calls]): Model['stretch']['units'] =>
        unitOf.has(unit) ? [[unitOf.get(unit)!, atUs, calls]] : [],
      ),
      ...(model.stretch.shared
        ? {
            shared: model.stretch.shared.flatMap(([family, requests, text]): [number, number, number][] =>
              familyOf.has(family) ? [[familyOf.get(family)!, Math.round(requests * requestsOf[family]!), text]] : [],
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

/** What was looked at of the families that are left, and the memory that all of them took, as far as a sample tells. */
function changedSample(
  { families: before, sampledAtStart, usedBytesAtStart }: Model,
  familyOf: ReadonlyMap<number, number>,
  after: Family[],
): Pick<Model, 'sampledAtStart' | 'usedBytesAtStart'> {
  const sum = (families: Family[], of: (known: NonNullable<Family['atStart']>) => number) =>
    families.reduce((total, { atStart }) => total + (atStart ? of(atStart) : 0), 0);
  const keys = sum(before, (known) => known.keys);
  const left = before.filter((_, number) => familyOf.has(number));
  const shareLeft = keys > 0 ? sum(left, (known) => known.keys) / keys : 1;
  const bytes = sum(before, bytesAtStart);
  const ratio = bytes > 0 ? sum(after, bytesAtStart) / bytes : 1;
  return {
    ...(sampledAtStart
      ? { sampledAtStart: { ...sampledAtStart, keys: Math.round(sampledAtStart.keys * shareLeft) } }
      : {}),
    ...(usedBytesAtStart === undefined ? {} : { usedBytesAtStart: Math.round(usedBytesAtStart * ratio) }),
  };
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

/** How often a unit calls scripts of these numbers. */
const callsOf = ({ ops }: Unit, shapes: Shape[], isOf: (script: number) => boolean) =>
  ops.filter(([shape]) => shapes[shape]!.script !== undefined && isOf(shapes[shape]!.script!)).length;

/** Calls in each of a unit's pipelines. */
function depthsOf({ ops, steps }: Unit): number[] {
  const bounds = [0, ...steps.map(([at]) => at), ops.length];
  return bounds.slice(1).map((end, i) => end - bounds[i]!);
}

/** Where a unit's transactions begin and end: MULTI and EXEC. */
function transactionsOf({ ops }: Unit, shapes: Shape[]): [multi: number, exec: number][] {
  const found: [number, number][] = [];
  let multi = -1;
  ops.forEach(([shape], i) => {
    const { command } = shapes[shape]!;
    if (command === 'multi') multi = i;
    else if (command === 'exec' && multi >= 0) {
      found.push([multi, i]);
      multi = -1;
    }
  });
  return found;
}

/** What is counted of units, so many more or fewer as the units now are. */
function moved(counts: ValueCounts, drafts: Draft[], valuesOf: (unit: Unit) => number[]): ValueCounts {
  const sum = new Map(counts);
  for (const { before, after } of drafts) {
    for (const value of valuesOf(before)) tally(sum, value, -before.count);
    for (const value of valuesOf(after)) tally(sum, value, after.count);
  }
  return ascending(sum).filter(([, n]) => n > 0);
}

function changedTransactions({ transactions, shapes }: Model, drafts: Draft[]): Model['transactions'] {
  const sizes = moved(transactions.sizes, drafts, (unit) =>
    transactionsOf(unit, shapes).map(([multi, exec]) => exec - multi - 1),
  );
  const ended = sizes.reduce((sum, [, n]) => sum + n, 0);
  const empty = sizes.find(([size]) => size === 0)?.[1] ?? 0;
  return { ...transactions, committed: ended - empty, empty, sizes };
}

/** Of each op whether it stays; of a transaction whose whole body does not, MULTI and EXEC do not either. */
function staying(unit: Unit, shapes: Shape[], stays: ReadonlyMap<number, number>): boolean[] {
  const kept = unit.ops.map(([shape]) => stays.has(shape));
  for (const [multi, exec] of transactionsOf(unit, shapes)) {
    const body = kept.slice(multi + 1, exec);
    if (body.length > 0 && !body.includes(true)) kept[multi] = kept[exec] = false;
  }
  return kept;
}

/** The unit without the ops that do not stay; a step of which nothing stays falls to the one before. */
function withoutOps(unit: Unit, shapes: Shape[], stays: ReadonlyMap<number, number>): Unit {
  const kept = staying(unit, shapes, stays);
  const ops = unit.ops.filter((_, i) => kept[i]);
  if (ops.length === unit.ops.length) return unit;
  const before = (end: number) => kept.slice(0, end).filter(Boolean).length;
  const steps = unit.steps
    .map(([at, gapUs]): [number, number] => [before(at), gapUs])
    .filter(([at], i, all) => at > 0 && at < ops.length && at !== all[i + 1]?.[0]);
  // States are those of the first key.
  return { ...unit, ops, steps, keyStates: ops[0] === unit.ops[0] ? unit.keyStates : [] };
}

/** Sum of what the units do after over what they did before; 1 if they did nothing. */
function ratioOf(drafts: Draft[], weigh: (unit: Unit) => number): number {
  let [before, after] = [0, 0];
  for (const draft of drafts) {
    before += draft.before.count * weigh(draft.before);
    after += draft.after.count * weigh(draft.after);
  }
  return before === 0 ? 1 : after / before;
}

/** The same workload, with other names. */
function withNames(model: Model, changes: Change[]): Model {
  return {
    ...model,
    families: model.families.map((family, i) => ({ ...family, template: changes[i]!.name ?? family.template })),
    transitions: changedTransitions(
      model,
      model.units.map((unit) => ({ before: unit, after: unit })),
      changes,
    ),
  };
}

/** With factors of its requests by clients, and of all calls of scripts: which of them touch it is not known. */
function changedFamily(family: Family, { name, keys }: Change, requests: number, scripted: number): Family {
  const scale = rounded();
  const { hitRatio, ...rest } = family;
  return {
    ...rest,
    // Of as many keys, used in the same order, a cache holds what it held.
    ...(hitRatio && keys === 1 ? { hitRatio } : {}),
    template: name ?? family.template,
    keys: Math.max(Math.min(1, family.keys), Math.round(family.keys * keys)),
    ...(family.atStart ? { atStart: scaleAtStart(family.atStart, keys) } : {}),
    // As many requests a key as before: popularity keeps its shape.
    references: family.references.flatMap(([n, count]): [number, number][] => {
      const scaled = scale(count * keys);
      return scaled > 0 ? [[n, scaled]] : [];
    }),
    requests: Math.round(family.requests * requests),
    scriptRequests: Math.round(family.scriptRequests * scripted),
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
    const changed = [...pairs].map(([pair, n]): [number, number, number] => [
      ...(pair.split(' ').map(Number) as [number, number]),
      n,
    ]);
    const bits = mutualInformation(changed, labels.length);
    return { ...transition, bits: Math.round(bits * 1000) / 1000, labels, pairs: changed };
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
