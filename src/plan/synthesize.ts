/** Model + seed → the preload and any number of slices; the same bytes on every machine. */
import type { Caveat } from '../errors.ts';
import type { Family, Model, Role, Shape, UnitOp } from '../model/model.ts';
import { intern } from '../model/tally.ts';
import { KeyMaker } from './keys.ts';
import { type Label, OpFlag, type Plan, type Preload, type Slice } from './plan.ts';
import { Alias, mix, type Random, Sampler, stream } from './random.ts';
import { RespWriter, share } from './resp.ts';
import { element, payload } from './values.ts';

export interface SynthesisOptions {
  seed: string;
  /** Ops per second; undefined: as captured. */
  rate?: number;
  /** Unix time in seconds that absolute times in arguments are relative to. */
  epochSeconds: number;
}

/** A value size for families that the capture only reads. */
const UNKNOWN_VALUE_BYTES = 128;
/** Elements of a preloaded collection where the capture does not tell. */
const DEFAULT_ELEMENTS = 16;
const MAX_PRELOAD_ELEMENTS = 256;

type Fill = (writer: RespWriter, context: OpContext) => void;

/** What the arguments of one op may depend on. */
interface OpContext {
  random: Random;
  /** Seconds since the epoch of the plan. */
  nowSeconds: number;
  /** Key numbers of the op's key arguments, and which of them comes next. */
  keys: number[];
  nextKey: number;
}

interface CompiledShape {
  shape: Shape;
  label: number;
  /** Families of the shape's keys, in order. */
  keyFamilies: number[];
  fills: Fill[];
  repeatCounts: Sampler | undefined;
}

interface CompiledUnit {
  class: number;
  ops: UnitOp[];
}

/** A compiled model: call `slice` for a slice of its workload. */
export class Synthesis {
  readonly plan: Plan;
  readonly caveats: Caveat[] = [];
  private readonly options: SynthesisOptions;
  private readonly model: Model;
  private readonly makers: KeyMaker[];
  private readonly compiled: CompiledShape[];
  private readonly units: CompiledUnit[];
  private readonly unitAlias: Alias;
  private readonly opsPerUnit: number;
  /** Connections of each class: first number and how many. */
  private readonly classConnections: { first: number; count: number }[] = [];
  private readonly effects: (Alias | undefined)[];

  constructor(model: Model, options: SynthesisOptions) {
    this.model = model;
    this.options = options;
    this.makers = model.families.map((family, i) => new KeyMaker(family, i));
    const labels: Label[] = [];
    const labelNumbers = new Map<string, number>();
    this.compiled = model.shapes.map((shape) => this.compile(shape, labels, labelNumbers));
    this.effects = model.scripts.map((script) =>
      script.effects.length > 0 ? new Alias(script.effects.map((e) => e.count)) : undefined,
    );
    this.units = model.units.map(({ class: klass, ops }) => ({ class: klass, ops }));
    this.unitAlias = new Alias(model.units.map((unit) => unit.count));
    let ops = 0;
    let units = 0;
    for (const unit of model.units) {
      ops += unit.count * unit.ops.length;
      units += unit.count;
    }
    this.opsPerUnit = ops / Math.max(1, units);
    const connections: Plan['connections'] = [];
    for (const klass of model.clients.classes) {
      this.classConnections.push({ first: connections.length, count: klass.peakConnections });
      for (let i = 0; i < klass.peakConnections; i++) connections.push({ db: klass.db });
    }
    const capturedRate = model.source.spanSeconds > 0 ? ops / model.source.spanSeconds : ops;
    this.plan = {
      seed: options.seed,
      rate: options.rate ?? capturedRate,
      labels,
      connections,
      preload: this.preload(),
      scripts: this.scripts(),
    };
    this.noteCaveats();
  }

  /** Ops per second that the capture had, commands that are never replayed apart. */
  static capturedRate(model: Model): number {
    let ops = 0;
    for (const unit of model.units) ops += unit.count * unit.ops.length;
    return model.source.spanSeconds > 0 ? ops / model.source.spanSeconds : ops;
  }

  /** Label under which ops of a shape are recorded. */
  labelOf(shape: number): number {
    return this.compiled[shape]!.label;
  }

  /** The slice of that name: units arrive as a Poisson process at the plan's rate. */
  slice(name: string, seconds: number): Slice {
    const random = stream(this.options.seed, name);
    const durationUs = Math.round(seconds * 1e6);
    const writer = new RespWriter();
    const intended: number[] = [];
    const connection: number[] = [];
    const label: number[] = [];
    const flags: number[] = [];
    const offset: number[] = [];
    const unitGapUs = (this.opsPerUnit / this.plan.rate) * 1e6;
    const nextUs = () => -Math.log(1 - random()) * unitGapUs;
    for (let atUs = nextUs(); atUs < durationUs; atUs += nextUs()) {
      const unit = this.units[this.unitAlias.draw(random)]!;
      const { first, count } = this.classConnections[unit.class]!;
      const on = first + Math.floor(random() * count);
      this.writeUnit(writer, unit.ops, random, atUs, (number, at) => {
        intended.push(atUs);
        connection.push(on);
        label.push(number.label);
        flags.push(number.shape.blocking ? OpFlag.blocking : OpFlag.none);
        offset.push(at);
      });
    }
    offset.push(writer.length);
    return {
      seed: `${this.options.seed} ${name}`,
      durationUs,
      count: intended.length,
      intendedUs: sharedArray(Float64Array, intended),
      connection: sharedArray(Uint16Array, connection),
      label: sharedArray(Uint16Array, label),
      flags: sharedArray(Uint8Array, flags),
      offset: sharedArray(Uint32Array, offset),
      bytes: share(writer.view()),
    };
  }

  private writeUnit(
    writer: RespWriter,
    ops: UnitOp[],
    random: Random,
    atUs: number,
    emit: (shape: CompiledShape, offset: number) => void,
  ): void {
    const slots = new Map<number, number>();
    for (const [number, keySlots] of ops) {
      const compiled = this.compiled[number]!;
      const scriptNumber = compiled.shape.script;
      if (scriptNumber !== undefined) {
        this.writeScript(writer, compiled, scriptNumber, random, atUs, emit);
        continue;
      }
      const keys = compiled.keyFamilies.map((family, i) => {
        const slot = (keySlots[i] ?? -1) * this.makers.length + family;
        const known = keySlots[i] === undefined ? undefined : slots.get(slot);
        if (known !== undefined) return known;
        const key = this.makers[family]!.draw(random);
        if (keySlots[i] !== undefined) slots.set(slot, key);
        return key;
      });
      emit(compiled, writer.length);
      this.writeCall(writer, compiled, {
        random,
        nowSeconds: this.options.epochSeconds + atUs / 1e6,
        keys,
        nextKey: 0,
      });
    }
  }

  private writeCall(writer: RespWriter, compiled: CompiledShape, context: OpContext): void {
    const { fills, repeatCounts, shape } = compiled;
    if (!repeatCounts || !shape.repeat) {
      writer.begin(fills.length + 1);
      writer.text(shape.command);
      for (const fill of fills) fill(writer, context);
      return;
    }
    // A long call: the head, then the repeated group until the drawn number of arguments is reached.
    const { from, period } = shape.repeat;
    const count = repeatCounts.draw(context.random);
    writer.begin(count);
    writer.text(shape.command);
    for (let i = 0; i < count - 1; i++) fills[i < from ? i : from + ((i - from) % period)]!(writer, context);
  }

  /** A whole call of a script, with the keys and arguments of one captured call; unknown scripts as their effects. */
  private writeScript(
    writer: RespWriter,
    compiled: CompiledShape,
    number: number,
    random: Random,
    atUs: number,
    emit: (shape: CompiledShape, offset: number) => void,
  ): void {
    const script = this.model.scripts[number]!;
    const alias = this.effects[number];
    if (script.body === null) {
      if (alias) this.writeUnit(writer, script.effects[alias.draw(random)]!.ops, random, atUs, emit);
      return;
    }
    const exemplar = script.exemplars[Math.floor(random() * script.exemplars.length)];
    if (!exemplar) return;
    emit(compiled, writer.length);
    writer.begin(3 + exemplar.keys.length + exemplar.args.length);
    writer.text(compiled.shape.command);
    if (compiled.shape.command.startsWith('eval') && !compiled.shape.command.startsWith('evalsha'))
      writer.bytes(Buffer.from(script.body, 'base64'));
    else writer.text(script.sha1);
    writer.text(String(exemplar.keys.length));
    for (const argument of exemplar.keys) writer.bytes(Buffer.from(argument, 'base64'));
    for (const argument of exemplar.args) writer.bytes(Buffer.from(argument, 'base64'));
  }

  private compile(shape: Shape, labels: Label[], labelNumbers: Map<string, number>): CompiledShape {
    const family =
      shape.script !== undefined
        ? '(script)'
        : shape.family === null
          ? '(none)'
          : this.model.families[shape.family]!.template;
    const script = shape.script === undefined ? undefined : this.model.scripts[shape.script]!;
    const command = script
      ? `${shape.command}:${script.kind === 'script' ? script.sha1.slice(0, 8) : script.sha1}`
      : shape.command;
    const name = `${family} ${command}`;
    let label = labelNumbers.get(name);
    if (label === undefined) {
      label = labels.push({ family, command }) - 1;
      labelNumbers.set(name, label);
    }
    const keyRoles = shape.roles.filter((role) => 'key' in role);
    const fills = shape.roles.map((role, position) => this.fill(role, shape, position));
    const repeatCounts = shape.repeat ? new Sampler(shape.repeat.counts, shape.roles.length + 1) : undefined;
    return { shape, label, keyFamilies: keyRoles.map((role) => role.key), fills, repeatCounts };
  }

  private fill(role: Role, shape: Shape, position: number): Fill {
    if ('key' in role) {
      const maker = this.makers[role.key]!;
      return (writer, context) => writer.text(maker.key(context.keys[context.nextKey++] ?? maker.draw(context.random)));
    }
    if (!('bytes' in role)) {
      const text = textOf(role);
      return (writer, { random, nowSeconds }) => writer.text(text(random, nowSeconds));
    }
    const sizes = new Sampler(role.bytes, 8);
    const family = shape.family === null ? undefined : this.model.families[shape.family];
    const isElement = family !== undefined && family.type !== 'string' && family.type !== 'integer';
    if (!isElement)
      return (writer, { random }) => writer.text(payload(sizes.draw(random), Math.floor(random() * 2 ** 32)));
    // Members and fields come again: element number e of a universe of `distinct`, its size fixed by its number.
    const distinct = Math.max(1, role.distinct);
    return (writer, { random }) => {
      const number = Math.floor(random() * distinct);
      writer.text(element(sizes.draw(identified(position, number)), number));
    };
  }

  /** Creates the keys that the capture reads before it writes them, with their type and plausible contents. */
  private preload(): Preload {
    const writers = new Map<number, { writer: RespWriter; commands: number }>();
    const result: Preload = { commands: 0, keys: 0, logicalBytes: 0, databases: [] };
    this.model.families.forEach((family, number) => {
      if (family.existing === 0) return;
      const maker = this.makers[number]!;
      const contents = this.contents(family, number);
      if (!contents) return;
      const database = intern(writers, family.db, () => ({ writer: new RespWriter(), commands: 0 }));
      const random = stream(this.options.seed, 'preload', number);
      for (let index = 0; index < family.keys; index++) {
        if (!maker.exists(index)) continue;
        const key = maker.key(index);
        result.keys++;
        result.logicalBytes += key.length;
        for (const command of contents(key, random)) {
          database.writer.begin(command.length);
          for (const argument of command) database.writer.text(argument);
          database.commands++;
          for (const argument of command.slice(2)) result.logicalBytes += argument.length;
        }
      }
    });
    for (const [db, { writer, commands }] of writers) {
      result.commands += commands;
      result.databases.push({ db, commands, bytes: share(writer.view()) });
    }
    return result;
  }

  /** How to create a key of a family, as commands; undefined where the type is unknown. */
  private contents(family: Family, number: number): ((key: string, random: Random) => string[][]) | undefined {
    const sizes = new Sampler(family.valueBytes, UNKNOWN_VALUE_BYTES);
    const ttls = family.ttlSeconds.length > 0 ? new Sampler(family.ttlSeconds, 0) : undefined;
    const expire = (key: string, random: Random) =>
      ttls ? [['expire', key, String(Math.max(1, Math.round(ttls.draw(random))))]] : [];
    const elements = this.elements(number);
    const each = <T>(make: (index: number) => T[]) => Array.from({ length: elements.count }, (_, i) => make(i)).flat();
    switch (family.type) {
      case 'string':
        return (key, random) => {
          const value = payload(Math.round(sizes.draw(random)), Math.floor(random() * 2 ** 32));
          return [
            ttls ? ['set', key, value, 'EX', String(Math.max(1, Math.round(ttls.draw(random))))] : ['set', key, value],
          ];
        };
      case 'integer':
        return (key, random) => [['set', key, String(Math.floor(random() * 1000))], ...expire(key, random)];
      case 'hash':
        return (key, random) => [
          ['del', key],
          ['hset', key, ...each((i) => [elements.name(i), elements.value(i, random)])],
          ...expire(key, random),
        ];
      case 'list':
        return (key, random) => [
          ['del', key],
          ['rpush', key, ...each((i) => [elements.name(i)])],
          ...expire(key, random),
        ];
      case 'set':
        return (key, random) => [
          ['del', key],
          ['sadd', key, ...each((i) => [elements.name(i)])],
          ...expire(key, random),
        ];
      case 'zset':
        return (key, random) => [
          ['del', key],
          ['zadd', key, ...each((i) => [String(Math.floor(random() * 10_000)), elements.name(i)])],
          ...expire(key, random),
        ];
      case 'stream':
        return (key, random) => [
          ['del', key],
          ...each((i) => [['xadd', key, `${i + 1}-0`, 'field', elements.name(i)]]),
          ...expire(key, random),
        ];
      case 'hyperloglog':
        return (key, random) => [['pfadd', key, ...each((i) => [elements.name(i)])], ...expire(key, random)];
      default:
        return undefined;
    }
  }

  /** Elements that a preloaded collection of this family has: literal fields if the capture shows them, else its universe. */
  private elements(family: number): {
    count: number;
    name: (i: number) => string;
    value: (i: number, random: Random) => string;
  } {
    const literals = new Set<string>();
    const values = new Map<string, (random: Random) => string>();
    let other = (random: Random) => payload(UNKNOWN_VALUE_BYTES, Math.floor(random() * 2 ** 32));
    let names: { sampler: Sampler; distinct: number; position: number } | undefined;
    for (const shape of this.model.shapes) {
      if (shape.family !== family || shape.script !== undefined) continue;
      const at = ELEMENT_POSITION[shape.command];
      const role = at === undefined ? undefined : shape.roles[at];
      if (role && 'literals' in role) for (const [text] of role.literals) literals.add(text);
      if (role && 'bytes' in role)
        names = { sampler: new Sampler(role.bytes, 8), distinct: role.distinct, position: at! };
      if (shape.command.startsWith('hincr') && role && 'literals' in role) {
        for (const [text] of role.literals) values.set(text, (random) => String(Math.floor(random() * 100)));
      }
      if (shape.command !== 'hset' && shape.command !== 'hmset' && shape.command !== 'hsetnx') continue;
      for (let i = 1; i + 1 < shape.roles.length; i += 2) {
        const field = shape.roles[i]!;
        const value = this.value(shape.roles[i + 1]!);
        if (value && 'literals' in field) {
          for (const [text] of field.literals) {
            literals.add(text);
            if (!values.has(text)) values.set(text, value);
          }
        } else if (value) other = value;
      }
    }
    const fixed = [...literals];
    const universe = names
      ? Math.ceil(names.distinct / Math.max(1, this.model.families[family]!.keys))
      : DEFAULT_ELEMENTS;
    const count = fixed.length > 0 ? fixed.length : Math.min(MAX_PRELOAD_ELEMENTS, Math.max(1, universe));
    return {
      count,
      name: (i) => fixed[i] ?? element(names ? names.sampler.draw(identified(names.position, i)) : 8, i),
      value: (i, random) => (values.get(fixed[i] ?? '') ?? other)(random),
    };
  }

  /** How to write a value that a call stores; undefined for a key. */
  private value(role: Role): ((random: Random) => string) | undefined {
    if ('key' in role) return undefined;
    if (!('bytes' in role)) {
      const text = textOf(role);
      return (random) => text(random, this.options.epochSeconds);
    }
    const sizes = new Sampler(role.bytes, UNKNOWN_VALUE_BYTES);
    return (random) => payload(Math.round(sizes.draw(random)), Math.floor(random() * 2 ** 32));
  }

  private scripts(): Plan['scripts'] {
    const bodies = new Map<string, Plan['scripts'][number]>();
    for (const { body, kind } of this.model.scripts) {
      if (body !== null)
        bodies.set(body, { kind: kind === 'script' ? 'script' : 'library', body: Buffer.from(body, 'base64') });
    }
    return [...bodies.values()];
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
    const bursty = this.model.clients.classes.filter((c) => (c.dispersion.ms100 ?? 0) > 1.5);
    if (bursty.length > 0) {
      const worst = Math.max(...bursty.map((c) => c.dispersion.ms100 ?? 0));
      this.caveats.push({
        id: 'arrivals-burstier',
        message: `The capture's arrivals are ${worst.toFixed(1)} times as bursty as the replay's (index of dispersion over 100 ms; 1 is Poisson).`,
        advice:
          'Production tails may be longer than these on both servers; leave headroom, or rehearse at a higher --rate.',
        numbers: { dispersion: worst },
      });
    }
  }
}

/** How to write a role that is neither a key nor bytes. */
function textOf(
  role: Exclude<Role, { key: number } | { bytes: unknown }>,
): (random: Random, nowSeconds: number) => string {
  if ('literals' in role) {
    const alias = new Alias(role.literals.map(([, n]) => n));
    return (random) => role.literals[alias.draw(random)]![0];
  }
  if ('integers' in role) {
    const values = new Sampler(role.integers, 1);
    return (random) => String(Math.round(values.draw(random)));
  }
  if ('numbers' in role) {
    const values = new Sampler(role.numbers, 1);
    return (random) => String(values.draw(random));
  }
  const offsets = new Sampler(role.offsets, 0);
  const scale = role.times === 's' ? 1 : 1000;
  const suffix = role.times === 'stream-id' ? '-0' : '';
  return (random, nowSeconds) => `${Math.max(0, Math.round(nowSeconds * scale + offsets.draw(random)))}${suffix}`;
}

/** Argument position (from 0, behind the command) of the element that a command names. */
const ELEMENT_POSITION: Record<string, number> = {
  ...{ hget: 1, hset: 1, hsetnx: 1, hdel: 1, hexists: 1, hincrby: 1, hincrbyfloat: 1, hmget: 1 },
  ...{ sadd: 1, srem: 1, sismember: 1, smismember: 1, zadd: 2, zincrby: 2, zrem: 1, zscore: 1, zrank: 1, zrevrank: 1 },
  ...{ lpush: 1, rpush: 1, lrem: 2, pfadd: 1 },
};

/** A stream that depends on an element's identity only, so that the same element always has the same size. */
function identified(position: number, number: number): Random {
  const h = mix(position, number, 0xe1e);
  return () => h / 2 ** 32;
}

type TypedArray = Float64Array | Uint16Array | Uint8Array | Uint32Array;

function sharedArray<T extends TypedArray>(type: new (buffer: SharedArrayBuffer) => T, values: number[]): T {
  const bytes =
    type === (Float64Array as unknown)
      ? 8
      : type === (Uint32Array as unknown)
        ? 4
        : type === (Uint16Array as unknown)
          ? 2
          : 1;
  const array = new type(new SharedArrayBuffer(values.length * bytes));
  array.set(values);
  return array;
}
