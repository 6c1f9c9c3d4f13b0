/** Calls of SCAN, HSCAN, SSCAN and ZSCAN → which of them are steps of one walk, and where their cursors are to be written. */

import { latin1 } from '../model/fit/roles.ts';
import type { Role } from '../model/model.ts';
import { intern } from '../model/tally.ts';
import type { WalkSteps } from './plan.ts';
import { share } from './resp.ts';

const CURSOR_INDEX: Record<string, number> = { scan: 1, hscan: 2, sscan: 2, zscan: 2 };

/** Argument index of the cursor that a call continues from; 0 for commands without one. */
export const cursorIndex = (command: string): number => CURSOR_INDEX[command] ?? 0;

const BEGINNING = '0';

/** A cursor of as many digits as 64 bits can have. Servers read 00000000000000000042 as 42, and this as a walk's beginning. */
export const UNKNOWN_CURSOR = '0'.repeat(20);

const CURSOR = /^\d{1,20}$/;

export const isCursor = (text: string) => CURSOR.test(text);

/** More walks of a kind are not followed at once: the one that has rested longest is given up. */
const MAX_OPEN = 1 << 14;

/** Whether calls with such cursors continue: where all are 0, nobody walks further than one call. */
export function continues(role: Role): boolean {
  const counts = 'literals' in role ? role.literals : 'integers' in role ? role.integers : undefined;
  return counts === undefined || counts.some(([cursor]) => String(cursor) !== BEGINNING);
}

/** Numbers for walks of several kinds, by who or what walks. */
export class WalkNumbers {
  /** By kind, those that have rested longest first. */
  private readonly open = new Map<string | number, Map<string | number, number>>();
  private count = 0;

  has(kind: string | number, walker: string | number): boolean {
    return this.open.get(kind)?.has(walker) === true;
  }

  /** Number of the walk; `isNew`: nothing was known of it, and what was known by its number is another's. */
  of(kind: string | number, walker: string | number): { walk: number; isNew: boolean } {
    const open = intern(this.open, kind, () => new Map<string | number, number>());
    const known = open.get(walker);
    const walk = known ?? (open.size < MAX_OPEN ? this.count++ : takeFirst(open)!);
    if (known !== undefined) open.delete(walker);
    open.set(walker, walk);
    return { walk, isNew: known === undefined };
  }
}

/** The walks of a capture: by client, command, key and options, MATCH and TYPE among them. Ops come in the order of their numbers. */
export class CapturedWalks {
  private readonly numbers = new WalkNumbers();
  /** First calls that no second one has followed so far, by walker: the op. */
  private readonly begun = new Map<string, number>();
  /** By what is walked over: who has begun last. */
  private readonly last = new Map<string, string>();
  private readonly steps: WalkStep[] = [];

  /** `at`: where in the op's bytes the cursor stands, which is to be `UNKNOWN_CURSOR` unless the call begins a walk. */
  note(call: CursorCall, clientId: number, op: number, at: number): void {
    const { command, over, begins } = call;
    const own = `${clientId} ${over}`;
    if (begins) {
      this.last.set(over, own);
      if (this.numbers.has(command, own)) this.steps.push({ op, walk: this.numbers.of(command, own).walk, at: 0 });
      else this.begun.set(own, op);
      for (const map of [this.begun, this.last]) if (map.size > MAX_OPEN) takeFirst<string, unknown>(map);
      return;
    }
    // A pool's clients take turns: the walk may have begun on another connection.
    const isOwn = this.begun.has(own) || this.numbers.has(command, own);
    const walker = isOwn ? own : (this.last.get(over) ?? own);
    const { walk, isNew } = this.numbers.of(command, walker);
    const begun = this.begun.get(walker);
    if (begun !== undefined) this.steps.push({ op: begun, walk, at: 0 });
    this.begun.delete(walker);
    this.steps.push({ op, walk, at: isNew && begun === undefined ? 0 : at });
  }

  finish(): WalkStep[] {
    return this.steps.sort((a, b) => a.op - b.op);
  }
}

/** Of a slice's `WalkSteps`, or of those of a whole capture. */
export interface WalkStep {
  op: number;
  walk: number;
  at: number;
}

/** What tells one call of a walk from those of another. */
export interface CursorCall {
  command: string;
  /** Index of the cursor. */
  argument: number;
  /** Database and all arguments but the cursor and COUNT, which may change under way. */
  over: string;
  begins: boolean;
}

/** A call as one of a walk; undefined for commands without a cursor, and for cursors that are none. */
export function cursorCall(command: string, db: number, args: readonly Uint8Array[]): CursorCall | undefined {
  const argument = cursorIndex(command);
  if (argument === 0 || args.length <= argument) return undefined;
  const texts = args.map(latin1);
  const cursor = texts[argument]!;
  if (!isCursor(cursor)) return undefined;
  const over = texts.filter((_, i) => i > 0 && i !== argument && texts[i - 1]!.toUpperCase() !== 'COUNT');
  // JSON keeps arguments apart whatever is in them.
  return { command, argument, over: JSON.stringify([db, command, ...over]), begins: cursor === BEGINNING };
}

/** Steps as a slice has them, of those ops that have a number in it; negative: it is not in it. Nothing for none. */
export function walksOf(steps: readonly WalkStep[], numberOf: (op: number) => number): { walks?: WalkSteps } {
  const own = steps.filter(({ op }) => numberOf(op) >= 0);
  if (own.length === 0) return {};
  const column = (of: (step: WalkStep) => number) => share(Uint32Array.from(own, of));
  return {
    walks: { op: column(({ op }) => numberOf(op)), walk: column(({ walk }) => walk), at: column(({ at }) => at) },
  };
}

export const stepsOf = ({ op, walk, at }: WalkSteps): WalkStep[] =>
  Array.from(op, (number, i) => ({ op: number, walk: walk[i]!, at: at[i]! }));

function takeFirst<Key, Value>(map: Map<Key, Value>): Value | undefined {
  for (const [key, value] of map) {
    map.delete(key);
    return value;
  }
  return undefined;
}
