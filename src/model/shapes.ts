/** Groups calls that look alike: same command, same families of keys, same number of arguments. */
import { type CommandInfo, commandInfo, keyPositions } from '../capture/commands.ts';
import { latin1, RoleLearner } from './roles.ts';

/** Longer calls are learnt as a head and a repeated group. */
const MAX_EXACT_ARGUMENTS = 16;
const HEAD = 4;
/** Commands whose long calls repeat pairs (field value, score member, key value). */
const PAIRS = new Set(['hset', 'hmset', 'mset', 'msetnx', 'zadd', 'xadd']);

export interface CallKey {
  /** Argument index, database row of the key, and its template. */
  index: number;
  row: number;
  template: number;
}

/** A call as the tokenizer gives it. */
export interface Call {
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
}

/** Interns shapes; number them as they are first seen. */
export class ShapeTable {
  readonly shapes: LearntShape[] = [];
  private readonly byKey = new Map<string, number>();

  /** The shape of this call, having learnt from its arguments. */
  learn(call: Call, keys: CallKey[], blocking: boolean): number {
    const count = call.argCount;
    const long = count > MAX_EXACT_ARGUMENTS;
    const period = long && PAIRS.has(call.command) ? 2 : 1;
    const from = HEAD;
    const width = long ? from - 1 + period : count - 1;
    // Where in the shape argument `index` is accounted.
    const place = (index: number) => (index < from || !long ? index - 1 : from - 1 + ((index - from) % period));
    const templates: (number | undefined)[] = new Array(width);
    for (const key of keys) templates[place(key.index)] = key.template;
    const id = `${call.command} ${blocking} ${long ? `+${period}` : count} ${templates.map((t) => t ?? '').join(',')}`;
    let number = this.byKey.get(id);
    if (number === undefined) {
      const positions = Array.from({ length: width }, (_, i) => templates[i] ?? new RoleLearner());
      const repeat = long ? { from: from - 1, period, counts: new Map<number, number>() } : undefined;
      number = this.shapes.push({ command: call.command, script: undefined, blocking, positions, repeat }) - 1;
      this.byKey.set(id, number);
    }
    const shape = this.shapes[number]!;
    for (let index = 1; index < count; index++) {
      const position = shape.positions[place(index)];
      if (position instanceof RoleLearner) position.add(call.arg(index), call.atUs);
    }
    shape.repeat?.counts.set(count, (shape.repeat.counts.get(count) ?? 0) + 1);
    return number;
  }

  /** The shape that stands for all calls of one script; its arguments come from exemplars. */
  script(command: string, script: number): number {
    const id = `${command} script ${script}`;
    let number = this.byKey.get(id);
    if (number === undefined) {
      number = this.shapes.push({ command, script, blocking: false, positions: [], repeat: undefined }) - 1;
      this.byKey.set(id, number);
    }
    return number;
  }
}

/** What is known of a call's command, and where its keys are. */
export function describe(call: Call): { info: CommandInfo | undefined; keys: ReturnType<typeof keyPositions> } {
  const text = (index: number) => latin1(call.arg(index));
  const info = commandInfo(call.command, call.argCount > 1 && call.argLength(1) <= 16 ? text(1) : undefined);
  return { info, keys: info ? keyPositions(info, call.argCount, text) : [] };
}

/** Argument index of a value that the call stores under its key as a whole; 0 for none. */
export function valueIndex(command: string): number {
  if (command === 'set' || command === 'setnx' || command === 'getset' || command === 'append') return 2;
  return command === 'setex' || command === 'psetex' || command === 'setrange' ? 3 : 0;
}

/** The expiry that a call sets, in seconds from now, or undefined. */
export function ttlSeconds(call: Call): number | undefined {
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
