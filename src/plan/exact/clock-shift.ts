/** Moves the wall-clock times that the server itself obeys, in one op's arguments, from when it was captured to when it will be sent. */
import { latin1 } from '../../model/fit/roles.ts';

/** Commands whose argument 2 is a time: its unit in ms. */
const DEADLINES: Record<string, number> = {
  ...{ expireat: 1000, pexpireat: 1, hexpireat: 1000, hpexpireat: 1 },
};
/** Options in front of a time: its unit in ms, and the commands that have them. */
const OPTIONS: Record<string, number> = { EXAT: 1000, PXAT: 1 };
const WITH_OPTIONS = new Set(['set', 'getex', 'msetex', 'hsetex', 'hgetex']);
/** Commands with stream ids among their arguments. */
const STREAMS = new Set([
  ...['xadd', 'xread', 'xreadgroup', 'xrange', 'xrevrange', 'xack', 'xdel', 'xackdel', 'xdelex', 'xclaim'],
  ...['xautoclaim', 'xtrim', 'xsetid', 'xgroup', 'xpending'],
]);
const STREAM_ID = /^(\(?)(\d{13})(-\d+)?$/;
/** A stream id or a script's argument this close to the op's own time is taken for a time. */
const WINDOW_MS = 400 * 86_400_000;
const MAX_DIGITS = 16;

/** Digits of a time that was shifted: those from `from` on of an argument, `unitMs` milliseconds each. */
export interface ShiftedTime {
  argument: number;
  from: number;
  digits: number;
  unitMs: number;
}

/** Script bodies that hold the time against the server's own clock. */
const READS_CLOCK = /['"](?:time|p?expireat|exat|pxat)['"]/i;
export const readsClock = (body: Uint8Array) => READS_CLOCK.test(latin1(body));

/**
 * Shifts `args` (0 is the command's name) in place, from `capturedMs` to `plannedMs` (Unix time). Expiries and stream
 * ids are all that the server holds against its clock. Scores and other values only meet their like, so they stay as
 * they are and the state develops as it did. Returns where times are now.
 */
export function shiftTimes(command: string, args: Uint8Array[], capturedMs: number, plannedMs: number): ShiftedTime[] {
  const byMs = plannedMs - capturedMs;
  const unit = DEADLINES[command];
  if (unit !== undefined) return shiftDeadline(args, 2, unit, byMs);
  if (STREAMS.has(command)) return shiftIds(command, args, capturedMs, byMs);
  const shifted: ShiftedTime[] = [];
  if (!WITH_OPTIONS.has(command)) return shifted;
  for (let i = 2; i + 1 < args.length; i++) {
    const option = args[i]!.length === 4 ? OPTIONS[latin1(args[i]!).toUpperCase()] : undefined;
    if (option !== undefined) shifted.push(...shiftDeadline(args, ++i, option, byMs));
  }
  return shifted;
}

/** Shifts whole seconds and milliseconds among a script's arguments, from `args[first]` on; returns where they are. */
export function shiftScriptTimes(
  args: Uint8Array[],
  first: number,
  capturedMs: number,
  plannedMs: number,
): ShiftedTime[] {
  const shifted: ShiftedTime[] = [];
  for (let i = first; i < args.length; i++) {
    const unit = args[i]!.length === 10 ? 1000 : args[i]!.length === 13 ? 1 : 0;
    const value = unit === 0 ? Number.NaN : wholeNumber(args[i]!);
    if (!(Math.abs(value * unit - capturedMs) < WINDOW_MS)) continue;
    args[i] = textOf(value + (plannedMs - capturedMs) / unit);
    shifted.push(wholeArgument(args, i, unit));
  }
  return shifted;
}

function shiftDeadline(args: Uint8Array[], index: number, unitMs: number, byMs: number): ShiftedTime[] {
  const value = index < args.length ? wholeNumber(args[index]!) : Number.NaN;
  // Zero and negative times delete the key: they mean no time.
  if (!(value > 0)) return [];
  args[index] = textOf(value + byMs / unitMs);
  return [wholeArgument(args, index, unitMs)];
}

const wholeArgument = (args: Uint8Array[], argument: number, unitMs: number): ShiftedTime => ({
  ...{ argument, unitMs, from: 0, digits: args[argument]!.length },
});

function shiftIds(command: string, args: Uint8Array[], capturedMs: number, byMs: number): ShiftedTime[] {
  const shifted: ShiftedTime[] = [];
  for (let i = 2; i < args.length; i++) {
    const text = args[i]!.length <= 40 ? latin1(args[i]!) : '';
    const [, open, ms, rest = ''] = STREAM_ID.exec(text) ?? [];
    if (ms !== undefined && Math.abs(Number(ms) - capturedMs) < WINDOW_MS) {
      const plannedMs = String(Math.max(0, Math.round(Number(ms) + byMs)));
      args[i] = Buffer.from(`${open}${plannedMs}${rest}`);
      shifted.push({ argument: i, from: open!.length, digits: plannedMs.length, unitMs: 1 });
    }
    // Behind an entry's id stand its fields and values.
    const isThreshold = i > 2 && /^(minid|=|~)$/i.test(latin1(args[i - 1]!.subarray(0, 5)));
    if (command === 'xadd' && !isThreshold && (ms !== undefined || text === '*')) break;
  }
  return shifted;
}

function wholeNumber(bytes: Uint8Array): number {
  const text = bytes.length <= MAX_DIGITS ? latin1(bytes) : '';
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

const textOf = (value: number) => Buffer.from(String(Math.max(1, Math.round(value))));
