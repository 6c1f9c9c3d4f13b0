/** Saved models of one workload → one model: of a capture's consecutive parts, of several nodes, of several recorders. */
import { COMMANDS } from '../capture/commands.ts';
import { addServerCounts } from '../capture/server-counts.ts';
import { CutoverError } from '../errors.ts';
import { addAtStart } from './fit/at-start.ts';
import { CREATES, MAX_STORES } from './fit/fit.ts';
import { MAX_LITERALS } from './fit/literals.ts';
import { MAX_EFFECTS, MAX_STRETCH_BYTES, MAX_STRETCH_CALLS } from './fit/scripts.ts';
import { addListeners, isUnnamed, joinListeners, SUBSCRIPTION_KINDS } from './fit/subscriptions.ts';
import { CURVES, descending } from './fit/summarize.ts';
import { beforeEnd, KeyState, POPULARITIES } from './fit/units.ts';
import { type ClassNumbers, type Mixes, mergeClients, mergeTransitions } from './merge/clients.ts';
import { accessedKeys, type MergedFamily, mergeFamilies, moveFamily, moveStates } from './merge/families.ts';
import { type Bridges, consecutiveCurve, overlappingCurve } from './merge/hit-ratios.ts';
import { type Placement, place } from './merge/placement.ts';
import { addCounts, mergeRoles } from './merge/roles.ts';
import type { Family, Model, Role, Script, Shape, Unit, UnitOp } from './model.ts';
import { rounded } from './rounding.ts';
import { intern, tally } from './tally.ts';

/**
 * One model of all: what one pass over everything would have learnt, within these errors.
 *
 * Exact: counts of lines, commands, requests, key accesses, transactions, pipelines and script calls, and which keys the
 * models share in families of up to 256 keys (1,024 in the five busiest). Estimated: the shared keys of larger families,
 * and with them popularity, births and first accesses (see `sharedKeys`); hit ratios (mean error 0.01 for parts and for
 * nodes, 0.04 for recorders of one server's clients; see `consecutiveCurve` and `overlappingCurve`); different values of
 * an argument (see `distinctOfBoth`). Sizes, expiries and arguments add up as far as each model looked at them: of busy
 * commands at one call in sixteen. Units that a border cuts count as two. Families that only everything together would
 * have shown to be one stay apart.
 *
 * Models that follow each other in time are strung together; others are laid over each other. Give all at once: what is
 * estimated is estimated anew at every merge.
 *
 * @throws CutoverError E_MODEL_MERGE (usage) for models of other schemas or with other overrides.
 */
export function mergeModels(models: Model[]): Model {
  const [first, ...others] = models;
  if (!first) throw new TypeError('nothing to merge');
  for (const other of others) checkAlike(first, other);
  const isEmpty = ({ units, source }: Model) => units.length === 0 && source.parsed === 0;
  const filled = models.filter((model) => !isEmpty(model)).sort((a, b) => a.source.first - b.source.first);
  if (filled.length === 0) return first;
  const merged = filled.reduce(mergePair);
  const lines = models.reduce((sum, { source }) => sum + source.lines, 0);
  const rejected = addRecords(...models.map(({ source }) => source.rejected));
  return { ...merged, source: { ...merged.source, lines, rejected } };
}

function checkAlike(a: Model, b: Model): void {
  if (a.schema !== b.schema) {
    throw new CutoverError(
      'usage',
      'E_MODEL_MERGE',
      `Models of two versions cannot be merged: ${a.schema} and ${b.schema}.`,
      'Make both again from their captures: cutover model CAPTURE --output model.json',
    );
  }
  // Which families an override met depends on the capture; what was asked for does not.
  const asked = ({ overrides = [] }: Model) =>
    JSON.stringify(overrides.map(({ families: _, ...override }) => override));
  if (asked(a) !== asked(b)) {
    throw new CutoverError(
      'usage',
      'E_MODEL_MERGE',
      'Models with different overrides cannot be merged: factors and names of one would be taken for what was captured in the other.',
      'Make them without --config, merge them, and apply the overrides to the merged model; or apply the same file to all.',
    );
  }
}

/** `b` begins when `a` does, or later. */
function mergePair(a: Model, b: Model): Model {
  const placement = place(a, b);
  const families = matchFamilies(a, b, placement);
  const scripts = new Map<string, number>();
  const scriptOf = (model: Model, number: number) => {
    const { kind, sha1 } = model.scripts[number]!;
    return intern(scripts, `${kind} ${sha1}`, () => scripts.size);
  };
  const { shapes, shapeOf } = matchShapes(a, b, families.numbers, scriptOf);
  const units = new UnitMerge({ a, b }, shapeOf, families);
  const { clients, classes } = mergeClients(a, b, units.mixes, placement);
  const merged = units.merge(classes);
  const commands = addRecords(counted(a.commands), counted(b.commands));
  const total = Object.values(commands).reduce((sum, n) => sum + n, 0);
  const overrides = mergeOverrides(a, b);
  const unkeptScriptCalls = (a.unkeptScriptCalls ?? 0) + (b.unkeptScriptCalls ?? 0);
  return {
    schema: a.schema,
    source: mergeSources(a.source, b.source, placement),
    clients,
    commands: Object.fromEntries(
      Object.entries(commands).map(([name, count]) => [name, { count, share: count / total }]),
    ),
    scriptCommands: addRecords(a.scriptCommands, b.scriptCommands),
    families: families.families,
    shapes,
    keyAccesses: a.keyAccesses + b.keyAccesses,
    keysAtStart: mergeKeysAtStart(a, b, placement, families.areShared),
    ...mergeExpiringAtStart(a, b, placement, families.areShared),
    ...mergeSampled(families.sidesAtStart.map((side) => (side === 'a' ? a : b))),
    lookups: mergeLookups(a, b, placement, families.areShared),
    ...mergeCounted(a, b, placement, families.areShared),
    hitRatio: wholeCurve(a, b, placement, families),
    units: merged.units,
    transitions: mergeTransitions(a, b, classes),
    scripts: mergeScripts({ a, b }, shapeOf, scriptOf),
    stretch: mergeStretches({ a, b }, merged.numbers, families.numbers, placement),
    transactions: {
      committed: a.transactions.committed + b.transactions.committed,
      empty: a.transactions.empty + b.transactions.empty,
      discarded: a.transactions.discarded + b.transactions.discarded,
      sizes: addCounts(a.transactions.sizes, b.transactions.sizes),
    },
    pipelines: { depths: addCounts(a.pipelines.depths, b.pipelines.depths) },
    ...mergeSubscriptions(a, b, placement),
    leftOut: addRecords(a.leftOut, b.leftOut),
    ...(unkeptScriptCalls > 0 ? { unkeptScriptCalls } : {}),
    ...(overrides ? { overrides } : {}),
  };
}

/** Those who listened to different nodes, or before different recorders, at the same time did so together. */
function mergeSubscriptions(a: Model, b: Model, { consecutive }: Placement): Pick<Model, 'subscriptions'> {
  if (!a.subscriptions && !b.subscriptions) return {};
  const join = consecutive ? joinListeners : addListeners;
  const listeners = new Map<string, NonNullable<Model['subscriptions']>[number]>();
  for (const own of [...(a.subscriptions ?? []), ...(b.subscriptions ?? [])]) {
    const name = `${own.kind} ${own.name}`;
    const before = listeners.get(name);
    listeners.set(name, before ? { ...own, ...join(before, own) } : own);
  }
  const named = SUBSCRIPTION_KINDS.flatMap((kind) => {
    const own = [...listeners.values()].filter((listener) => listener.kind === kind);
    return own.length > MAX_LITERALS || isUnnamed(a, kind) || isUnnamed(b, kind) ? [] : own;
  });
  return named.length > 0 ? { subscriptions: named } : {};
}

type Side = 'a' | 'b';
const SIDES = ['a', 'b'] as const;
type Numbers = Record<Side, number[]>;

function mergeSources(a: Model['source'], b: Model['source'], { spanSeconds }: Placement): Model['source'] {
  const servers = [...new Set([a.server, b.server])].filter((server) => server !== 'unknown');
  return {
    lines: a.lines + b.lines,
    parsed: a.parsed + b.parsed,
    rejected: addRecords(a.rejected, b.rejected),
    first: Math.min(a.first, b.first),
    last: Math.max(a.last, b.last),
    spanSeconds,
    server: servers.length > 0 ? servers.join(', ') : 'unknown',
    clock: a.clock === b.clock ? a.clock : 'unknown',
    approximate: a.approximate || b.approximate,
  };
}

interface MatchedFamilies {
  families: Family[];
  /** Number of each model's families in the merged model. */
  numbers: Numbers;
  /** By the merged model's number, of families that both have. */
  merged: Map<number, MergedFamily>;
  /** Whether the models saw the same keys. */
  areShared: boolean;
  /** Whose samples tell what there was when all began. */
  sidesAtStart: Side[];
}

/** Families are the same if their databases, templates and placeholders are; those of one name may be several. */
const identityOf = ({ db, template, parts }: Family) =>
  JSON.stringify([db, template, parts.map((part) => (typeof part === 'string' ? part : { is: part.placeholder }))]);

/** Keys that two disjoint nodes may be taken to share by mistake. */
const BY_CHANCE = 0.01;

function matchFamilies(a: Model, b: Model, placement: Placement): MatchedFamilies {
  const clocks = { a: a.keyAccesses, b: b.keyAccesses };
  const others = new Map(b.families.map((family, i) => [identityOf(family), i]));
  const numbers: Numbers = { a: a.families.map((_, i) => i), b: [] };
  const merged = new Map<number, MergedFamily>();
  let shared = 0;
  const families = a.families.map((family, number) => {
    const other = others.get(identityOf(family));
    if (other === undefined) return moveFamily(family, 'a', clocks, placement);
    numbers.b[other] = number;
    const both = mergeFamilies(family, b.families[other]!, readShareOf(b, other), clocks, placement);
    merged.set(number, both);
    shared += accessedKeys(family) + accessedKeys(b.families[other]!) - accessedKeys(both.family);
    return both.family;
  });
  const onlyB = b.families.filter((_, i) => numbers.b[i] === undefined);
  const areShared = shared > BY_CHANCE * [...families, ...onlyB].reduce((sum, family) => sum + accessedKeys(family), 0);
  const sidesAtStart = sidesAtStartOf(a, b, placement, areShared);
  b.families.forEach((family, i) => {
    // Of a family that nobody accessed nothing is left if it is not one of those that were there when all began.
    if (numbers.b[i] !== undefined || (family.keys === 0 && !sidesAtStart.includes('b'))) return;
    numbers.b[i] = families.push(moveFamily(family, 'b', clocks, placement)) - 1;
  });
  for (const [number, family] of families.entries()) {
    delete family.atStart;
    const known = SIDES.flatMap((side) => {
      const own = numbers[side].indexOf(number);
      return sidesAtStart.includes(side) ? ((side === 'a' ? a : b).families[own]?.atStart ?? []) : [];
    });
    if (known.length > 0) family.atStart = known.reduce(addAtStart);
  }
  const requests = families.reduce((sum, family) => sum + family.requests, 0);
  const busiest = [...families].sort((x, y) => y.requests - x.requests)[CURVES]?.requests ?? -1;
  return {
    families: families.map(({ hitRatio, ...family }) => ({
      ...{ ...family, share: family.requests / Math.max(1, requests) },
      ...(hitRatio && family.requests > busiest ? { hitRatio } : {}),
    })),
    numbers,
    merged,
    areShared,
    sidesAtStart,
  };
}

/** Of parts, the first one saw what there was; of recorders that saw the same keys one will do; nodes have keys of their own. */
function sidesAtStartOf(a: Model, b: Model, { consecutive }: Placement, areShared: boolean): Side[] {
  if (consecutive) return ['a'];
  if (!areShared) return ['a', 'b'];
  return a.sampledAtStart || !b.sampledAtStart ? ['a'] : ['b'];
}

function mergeSampled(models: Model[]): Pick<Model, 'sampledAtStart' | 'usedBytesAtStart'> {
  const samples = models.flatMap(({ sampledAtStart }) => sampledAtStart ?? []);
  const bytes = models.flatMap(({ usedBytesAtStart }) => usedBytesAtStart ?? []);
  const sum = (numbers: number[]) => numbers.reduce((total, n) => total + n, 0);
  return {
    ...(samples.length > 0
      ? {
          sampledAtStart: {
            keys: sum(samples.map(({ keys }) => keys)),
            complete: samples.length === models.length && samples.every(({ complete }) => complete),
          },
        }
      : {}),
    ...(bytes.length === models.length ? { usedBytesAtStart: sum(bytes) } : {}),
  };
}

/** Share of the units that come back to keys of a family that begin with a read, but for misses that are filled. */
function readShareOf({ units, shapes, families }: Model, family: number): number {
  // Where reads that are refilled find no key that is there.
  const fillsMisses =
    families[family]!.expired.length > 0 ||
    units.some(({ ops, keyStates }) => {
      const at = ops.findIndex(([shape]) => shapes[shape]!.family !== null);
      return (
        at >= 0 &&
        shapes[ops[at]![0]]!.family === family &&
        keyStates.some(([state]) => stateOf(state) === KeyState.gone)
      );
    });
  let [all, reads] = [0, 0];
  for (const unit of units) {
    const at = unit.ops.findIndex(([shape]) => shapes[shape]!.family !== null);
    if (at < 0 || shapes[unit.ops[at]![0]]!.family !== family) continue;
    const count = inFull(unit).reduce((sum, [state, n]) => sum + (stateOf(state) === KeyState.old ? n : 0), 0);
    const [first, [key]] = unit.ops[at]!;
    const isFilled = unit.ops
      .slice(at + 1)
      .some(([shape, slots]) => slots[0] === key && CREATES.has(shapes[shape]!.command));
    all += count;
    if (COMMANDS.get(shapes[first]!.command)?.readonly && !(fillsMisses && isFilled)) reads += count;
  }
  return all === 0 ? 0 : reads / all;
}

const stateOf = (state: number) => beforeEnd(Math.floor(state / POPULARITIES));

/** Hit ratios of all keys; see `consecutiveCurve` and `overlappingCurve` for what is lost. */
function wholeCurve(
  a: Model,
  b: Model,
  { consecutive }: Placement,
  { families, merged }: MatchedFamilies,
): Model['hitRatio'] {
  if (a.hitRatio.length === 0 && b.hitRatio.length === 0) return [];
  const keysOf = (all: Family[]) => all.reduce((sum, family) => sum + accessedKeys(family), 0);
  const bridges: Bridges = [...merged.values()].flatMap((family) => family.bridges);
  return (consecutive ? consecutiveCurve : overlappingCurve)(
    { curve: a.hitRatio, accesses: a.keyAccesses, keys: keysOf(a.families) },
    { curve: b.hitRatio, accesses: b.keyAccesses, keys: keysOf(b.families) },
    keysOf(families),
    bridges,
  );
}

/**
 * What was there when all began: of parts, what was there when the first one did. Recorders that saw the same keys
 * counted the same databases; nodes have keys of their own.
 */
function mergeKeysAtStart(a: Model, b: Model, { consecutive }: Placement, areShared: boolean): Model['keysAtStart'] {
  if (consecutive || !a.keysAtStart || !b.keysAtStart) return consecutive ? a.keysAtStart : null;
  const keys = new Map(a.keysAtStart);
  for (const [db, n] of b.keysAtStart)
    keys.set(db, areShared ? Math.max(n, keys.get(db) ?? 0) : n + (keys.get(db) ?? 0));
  return [...keys].sort((x, y) => x[0] - y[0]);
}

/** Likewise; of several nodes, the mean is that of all keys. */
function mergeExpiringAtStart(
  a: Model,
  b: Model,
  { consecutive }: Placement,
  areShared: boolean,
): Pick<Model, 'expiringAtStart'> {
  const [own, other] = [a.expiringAtStart, b.expiringAtStart];
  if (!own || (!other && !consecutive)) return {};
  if (consecutive || areShared) return { expiringAtStart: own };
  const all = new Map(own.map(([db, keys, seconds]) => [db, { keys, seconds }]));
  for (const [db, keys, seconds] of other!) {
    const known = all.get(db) ?? { keys: 0, seconds: 0 };
    const sum = known.keys + keys;
    all.set(db, { keys: sum, seconds: (known.keys * known.seconds + keys * seconds) / Math.max(1, sum) });
  }
  const merged = [...all].map(([db, { keys, seconds }]): [number, number, number] => [db, keys, seconds]);
  return { expiringAtStart: merged.sort((x, y) => x[0] - y[0]) };
}

/** What the servers counted; recorders that saw the same keys asked the same server. */
function mergeLookups(a: Model, b: Model, { consecutive }: Placement, areShared: boolean): Model['lookups'] {
  if (!a.lookups || !b.lookups) return null;
  if (!consecutive && areShared) return a.lookups;
  return { hits: a.lookups.hits + b.lookups.hits, misses: a.lookups.misses + b.lookups.misses };
}

function mergeCounted(a: Model, b: Model, { consecutive }: Placement, areShared: boolean): Pick<Model, 'counted'> {
  if (!a.counted || !b.counted) return {};
  if (!consecutive && areShared) return { counted: a.counted };
  const { calls, failed = {}, errors } = addServerCounts([a.counted, b.counted]);
  return { counted: { calls, failed, ...(errors ? { errors } : {}) } };
}

/** Shapes are the same if what tells them apart in one capture is: command, script, width and families of keys. */
function matchShapes(
  a: Model,
  b: Model,
  families: Numbers,
  scriptOf: (model: Model, number: number) => number,
): { shapes: Shape[]; shapeOf: Numbers } {
  const shapes: Shape[] = [];
  const known = new Map<string, number>();
  const shapeOf: Numbers = { a: [], b: [] };
  for (const side of SIDES) {
    const model = side === 'a' ? a : b;
    model.shapes.forEach((shape, i) => {
      const moved: Shape = {
        ...shape,
        ...(shape.script === undefined ? {} : { script: scriptOf(model, shape.script) }),
        family: shape.family === null ? null : families[side][shape.family]!,
        roles: shape.roles.map((role): Role => ('key' in role ? { key: families[side][role.key]! } : role)),
      };
      const { command, form, script, blocking, repeat, roles } = moved;
      const places = roles.map((role) => ('key' in role ? role.key : ''));
      const number = intern(
        known,
        `${command} ${form ?? ''} ${script ?? ''} ${blocking} ${repeat?.period ?? 0} ${roles.length} ${places}`,
        () => shapes.push(moved) - 1,
      );
      shapeOf[side][i] = number;
      if (shapes[number] !== moved) shapes[number] = joinShapes(shapes[number]!, moved);
    });
  }
  return { shapes, shapeOf };
}

function joinShapes(a: Shape, b: Shape): Shape {
  const roles = a.roles.map((role, i) => mergeRoles(role, b.roles[i]!));
  if (!a.repeat || !b.repeat) return { ...a, roles };
  return { ...a, roles, repeat: { ...a.repeat, counts: addCounts(a.repeat.counts, b.repeat.counts) } };
}

/** Units by what they are, and in which class: the same ops, with the same keys in common, in the same steps. */
class UnitMerge {
  readonly mixes: Record<Side, Mixes>;
  private readonly models: Record<Side, Model>;
  private readonly families: MatchedFamilies;
  private readonly shapeOf: Numbers;
  private readonly moved: Record<Side, { unit: Unit; id: string }[]>;

  constructor(models: Record<Side, Model>, shapeOf: Numbers, families: MatchedFamilies) {
    this.models = models;
    this.shapeOf = shapeOf;
    this.families = families;
    this.moved = { a: this.move('a'), b: this.move('b') };
    this.mixes = { a: mixesOf(this.moved.a), b: mixesOf(this.moved.b) };
  }

  merge(classes: ClassNumbers): { units: Unit[]; numbers: Numbers } {
    const known = new Map<string, Unit>();
    const unitOf: Record<Side, Unit[]> = { a: [], b: [] };
    for (const side of SIDES) {
      for (const { unit, id } of this.moved[side]) {
        const klass = classes[side][unit.class]!;
        const first = {
          ...unit,
          class: klass,
          count: 0,
          keyStates: [],
          steps: unit.steps.map(([at]): [number, number] => [at, 0]),
        };
        const joined = intern(known, `${klass} ${id}`, () => first);
        joined.steps = joined.steps.map(([at, gapUs], i) => [
          at,
          (gapUs * joined.count + unit.steps[i]![1] * unit.count) / (joined.count + unit.count),
        ]);
        joined.count += unit.count;
        joined.keyStates = addCounts(joined.keyStates, unit.keyStates);
        unitOf[side].push(joined);
      }
    }
    const units = [...known.values()].sort((x, y) => y.count - x.count);
    const number = new Map(units.map((unit, i) => [unit, i]));
    const numbersOf = (side: Side) => unitOf[side].map((unit) => number.get(unit)!);
    return { units, numbers: { a: numbersOf('a'), b: numbersOf('b') } };
  }

  private move(side: Side): { unit: Unit; id: string }[] {
    const { shapes } = this.models[side];
    const fate = side === 'a' ? (merged: MergedFamily) => merged.fate.a : (merged: MergedFamily) => merged.fate.b;
    return this.models[side].units.map((unit) => {
      const ops = renumber(unit.ops, this.shapeOf[side]);
      const [first] = unit.ops.flatMap(([shape]) => shapes[shape]!.family ?? []);
      const merged = first === undefined ? undefined : this.families.merged.get(this.families.numbers[side][first]!);
      const states = inFull(unit);
      const keyStates = merged ? moveStates(states, side, fate(merged)) : states;
      return { unit: { ...unit, ops, keyStates }, id: `${unit.steps.map(([at]) => at)} ${JSON.stringify(ops)}` };
    });
  }
}

const renumber = (ops: UnitOp[], shapeOf: number[]) => ops.map(([shape, slots]): UnitOp => [shapeOf[shape]!, slots]);

/** States of as many units as there are: of a long capture, one in so many was noted. */
function inFull({ keyStates, count }: Unit): Unit['keyStates'] {
  const noted = keyStates.reduce((sum, [, n]) => sum + n, 0);
  if (noted === 0 || noted >= count) return keyStates;
  const round = rounded();
  return keyStates.map(([state, n]): [number, number] => [state, round((n * count) / noted)]);
}

function mixesOf(units: { unit: Unit; id: string }[]): Mixes {
  const mixes = new Map<number, Map<string, number>>();
  for (const { unit, id } of units)
    tally(
      intern(mixes, unit.class, () => new Map()),
      id,
      unit.count,
    );
  return mixes;
}

function mergeScripts(
  models: Record<Side, Model>,
  shapeOf: Numbers,
  scriptOf: (model: Model, number: number) => number,
): Script[] {
  const merged: (Script & { known: Map<string, number> })[] = [];
  for (const side of SIDES) {
    models[side].scripts.forEach((script, i) => {
      const number = scriptOf(models[side], i);
      merged[number] ??= { ...script, calls: 0, effects: [], known: new Map() };
      const joined = merged[number];
      joined.calls += script.calls;
      joined.body ??= script.body;
      for (const { count, ops } of script.effects)
        tally(joined.known, JSON.stringify(renumber(ops, shapeOf[side])), count);
    });
  }
  return merged.map(({ known, ...script }) => {
    if (script.body !== null) return script;
    const effects = [...known].map(([ops, count]) => ({ count, ops: JSON.parse(ops) as UnitOp[] }));
    return { ...script, effects: effects.slice(0, MAX_EFFECTS) };
  });
}

/**
 * One stretch behind the other, as long as nothing is missing between them and there is room; of the same time, by time.
 * Words were disguised for each model on its own: a job that began in one is not known to the other.
 */
function mergeStretches(
  { a, b }: Record<Side, Model>,
  numbers: Numbers,
  families: Numbers,
  { consecutive, offsetSeconds }: Placement,
): Model['stretch'] {
  type Calls = Model['stretch']['units'][number];
  const entriesOf = (model: Model, side: Side) =>
    model.stretch.units.map(([unit, atUs, calls]) => ({
      unit: numbers[side][unit]!,
      atUs: atUs + (side === 'a' ? 0 : Math.round(offsetSeconds * 1e6)),
      calls,
      model,
      callsScript: callsScript(model, unit),
    }));
  const entries = [...entriesOf(a, 'a'), ...(consecutive && !isWhole(a) ? [] : entriesOf(b, 'b'))];
  if (!consecutive) entries.sort((x, y) => x.atUs - y.atUs);
  const texts: string[] = [];
  const known = new Map<string, number>();
  let [calls, bytes, stores] = [0, 0, 0];
  const units: Calls[] = [];
  for (const entry of entries) {
    if (entry.callsScript) {
      calls += entry.calls.length;
      if (calls > MAX_STRETCH_CALLS || bytes >= MAX_STRETCH_BYTES) break;
    } else if (++stores > MAX_STORES) continue;
    const moved = (number: number) => {
      const text = entry.model.stretch.texts[number]!;
      // What was stored is one of the texts that scripts are told: it takes no room of its own.
      if (entry.callsScript) bytes += 4;
      return intern(known, text, () => {
        bytes += text.length;
        return texts.push(text) - 1;
      });
    };
    units.push([
      entry.unit,
      entry.atUs,
      entry.calls.map(([keys, args]): Calls[2][number] => [keys.map(moved), args.map(moved)]),
    ]);
  }
  const disguised = [a, b].every(({ stretch }) => stretch.disguised || stretch.units.length === 0);
  const shared = new Map<string, [number, number, number]>();
  for (const [side, { stretch }] of [['a', a] as const, ['b', b] as const]) {
    for (const [family, requests, number] of stretch.shared ?? []) {
      const text = known.get(stretch.texts[number]!);
      const moved = families[side][family];
      if (text === undefined || moved === undefined) continue;
      const entry = intern(shared, `${moved} ${text}`, (): [number, number, number] => [moved, 0, text]);
      entry[1] += requests;
    }
  }
  const sides = consecutive && !isWhole(a) ? [a.stretch] : [a.stretch, b.stretch];
  const left = mergeLeft(sides, consecutive, (text) => intern(known, text, () => texts.push(text) - 1));
  return { disguised, texts, units, ...(shared.size > 0 ? { shared: [...shared.values()] } : {}), ...left };
}

/** Keys that one or two stretches left, one behind the other or side by side. */
function mergeLeft(
  stretches: Model['stretch'][],
  consecutive: boolean,
  textOf: (text: string) => number,
): Pick<Model['stretch'], 'left'> {
  const calling = stretches.filter(({ units }) => units.length > 0);
  const all = calling.flatMap(({ left }) => left ?? []);
  // Where one left too many, nothing is known of both.
  if (all.length === 0 || all.length < calling.length) return {};
  const keys = calling.flatMap(({ left, texts }) =>
    left!.keys.map(([db, text]): [number, number] => [db, textOf(texts[text]!)]),
  );
  const lengths = calling.map(({ units }) => units.length);
  const sum = lengths.reduce((a, b) => a + b, 0);
  const countAt = (share: number) => {
    let before = 0;
    return all.reduce((count, { counts }, i) => {
      const own = consecutive ? (share * sum - before) / lengths[i]! : share;
      before += lengths[i]!;
      return count + leftAt(counts, own);
    }, 0);
  };
  return { left: { keys, counts: [countAt(1 / 4), countAt(1 / 2), countAt(1)] } };
}

/** Keys that were left after a share of the calls, in a straight line between the counts. */
function leftAt([quarter, half, end]: [number, number, number], share: number): number {
  if (share <= 0) return 0;
  if (share <= 1 / 4) return Math.round(4 * share * quarter);
  if (share <= 1 / 2) return Math.round(quarter + (4 * share - 1) * (half - quarter));
  return Math.round(half + (2 * Math.min(1, share) - 1) * (end - half));
}

/** Whether the stretch holds every call of a script. */
function isWhole(model: Model): boolean {
  const calls = model.scripts.reduce((sum, script) => sum + script.calls, 0);
  return (
    model.stretch.units.reduce((sum, [unit, , kept]) => sum + (callsScript(model, unit) ? kept.length : 0), 0) >= calls
  );
}

/** Otherwise a unit of the stretch stored what a script is told. */
const callsScript = ({ units, shapes }: Model, unit: number) =>
  units[unit]!.ops.some(([shape]) => shapes[shape]!.script !== undefined);

/** The same for both but for the families that they met. */
function mergeOverrides({ overrides }: Model, { overrides: others = [] }: Model): Model['overrides'] {
  return overrides?.map((override, i) => ({
    ...override,
    families: [...new Set([...override.families, ...(others[i]?.families ?? [])])],
  }));
}

const counted = (commands: Model['commands']) =>
  Object.fromEntries(Object.entries(commands).map(([name, { count }]) => [name, count]));

/** Sums by name, most first. */
function addRecords(...records: Record<string, number>[]): Record<string, number> {
  const sum = new Map<string, number>();
  for (const record of records) for (const [name, n] of Object.entries(record)) tally(sum, name, n);
  return Object.fromEntries(descending(sum));
}
