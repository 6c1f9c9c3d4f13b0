/** Shapes of calls → RESP commands with invented arguments: sizes, numbers, times and elements as captured. */
import { ELEMENTS } from '../../model/fit/fit.ts';
import { keysInAll } from '../../model/fit/popularity.ts';
import { valueIndex } from '../../model/fit/shapes.ts';
import { quantileOf, type ValueCounts } from '../../model/histogram.ts';
import type { Family, Model, Role, Shape } from '../../model/model.ts';
import { PER_SECOND } from '../../model/time-units.ts';
import { type Labels, NO_FAMILY, SCRIPT_FAMILY, scriptCommand } from '../labels.ts';
import { Alias, mix, type Random, Sampler } from '../random.ts';
import type { RespWriter } from '../resp.ts';
import { continues, cursorIndex, UNKNOWN_CURSOR } from '../walks.ts';
import { expiryUnit, isExpiry, KeyExpiries } from './expiries.ts';
import { element, payload } from './values.ts';

/** What the arguments of one call may depend on. */
export interface CallContext {
  random: Random;
  /** Seconds since 1970. */
  nowSeconds: number;
  /** Numbers of the call's keys, and which of them comes next. */
  keys: number[];
  nextKey: number;
  /** A key for positions that repeat beyond those. */
  anotherKey: (family: number) => number;
  /** Text of a key. */
  nameOf: (family: number, key: number) => string;
  /** Words that a long call has named so far. */
  named?: Set<string> | undefined;
  /** What the call stores, where a script is told it later. */
  stored?: string | undefined;
  /** Expiry that the call was given, in seconds; undefined for none. */
  ttlSeconds?: number | undefined;
  /** How far the writer was when it had written the cursor of a call that continues a walk. */
  cursorEnd: number;
}

type Fill = (writer: RespWriter, context: CallContext) => void;

export interface CompiledShape {
  shape: Shape;
  label: number;
  /** Families of the shape's keys, in order. */
  keyFamilies: number[];
  /** Its calls are steps of walks. */
  walks: boolean;
  removes: boolean;
  /** Whether keys that are not there are made; and whether what was there before, with its expiry, is gone then. */
  makes: boolean;
  replaces: boolean;
  write(writer: RespWriter, context: CallContext): void;
}

const REMOVES = new Set(['del', 'unlink', 'getdel']);
const REPLACES = new Set(['set', 'setex', 'psetex', 'mset', 'getset', 'restore']);
/** Which argument of a repeated group names a field or member, that a call names once. */
const NAMES: Record<string, number> = {
  ...{ hset: 0, hmset: 0, zadd: 1, hmget: 0, hdel: 0, sadd: 0, srem: 0, smismember: 0, zrem: 0, zmscore: 0 },
};
/** Draws of a word that the call has not named yet; then any such will do. */
const NAME_TRIES = 16;
/** Digits of a second's fraction. */
const MICROSECONDS = 6;
/** More than this share of requests for elements that nobody asked for before: each request is for a new one. */
const ALWAYS_NEW = 0.9;
/** New elements are drawn from so many, or as many as their shortest text can name. */
const MOST_NEW = 2 ** 31;
const BASE = 36;
const MAX_POOL = 100_000;

/** All shapes of a model, ready to be written. */
export function compileShapes(model: Model, labels: Labels, makes: (command: string) => boolean): CompiledShape[] {
  return model.shapes.map((shape) => {
    const script = shape.script === undefined ? undefined : model.scripts[shape.script]!;
    const family = script ? SCRIPT_FAMILY : shape.family === null ? NO_FAMILY : model.families[shape.family]!.template;
    const named = shape.repeat ? shape.repeat.from + (NAMES[shape.command] ?? Number.NaN) : Number.NaN;
    const cursor = cursorIndex(shape.command) - 1;
    const walks = shape.roles[cursor] !== undefined && continues(shape.roles[cursor]);
    const fills = shape.roles.map((role, position) => {
      if (walks && position === cursor) return unknownCursor;
      if (position === named && 'literals' in role) return nameOnce(role.literals);
      return storedOr(fillOf(role, shape, position, model), shape, position);
    });
    const repeatCounts = shape.repeat ? new Sampler(shape.repeat.counts, shape.roles.length + 1) : undefined;
    return {
      shape,
      label: labels.number(family, script ? scriptCommand(shape.command, script) : shape.command),
      keyFamilies: shape.roles.flatMap((role) => ('key' in role ? [role.key] : [])),
      walks,
      removes: REMOVES.has(shape.command),
      makes: makes(shape.command),
      replaces: REPLACES.has(shape.command),
      write(writer, context) {
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
        context.named = undefined;
        for (let i = 0; i < count - 1; i++) fills[i < from ? i : from + ((i - from) % period)]!(writer, context);
      },
    };
  });
}

/** Replies will tell which. */
const unknownCursor: Fill = (writer, context) => {
  writer.text(UNKNOWN_CURSOR);
  context.cursorEnd = writer.length - 2;
};

/** Words as often as captured, but none twice in a call as long as there are others. */
function nameOnce(literals: [string, number][]): Fill {
  const alias = new Alias(literals.map(([, n]) => n));
  return (writer, context) => {
    context.named ??= new Set();
    const { named, random } = context;
    let [word] = literals[alias.draw(random)]!;
    for (let i = 0; i < NAME_TRIES && named.has(word); i++) [word] = literals[alias.draw(random)]!;
    if (named.has(word)) [word] = literals.find(([other]) => !named.has(other)) ?? [word];
    named.add(word);
    writer.text(word);
  };
}

/** What is stored, if that is known. */
function storedOr(fill: Fill, { command }: Shape, position: number): Fill {
  if (valueIndex(command) !== position + 1) return fill;
  return (writer, context) => (context.stored === undefined ? fill(writer, context) : writer.text(context.stored));
}

function fillOf(role: Role, shape: Shape, position: number, model: Model): Fill {
  if ('key' in role) {
    return (writer, context) =>
      writer.text(context.nameOf(role.key, context.keys[context.nextKey++] ?? context.anotherKey(role.key)));
  }
  const family = shape.family === null ? undefined : model.families[shape.family]!;
  if (family && isExpiry(shape, position) && ('literals' in role || 'integers' in role)) {
    const expiries = new KeyExpiries(family, shape.family!);
    const values: ValueCounts =
      'integers' in role ? role.integers : role.literals.map(([text, n]): [number, number] => [Number(text), n]);
    values.sort((a, b) => a[0] - b[0]);
    const unit = expiryUnit(shape, position);
    return (writer, context) => {
      const value = quantileOf(values, expiries.quantile(context.keys[0] ?? 0));
      context.ttlSeconds = value * unit;
      writer.text(String(value));
    };
  }
  const universe = family?.elements?.universe;
  if ('integers' in role && family && universe !== undefined && isElement(shape, position)) {
    const largest = Math.max(...role.integers.map(([value]) => Math.abs(value)));
    return integerElements(role.integers, new Elements(family, universe, String(largest).length));
  }
  if (!('bytes' in role)) {
    const text = textOf(role);
    return (writer, { random, nowSeconds }) => writer.text(text(random, nowSeconds));
  }
  const sizes = new Sampler(role.bytes, 8);
  if (family === undefined || family.type === 'string' || family.type === 'integer') {
    return (writer, { random }) => writer.text(payload(sizes.draw(random), Math.floor(random() * 2 ** 32)));
  }
  const elements = new Elements(family, role.distinct, Math.min(...role.bytes.map(([size]) => size)));
  return (writer, { random, keys }) => {
    const number = elements.draw(keys[0] ?? 0, random);
    writer.text(element(sizes.draw(identified(position, number)), number));
  };
}

/** Whether a member or field of the first key stands at this position. */
function isElement({ command }: Shape, position: number): boolean {
  const [first, step] = ELEMENTS[command] ?? [0, 0];
  const behind = position + 1 - first;
  return first > 0 && (behind === 0 || (step > 0 && behind > 0 && behind % step === 0));
}

/** Members that are numbers, as sets of ids have them: others than those that were kept, but of their size. */
function integerElements(values: ValueCounts, elements: Elements): Fill {
  const sampler = new Sampler(values, 1);
  return (writer, { random, keys }) => {
    const number = elements.draw(keys[0] ?? 0, random);
    const value = sampler.draw(identified(INTEGER, number));
    const within = Math.abs(value) < EXACT_BELOW ? 0 : ((mix(number, INTEGER) / 2 ** 32) * 2 - 1) * BUCKET * value;
    writer.text(String(Math.round(value + within)));
  };
}
/** A stream of its own for elements that are numbers. */
const INTEGER = 0x1e7;
/** Numbers that a histogram keeps as they are, and half the width of its buckets beyond. */
const EXACT_BELOW = 64;
const BUCKET = 0.01;

/** Which of a universe of elements a call names: every key has its own few, asked for as unequally as captured. */
export class Elements {
  readonly perKey: number;
  private readonly universe: number;
  /** Elements that requests of one key are for, those that nobody has asked for yet among them. */
  private readonly pool: number;
  /** Whether each request names an element for the first time, and of how many. */
  private readonly fresh: number;
  private readonly ranks: Alias;

  /** `distinct`: elements where the family tells of none; `bytes`: the shortest one. */
  constructor({ elements }: Family, distinct: number, bytes = 0) {
    this.universe = Math.max(1, elements?.universe ?? distinct);
    this.perKey = Math.min(this.universe, Math.max(1, Math.round(elements?.perKey ?? this.universe)));
    let pairs = 0;
    let requests = 0;
    for (const [count, n] of elements?.references ?? []) {
      pairs += n;
      requests += n * count;
    }
    const share = requests === 0 ? 1 : pairs / requests;
    const isNew = share > ALWAYS_NEW;
    this.fresh = isNew ? Math.max(this.universe, elements ? Math.min(MOST_NEW, BASE ** bytes) : 0) : 0;
    const unseen = elements && !isNew ? keysInAll(elements.zipf ?? 0, pairs, requests) / pairs : 1;
    this.pool = Math.max(this.perKey, Math.min(MAX_POOL, Math.round(this.perKey * unseen)));
    this.universe = Math.max(this.universe, this.pool);
    this.ranks = new Alias(Float64Array.from({ length: this.pool }, (_, rank) => (rank + 1) ** -(elements?.zipf ?? 0)));
  }

  draw(key: number, random: Random): number {
    return this.fresh > 0 ? Math.floor(random() * this.fresh) : this.of(key, this.ranks.draw(random));
  }

  /** Number of a key's element of this rank. */
  of(key: number, rank: number): number {
    return this.pool === this.universe ? rank : (mix(key, 0xe1) + rank) % this.universe;
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
  const open = role.open ? '(' : '';
  if ('integers' in role) {
    const values = new Sampler(role.integers, 1);
    return (random) => open + String(Math.round(values.draw(random)));
  }
  if ('numbers' in role) {
    const values = new Sampler(role.numbers, 1);
    return (random) => open + String(values.draw(random));
  }
  const offsets = new Sampler(role.offsets, 0);
  const scale = PER_SECOND[role.times];
  if (role.times === 's-fraction') {
    return (random, nowSeconds) => open + Math.max(0, nowSeconds + offsets.draw(random)).toFixed(MICROSECONDS);
  }
  const suffix = role.times === 'stream-id' ? '-0' : '';
  return (random, nowSeconds) => {
    const value = Math.max(0, Math.round(nowSeconds * scale + offsets.draw(random)));
    // All digits of nanoseconds, too.
    return `${open}${Number.isSafeInteger(value) ? value : BigInt(value)}${suffix}`;
  };
}

/** A stream that depends on an element's identity only, so that the same element always has the same size. */
export function identified(position: number, number: number): Random {
  const h = mix(position, number, 0xe1e);
  return () => h / 2 ** 32;
}
