/** Groups calls that look alike: same command, same families of keys, same number of arguments. */
import { COMMANDS, type CommandInfo, commandInfo, keyPositions } from '../capture/commands.ts';
import { latin1, RoleLearner } from './roles.ts';

/** Longer calls are learnt as a head and a repeated group. */
const MAX_EXACT_ARGUMENTS = 16;
const HEAD = 4;
/** Commands whose long calls repeat pairs (field value, score member, key value). */
const PAIRS = new Set(['hset', 'hmset', 'mset', 'msetnx', 'zadd', 'xadd']);

/** A call as the tokenizer gives it. */
export interface CallView {
  command: string;
  argCount: number;
  arg(index: number): Uint8Array;
  argLength(index: number): number;
  atUs: number;
}

export interface LearntShape {
  command: string;
  script: number | undefined;
  blocking: boolean;
  /** Template of each key argument; null where a learner stands. Index 0 is argument 1. */
  positions: (number | RoleLearner)[];
  repeat: { from: number; period: number; counts: Map<number, number> } | undefined;
  /** By clients, and by scripts. */
  calls: number;
  scriptCalls: number;
}

/** All of a shape's first calls teach its arguments, then one in so many: they only change proportions. */
const LEARN_ALL = 2048;
const LEARN_EVERY = 32;

/** Interns shapes; number them as they are first seen. */
export class ShapeTable {
  readonly shapes: LearntShape[] = [];
  /** By a 52-bit hash of what tells shapes apart; two of some thousand share one once in 10⁸ captures. */
  private readonly byKey = new Map<number, number>();

  /** The shape of a call whose keys stand at the argument indexes `keys`, with these templates. */
  find(
    command: string,
    commandNumber: number,
    argCount: number,
    keys: readonly number[],
    templates: number[],
    blocking: boolean,
  ): number {
    const long = argCount > MAX_EXACT_ARGUMENTS;
    const period = long && PAIRS.has(command) ? 2 : 1;
    let a = (commandNumber * 4 + (blocking ? 2 : 0) + 1) | 0;
    let b = long ? -period : argCount;
    for (let i = 0; i < keys.length; i++) {
      const place = placeOf(keys[i]!, long, period);
      a = Math.imul(a ^ (templates[i]! + 0x9e37 * place), 0x85ebca6b);
      a ^= a >>> 15;
      b = Math.imul(b + templates[i]! + (place << 16), 0xc2b2ae35) ^ (b >>> 13);
    }
    const id = (a >>> 0) * 2 ** 20 + ((b ^ Math.imul(commandNumber, 0x27d4eb2f)) >>> 12);
    const known = this.byKey.get(id);
    if (known !== undefined) return known;
    const width = long ? HEAD - 1 + period : argCount - 1;
    const placed: (number | undefined)[] = new Array(width);
    keys.forEach((index, i) => {
      placed[placeOf(index, long, period)] = templates[i]!;
    });
    const number =
      this.shapes.push({
        command,
        script: undefined,
        blocking,
        positions: Array.from({ length: width }, (_, i) => placed[i] ?? new RoleLearner()),
        repeat: long ? { from: HEAD - 1, period, counts: new Map() } : undefined,
        calls: 0,
        scriptCalls: 0,
      }) - 1;
    this.byKey.set(id, number);
    return number;
  }

  /** Counts a call of the shape and learns from its arguments; false where only the count was of use. */
  learn(number: number, call: CallView, byClient: boolean): boolean {
    const shape = this.shapes[number]!;
    if (byClient) shape.calls++;
    else shape.scriptCalls++;
    const calls = shape.calls + shape.scriptCalls;
    if (calls > LEARN_ALL && calls % LEARN_EVERY !== 0) return false;
    const { positions, repeat } = shape;
    const count = call.argCount;
    for (let index = 1; index < count; index++) {
      const position = positions[repeat ? placeOf(index, true, repeat.period) : index - 1];
      if (position instanceof RoleLearner) position.add(call.arg(index), call.atUs);
    }
    repeat?.counts.set(count, (repeat.counts.get(count) ?? 0) + 1);
    return true;
  }

  /** The shape that stands for all calls of one script. */
  script(command: string, commandNumber: number, script: number): number {
    const id = -(commandNumber * 2 ** 20 + script) - 1;
    let number = this.byKey.get(id);
    if (number === undefined) {
      number =
        this.shapes.push({
          command,
          script,
          blocking: false,
          positions: [],
          repeat: undefined,
          calls: 0,
          scriptCalls: 0,
        }) - 1;
      this.byKey.set(id, number);
    }
    return number;
  }
}

/** Where in a shape argument `index` is accounted. */
const placeOf = (index: number, long: boolean, period: number) =>
  index < HEAD || !long ? index - 1 : HEAD - 1 + ((index - HEAD) % period);

/** The keys of commands that have one key, behind their name: most of all. */
const FIRST_KEY = { indexes: [1], blocking: false };
const ONE_KEY = new Set(
  [...COMMANDS.values()]
    .filter(({ keySpecs: [spec, more], blocking }) => {
      if (!spec || more || !('index' in spec.begin) || spec.find.kind !== 'range') return false;
      return spec.begin.index === 1 && spec.find.last === 0 && !blocking;
    })
    .map(({ name }) => name),
);

/** Argument indexes of a call's keys, and whether it may wait for data. */
export function keysOf(call: CallView): { indexes: readonly number[]; blocking: boolean } {
  if (call.argCount > 1 && ONE_KEY.has(call.command)) return FIRST_KEY;
  const { info, keys } = describe(call);
  return { indexes: keys.map(({ index }) => index), blocking: info?.blocking === true };
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

/** Commands that may set an expiry. */
export const EXPIRES = new Set(['setex', 'psetex', 'expire', 'pexpire', 'expireat', 'pexpireat', 'set', 'getex']);

/** The expiry that a call sets, in seconds from now, or undefined. */
export function ttlSeconds(call: CallView): number | undefined {
  const number = (index: number) =>
    index < call.argCount && call.argLength(index) <= 16 ? Number(latin1(call.arg(index))) : Number.NaN;
  const finite = (value: number) => (Number.isFinite(value) && value > 0 ? value : undefined);
  const now = call.atUs / 1e6;
  switch (call.command) {
    case 'setex':
    case 'expire':
      return finite(number(2));
    case 'psetex':
    case 'pexpire':
      return finite(number(2) / 1000);
    case 'expireat':
      return finite(Math.round(number(2) - now));
    case 'pexpireat':
      return finite(Math.round(number(2) / 1000 - now));
    case 'set':
    case 'getex':
      for (let i = call.command === 'set' ? 3 : 2; i < call.argCount - 1; i++) {
        const option = call.argLength(i) <= 4 ? latin1(call.arg(i)).toUpperCase() : '';
        if (option === 'EX') return finite(number(i + 1));
        if (option === 'PX') return finite(number(i + 1) / 1000);
        if (option === 'EXAT') return finite(Math.round(number(i + 1) - now));
        if (option === 'PXAT') return finite(Math.round(number(i + 1) / 1000 - now));
      }
      return undefined;
    default:
      return undefined;
  }
}
