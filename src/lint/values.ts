/** What is known of a value without running the script: literals, where it comes from, how it was put together. */
import type { CommandCall } from './command-call.ts';
import type { Variable } from './scopes.ts';
import type { CallNode, Expression, FunctionNode, LoopNode, Node } from './syntax.ts';

export type Value =
  | { kind: 'literal'; value: string | number | boolean | null }
  /** `KEYS[1]`; without `index` where it is not constant. In functions the first parameter of the callback is KEYS. */
  | { kind: 'keys' | 'argv'; index?: number }
  /** A global that is no local: `redis.call`, `cjson.encode`, `KEYS` itself. */
  | { kind: 'global'; name: string }
  | { kind: 'function'; node: FunctionNode }
  /** What a command answered. */
  | { kind: 'reply'; call: CommandCall }
  /** Result of a global function that is no command: `tonumber`, `cjson.encode`. `result` from 0. */
  | { kind: 'library'; name: string; args: Value[]; node: CallNode; result: number }
  | { kind: 'concat'; parts: Value[] }
  | { kind: 'arithmetic'; operator: string; operands: Value[] }
  /** Comparison or `not`: a boolean. */
  | { kind: 'boolean'; node: Expression }
  | { kind: 'length'; of: Value }
  | { kind: 'table'; node: Extract<Node, { type: 'TableConstructorExpression' }> }
  | { kind: 'element'; of: Value; key: Value }
  /** The variable of a loop: `position` 0 is the first name; `of` is what `pairs` or `ipairs` goes through. */
  | { kind: 'item'; loop: LoopNode; position: number; of?: Value }
  /** An unpacked table or `...`: any number of values. */
  | { kind: 'spread'; of: Value }
  /** One of several: a variable that is written more than once, a parameter with several call sites, `a or b`. */
  | { kind: 'union'; options: Value[] }
  /** A hole of a template: anything. */
  | { kind: 'hole' }
  /** A parameter whose call sites are not known, a value that depends on itself, or what is not analysed. */
  | { kind: 'unknown'; parameter?: Variable };

export const UNKNOWN: Value = { kind: 'unknown' };

/** Joins possibilities; equal literals count once. More than `MAX_OPTIONS` are unknown. */
export function unionOf(values: Value[]): Value {
  const options: Value[] = [];
  const seen = new Set<unknown>();
  for (const value of values.flatMap((v) => (v.kind === 'union' ? v.options : [v]))) {
    const identity = identityOf(value);
    if (seen.has(identity)) continue;
    seen.add(identity);
    options.push(value);
  }
  if (options.length === 1) return options[0]!;
  return options.length > MAX_OPTIONS || options.length === 0 ? UNKNOWN : { kind: 'union', options };
}

const MAX_OPTIONS = 24;

function identityOf(value: Value): unknown {
  if (value.kind === 'literal') return `literal ${typeof value.value} ${value.value}`;
  if (value.kind === 'keys' || value.kind === 'argv') return `${value.kind} ${value.index}`;
  if (value.kind === 'global') return `global ${value.name}`;
  if (value.kind === 'reply') return value.call.node;
  if (value.kind === 'function' || value.kind === 'table') return value.node;
  return value;
}

/** The one string that a value is; numbers as Lua would write them. Undefined for anything else. */
export function stringOf(value: Value | undefined): string | undefined {
  if (value?.kind === 'concat') {
    const parts = value.parts.map(stringOf);
    return parts.every((part) => part !== undefined) ? parts.join('') : undefined;
  }
  if (value?.kind !== 'literal') return undefined;
  if (typeof value.value === 'string') return value.value;
  return typeof value.value === 'number' ? String(value.value) : undefined;
}

/** The one number that a value is, `tonumber('5')` and `'5'` included. */
export function numberOf(value: Value | undefined): number | undefined {
  if (value?.kind === 'library' && value.name === 'tonumber') return numberOf(value.args[0]);
  const text = stringOf(value);
  if (text === undefined || text.trim() === '') return undefined;
  const number = Number(text);
  return Number.isNaN(number) ? undefined : number;
}

/** Whether two values are surely the same string: the same element of KEYS, the same text, the same expression's value. */
export function isSameValue(a: Value, b: Value): boolean {
  if (a.kind === 'keys' || a.kind === 'argv') return a.kind === b.kind && a.index !== undefined && a.index === b.index;
  const text = stringOf(a);
  if (text !== undefined) return text === stringOf(b);
  if (a.kind === 'concat' && b.kind === 'concat') {
    return a.parts.length === b.parts.length && a.parts.every((part, i) => isSameValue(part, b.parts[i]!));
  }
  return a.kind === 'reply' && b.kind === 'reply' && a.call === b.call;
}

/** The strings a value can be, and whether it can be anything else. */
export function stringsOf(value: Value): { strings: string[]; complete: boolean } {
  const options = value.kind === 'union' ? value.options : [value];
  const strings = options.map(stringOf).filter((string) => string !== undefined);
  return { strings: [...new Set(strings)], complete: strings.length === options.length };
}

/** The values that a value is directly made of; replies and tables are not looked into. */
export function partsBelow(value: Value): Value[] {
  switch (value.kind) {
    case 'concat':
      return value.parts;
    case 'union':
      return value.options;
    case 'arithmetic':
      return value.operands;
    case 'library':
      return value.args;
    case 'length':
    case 'spread':
      return [value.of];
    case 'element':
      return [value.of, value.key];
    case 'item':
      return value.of ? [value.of] : [];
    default:
      return [];
  }
}

/** Every value that a value is made of, itself first. */
export function* partsOf(value: Value): Generator<Value> {
  yield value;
  for (const part of partsBelow(value)) yield* partsOf(part);
}

/**
 * Where a key comes from, best first: an element of KEYS, one with literals around, one with arguments, arguments
 * alone, literals alone, the data set (a reply, decoded JSON), not known.
 */
export type Origin = 'keys' | 'keys+literal' | 'keys+argv' | 'argv' | 'literal' | 'data' | 'unknown';

const ORDER: Origin[] = ['keys', 'keys+literal', 'keys+argv', 'argv', 'literal', 'data', 'unknown'];

/** Functions of Lua whose result is made of their first argument alone. */
const TRANSPARENT = new Set([
  'tonumber',
  'tostring',
  'string.sub',
  'string.lower',
  'string.upper',
  'string.gsub',
  'string.match',
  'string.format',
  'string.rep',
  'string.reverse',
  'math.floor',
  'math.ceil',
  'table.concat',
  'cjson.decode',
  'cmsgpack.unpack',
  'cmsgpack.unpack_one',
  'unpack',
  'assert',
]);

/** Where the value comes from, as a key. The worst of what it can be. */
export function originOf(value: Value): Origin {
  switch (value.kind) {
    case 'keys':
    case 'argv':
    case 'literal':
      return value.kind;
    case 'reply':
      return 'data';
    case 'concat':
      return combine(value.parts.map(originOf));
    case 'arithmetic':
      return combine(value.operands.map(originOf));
    case 'union':
      // nil is no key: a command would refuse it.
      return value.options
        .filter((option) => option.kind !== 'literal' || option.value !== null)
        .map(originOf)
        .reduce((a, b) => (ORDER.indexOf(a) > ORDER.indexOf(b) ? a : b), 'keys');
    case 'library':
      if (value.name === 'tostring' && value.args.length === 1) return originOf(value.args[0]!);
      return TRANSPARENT.has(value.name) ? combine(value.args.map(originOf)) : 'unknown';
    case 'spread':
      return originOf(value.of);
    case 'element':
      return originOf(value.of);
    case 'item':
      // A counter is a number of ours; an item of KEYS is a key.
      return value.of === undefined ? 'literal' : value.position === 0 ? 'literal' : originOf(value.of);
    case 'length':
      return 'literal';
    case 'global':
      return value.name === 'KEYS' ? 'keys' : value.name === 'ARGV' ? 'argv' : 'unknown';
    default:
      return 'unknown';
  }
}

function combine(origins: Origin[]): Origin {
  const set = new Set(origins);
  if (set.has('unknown')) return 'unknown';
  if (set.has('data')) return 'data';
  const keys = set.has('keys') || set.has('keys+literal') || set.has('keys+argv');
  if (keys && (set.has('argv') || set.has('keys+argv'))) return 'keys+argv';
  if (keys) return set.has('literal') || set.has('keys+literal') ? 'keys+literal' : 'keys';
  return set.has('argv') ? 'argv' : 'literal';
}

/** What `{…}` of a key decides its slot, where its first braces are literal. Redis: first `{`, next `}`, not empty. */
export function hashTagOf(value: Value): string | undefined {
  let text = '';
  for (const part of value.kind === 'concat' ? value.parts : [value]) {
    const string = stringOf(part);
    if (string === undefined) break;
    text += string;
  }
  const open = text.indexOf('{');
  const close = text.indexOf('}', open + 1);
  return open >= 0 && close > open + 1 ? text.slice(open + 1, close) : undefined;
}

/**
 * Whether a key lies in the slot of the declared keys: `yes` for an element of KEYS itself and for equal literal tags,
 * `no` for different ones, `possible` for `KEYS[1] .. ':x'` (yes if KEYS[1] has a hash tag), `unknown` otherwise.
 */
export function slotRelation(key: Value, declared: Value[]): 'yes' | 'no' | 'possible' | 'unknown' {
  const origin = originOf(key);
  if (origin === 'keys') return 'yes';
  const tag = hashTagOf(key);
  const tags = declared.map(hashTagOf);
  if (tag !== undefined && tags.length > 0 && tags.every((other) => other !== undefined)) {
    return tags.every((other) => other === tag) ? 'yes' : 'no';
  }
  const first = key.kind === 'concat' ? key.parts[0] : undefined;
  return first && originOf(first) === 'keys' ? 'possible' : 'unknown';
}
