/** Groups calls that look alike: same command, same families of keys, same number of arguments. */
import { COMMANDS, type CommandInfo, commandInfo, keyPositions } from '../../capture/commands.ts';
import type { Form } from './forms.ts';
import { PairTable, widened } from './pair-table.ts';
import { latin1, RoleLearner } from './roles.ts';

/** Longer calls are learnt as a head and a repeated group. */
const MAX_EXACT_ARGUMENTS = 16;
/** The same for calls that repeat nothing, or the fields of a stream's entries, whose order a server's encoding depends on. */
const MAX_PLACES = 64;
const HEAD = 4;
/** Beyond, calls with keys of several families, in orders that no application has in mind, count as ones of their first. */
const MAX_SHAPES = 2048;
/** Commands whose long calls repeat one argument, or pairs (field value, score member, key value). */
const SINGLES = new Set([
  ...['mget', 'del', 'unlink', 'exists', 'touch', 'watch', 'pfcount', 'pfmerge', 'sunion', 'sinter', 'sdiff'],
  ...['sunionstore', 'sinterstore', 'sdiffstore', 'hmget', 'hdel', 'sadd', 'srem', 'smismember', 'zrem', 'zmscore'],
  ...['lpush', 'rpush', 'lpushx', 'rpushx', 'pfadd', 'geohash', 'geopos', 'xdel', 'xack'],
]);
const PAIRS = new Set(['hset', 'hmset', 'mset', 'msetnx', 'zadd', 'xadd']);

/** A call as the tokenizer gives it. */
export interface CallView {
  command: string;
  argCount: number;
  arg(index: number): Uint8Array;
  argLength(index: number): number;
  atUs: number;
}

/** A call whose arguments can be looked at in place. */
export interface CallBytes extends CallView {
  bytes: Uint8Array;
  isPlain(index: number): boolean;
  argStart(index: number): number;
  argEnd(index: number): number;
}

export interface LearntShape {
  command: string;
  /** Its options, see `Form`. */
  form: string;
  script: number | undefined;
  blocking: boolean;
  /** Template of each key argument; null where a learner stands. Index 0 is argument 1. */
  positions: (number | RoleLearner)[];
  repeat: { from: number; period: number; counts: Map<number, number> } | undefined;
  /** By clients, and by scripts. */
  calls: number;
  scriptCalls: number;
}

/** All of a shape's first calls teach its arguments, then one in so many, then fewer: they only change proportions. */
const LEARN_ALL = 2048;
const LEARN_EVERY = 32;
const LEARN_MOST = 65_536;
const LEARN_SELDOM = 256;
/** 2^32 over the golden ratio: its multiples are spread evenly, whatever the step, so that no rhythm of a workload is met. */
const SPREAD = 0x9e3779b1;

/** Interns shapes; number them as they are first seen. */
export class ShapeTable {
  readonly shapes: LearntShape[] = [];
  /** By a 52-bit hash of what tells shapes apart; two of some thousand share one once in 10⁸ captures. */
  private readonly byHash = new PairTable();

  /** The shape of a call whose keys stand at the argument indexes `keys`, with these templates; `form`: for a command with options. */
  find(
    command: string,
    commandNumber: number,
    argCount: number,
    keys: NumberList,
    templates: NumberList,
    blocking: boolean,
    form?: Form,
  ): number {
    const long = argCount > MAX_EXACT_ARGUMENTS && isLong(command, argCount);
    const period = long && PAIRS.has(command) ? 2 : 1;
    const head = form !== undefined && form.end > 0 && period === 2 ? form.end + 2 : HEAD;
    let a = (commandNumber * 4 + (blocking ? 2 : 0) + 1) | 0;
    if (form !== undefined) a ^= form.hash;
    let b = long ? -period : argCount;
    for (let i = 0; i < keys.length; i++) {
      const place = placeOf(keys.at[i]!, long ? head : 0, period);
      a = Math.imul(a ^ (templates.at[i]! + 0x9e37 * place), 0x85ebca6b);
      a ^= a >>> 15;
      b = Math.imul(b + templates.at[i]! + (place << 16), 0xc2b2ae35) ^ (b >>> 13);
    }
    const known = this.byHash.find(a, (b ^ Math.imul(commandNumber, 0x27d4eb2f)) >>> 12);
    if (known >= 0) return known;
    if (this.shapes.length >= MAX_SHAPES && !isUniform(templates)) {
      templates.at.fill(templates.at[0]!, 0, templates.length);
      return this.find(command, commandNumber, argCount, keys, templates, blocking, form);
    }
    this.byHash.add(a, (b ^ Math.imul(commandNumber, 0x27d4eb2f)) >>> 12);
    const width = long ? head - 1 + period : argCount - 1;
    const placed: (number | undefined)[] = new Array(width);
    for (let i = 0; i < keys.length; i++) placed[placeOf(keys.at[i]!, long ? head : 0, period)] = templates.at[i]!;
    const repeat = long ? { from: head - 1, period, counts: new Map() } : undefined;
    return this.shapes.push(newShape(command, blocking, placed, repeat, form)) - 1;
  }

  /** Counts a call of the shape and learns from its arguments; false where only the count was of use. */
  learn(number: number, call: CallView, byClient: boolean): boolean {
    const shape = this.shapes[number]!;
    if (byClient) shape.calls++;
    else shape.scriptCalls++;
    const calls = shape.calls + shape.scriptCalls;
    if (calls > LEARN_ALL) {
      const every = calls > LEARN_MOST ? LEARN_SELDOM : LEARN_EVERY;
      if (Math.imul(calls, SPREAD) >>> 0 >= 2 ** 32 / every) return false;
    }
    const { positions, repeat } = shape;
    const count = call.argCount;
    for (let index = 1; index < count; index++) {
      const position = positions[repeat ? placeOf(index, repeat.from + 1, repeat.period) : index - 1];
      if (position instanceof RoleLearner) position.add(call.arg(index), call.atUs);
    }
    repeat?.counts.set(count, (repeat.counts.get(count) ?? 0) + 1);
    return true;
  }

  /** The shape that stands for all calls of one script. */
  script(command: string, commandNumber: number, script: number): number {
    const id = commandNumber * 2 ** 20 + script;
    const known = this.byHash.find(id, SCRIPT);
    if (known >= 0) return known;
    this.byHash.add(id, SCRIPT);
    const none = { positions: [], repeat: undefined, calls: 0, scriptCalls: 0 };
    return this.shapes.push({ command, form: '', script, blocking: false, ...none }) - 1;
  }
}

/** Apart from `find`, whose every call would else make what the function in it refers to. */
function newShape(
  command: string,
  blocking: boolean,
  placed: (number | undefined)[],
  repeat: LearntShape['repeat'],
  form: Form | undefined,
): LearntShape {
  const learner = (index: number) => new RoleLearner(isData(command, index + 1, form));
  const positions = Array.from(placed, (template, index) => template ?? learner(index));
  return {
    ...{ command, form: form?.text ?? '', script: undefined, blocking, positions, repeat },
    ...{ calls: 0, scriptCalls: 0 },
  };
}

/** Instead of the hash's second half: the shape of a script. */
const SCRIPT = -1;

function isUniform({ at, length }: NumberList): boolean {
  for (let i = 1; i < length; i++) if (at[i] !== at[0]) return false;
  return true;
}

const isLong = (command: string, argCount: number) =>
  argCount > MAX_PLACES || SINGLES.has(command) || (PAIRS.has(command) && command !== 'xadd');

/** Where in a shape argument `index` is accounted; `head`: arguments before the repeated group, 0 for none that repeats. */
const placeOf = (index: number, head: number, period: number) =>
  index < head || head === 0 ? index - 1 : head - 1 + ((index - head) % period);

/** Numbers in an order, in memory that is used again and again. */
export class NumberList {
  length = 0;
  at: Uint32Array;

  constructor(room = 64) {
    this.at = new Uint32Array(room);
  }

  push(value: number): void {
    if (this.length === this.at.length) this.at = widened(this.at);
    this.at[this.length++] = value;
  }

  values(): Uint32Array {
    return this.at.subarray(0, this.length);
  }
}

/** Adds the argument indexes of a call's keys to `into`. */
export type FindKeys = (call: CallBytes, into: NumberList) => void;

/** Commands with subcommands that have keys of their own. */
const WITH_SUBCOMMANDS = new Set(
  [...COMMANDS.keys()].filter((name) => name.includes('|')).map((name) => name.split('|')[0]!),
);

/** The key of most commands, behind their name. */
export const findFirst: FindKeys = ({ argCount }, into) => {
  if (argCount > 1) into.push(1);
};

const findDescribed: FindKeys = (call, into) => {
  for (const { index } of describe(call).keys) into.push(index);
};

/** How to find the keys of a command; what most commands need costs no allocation. */
export function keyFinderOf(command: string): FindKeys {
  const specs = COMMANDS.get(command)?.keySpecs ?? [];
  const ranges = specs.flatMap(({ begin, find }) => {
    if (!('index' in begin)) return [];
    const first = begin.index;
    if (find.kind === 'keynum')
      return [{ counted: first + find.count, first: first + find.first, last: 0, step: find.step }];
    return find.limit <= 1 ? [{ counted: 0, first, last: find.last, step: find.step }] : [];
  });
  if (WITH_SUBCOMMANDS.has(command) || ranges.length < specs.length) return findDescribed;
  if (ranges.length === 1 && ranges[0]!.first === 1 && ranges[0]!.last === 0) return findFirst;
  return (call, into) => {
    const { argCount } = call;
    for (let i = 0; i < ranges.length; i++) {
      const { counted, first, last, step } = ranges[i]!;
      let end = last >= 0 ? first + last : argCount + last;
      if (counted > 0) {
        const keys = counted < argCount ? numberAt(call, counted) : 0;
        end = Number.isInteger(keys) ? first + (keys - 1) * step : 0;
      }
      for (let index = first; index <= end && index < argCount; index += step) into.push(index);
    }
  };
}

/** What is known of a call's command, and where its keys are and how it accesses them. */
export function describe(call: CallView): { info: CommandInfo | undefined; keys: ReturnType<typeof keyPositions> } {
  const text = (index: number) => latin1(call.arg(index));
  const info = commandInfo(call.command, call.argCount > 1 && call.argLength(1) <= 16 ? text(1) : undefined);
  return { info, keys: info ? keyPositions(info, call.argCount, text) : [] };
}

/** Argument index of a value that the call stores under its key as a whole; 0 for none. */
export function valueIndex(command: string): number {
  if (command === 'set' || command === 'setnx' || command === 'getset' || command === 'append') return 2;
  return command === 'setex' || command === 'psetex' || command === 'setrange' ? 3 : 0;
}

/** First argument index and distance of what is stored, published or a member: somebody's data, no word of the application's. */
const DATA: Record<string, [first: number, step: number]> = {
  ...{ mset: [2, 2], msetnx: [2, 2], hset: [3, 2], hmset: [3, 2], hsetnx: [3, 0], publish: [2, 0], spublish: [2, 0] },
  ...{ lpush: [2, 1], rpush: [2, 1], lpushx: [2, 1], rpushx: [2, 1], linsert: [3, 1], lset: [3, 0], lrem: [3, 0] },
  ...{ lpos: [2, 0], sadd: [2, 1], srem: [2, 1], sismember: [2, 0], smismember: [2, 1], smove: [3, 0], pfadd: [2, 1] },
  ...{ zincrby: [3, 0], zrem: [2, 1], zscore: [2, 0], zmscore: [2, 1], zrank: [2, 0], zrevrank: [2, 0] },
  ...{ zadd: [1, 2], xadd: [2, 2], geoadd: [4, 3], geohash: [2, 1], geopos: [2, 1], geodist: [2, 1] },
};

/** Whether somebody's data stands there; of commands that begin with options, `form` tells where these end. */
function isData(command: string, index: number, form: Form | undefined): boolean {
  if (index === valueIndex(command)) return true;
  const [first, step] = DATA[command] ?? [0, 0];
  const options = command === 'zadd' || command === 'xadd' ? (form?.end ?? 0) : 0;
  const behind = index - options - first;
  return first > 0 && (behind === 0 || (step > 0 && behind > 0 && behind % step === 0));
}

/** Where a command says an expiry: at that argument index, as the option `word` does, or by options from there on. */
export interface ExpiryPlace {
  index: number;
  word: number;
}

/** Undefined for a command that sets none. */
export const expiryPlace = (command: string): ExpiryPlace | undefined => EXPIRY_PLACES.get(command);

/** The expiry that a call sets, in seconds from now; NaN for none. */
export function ttlSeconds(call: CallBytes, { index, word }: ExpiryPlace): number {
  if (word !== ANY) return secondsUntil(call, index, word);
  for (let i = index; i < call.argCount - 1; i++) {
    const option = shortWord(call, i);
    if (option === EX || option === PX || option === EXAT || option === PXAT) return secondsUntil(call, i + 1, option);
  }
  return Number.NaN;
}

function secondsUntil(call: CallBytes, index: number, word: number): number {
  const number = numberAt(call, index);
  const seconds = word === PX || word === PXAT ? number / 1000 : number;
  const after = word === EXAT || word === PXAT ? Math.round(seconds - call.atUs / 1e6) : seconds;
  return Number.isFinite(after) && after > 0 ? after : Number.NaN;
}

const ZERO = 0x30;
const MAX_NUMBER_BYTES = 16;

/** An argument as a number; digits, as nearly all are, without a text of them. */
function numberAt(call: CallBytes, index: number): number {
  if (index >= call.argCount || call.argLength(index) > MAX_NUMBER_BYTES) return Number.NaN;
  if (call.isPlain(index)) {
    const { bytes } = call;
    let value = 0;
    let at = call.argStart(index);
    const end = call.argEnd(index);
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at === end) return value;
  }
  return Number(latin1(call.arg(index)));
}

/** Up to four letters in one number, in lower case; 0 for anything longer, or with escapes. */
function shortWord(call: CallBytes, index: number): number {
  const start = call.argStart(index);
  const end = call.argEnd(index);
  if (end - start > 4 || !call.isPlain(index)) return 0;
  let word = 0;
  for (let at = start; at < end; at++) word = (word << 8) | call.bytes[at]! | 0x20;
  return word;
}

const packed = (word: string) => [...Buffer.from(word)].reduce((sum, byte) => (sum << 8) | byte, 0);
const [EX, PX, EXAT, PXAT] = ['ex', 'px', 'exat', 'pxat'].map(packed) as [number, number, number, number];

/** In the place of a word: any of these. */
const ANY = 0;
const EXPIRY_PLACES = new Map<string, ExpiryPlace>([
  ['setex', { index: 2, word: EX }],
  ['expire', { index: 2, word: EX }],
  ['psetex', { index: 2, word: PX }],
  ['pexpire', { index: 2, word: PX }],
  ['expireat', { index: 2, word: EXAT }],
  ['pexpireat', { index: 2, word: PXAT }],
  ['set', { index: 3, word: ANY }],
  ['getex', { index: 2, word: ANY }],
]);
