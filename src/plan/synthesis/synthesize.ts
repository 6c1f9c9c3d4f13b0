/** Model + seed → a workload of any length and rate; the same bytes on every machine. */
import { COMMANDS } from '../../capture/commands.ts';
import type { Caveat } from '../../errors.ts';
import { joinCurves } from '../../model/fit/arrivals.ts';
import { KEEPS_UP } from '../../model/fit/fit.ts';
import { valueIndex } from '../../model/fit/shapes.ts';
import { labelOfOps } from '../../model/fit/summarize.ts';
import { ALL_STATES, beforeEnd, KeyState, POPULARITIES } from '../../model/fit/units.ts';
import type { Model, Unit, UnitOp } from '../../model/model.ts';
import { intern, tally } from '../../model/tally.ts';
import { TimeQueue } from '../../model/time-queue.ts';
import { Precedence } from '../exact/precedence.ts';
import { Labels, NO_FAMILY } from '../labels.ts';
import { lengthCaveats } from '../length.ts';
import { listenerCaveats, listenersOf } from '../listeners.ts';
import { OpFlag, type Order, type Plan, type Preload, type Slice, type Subscription } from '../plan.ts';
import { groupCreation, MadeGroups, NAMES_ENTRIES, type UsedGroups } from '../preload/consumer-groups.ts';
import { preloadOf } from '../preload/preload.ts';
import { datasetCaveats } from '../preload/untouched.ts';
import { Alias, type Random, stream } from '../random.ts';
import { RespWriter, sharedArray } from '../resp.ts';
import { scriptsOf } from '../scripts.ts';
import { speedCaveats } from '../speed.ts';
import { UNKNOWN_CURSOR, WalkNumbers, type WalkStep, walksOf } from '../walks.ts';
import type { Workload } from '../workload.ts';
import { ArrivalProcess, burstsOf, rateCurve, recordedBursts } from './arrivals.ts';
import { CallArrivals } from './call-arrivals.ts';
import { type CallContext, type CompiledShape, compileShapes } from './calls.ts';
import { Deadlines, isExpiry } from './expiries.ts';
import { type Fill, Fillers, fillingShare } from './fills.ts';
import { KeyMarks } from './key-marks.ts';
import { type Accepts, IndependentKeys, type KeySource, KeyTrace } from './key-trace.ts';
import { type KeyMaker, keyMakers } from './keys.ts';
import { existedBefore, requestsByRank } from './ranks.ts';
import { Renewals } from './renewals.ts';
import { ScriptKeys } from './script-keys.ts';
import { type ScriptArguments, StretchReplay } from './stretch-replay.ts';
import { Turns } from './turns.ts';

export interface SynthesisOptions {
  seed: string;
  /** Ops per second; undefined: as captured. */
  rate?: number;
  /** How much of it is driven in one round, for caveats; undefined: no more than the capture's length. */
  seconds?: number;
  /** Unix time in seconds that absolute times in arguments are relative to. */
  epochSeconds: number;
  /** What a server may hold at first. */
  datasetBytes?: number | undefined;
  /** Independent draws of keys and commands at a constant rate: the naive baseline that the model is compared with. */
  independent?: boolean;
  /** Scripts' calls keep their names when they come again: no server would do the same for them, but families show. */
  sameNames?: boolean;
}

/** Between two units of one connection at least: closer ones would be a pipeline. */
const TURNAROUND_US = 30;
/** Tries to find a unit that likes to follow the one before on its connection. */
const FOLLOW_TRIES = 8;

/** What to choose from, and how. */
interface Choice {
  alias: Alias;
  units: number[];
  /** What makes each unit likelier after some label, and the most of that, but no less than 1; made when asked for. */
  lifts: Map<Lift, { of: Float64Array; most: number }>;
}

/** By label, how much likelier its units are behind some other label. */
type Lift = Map<string, number>;

/** Units of one class whose first key is of one family. */
interface Group {
  /** Family; -1 for script calls, -2 for units without a key. */
  family: number;
  count: number;
  units: number[];
  /** By state × 32 + popularity of the first key; made when asked for. */
  choices: Map<number, Choice>;
  /** How often its units' first keys are in each state, by `KeyState`; those that fill what others asked for apart. */
  states: Float64Array;
  /** Share of its units that do. */
  filling: number;
  keeps: boolean;
  /** Whether its units begin with a write that sets an expiry. */
  renews: boolean;
}

interface CompiledClass {
  first: number;
  connections: number;
  groups: Group[];
  alias: Alias;
  /** By label of the unit before: which group comes next, and how much more often than usual each label does. */
  after: Map<string, { alias: Alias; lift: Lift }>;
}

/** What an op does to one of its keys. */
interface Change {
  atUs: number;
  family: number;
  key: number;
  by: CompiledShape;
  /** Expiry that it sets, from then. */
  ttlSeconds: number | undefined;
}

/** Ops that belong to a later time than what was asked for so far. */
interface PendingOp {
  atUs: number;
  connection: number;
  label: number;
  flags: number;
  /** Where its bytes begin and end in the writer's. */
  start: number;
  end: number;
  /** Of a script's call: database and name of each key. */
  scriptKeys: string[] | undefined;
  walk: Omit<WalkStep, 'op'> | undefined;
}

export class Synthesis implements Workload {
  readonly plan: Plan;
  readonly caveats: Caveat[] = [];
  private readonly options: SynthesisOptions;
  private readonly model: Model;
  private readonly makers: KeyMaker[];
  private readonly shapes: CompiledShape[];
  private readonly classes: CompiledClass[];
  private readonly unitLabels: string[];
  /** Label of what removes keys that a time over the stretch left. */
  private readonly removal: number;
  /** Units that are only taken from the stretch of calls. */
  private readonly handedOver: ReadonlySet<number>;
  private readonly opsPerUnit: number;
  private readonly subscriptions: Subscription[];
  private current: { round: number; state: Round } | undefined;

  constructor(model: Model, options: SynthesisOptions) {
    this.model = model;
    this.options = options;
    this.makers = keyMakers(model.families);
    const labels = new Labels();
    const makes = (command: string) => COMMANDS.get(command)?.write === true && !KEEPS_UP.has(command);
    this.shapes = compileShapes(model, labels, makes);
    this.removal = model.stretch.left || model.stretch.shared ? labels.number(NO_FAMILY, 'unlink') : -1;
    this.handedOver = new Set(model.stretch.units.map(([unit]) => unit));
    this.unitLabels = model.units.map((unit) => labelOfOps(unit.ops, model.shapes, model.families));
    let first = 0;
    this.classes = model.clients.classes.map(({ peakConnections }, number) => {
      first += peakConnections;
      return { first: first - peakConnections, connections: peakConnections, ...this.compileClass(number) };
    });
    let ops = 0;
    let units = 0;
    for (const unit of model.units) {
      ops += unit.count * unit.ops.length;
      units += unit.count;
    }
    this.opsPerUnit = ops / Math.max(1, units);
    this.subscriptions = listenersOf(model);
    const { makers } = this;
    let preload: Preload | undefined;
    this.plan = {
      seed: options.seed,
      rate: options.rate ?? Synthesis.capturedRate(model),
      labels: labels.list,
      connections: connectionsOf(model),
      // Made when it is asked for: it is as large as the dataset, and a scorecard needs none.
      get preload() {
        preload ??= preloadOf(model, makers, options.seed, options.datasetBytes);
        return preload;
      },
      scripts: scriptsOf(model),
    };
    this.noteCaveats();
  }

  /** Ops per second that the capture had, commands that are never replayed apart. */
  static capturedRate(model: Model): number {
    let ops = 0;
    for (const unit of model.units) ops += unit.count * unit.ops.length;
    return model.source.spanSeconds > 0 ? ops / model.source.spanSeconds : ops;
  }

  slice(round: number, fromSeconds: number, seconds: number, laterSeconds = 0): Slice {
    const fromUs = Math.round(fromSeconds * 1e6);
    const untilUs = Math.round((fromSeconds + seconds) * 1e6);
    if (!this.current || this.current.round !== round || this.current.state.atUs > fromUs) {
      this.current = { round, state: this.round(round, laterSeconds) };
      // What came before decides what comes now: it is made and thrown away.
      if (fromUs > 0) this.current.state.take(0, fromUs);
    }
    const slice = this.current.state.take(fromUs, untilUs);
    const { subscriptions } = this;
    return {
      seed: `${this.options.seed} round ${round} ${fromUs}..${untilUs} us`,
      ...slice,
      ...(subscriptions.length > 0 ? { subscriptions } : {}),
    };
  }

  private round(round: number, laterSeconds: number): Round {
    const { model, options } = this;
    const seed = stream(options.seed, 'keys', round)() * 2 ** 32;
    const spanSeconds = (model.source.spanSeconds * Synthesis.capturedRate(model)) / this.plan.rate;
    const sources = model.families.map((family, number): KeySource => {
      if (options.independent || family.references.every(([requests]) => requests === 0)) {
        return new IndependentKeys(family, number, seed);
      }
      return new KeyTrace(family, number, model.keyAccesses, spanSeconds, seed);
    });
    const unitsPerSecond = this.plan.rate / this.opsPerUnit;
    const total = model.clients.streams.reduce((sum, { units }) => sum + units, 0);
    const arrivals = model.clients.streams.map((captured, i) => {
      const random = stream(options.seed, 'arrivals', round, i);
      const rate = (unitsPerSecond * captured.units) / Math.max(1, total);
      if (options.independent) return new ArrivalProcess(rate, CONSTANT, POISSON, random);
      const recorded = recordedBursts(captured, random);
      if (recorded) return new ArrivalProcess(rate, CONSTANT, recorded, random);
      const curve = rateCurve(captured, model.source.spanSeconds);
      return new ArrivalProcess(rate, curve, burstsOf(captured, model.source.spanSeconds, curve), random);
    });
    return new Round(
      {
        ...{ model, makers: this.makers, shapes: this.shapes, classes: this.classes },
        ...{ unitLabels: this.unitLabels, removal: this.removal },
      },
      {
        epochSeconds: options.epochSeconds + laterSeconds,
        independent: options.independent === true,
        renames: options.sameNames !== true,
        speed: this.plan.rate / Math.max(1e-9, Synthesis.capturedRate(model)),
      },
      {
        ...{ sources, arrivals, random: stream(options.seed, 'units', round) },
        calls: options.independent ? undefined : this.callArrivals(),
      },
    );
  }

  /** When the stretch's calls come; undefined where nobody calls scripts, or all of the capture is one moment. */
  private callArrivals(): CallArrivals | undefined {
    const { stretch, source, clients } = this.model;
    const curves = clients.streams.flatMap(({ arrivals: { binSeconds, units } }, i) => {
      const groups = this.classes.flatMap((klass, k) => (clients.classes[k]!.stream === i ? klass.groups : []));
      const count = (some: Group[]) => some.reduce((sum, group) => sum + group.count, 0);
      const share = count(groups.filter(({ family }) => family === SCRIPTS)) / Math.max(1, count(groups));
      return share > 0 ? { binSeconds, units: units.map((n) => n * share) } : [];
    });
    if (stretch.units.length === 0 || curves.length === 0 || source.spanSeconds <= 0) return undefined;
    return new CallArrivals(
      stretch.units.map(([, atUs]) => atUs),
      { ...curves.reduce((a, b) => joinCurves(a, b, 0)), spanSeconds: source.spanSeconds },
      this.plan.rate / Synthesis.capturedRate(this.model),
    );
  }

  private compileClass(number: number): Pick<CompiledClass, 'groups' | 'alias' | 'after'> {
    const { model } = this;
    const groups = new Map<number, Group>();
    model.units.forEach((unit, i) => {
      if (unit.class !== number) return;
      const family = this.handedOver.has(i) ? SCRIPTS : this.primaryFamily(unit.ops);
      const group = intern(groups, family, () => ({
        family,
        count: 0,
        units: [],
        choices: new Map(),
        states: NO_STATES,
        filling: 0,
        keeps: false,
        renews: false,
      }));
      group.count += unit.count;
      group.units.push(i);
    });
    const list = [...groups.values()];
    for (const group of list) this.describe(group);
    const after: CompiledClass['after'] = new Map();
    const transitions = this.options.independent ? undefined : model.transitions.find((t) => t.class === number);
    if (transitions) {
      const { labels, pairs } = transitions;
      const groupOf = new Map<string, Map<Group, number>>();
      for (const group of list)
        for (const u of group.units)
          tally(
            intern(groupOf, this.unitLabels[u]!, () => new Map()),
            group,
            model.units[u]!.count,
          );
      const usual = new Map<string, number>();
      for (const [, to, n] of pairs) tally(usual, labels[to]!, n);
      const all = pairs.reduce((sum, [, , n]) => sum + n, 0);
      labels.forEach((label, from) => {
        const row = pairs.filter(([a]) => a === from);
        const n = row.reduce((sum, [, , count]) => sum + count, 0);
        if (n === 0) return;
        const weights = list.map((group) =>
          row.reduce((sum, [, to, count]) => {
            const shares = groupOf.get(labels[to]!);
            const whole = [...(shares?.values() ?? [])].reduce((a, b) => a + b, 0);
            return sum + (count * (shares?.get(group) ?? 0)) / Math.max(1, whole);
          }, 0),
        );
        const lift = new Map(
          row.map(([, to, count]): [string, number] => [labels[to]!, count / n / (usual.get(labels[to]!)! / all)]),
        );
        if (weights.some((w) => w > 0)) after.set(label, { alias: new Alias(weights), lift });
      });
    }
    return { groups: list, alias: new Alias(list.map((group) => group.count)), after };
  }

  private describe(group: Group): void {
    const { units } = this.model;
    group.states = new Float64Array(ALL_STATES);
    let filling = 0;
    let makes = false;
    let renewing = 0;
    for (const number of group.units) {
      const { count, keyStates, ops } = units[number]!;
      if (ops.length > 0 && expires(this.shapes[ops[0]![0]]!)) renewing += count;
      makes ||= changesFirst(this.shapes, ops).some((change) => change.makes);
      filling += count * fillingShare(units[number]!);
      const seen = keyStates.reduce((sum, [, n]) => sum + n, 0);
      for (const [at, n] of keyStates) {
        const state = Math.floor(at / POPULARITIES);
        if (beforeEnd(state) === KeyState.filled) continue;
        group.states[state]! += (count * n) / seen;
      }
    }
    group.filling = filling / Math.max(1, group.count);
    group.renews = renewing > MOSTLY * group.count;
    group.keeps = makes && group.filling < 1 / 2;
  }

  private primaryFamily(ops: UnitOp[]): number {
    if (ops.some(([shape]) => this.model.shapes[shape]!.script !== undefined)) return SCRIPTS;
    for (const [shape] of ops) {
      const [family] = this.shapes[shape]!.keyFamilies;
      if (family !== undefined) return family;
    }
    return NO_KEY;
  }

  private noteCaveats(): void {
    const left = Object.entries(this.model.leftOut);
    if (left.length > 0) {
      this.caveats.push({
        id: 'commands-left-out',
        message: `Never replayed: ${left.map(([name, n]) => `${name} (${n})`).join(', ')}.`,
        advice:
          'These administer the server, block it for everybody or reach other servers. Test them by hand on the candidate.',
        numbers: Object.fromEntries(left),
      });
    }
    this.caveats.push(...datasetCaveats(this.model, this.options.datasetBytes));
    this.caveats.push(...listenerCaveats(this.model, { modelled: true }));
    const speed = this.plan.rate / Math.max(1e-9, Synthesis.capturedRate(this.model));
    this.caveats.push(
      ...speedCaveats(this.model, speed),
      ...lengthCaveats(this.model, (this.options.seconds ?? 0) * speed),
    );
    const entries = Object.entries(this.model.commands).filter(([name]) => NAMES_ENTRIES.has(name));
    if (entries.length > 0) {
      this.caveats.push({
        id: 'stream-entries',
        message: `${entries.map(([name, { count }]) => `${name.toUpperCase()} (${count})`).join(', ')}: ids of stream entries are invented as times, where a client would name those that it was given; most find nothing.`,
        advice: 'Pending lists and streams grow more than they did. Shorten the rehearsal if memory is judged.',
        numbers: Object.fromEntries(entries.map(([name, { count }]) => [name, count])),
      });
    }
    const unknown = this.model.scripts.filter((script) => script.body === null && script.calls > 0);
    if (unknown.length > 0) {
      const calls = unknown.reduce((sum, script) => sum + script.calls, 0);
      this.caveats.push({
        id: 'scripts-unknown',
        message: `${unknown.length} script${unknown.length === 1 ? '' : 's'} (${calls} calls) are known by their name only (${unknown
          .slice(0, 4)
          .map((script) => script.sha1.slice(0, 12))
          .join(', ')}${unknown.length > 4 ? ', …' : ''}); the commands that they executed are replayed instead.`,
        advice: 'Pass --scripts DIR with the Lua files, or begin the capture before the clients load them.',
        numbers: { scripts: unknown.length, calls },
      });
    }
  }
}

/** Connections of a workload: those of each class of clients, one class after the other. */
export function connectionsOf({ clients: { streams, classes } }: Model): Plan['connections'] {
  return classes.flatMap(({ stream, peakConnections }) =>
    Array.from({ length: peakConnections }, () => ({ db: streams[stream]!.db })),
  );
}

/** Share of a group's units that are the rule. */
const MOSTLY = 0.9;

/** Whether a call writes, and sets when its key expires. */
const expires = ({ shape }: CompiledShape) =>
  COMMANDS.get(shape.command)?.write === true && shape.roles.some((_, position) => isExpiry(shape, position));

/** Calls of a unit that make or remove its first key. */
function changesFirst(shapes: CompiledShape[], ops: UnitOp[]): CompiledShape[] {
  const first = ops.find(([, slots]) => slots.length > 0)?.[1][0];
  return ops
    .filter(([, slots]) => slots[0] === first && slots.length > 0)
    .map(([shape]) => shapes[shape]!)
    .filter(({ makes, removes }) => makes || removes);
}

/** Whether a call of a unit removes the key of that slot. */
function isRemoved(shapes: CompiledShape[], ops: UnitOp[], slot: number): boolean {
  return ops.some(([shape, slots]) => shapes[shape]!.removes && slots.includes(slot));
}

/** Keys that are asked for before anybody makes them, and are not there. */
function missingKeys({ classes, existing }: Model['families'][number]): number {
  return classes.reduce((sum, { births, readFirst, found = 0 }) => {
    const keys = births.reduce((all, [, n]) => all + n, 0);
    return sum + keys * (readFirst - found) * (1 - existing);
  }, 0);
}

const NO_STATES = new Float64Array(ALL_STATES);
/**
 * What a unit may do to a key that is not its first: remove it when nobody comes again, make it unless somebody is to ask
 * for it first, read what somebody has made.
 */
const isFinal = (state: number) => (state & KeyState.final) !== 0;
const isGone = (state: number) => beforeEnd(state) === KeyState.gone || beforeEnd(state) === KeyState.asked;
const wasNotAsked = (state: number) => beforeEnd(state) !== KeyState.present;
const isThere = (state: number) => beforeEnd(state) !== KeyState.absent;
const CONSTANT = { binSeconds: 1, factors: [1] };
const POISSON = { kind: 'poisson' } as const;
const SCRIPTS = -1;
const NO_KEY = -2;

/**
 * What few have met is no rule: where two clients read a popular key that was gone, before a third one filled it, the next
 * one would otherwise never fill it. So much counts what was met in the same state by all, of which `few` are some.
 */
const PRIOR = 4;
function smoothed(few: number[], all: number[]): number[] {
  const total = all.reduce((sum, weight) => sum + weight, 0);
  return total === 0 ? all : few.map((weight, i) => weight + (PRIOR * all[i]!) / total);
}

/** The unit whose calls are being written: one object for all of them, since there are so many. */
class OpenUnit implements CallContext {
  readonly random: Random;
  nowSeconds = 0;
  /** When the call is sent. */
  atUs = 0;
  /** The key that the unit came to, as long as no call has named it. */
  firstKey: number | undefined;
  readonly keys: number[] = [];
  nextKey = 0;
  named: Set<string> | undefined;
  stored: string | undefined;
  ttlSeconds: number | undefined;
  cursorEnd = 0;
  /** Of each group of families that share hash tags: the tag of this command or transaction. */
  readonly tags = new Map<KeyMaker['group'], number>();
  /** Slots that calls have named so far, of which family, and their keys. */
  private readonly slots: number[] = [];
  private readonly families: number[] = [];
  private readonly slotKeys: number[] = [];
  private readonly round: Round;

  constructor(round: Round, random: Random) {
    this.round = round;
    this.random = random;
  }

  begin(atUs: number, nowSeconds: number, firstKey: number | undefined): void {
    this.atUs = atUs;
    this.nowSeconds = nowSeconds;
    this.firstKey = firstKey;
    this.slots.length = 0;
    this.forgetTags();
  }

  forgetTags(): void {
    if (this.tags.size > 0) this.tags.clear();
  }

  keyOf(slot: number, family: number): number | undefined {
    const { slots, families } = this;
    for (let i = 0; i < slots.length; i++) if (slots[i] === slot && families[i] === family) return this.slotKeys[i];
    return undefined;
  }

  use(slot: number, family: number, key: number): void {
    const at = this.slots.push(slot) - 1;
    this.families[at] = family;
    this.slotKeys[at] = key;
  }

  anotherKey(family: number): number {
    return this.round.draw(this, family);
  }

  nameOf(family: number, key: number): string {
    return this.round.nameOf(family, key);
  }
}

/** One round's workload as it unfolds: what comes next depends on what came before, so it is made in order. */
class Round {
  /** Everything before has been taken. */
  atUs = 0;
  private readonly model: Model;
  private readonly makers: KeyMaker[];
  private readonly shapes: CompiledShape[];
  private readonly classes: CompiledClass[];
  private readonly unitLabels: string[];
  private readonly removal: number;
  private readonly epochSeconds: number;
  private readonly independent: boolean;
  private readonly sources: KeySource[];
  private readonly arrivals: ArrivalProcess[];
  /** Of the stretch's calls, where they have times of their own. */
  private readonly calls: CallArrivals | undefined;
  private readonly random: Random;
  /** Classes of each stream. */
  private readonly classesOf: { classes: number[]; alias: Alias }[];
  private readonly effects: (Alias | undefined)[];
  /** By unit: its calls that make or remove its first key. */
  private readonly firstChanges: CompiledShape[][];
  /** By connection: label of its last unit. */
  private readonly lastLabel: string[] = [];
  /** By connection: when the next unit may begin. A client does one thing after the other. */
  private readonly freeFromUs: number[] = [];
  /** By family: keys that were removed and not made again. */
  private readonly removed: KeyMarks[];
  /** By family: keys that were removed when nobody was to come again; longer workloads do. */
  private readonly ended: KeyMarks[];
  /** By family: which of its groups whose turn it is. */
  private readonly turns: Turns<Group>[];
  /** By family: keys that were not there when somebody came, who did not make them. */
  private readonly asked: KeyMarks[];
  /** By family: who makes keys that others ask for. */
  private readonly fillers: (Fillers | undefined)[];
  private readonly fills = new TimeQueue<Fill>();
  private readonly changes = new TimeQueue<Change>();
  /** By family: who renews its keys at regular times. */
  private readonly renewals: (Renewals | undefined)[];
  /** By family: when its keys expire. */
  private readonly deadlines: Deadlines[];
  /** By family, requests of its keys; made when asked for. */
  private readonly requests: Uint32Array[] = [];
  private readonly groups: MadeGroups;
  private readonly stretch: StretchReplay;
  private readonly scriptKeys: ScriptKeys;
  /** Which connection stored what scripts are yet to be told. */
  private readonly storedBy = new Map<string, number>();
  private readonly walks = new WalkNumbers();
  private pending: PendingOp[] = [];
  private readonly writer = new RespWriter();
  private readonly open: OpenUnit;
  /** Who is about to come to a key of its family, and when: what follows is there once, not for each arrival. */
  private comer: Group | undefined;
  private comesUs = 0;
  private readonly suits: Accepts = (state, key) =>
    this.turns[this.comer!.family]!.suits(this.comer!, this.stateNow(state, key));
  /** State of one of the comer's keys that the source says to be in `state`. */
  private readonly stateNow = (state: number, key: number) =>
    this.stateOf(this.comer!.family, key, beforeEnd(state), this.comesUs) + (state & KeyState.final);

  constructor(
    compiled: {
      model: Model;
      makers: KeyMaker[];
      shapes: CompiledShape[];
      classes: CompiledClass[];
      unitLabels: string[];
      removal: number;
    },
    options: { epochSeconds: number; independent: boolean; renames: boolean; speed: number },
    random: {
      sources: KeySource[];
      arrivals: ArrivalProcess[];
      calls: CallArrivals | undefined;
      random: Random;
    },
  ) {
    this.model = compiled.model;
    this.makers = compiled.makers;
    this.shapes = compiled.shapes;
    this.classes = compiled.classes;
    this.unitLabels = compiled.unitLabels;
    this.removal = compiled.removal;
    this.epochSeconds = options.epochSeconds;
    this.independent = options.independent;
    this.sources = random.sources;
    this.arrivals = random.arrivals;
    this.calls = random.calls;
    this.random = random.random;
    this.open = new OpenUnit(this, this.random);
    const { streams, classes } = this.model.clients;
    this.classesOf = streams.map((_, stream) => {
      const own = classes.flatMap((klass, i) =>
        klass.stream === stream && this.classes[i]!.groups.length > 0 ? [i] : [],
      );
      return { classes: own, alias: new Alias(own.map((i) => classes[i]!.units)) };
    });
    this.effects = this.model.scripts.map((script) =>
      script.effects.length > 0 ? new Alias(script.effects.map((e) => e.count)) : undefined,
    );
    this.firstChanges = this.model.units.map(({ ops }) => changesFirst(this.shapes, ops));
    this.removed = this.model.families.map(({ keys }) => new KeyMarks(keys));
    this.ended = this.model.families.map(({ keys }) => new KeyMarks(keys));
    this.asked = this.model.families.map(({ keys }) => new KeyMarks(keys));
    this.deadlines = this.model.families.map(({ keys }) => new Deadlines(keys));
    const groups = this.classes.flatMap((klass) => klass.groups);
    this.fillers = this.model.families.map(({ fills }, family) => {
      const makers = groups.filter((group) => group.family === family && group.filling > 0);
      return (
        fills &&
        new Fillers(
          fills,
          makers.flatMap(({ units }) => units),
          this.model.units,
        )
      );
    });
    this.turns = this.model.families.map((_, family) => {
      const own = groups.filter((group) => group.family === family);
      return new Turns(own, missingKeys(this.model.families[family]!));
    });
    this.renewals = this.model.families.map(({ renewals, fills }) =>
      renewals && !fills && !options.independent ? new Renewals(renewals, options.speed) : undefined,
    );
    this.groups = new MadeGroups(this.model);
    this.stretch = new StretchReplay(this.model, options.renames);
    this.scriptKeys = new ScriptKeys(this.model, this.makers);
  }

  /** Ops from `fromUs`, which is where the last ones ended, until `untilUs`. */
  take(fromUs: number, untilUs: number): Omit<Slice, 'seed'> {
    while (this.arrivals.length > 0) {
      let stream = 0;
      for (let i = 1; i < this.arrivals.length; i++)
        if (this.arrivals[i]!.nextSeconds < this.arrivals[stream]!.nextSeconds) stream = i;
      const arrival = this.arrivals[stream]!;
      const isCall = this.calls !== undefined && this.calls.nextSeconds < arrival.nextSeconds;
      const atUs = (isCall ? this.calls! : arrival).nextSeconds * 1e6;
      this.fill(Math.min(atUs, untilUs));
      if (atUs >= untilUs) break;
      this.change(atUs);
      if (isCall) {
        this.calls!.advance();
        this.call(atUs);
      } else {
        const klass = arrival.nextClass;
        arrival.advance();
        this.arrive(stream, atUs, klass);
      }
    }
    const due: PendingOp[] = [];
    const later: PendingOp[] = [];
    let length = 0;
    for (const op of this.pending) {
      (op.atUs < untilUs ? due : later).push(op);
      if (op.atUs < untilUs) length += op.end - op.start;
    }
    this.pending = later;
    // Stable: what was sent together stays together and in order.
    due.sort((a, b) => a.atUs - b.atUs);
    this.atUs = untilUs;
    const count = due.length;
    const slice = {
      durationUs: untilUs - fromUs,
      count,
      intendedUs: sharedArray(Float64Array, count),
      connection: sharedArray(Uint16Array, count),
      label: sharedArray(Uint16Array, count),
      flags: sharedArray(Uint8Array, count),
      offset: sharedArray(Uint32Array, count + 1),
      bytes: sharedArray(Uint8Array, length),
    };
    const { intendedUs, connection, label, flags, offset, bytes } = slice;
    const { writer } = this;
    let at = 0;
    for (let i = 0; i < count; i++) {
      const op = due[i]!;
      intendedUs[i] = op.atUs - fromUs;
      connection[i] = op.connection;
      label[i] = op.label;
      flags[i] = op.flags;
      offset[i] = at;
      writer.copy(op.start, op.end, bytes, at);
      at += op.end - op.start;
    }
    offset[count] = at;
    this.keepOnly(later);
    const order = orderOf(due);
    const steps: WalkStep[] = [];
    for (let op = 0; op < count; op++) if (due[op]!.walk) steps.push({ ...due[op]!.walk!, op });
    return { ...slice, ...(order ? { order } : {}), ...walksOf(steps, (op) => op) };
  }

  /** Makes room where ops were written that have been taken. */
  private keepOnly(later: PendingOp[]): void {
    const { writer } = this;
    let at = 0;
    for (const op of later) {
      writer.move(op.start, op.end, at);
      op.end += at - op.start;
      op.start = at;
      at = op.end;
    }
    writer.length = at;
  }

  private arrive(stream: number, atUs: number, recordedClass: number | undefined): void {
    const { random } = this;
    const { classes, alias } = this.classesOf[stream]!;
    if (classes.length === 0) return;
    const klass = this.classes[recordedClass ?? classes[alias.draw(random)]!]!;
    const connection = this.idleConnection(klass, atUs);
    const before = klass.after.get(this.lastLabel[connection] ?? '');
    const group = klass.groups[(before?.alias ?? klass.alias).draw(random)]!;
    let unit: number;
    let key: number | undefined;
    let isMiss = false;
    let wasThere = false;
    if (group.family === SCRIPTS && this.stretch.length > 0) {
      // The call itself comes at its own time, if it has one.
      if (!this.calls) this.call(atUs);
      this.lastLabel[connection] = this.unitLabels[this.choose(group, -1, before?.lift)]!;
      return;
    }
    if (group.family < 0) {
      unit = this.choose(group, -1, before?.lift);
    } else if (group.filling > 0 && random() < group.filling) {
      // Fills come when somebody has asked.
      return;
    } else {
      const source = this.sources[group.family]!;
      const turns = this.turns[group.family]!;
      this.comer = group;
      this.comesUs = atUs;
      this.comeTo(source, turns.areShared, group.renews ? this.renewals[group.family] : undefined, atUs);
      key = source.key;
      const final = source.state & KeyState.final;
      const now = this.stateOf(group.family, key, source.state - final, atUs);
      unit = this.choose(group, this.independent ? -1 : (now + final) * POPULARITIES + source.popularity, before?.lift);
      turns.took(group, now + final);
      this.ended[group.family]!.delete(key);
      // Unless the unit makes the key, what comes to it next finds it gone.
      if (now !== KeyState.old && now !== KeyState.present) {
        this.removed[group.family]!.add(key);
        this.asked[group.family]!.add(key);
        isMiss = now !== KeyState.asked;
        wasThere = now === KeyState.gone;
      }
      if (final !== 0) this.renewals[group.family]?.end(key);
      if (final !== 0 && this.leavesRemoved(unit)) this.ended[group.family]!.add(key);
    }
    this.lastLabel[connection] = this.unitLabels[unit]!;
    this.writeUnit(this.model.units[unit]!, connection, atUs, key, undefined);
    if (isMiss && !this.makesFirst(unit)) this.missed(group.family, key!, wasThere, atUs);
  }

  /** The stretch's next call. Whatever the class: scripts hand over to each other, so their order is kept across connections. */
  private call(atUs: number): void {
    const { unit, calls, gone } = this.stretch.next();
    for (const { db, names } of gone) this.remove(db, names, atUs);
    const klass = this.classes[this.model.units[unit]!.class]!;
    const connection = this.toldConnection(klass, calls) ?? this.idleConnection(klass, atUs);
    const key = this.handedKey(unit, calls);
    const [stored] = key === undefined ? [] : calls[0]!.args;
    if (stored !== undefined) this.storedBy.set(stored, connection);
    this.writeUnit(this.model.units[unit]!, connection, atUs, key, calls);
  }

  /** Removes what an earlier time over the stretch left; a client that calls scripts does it. */
  private remove(db: number, names: string[], atUs: number): void {
    const { streams, classes } = this.model.clients;
    const klass = this.classes.find(
      ({ groups }, i) => streams[classes[i]!.stream]!.db === db && groups.some(({ family }) => family === SCRIPTS),
    );
    if (!klass) return;
    const connection = this.idleConnection(klass, atUs);
    const from = this.writer.length;
    this.writer.begin(1 + names.length);
    this.writer.text('unlink');
    for (const name of names) this.writer.text(name);
    const sentUs = Math.max(atUs, this.freeFromUs[connection] ?? 0);
    this.emit({ label: this.removal, shape: { blocking: false } }, connection, sentUs, from);
    this.freeFromUs[connection] = sentUs + TURNAROUND_US;
  }

  /** Who renews keys in time also makes new ones, and comes to some early rather than to others. */
  private comeTo(source: KeySource, inTurns: boolean, renewals: Renewals | undefined, atUs: number): void {
    const { stateNow } = this;
    const suits = inTurns ? this.suits : undefined;
    const due = renewals?.take(atUs);
    if (!renewals) source.next(suits, stateNow);
    else if (due !== undefined) source.take(due);
    else if (!source.find((state, key) => !renewals.has(key) && (suits?.(state, key) ?? true))) {
      const early = renewals.take(Number.POSITIVE_INFINITY);
      if (early === undefined) source.next(suits, stateNow);
      else source.take(early);
    }
  }

  /** Somebody asked for a key that is not there, and does not make it. */
  private missed(family: number, key: number, wasThere: boolean, atUs: number): void {
    const afterUs = this.fillers[family]?.after(wasThere, this.random);
    if (afterUs !== undefined) this.fills.add({ atUs: atUs + afterUs, family, key });
  }

  /** Makes the fills that are due. */
  private fill(untilUs: number): void {
    while (this.fills.nextUs < untilUs) {
      const { atUs, family, key } = this.fills.take();
      this.change(atUs);
      const unit = this.fillers[family]!.unit(this.random);
      const connection = this.idleConnection(this.classes[this.model.units[unit]!.class]!, atUs);
      this.lastLabel[connection] = this.unitLabels[unit]!;
      this.writeUnit(this.model.units[unit]!, connection, atUs, key, undefined);
    }
  }

  /** Number of the key under which the unit stores what a script is told later; undefined for calls of scripts. */
  private handedKey(unit: number, [call]: ScriptArguments[]): number | undefined {
    const first = this.model.units[unit]!.ops.find(([, slots]) => slots.length > 0);
    const family = first && this.shapes[first[0]]!.keyFamilies[0];
    return family === undefined || call?.firstKey === undefined
      ? undefined
      : this.scriptKeys.numberOf(family, call.firstKey);
  }

  nameOf(family: number, key: number): string {
    return this.scriptKeys.nameOf(family, key, this.stretch);
  }

  /** State of a key that the source says to be in `state`, after what was done to it. */
  private stateOf(family: number, key: number, state: number, atUs: number): number {
    // What was done with, as far as the capture goes, begins anew.
    if (this.ended[family]!.has(key)) return KeyState.absent;
    if (state === KeyState.present) return this.existed(family, key) ? state : KeyState.missing;
    if (state === KeyState.absent) return state;
    const isGone = this.removed[family]!.has(key) || this.deadlines[family]!.has(key, atUs / 1e6);
    if (!isGone && state !== KeyState.gone) return state;
    return this.asked[family]!.has(key) ? KeyState.asked : KeyState.gone;
  }

  private existed(number: number, key: number): boolean {
    const family = this.model.families[number]!;
    this.requests[number] ??= requestsByRank(family);
    const ranked = this.requests[number];
    return existedBefore(family, number, key % ranked.length, ranked[key % ranked.length]!);
  }

  /** The connection that stored what a script is told, if it is of the class: who takes a lock releases it. */
  private toldConnection(klass: CompiledClass, calls: ScriptArguments[]): number | undefined {
    for (const text of calls.flatMap(({ args }) => args)) {
      const connection = this.storedBy.get(text);
      if (connection === undefined) continue;
      this.storedBy.delete(text);
      if (connection >= klass.first && connection < klass.first + klass.connections) return connection;
    }
    return undefined;
  }

  /** Any connection of the class that is not in the middle of a unit, or else the one that will be free first. */
  private idleConnection(klass: CompiledClass, atUs: number): number {
    const start = Math.floor(this.random() * klass.connections);
    let best = klass.first + start;
    for (let i = 0; i < klass.connections; i++) {
      const connection = klass.first + ((start + i) % klass.connections);
      const until = this.freeFromUs[connection] ?? 0;
      if (until <= atUs) return connection;
      if (until < this.freeFromUs[best]!) best = connection;
    }
    return best;
  }

  /** A unit of the group that such a key, and the unit before on the connection, make likely. */
  private choose(group: Group, keyState: number, lift: Lift | undefined): number {
    const choice = group.choices.get(keyState) ?? this.choiceOf(group, keyState);
    const { units, alias } = choice;
    let at = alias.draw(this.random);
    if (!lift || units.length === 1) return units[at]!;
    const { of, most } = choice.lifts.get(lift) ?? this.liftsOf(choice, lift);
    for (let i = 0; i < FOLLOW_TRIES; i++) {
      if (this.random() * most < of[at]!) break;
      at = alias.draw(this.random);
    }
    return units[at]!;
  }

  private liftsOf({ units, lifts }: Choice, lift: Lift): { of: Float64Array; most: number } {
    const of = Float64Array.from(units, (unit) => lift.get(this.unitLabels[unit]!) ?? 0);
    const known = { of, most: of.reduce((most, one) => Math.max(most, one), 1) };
    lifts.set(lift, known);
    return known;
  }

  private choiceOf(group: Group, keyState: number): Choice {
    const { units } = this.model;
    const state = Math.floor(keyState / POPULARITIES);
    const weigh = (takes: (at: number) => boolean) =>
      group.units.map((u) => {
        const { count, keyStates } = units[u]!;
        let all = 0;
        let like = 0;
        for (const [at, n] of keyStates) {
          all += n;
          if (takes(at)) like += n;
        }
        return all === 0 ? 0 : (count * like) / all;
      });
    const { old, final } = KeyState;
    const stateOf = (at: number) => Math.floor(at / POPULARITIES);
    // The nearest of what was captured: such a key, or one in this state, or at least at the same end of its life.
    const tries: ((at: number) => boolean)[] = [
      (at) => at === keyState,
      (at) => stateOf(at) === state,
      (at) => beforeEnd(stateOf(at)) === beforeEnd(state),
      (at) => isGone(stateOf(at)) && isGone(state),
      (at) => stateOf(at) === old + (state & final),
    ];
    const [like, inState, ...others] = tries.map((takes) =>
      this.sparing(group, state, keyState < 0 ? [] : weigh(takes)),
    );
    const weights =
      [smoothed(like!, inState!), ...others].find((all) => all.some((weight) => weight > 0)) ??
      group.units.map((u) => units[u]!.count);
    const likely = group.units.filter((_, i) => weights[i]! > 0);
    const choice = { units: likely, alias: new Alias(weights.filter((w) => w > 0)), lifts: new Map() };
    group.choices.set(keyState, choice);
    return choice;
  }

  /** Without the units that would remove a key which is still asked for, where the capture shows none that makes it again. */
  private sparing(group: Group, state: number, weights: number[]): number[] {
    if ((state & KeyState.final) !== 0 || group.units.some((u) => this.makesAgain(u))) return weights;
    return weights.map((weight, i) => (this.leavesRemoved(group.units[i]!) ? 0 : weight));
  }

  private makesAgain(unit: number): boolean {
    const { keyStates } = this.model.units[unit]!;
    return keyStates.some(([at]) => isGone(Math.floor(at / POPULARITIES))) && this.makesFirst(unit);
  }

  private makesFirst(unit: number): boolean {
    return this.firstChanges[unit]!.some(({ makes }) => makes);
  }

  private leavesRemoved(unit: number): boolean {
    return this.firstChanges[unit]!.at(-1)?.removes === true;
  }

  private writeUnit(
    { ops, steps }: Pick<Unit, 'ops' | 'steps'>,
    connection: number,
    atUs: number,
    firstKey: number | undefined,
    calls: ScriptArguments[] | undefined,
    open = this.open,
  ): void {
    open.begin(Math.max(atUs, this.freeFromUs[connection] ?? 0), this.epochSeconds + atUs / 1e6, firstKey);
    let call = 0;
    let step = 0;
    let inTransaction = false;
    // Where no script is called, what is stored is for one.
    const handed = calls && !ops.some(([n]) => this.shapes[n]!.shape.script !== undefined) ? calls[0] : undefined;
    for (let i = 0; i < ops.length; i++) {
      const [number, keySlots] = ops[i]!;
      if (step < steps.length && steps[step]![0] === i) open.atUs += steps[step++]![1];
      const compiled = this.shapes[number]!;
      const { keyFamilies } = compiled;
      const { script, command } = compiled.shape;
      if (command === 'multi' || command === 'exec') inTransaction = command === 'multi';
      if (!inTransaction) open.forgetTags();
      if (script !== undefined) {
        this.writeScript(compiled, script, calls?.[call++], connection, open.atUs);
        continue;
      }
      const { keys } = open;
      keys.length = 0;
      for (let k = 0; k < keyFamilies.length; k++) {
        keys.push(this.keyAt(open, keyFamilies[k]!, keySlots[k], ops, compiled.makes));
      }
      if (keys.length > 0 && this.groups.isDone(number, keyFamilies[0]!, keys[0]!)) continue;
      for (let k = 0; k < keys.length; k++) {
        const missing = this.groups.missing(number, keyFamilies[k]!, keys[k]!);
        if (missing) this.makeGroups(missing, keyFamilies[k]!, keys[k]!, connection, open.atUs);
      }
      open.nextKey = 0;
      const stores = handed !== undefined && keySlots[0] === 0 && valueIndex(command) > 0;
      open.stored = stores ? handed.args[0] : undefined;
      const from = this.writer.length;
      open.ttlSeconds = undefined;
      compiled.write(this.writer, open);
      const { ttlSeconds } = open;
      if (compiled.removes || compiled.makes || ttlSeconds !== undefined) {
        for (let k = 0; k < keyFamilies.length; k++)
          this.changes.add({ atUs: open.atUs, family: keyFamilies[k]!, key: keys[k]!, by: compiled, ttlSeconds });
      }
      // Who walks over keys asks for one page after the other; pages of one collection are asked for by anybody.
      const walk =
        compiled.walks && !inTransaction
          ? this.stepOf(number, keys[0] ?? connection, open.cursorEnd - UNKNOWN_CURSOR.length - from)
          : undefined;
      this.emit(compiled, connection, open.atUs, from, stores ? handed.keys : undefined, walk);
    }
    this.freeFromUs[connection] = open.atUs + TURNAROUND_US;
    this.change(atUs);
  }

  /** The key of a call's place: one that the unit has used before, or the next of the family that suits. */
  private keyAt(open: OpenUnit, family: number, slot: number | undefined, ops: UnitOp[], makes: boolean): number {
    if (slot === undefined) return this.draw(open, family);
    let key = open.keyOf(slot, family);
    if (key === undefined) {
      key =
        open.firstKey ??
        this.draw(open, family, isRemoved(this.shapes, ops, slot) ? isFinal : makes ? wasNotAsked : isThere);
      open.firstKey = undefined;
      open.use(slot, family, key);
    }
    // A key that the unit has used before decides on the tag, and keeps its own.
    const maker = this.makers[family]!;
    if (maker.group) intern(open.tags, maker.group, () => maker.tagOf(key));
    return key;
  }

  draw(open: OpenUnit, family: number, accepts?: (state: number) => boolean): number {
    const source = this.sources[family]!;
    source.next(accepts);
    const key = this.collocate(open, family, source.key);
    const now = this.stateOf(family, key, beforeEnd(source.state), open.atUs);
    this.turns[family]!.took(undefined, now + (source.state & KeyState.final));
    if (now === KeyState.missing) {
      this.removed[family]!.add(key);
      this.asked[family]!.add(key);
      this.missed(family, key, false, open.atUs);
    }
    return key;
  }

  /** Keys that are used together, in a cluster, are in one slot. */
  private collocate({ tags }: OpenUnit, family: number, key: number): number {
    const maker = this.makers[family]!;
    if (!maker.group) return key;
    return maker.withTag(
      key,
      intern(tags, maker.group, () => maker.tagOf(key)),
    );
  }

  /** Consumer groups that a call is about to need. */
  private makeGroups(
    { names, maker }: UsedGroups,
    family: number,
    key: number,
    connection: number,
    atUs: number,
  ): void {
    for (const group of names) {
      const words = groupCreation(this.nameOf(family, key), group);
      const from = this.writer.length;
      this.writer.begin(words.length);
      for (const word of words) this.writer.text(word);
      this.emit(this.shapes[maker]!, connection, atUs, from);
    }
  }

  /**
   * Makes the changes that are due. An op changes its keys when its time comes and no sooner: others who come between the
   * read of a unit and its write find what was there before, and what is removed meanwhile is there again afterwards.
   */
  private change(untilUs: number): void {
    while (this.changes.nextUs <= untilUs) {
      const { atUs, family, key, by, ttlSeconds } = this.changes.take();
      const [removed, deadlines] = [this.removed[family]!, this.deadlines[family]!];
      const isThere = !removed.has(key) && !deadlines.has(key, atUs / 1e6);
      if (by.removes) removed.add(key);
      else if (by.makes) {
        removed.delete(key);
        this.asked[family]!.delete(key);
      }
      if (ttlSeconds !== undefined && (by.makes || isThere)) {
        deadlines.set(key, atUs / 1e6 + ttlSeconds);
        this.renewals[family]?.set(key, atUs, ttlSeconds, this.random);
      } else if (by.replaces || (by.makes && !isThere)) deadlines.set(key, 0);
    }
  }

  /** A call of a script with the arguments of the captured one; unknown scripts as what they did. */
  private writeScript(
    compiled: CompiledShape,
    number: number,
    call: ScriptArguments | undefined,
    connection: number,
    atUs: number,
  ): void {
    const script = this.model.scripts[number]!;
    const alias = this.effects[number];
    if (script.body === null) {
      if (alias) {
        const { ops } = script.effects[alias.draw(this.random)]!;
        this.writeUnit({ ops, steps: [] }, connection, atUs, undefined, undefined, new OpenUnit(this, this.random));
      }
      return;
    }
    if (!call) return;
    const from = this.writer.length;
    const { keys, args } = call;
    this.writer.begin(3 + keys.length + args.length);
    this.writer.text(compiled.shape.command);
    if (compiled.shape.command.startsWith('eval') && !compiled.shape.command.startsWith('evalsha'))
      this.writer.text(script.body);
    else this.writer.text(script.sha1);
    this.writer.text(String(keys.length));
    for (const text of keys) this.writer.text(text);
    for (const text of args) this.writer.text(text);
    this.emit(compiled, connection, atUs, from, keys);
  }

  /** Every walk goes on to its end, and begins anew: whether clients broke theirs off, no capture tells. */
  private stepOf(shape: number, walker: number, at: number): PendingOp['walk'] {
    const { walk, isNew } = this.walks.of(shape, walker);
    return { walk, at: isNew ? 0 : at };
  }

  private emit(
    { label, shape }: { label: number; shape: { blocking: boolean } },
    connection: number,
    atUs: number,
    from: number,
    scriptKeys?: PendingOp['scriptKeys'],
    walk?: PendingOp['walk'],
  ): void {
    const flags = (shape.blocking ? OpFlag.blocking : OpFlag.none) | (walk ? OpFlag.walk : OpFlag.none);
    this.pending.push({ atUs, connection, label, flags, start: from, end: this.writer.length, scriptKeys, walk });
  }
}

/** Scripts hand over to each other through their keys: a job that another worker has got is not finished by this one. */
function orderOf(ops: PendingOp[]): Order | undefined {
  if (!ops.some((op) => op.scriptKeys)) return undefined;
  const precedence = new Precedence(false);
  let first = 0;
  ops.forEach((op, i) => {
    const leader = ops[first]!;
    if (leader.connection !== op.connection || leader.atUs !== op.atUs) first = i;
    for (const id of op.scriptKeys ?? [])
      precedence.note({ id, writes: true, atUs: op.atUs, ttlUs: undefined }, i, first, true);
  });
  return precedence.finish(
    ops.length,
    (op) => op,
    (a, b) => ops[a]!.connection === ops[b]!.connection,
  );
}
