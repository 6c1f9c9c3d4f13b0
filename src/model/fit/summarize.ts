/** What a fit has learnt → the model. */
import { COMMANDS } from '../../capture/commands.ts';
import type { Dataset as Sample } from '../../capture/record/sidecar.ts';
import { ValueHistogram } from '../histogram.ts';
import type { Family, Model, Role, Script, Shape, UnitOp } from '../model.ts';
import { mulberry32 } from '../random.ts';
import { intern, tally } from '../tally.ts';
import { templateText } from '../template/parts.ts';
import { describeAtStart, fitWeights, nameOf, type PlacedKey, weightsOf } from './at-start.ts';
import { type ClientClass, type ClientHabit, classify, peakOverlap } from './clients.ts';
import type { ElementSample } from './elements.ts';
import { type Counts, Existed, Existence } from './existence.ts';
import type { Fit } from './fit.ts';
import { type Handover, handoversOf, keysInCommon } from './handover.ts';
import { addKeyStats, fillsMisses, newKeyStats } from './key-stats.ts';
import { Fact } from './keyspace.ts';
import { zipfExponent } from './popularity.ts';
import { latin1, RoleLearner } from './roles.ts';
import { type LearntShape, NumberList } from './shapes.ts';
import { SUBSCRIPTION_KINDS } from './subscriptions.ts';
import {
  ASKED,
  ASKED_REFILLED,
  FILL,
  KeyState,
  POPULARITIES,
  REFILLED,
  STATES,
  UNPROVEN,
  UNPROVEN_FILL,
} from './units.ts';

/** Parts of the capture that births are counted in. */
export const BIRTH_BINS = 32;
/** Families with hit ratio curves of their own. */
export const CURVES = 5;
/** Keys that are kept for merging: of most families, and of those with curves. */
export const MAX_SAMPLE = 256;
const MAX_SAMPLE_OF_BUSIEST = 1024;
/** Enough to recognise a key among a few hundred (once in a hundred families it is another), too few to find it among all. */
const SAMPLE_DIGITS = 7;
/** Kinds of idiom that the model keeps; rarer ones are counted as their steps. */
const MAX_IDIOMS = 2000;
/** Neighbouring units tell something of each other from here on, in bits. */
export const MIN_BITS = 0.05;
const MIN_NEIGHBOURS = 200;
const MAX_LABELS = 48;

/** What is known of the data besides the lines. */
export interface Dataset {
  /** Keys by database when the capture began; databases that are not in it were empty. */
  keys?: ReadonlyMap<number, number>;
  /** By database, those of them that expire, and their mean of seconds left; 0: not known. */
  expiring?: Model['expiringAtStart'];
  /** Reads that found their key and that did not, as the server counted them during the capture. */
  lookups?: { hits: number; misses: number };
  /** What was looked at when the capture began, by each node's recorder. */
  samples?: readonly Sample[];
  /** Whether the samples list every key that there was right before the first line. */
  isListed?: boolean;
  /** Bytes of keys and values then, with what the server spends on them. */
  usedBytes?: number;
}

/** The model; `source` comes from the capture's own summary. Call `fit.end()` first. */
export function summarize(fit: Fit, source: Model['source'], dataset: Dataset = {}): Model {
  const placed = placeSamples(fit, dataset.samples ?? []);
  if (dataset.usedBytes) fitWeights(placed, dataset.usedBytes);
  const { families, familyOf, stats } = familiesOf(fit);
  describeAtStart(families, inFamilies(placed, familyOf));
  const { shapes, shapeOf } = shapesOf(fit, familyOf);
  const classOfRow = popularityClasses(fit);
  const existence = new Existence(fit, familyOf, stats, dataset);
  describeKeys(fit, families, familyOf, classOfRow, stats, existence);
  const handovers = handoversOf(fit);
  const fills = (row: number) => fillsMisses(stats[familyOf[fit.keys.templateOf(row)]!]!);
  const answered = (row: number) => families[familyOf[fit.keys.templateOf(row)]!]!.fills !== undefined;
  const kinds = kindsOf(fit, shapeOf, classOfRow, { fills, answered }, existence, handovers);
  const isBlocking = (kind: number) => fit.units.kinds[kind]!.blocking;
  const habits = habitsOf(fit);
  const { classes, classOf } = classify(habits, isBlocking);
  countAll(classes, fit.units.kinds);
  const { units, unitOf } = unitsOf(kinds, classes, fit.units.kinds.length);
  const streams = [...fit.streams.values()].sort((a, b) => a.db - b.db || Number(a.blocking) - Number(b.blocking));
  const commands = fit.commandCounts();
  const total = commands.reduce((sum, [, n]) => sum + n, 0);
  const labelOf = (kind: number) => labelOfOps(kinds.final[kind]![0]!.ops, shapes, families);
  return {
    schema: 'cutover/model@1',
    source,
    clients: {
      connections: fit.clients.length,
      streams: streams.map(({ db, blocking, arrivals }) => {
        const numberOf = (client: number) => classes.indexOf(classOf(habits[client]!, blocking)!);
        return { db, blocking, ...arrivals.summary(source.spanSeconds, numberOf) };
      }),
      classes: classes.map((klass) => ({
        stream: Math.max(
          0,
          streams.findIndex(({ db, blocking }) => db === klass.db && blocking === klass.blocking),
        ),
        connections: klass.members.length,
        peakConnections: Math.max(1, peakOverlap(klass.members)),
        units: units.reduce((sum, unit) => sum + (classes[unit.class] === klass ? unit.count : 0), 0),
      })),
    },
    commands: Object.fromEntries(commands.map(([name, n]) => [name, { count: n, share: n / total }])),
    scriptCommands: Object.fromEntries(descending(fit.scriptCommands)),
    families,
    shapes,
    keyAccesses: fit.clock,
    lookups: dataset.lookups ?? null,
    keysAtStart: dataset.keys ? [...dataset.keys].sort((a, b) => a[0] - b[0]) : null,
    ...(dataset.expiring ? { expiringAtStart: dataset.expiring } : {}),
    ...sampledOf(dataset),
    hitRatio: fit.reuse.curve(),
    units,
    transitions: transitionsOf(fit, habits, classes, classOf, labelOf),
    scripts: fit.scripts.scripts.map(
      (script): Script => ({
        sha1: script.sha1,
        kind: script.kind,
        body: script.body ? latin1(script.body) : null,
        calls: script.calls,
        effects: script.body
          ? []
          : [...script.effects.values()].map(({ count, ops }) => ({
              count,
              ops: ops.map(([shape, slots]): UnitOp => [shapeOf[shape]!, slots]),
            })),
      }),
    ),
    ...(fit.scripts.unkeptCalls > 0 ? { unkeptScriptCalls: fit.scripts.unkeptCalls } : {}),
    stretch: stretchOf(fit, handovers, source.first * 1e6, unitOf, familyOf),
    transactions: { ...fit.transactions, sizes: fit.sizes.entries() },
    pipelines: { depths: fit.depths },
    ...subscriptionsOf(fit),
    leftOut: Object.fromEntries(fit.commandCounts(true)),
  };
}

/** Sampled keys with the numbers of their templates: they are mined like those of the capture, which come first. */
function placeSamples(fit: Fit, samples: readonly Sample[]): PlacedKey[] {
  return samples.flatMap((sample) => {
    const weights = weightsOf(sample);
    return sample.sampled.map(
      (key): PlacedKey => ({ key, family: fit.template(key.db, nameOf(key)), weight: weights.get(key.db)! }),
    );
  });
}

function* inFamilies(placed: PlacedKey[], familyOf: number[]): Generator<PlacedKey> {
  for (const key of placed) yield { ...key, family: familyOf[key.family]! };
}

function sampledOf({ samples, usedBytes }: Dataset): Pick<Model, 'sampledAtStart' | 'usedBytesAtStart'> {
  return {
    ...(samples && samples.length > 0
      ? {
          sampledAtStart: {
            keys: samples.reduce((sum, { sampled }) => sum + sampled.length, 0),
            complete: samples.every(({ complete }) => complete),
          },
        }
      : {}),
    ...(usedBytes === undefined ? {} : { usedBytesAtStart: usedBytes }),
  };
}

/** Which keys were there when the capture began. Call `fit.end()` first. */
export function existenceOf(fit: Fit, dataset: Dataset): Existence {
  const { familyOf, stats } = familiesOf(fit);
  return new Existence(fit, familyOf, stats, dataset);
}

function subscriptionsOf({ listeners }: Fit): Pick<Model, 'subscriptions'> {
  const subscriptions = SUBSCRIPTION_KINDS.flatMap((kind) =>
    [...(listeners[kind] ?? [])].map(([name, count]) => ({ kind, name, ...count })),
  );
  return subscriptions.length > 0 ? { subscriptions } : {};
}

/** What the templates of one family counted together. */
interface FamilyStats extends Counts {
  /** Calls of clients by command; calls of anyone by group of command. */
  commands: Map<string, number>;
  groups: Map<string, number>;
}

/** Families with what their templates counted; what depends on single keys comes later. */
function familiesOf(fit: Fit): { families: Family[]; familyOf: number[]; stats: FamilyStats[] } {
  const families: Family[] = [];
  const familyOf: number[] = [];
  const stats: FamilyStats[] = [];
  for (const [db, { miner, numbers }] of fit.databases) {
    const folded = miner.fold();
    const first = families.length;
    folded.families.forEach((parts, i) => {
      let placeholder = 0;
      stats.push({ ...newKeyStats(), db, commands: new Map(), groups: new Map() });
      families.push({
        template: templateText(parts),
        parts: parts.map((part) =>
          typeof part === 'string' ? part : { ...part, lengths: folded.lengths[i]![placeholder++] ?? [] },
        ),
        ...{ db, type: 'unknown', keys: 0, requests: 0, scriptRequests: 0, share: 0, commands: {}, zipf: null },
        ...{ references: [], classes: [], existing: 1, expired: [], elements: null, valueBytes: [], ttlSeconds: [] },
        sample: { below: 1, keys: [] },
      });
    });
    numbers.forEach((number, local) => {
      familyOf[number] = first + folded.familyOf[local]!;
      addKeyStats(stats[familyOf[number]!]!, fit.templates[number]!);
    });
  }
  for (const shape of fit.shapes.shapes) {
    const group = COMMANDS.get(shape.command)?.group;
    const touched = new Set(shape.positions.flatMap((p) => (typeof p === 'number' ? familyOf[p]! : [])));
    for (const family of touched) {
      if (shape.calls > 0) tally(stats[family]!.commands, shape.command, shape.calls);
      if (group) tally(stats[family]!.groups, group, shape.calls + shape.scriptCalls);
    }
  }
  const total = Math.max(
    1,
    stats.reduce((sum, { requests }) => sum + requests, 0),
  );
  families.forEach((family, number) => {
    const { requests, scriptRequests, commands, values, ttls } = stats[number]!;
    Object.assign(family, { requests, scriptRequests, share: requests / total, type: typeOf(stats[number]!) });
    family.commands = Object.fromEntries(descending(commands));
    family.valueBytes = values.entries();
    family.ttlSeconds = ttls.entries();
  });
  return { families, familyOf, stats };
}

function elementsOf(elements: ElementSample, keys: number): NonNullable<Family['elements']> {
  const requests = elements.requests();
  const references = new ValueHistogram();
  for (const n of requests) references.add(n);
  const perKey = Math.max(1, elements.distinct / Math.max(1, keys));
  return {
    perKey,
    universe: elements.universe,
    references: references.entries(),
    zipf: zipfExponent(requests, seeded()),
  };
}

/** Popularity class ⌊log2 requests⌋ of each row. */
function popularityClasses({ keys }: Fit): Uint8Array {
  const classes = new Uint8Array(keys.rows + 1);
  for (let row = 1; row <= keys.rows; row++) classes[row] = 31 - Math.clz32(Math.max(1, keys.get(row, Fact.requests)));
  return classes;
}

/** Popularity, births, gaps and hit ratios of each family, from the rows of its keys. */
function describeKeys(
  fit: Fit,
  families: Family[],
  familyOf: number[],
  classOfRow: Uint8Array,
  stats: FamilyStats[],
  existence: Existence,
): void {
  const { keys } = fit;
  const cells = families.map(() =>
    Array.from({ length: POPULARITIES }, () => ({
      ...{
        keys: 0,
        readFirst: 0,
        found: 0,
        missed: 0,
        missing: 0,
        births: new Map<number, number>(),
        gaps: new Map<number, number>(),
      },
      ttls: new ValueHistogram(),
    })),
  );
  const counts = families.map(() => new NumberList());
  const references = families.map(() => new ValueHistogram());
  const samples = families.map(() => new LowestKeys());
  const familyOfRow = new Int32Array(keys.rows + 1);
  for (let row = 1; row <= keys.rows; row++) {
    const number = familyOf[keys.templateOf(row)]!;
    familyOfRow[row] = number;
    const weight = keys.weight(row);
    if (weight === 0) continue;
    families[number]!.keys += weight;
    const requests = keys.get(row, Fact.requests);
    if (requests === 0) continue;
    counts[number]!.push(requests);
    references[number]!.add(requests, weight);
    const cell = cells[number]![classOfRow[row]!]!;
    cell.keys += weight;
    const existed = existence.of(row);
    const missed = existence.wasMissed(row);
    if (existed !== Existed.no || missed) cell.readFirst += weight;
    if (existed === Existed.yes) cell.found += weight;
    if (missed) cell.missed += weight;
    if ((existed !== Existed.no || missed) && !existence.assumed(row)) cell.missing += weight;
    tally(
      cell.births,
      Math.min(BIRTH_BINS - 1, Math.floor((keys.get(row, Fact.first) / (fit.clock + 1)) * BIRTH_BINS)),
      weight,
    );
    const order = keys.order(row);
    if (order < keys.sampledShare)
      samples[number]!.add([order, requests, keys.get(row, Fact.first), keys.get(row, Fact.last)]);
  }
  const missed = missesOf(fit);
  for (let i = 0; i < fit.gaps.length; i++) {
    const row = fit.gaps.row[i]!;
    tally(cells[familyOfRow[row]!]![classOfRow[row]!]!.gaps, fit.gaps.value[i]!);
    if (missed.has(fit.gaps.at[i]!)) tally(stats[familyOfRow[row]!]!.refillGaps, fit.gaps.value[i]!, fit.gaps.stride);
  }
  for (let i = 0; i < fit.expiries.length; i++) {
    const row = fit.expiries.row[i]!;
    cells[familyOfRow[row]!]![classOfRow[row]!]!.ttls.add(fit.expiries.value[i]! / 1000);
  }
  const busiest = families
    .map((family, number) => ({ family, number }))
    .sort((a, b) => b.family.requests - a.family.requests)
    .slice(0, CURVES);
  for (const { family, number } of busiest) {
    if (family.requests > 0) family.hitRatio = fit.reuse.curve(familyOfRow, number);
  }
  const isBusiest = new Set(busiest.map(({ number }) => number));
  families.forEach((family, number) => {
    family.keys = Math.round(family.keys);
    family.references = references[number]!.entries();
    family.zipf = zipfExponent(counts[number]!.values(), seeded());
    const sum = (count: (cell: { readFirst: number; found: number; missed: number; missing: number }) => number) =>
      cells[number]!.reduce((all, cell) => all + count(cell), 0);
    // Of all that were not found, those that surely were missed are some.
    const notFound = sum((cell) => cell.readFirst - cell.found);
    const unproven = notFound - sum((cell) => cell.missed);
    family.existing = (existence.shares[number]! * unproven) / Math.max(1, notFound);
    const fills = fillsOf(
      stats[number]!,
      sum((cell) => cell.missing),
    );
    const renewals = renewalsOf(stats[number]!);
    if (fills && !(renewals && isTimed(stats[number]!))) family.fills = fills;
    if (renewals) family.renewals = renewals;
    family.classes = cells[number]!.flatMap((cell, at) =>
      cell.keys === 0
        ? []
        : {
            class: at,
            births: ascending(cell.births),
            gaps: ascending(cell.gaps),
            readFirst: cell.readFirst / cell.keys,
            ...(cell.found > 0 ? { found: cell.found / cell.keys } : {}),
            ttlSeconds: cell.ttls.entries(),
          },
    );
    const { elements, refillGaps } = stats[number]!;
    if (elements) family.elements = elementsOf(elements, family.keys);
    family.expired = !fillsMisses(stats[number]!)
      ? []
      : ascending(refillGaps).map(([bucket, n]) => {
          const all = cells[number]!.reduce((sum, cell) => sum + (cell.gaps.get(bucket) ?? 0), 0);
          return [bucket, Math.min(1, n / Math.max(1, all * fit.gaps.stride))];
        });
    const kept = isBusiest.has(number) ? MAX_SAMPLE_OF_BUSIEST : MAX_SAMPLE;
    const chosen = samples[number]!.take(kept + 1);
    family.sample = {
      below: chosen[kept]?.[0] ?? keys.sampledShare,
      keys: chosen.slice(0, kept).map(([order, ...key]) => [Number(order.toPrecision(SAMPLE_DIGITS)), ...key]),
    };
  });
}

/** Misses are filled by others if more than this share of them is, soon. */
const MOSTLY_FILLED = 1 / 2;

/** What becomes of misses that those who met them do not fill; undefined where nobody else does. */
function fillsOf({ asks, askedFills, unprovenFills, fillDelays }: FamilyStats, missing: number): Family['fills'] {
  const filled = Math.min(missing, unprovenFills);
  // Somebody writes what somebody has read by chance, too: keys of all kinds, and popular ones soon.
  if (askedFills + filled < MOSTLY_FILLED * Math.max(1, asks + missing)) return undefined;
  return {
    missing: [Math.round(missing), Math.round(filled)],
    gone: [asks, Math.min(asks, askedFills)],
    delaySeconds: fillDelays.entries(),
  };
}

/** Fewer say nothing of when the next one comes. */
const MIN_RENEWALS = 20;
/** Coefficient of variation of the time between two; of what comes by chance it is 1. */
const REGULAR = 0.3;

function renewalsOf({ renewals, renewalTimes, renewalSquares, asks, askedFills }: FamilyStats): Family['renewals'] {
  if (renewals < MIN_RENEWALS || renewalTimes <= 0) return undefined;
  const mean = renewalTimes / renewals;
  const variance = renewalSquares / renewals - mean * mean;
  if (variance > (REGULAR * mean) ** 2) return undefined;
  const times = Math.round(renewalTimes * 1000) / 1000;
  return { count: renewals, times, lapsed: Math.max(0, asks - askedFills) };
}

/** What follows from reads comes no more regularly after the expiry than after the read. */
const MORE_REGULAR = 1 / 2;

/**
 * Whether it is timers that make again what others have asked for: a time L after it was made, whenever it is asked for.
 * Where a read at a time w makes others fill it d later, L = w + d, and L varies as d does or more; with timers d = L - w.
 */
function isTimed({ renewals, renewalTimes, renewalSquares, ttls, fillDelays }: FamilyStats): boolean {
  const mean = renewalTimes / renewals;
  const spread = Math.sqrt(Math.max(0, renewalSquares / renewals - mean * mean)) * ttls.mean();
  return spread < MORE_REGULAR * fillDelays.deviation();
}

/** Numbers of the accesses that found a key gone if misses are filled like this. */
const missesOf = ({ misses }: Fit) => new Set(misses.at.subarray(0, misses.length));

type SampledKey = Family['sample']['keys'][number];

/** Of many keys, those whose order is lowest. */
class LowestKeys {
  private keys: SampledKey[] = [];

  add(key: SampledKey): void {
    this.keys.push(key);
    if (this.keys.length > 8 * MAX_SAMPLE_OF_BUSIEST) this.keys = this.take(MAX_SAMPLE_OF_BUSIEST + 1);
  }

  take(count: number): SampledKey[] {
    return this.keys.sort((a, b) => a[0] - b[0]).slice(0, count);
  }
}

/** A kind of unit as the model has it; a rare idiom is its steps, each on its own. */
interface FinalKind {
  ops: UnitOp[];
  steps: [number, number][];
  keyStates: Map<number, number>;
}

function kindsOf(
  fit: Fit,
  shapeOf: number[],
  classOfRow: Uint8Array,
  { fills, answered }: { fills: (row: number) => boolean; answered: (row: number) => boolean },
  existence: Existence,
  handovers: Handover[],
): { final: FinalKind[][] } {
  const { kinds } = fit.units;
  const keyStates = kinds.map(() => new Map<number, number>());
  const missed = missesOf(fit);
  for (let i = 0; i < fit.starts.length; i++) {
    const value = fit.starts.value[i]!;
    const row = fit.starts.row[i]!;
    let state = value % STATES;
    // What looked like a miss was none where that is how keys are changed, and later accesses tell of the first.
    if (state === KeyState.absent || state === KeyState.present) state = stateAtFirst(existence, row);
    else if (state === REFILLED || (state === KeyState.old && missed.has(fit.starts.at[i]!)))
      state = fills(row) ? KeyState.gone : KeyState.old;
    else if (state === ASKED_REFILLED) state = fills(row) ? KeyState.asked : KeyState.old;
    else if (state === UNPROVEN) state = existence.assumedLater(row) ? KeyState.old : KeyState.asked;
    else if (state === UNPROVEN_FILL && existence.assumedLater(row)) state = KeyState.old;
    else if (state === FILL || state === UNPROVEN_FILL) state = answered(row) ? KeyState.filled : KeyState.asked;
    else if (state === ASKED) state = KeyState.asked;
    if (fit.starts.at[i] === fit.keys.get(row, Fact.last)) state += KeyState.final;
    tally(keyStates[Math.floor(value / STATES)]!, state * POPULARITIES + classOfRow[row]!);
  }
  const idioms = kinds.filter((kind) => kind.steps.length > 0).map((kind) => kind.count);
  const rarest = idioms.sort((x, y) => y - x)[MAX_IDIOMS] ?? 0;
  const inStretch = new Set(handovers.map(({ kind }) => kind));
  const final = kinds.map((kind, number): FinalKind[] => {
    const ops = kind.ops.map(([shape, slots]): UnitOp => [shapeOf[shape]!, slots]);
    const watches = kind.ops.some(([shape]) => fit.shapes.shapes[shape]!.command === 'watch');
    if (kind.steps.length > 0 && kind.count <= rarest && !watches && !inStretch.has(number)) {
      const bounds = [0, ...kind.steps.map((step) => step.at), ops.length];
      return bounds.slice(1).map((to, i) => ({
        ops: renumbered(ops.slice(bounds[i]!, to)),
        steps: [],
        keyStates: i === 0 ? keyStates[number]! : afterwards(keyStates[number]!),
      }));
    }
    const steps = kind.steps.map(({ at, gaps }): [number, number] => [at, median(gaps)]);
    return [{ ops, steps, keyStates: keyStates[number]! }];
  });
  return { final };
}

function stateAtFirst(existence: Existence, row: number): number {
  if (existence.assumed(row)) return KeyState.present;
  return existence.of(row) === Existed.unproven || existence.wasMissed(row) ? KeyState.missing : KeyState.absent;
}

function unitsOf(
  { final }: { final: FinalKind[][] },
  classes: ClientClass[],
  kinds: number,
): { units: Model['units']; unitOf: Map<number, number> } {
  const merged = new Map<string, Model['units'][number] & { states: Map<number, number>; kind: number }>();
  for (const [number, klass] of classes.entries()) {
    for (const [kind, count] of klass.units) {
      if (kind >= kinds) continue;
      for (const { ops, steps, keyStates } of final[kind]!) {
        const unit = intern(merged, `${number} ${steps.map(([at]) => at)} ${JSON.stringify(ops)}`, () => ({
          ...{ class: number, count: 0, ops, steps, keyStates: [], states: new Map<number, number>(), kind },
        }));
        unit.count += count;
        for (const [state, n] of keyStates) tally(unit.states, state, n);
      }
    }
  }
  const sorted = [...merged.values()].sort((a, b) => b.count - a.count);
  return {
    units: sorted.map(({ states, kind: _, ...unit }) => ({ ...unit, keyStates: ascending(states) })),
    unitOf: new Map(sorted.map(({ kind }, i): [number, number] => [kind, i]).reverse()),
  };
}

/** Of countless clients the habits of the first are known: the others are taken to do the same. */
function countAll(classes: ClientClass[], kinds: Fit['units']['kinds']): void {
  const known = new Map<number, number>();
  for (const { units } of classes) for (const [kind, count] of units) tally(known, kind, count);
  for (const { units } of classes) {
    for (const [kind, count] of units)
      if (kind < kinds.length) units.set(kind, Math.round((count * kinds[kind]!.count) / known.get(kind)!));
  }
}

/** Clients with their units by kind. */
function habitsOf({ clients, habits }: Fit): ClientHabit[] {
  const own = clients.map((client) => ({ ...client, units: new Map<number, number>() }));
  for (const [client, kind, count] of habits.entries()) own[client]!.units.set(kind, count);
  return own;
}

function transitionsOf(
  fit: Fit,
  habits: ClientHabit[],
  classes: ClientClass[],
  classOf: (client: ClientHabit, blocking: boolean) => ClientClass | undefined,
  labelOf: (kind: number) => string,
): Model['transitions'] {
  const counts = classes.map(() => new Map<string, Map<string, number>>());
  const label = new Map<number, string>();
  const labelled = (kind: number) => intern(label, kind, () => labelOf(kind));
  const { first, second } = fit.successions;
  for (const [client, succession, n] of fit.neighbours.entries()) {
    const klass = classOf(habits[client]!, false);
    if (!klass) continue;
    const rows = counts[classes.indexOf(klass)]!;
    const from = labelled(first[succession]!);
    const to = labelled(second[succession]!);
    tally(
      intern(rows, from, () => new Map()),
      to,
      n,
    );
  }
  return counts.flatMap((rows, klass) => {
    const totals = new Map<string, number>();
    let n = 0;
    for (const row of rows.values())
      for (const [to, count] of row) {
        tally(totals, to, count);
        n += count;
      }
    if (n < MIN_NEIGHBOURS) return [];
    const labels = descending(totals)
      .slice(0, MAX_LABELS)
      .map(([name]) => name);
    const numbers = new Map(labels.map((name, i) => [name, i]));
    const pairs: [number, number, number][] = [];
    for (const [from, row] of rows) {
      for (const [to, count] of row) {
        if (numbers.has(from) && numbers.has(to)) pairs.push([numbers.get(from)!, numbers.get(to)!, count]);
      }
    }
    const bits = mutualInformation(pairs, labels.length);
    pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return bits > MIN_BITS ? [{ class: klass, bits: Math.round(bits * 1000) / 1000, labels, pairs }] : [];
  });
}

/** I(X;Y) = Σ p(x,y) log2 p(x,y) / (p(x) p(y)), less its expectation for independent ones (Miller–Madow). */
export function mutualInformation(pairs: [number, number, number][], labels: number): number {
  const from = new Float64Array(labels);
  const to = new Float64Array(labels);
  let n = 0;
  for (const [a, b, count] of pairs) {
    from[a]! += count;
    to[b]! += count;
    n += count;
  }
  let bits = 0;
  for (const [a, b, count] of pairs) bits += (count / n) * Math.log2((count * n) / (from[a]! * to[b]!));
  const used = (counts: Float64Array) => counts.filter((count) => count > 0).length;
  return bits - (pairs.length - used(from) - used(to) + 1) / (2 * n * Math.LN2);
}

/** Family and command of a unit's first op. */
export function labelOfOps(ops: UnitOp[], shapes: Shape[], families: Family[]): string {
  const first = ops.find(([shape]) => shapes[shape]!.family !== null) ?? ops[0]!;
  const { command, family } = shapes[first[0]]!;
  return family === null ? command : `${families[family]!.db} ${families[family]!.template} ${command}`;
}

function stretchOf(
  fit: Fit,
  handovers: Handover[],
  firstUs: number,
  unitOf: Map<number, number>,
  familyOf: number[],
): Model['stretch'] {
  const { texts } = fit.scripts;
  const scriptCalls = (kind: number) =>
    fit.units.kinds[kind]!.ops.filter(([shape]) => fit.shapes.shapes[shape]!.script !== undefined).length;
  const units = handovers
    // One that stored what a script is told has no script, and one call here.
    .filter(({ kind, calls }) => unitOf.has(kind) && (scriptCalls(kind) || 1) === calls.length)
    .map(({ startUs, kind, calls }): Model['stretch']['units'][number] => [
      unitOf.get(kind)!,
      Math.max(0, Math.round(startUs - firstUs)),
      calls.map(({ keys, args }) => [keys, args]),
    ]);
  const shared = [...keysInCommon(fit)].map(([row, text]): [number, number, number] => [
    ...([familyOf[fit.keys.templateOf(row)]!, fit.keys.get(row, Fact.requests)] as const),
    text,
  ]);
  const left = fit.scripts.left.summary();
  return {
    ...{ disguised: false, texts, units },
    ...(shared.length > 0 ? { shared } : {}),
    ...(left
      ? { left: { counts: left.counts, keys: left.keys.map(({ db, name }) => [db, fit.scripts.text(name)]) } }
      : {}),
  };
}

/** Shapes whose templates have become one family are one shape. */
function shapesOf(fit: Fit, familyOf: number[]): { shapes: Shape[]; shapeOf: number[] } {
  const merged = new Map<string, { learnt: LearntShape; number: number }>();
  const order: LearntShape[] = [];
  const shapeOf = fit.shapes.shapes.map((learnt) => {
    const places = learnt.positions.map((p) => (typeof p === 'number' ? familyOf[p] : ''));
    const id = `${learnt.command} ${learnt.form} ${learnt.script ?? ''} ${learnt.blocking} ${learnt.repeat?.period ?? 0} ${learnt.positions.length} ${places.join(',')}`;
    const known = merged.get(id);
    if (!known) {
      const number = order.push(learnt) - 1;
      merged.set(id, { learnt, number });
      return number;
    }
    known.learnt.positions.forEach((position, i) => {
      const other = learnt.positions[i];
      if (position instanceof RoleLearner && other instanceof RoleLearner) position.addAll(other);
    });
    for (const [n, c] of learnt.repeat?.counts ?? []) tally(known.learnt.repeat!.counts, n, c);
    return known.number;
  });
  const shapes = order.map((learnt): Shape => {
    const first = learnt.positions.find((p) => typeof p === 'number');
    return {
      command: learnt.command,
      ...(learnt.form === '' ? {} : { form: learnt.form }),
      ...(learnt.script === undefined ? {} : { script: learnt.script }),
      family: first === undefined ? null : familyOf[first as number]!,
      blocking: learnt.blocking,
      roles: learnt.positions.map((p): Role => (typeof p === 'number' ? { key: familyOf[p]! } : p.role())),
      ...(learnt.repeat
        ? {
            repeat: {
              from: learnt.repeat.from,
              period: learnt.repeat.period,
              counts: ascending(learnt.repeat.counts),
            },
          }
        : {}),
    };
  });
  return { shapes, shapeOf };
}

const TYPES: Record<string, Family['type']> = {
  ...{ string: 'string', bitmap: 'string', hash: 'hash', list: 'list', set: 'set', stream: 'stream' },
  ...{ 'sorted-set': 'zset', geo: 'zset', hyperloglog: 'hyperloglog' },
};

const ARITHMETIC = ['incr', 'decr', 'incrby', 'decrby', 'incrbyfloat'];

/** The type that most typed commands mean; a string that is counted with is an integer. */
function typeOf(stats: FamilyStats): Family['type'] {
  let type: Family['type'] = 'unknown';
  let most = 0;
  for (const [group, n] of stats.groups) {
    if (TYPES[group] && n > most) {
      type = TYPES[group];
      most = n;
    }
  }
  const integers = stats.values.count > 0 && stats.integerValues === stats.values.count;
  return type === 'string' && (integers || ARITHMETIC.some((name) => stats.commands.has(name))) ? 'integer' : type;
}

/** The states of keys that have just been accessed. */
function afterwards(states: Map<number, number>): Map<number, number> {
  const old = new Map<number, number>();
  for (const [state, n] of states) {
    const final = Math.floor(state / POPULARITIES) & KeyState.final;
    tally(old, (KeyState.old + final) * POPULARITIES + (state % POPULARITIES), n);
  }
  return old;
}

/** Slots of a part of a unit, numbered from 0 again. */
function renumbered(ops: UnitOp[]): UnitOp[] {
  const seen = new Map<number, number>();
  return ops.map(([shape, slots]) => [shape, slots.map((slot) => intern(seen, slot, () => seen.size))]);
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
/** The same numbers whatever was estimated before. */
export const seeded = () => mulberry32(0x5eed);
export const ascending = (map: Map<number, number>) => [...map].sort((a, b) => a[0] - b[0]);
export const descending = (map: Map<string, number>) => [...map].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
