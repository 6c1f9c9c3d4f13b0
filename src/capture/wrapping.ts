/** What stands around a MONITOR line when another program wrote it down → where the line itself is. */

import { hexValue } from './encode.ts';
import { isDigit, isLetter, startsWith } from './line.ts';

const SP = 0x20;
const QUOTE = 0x22;
const OPEN_PARENTHESIS = 0x28;
const PLUS = 0x2b;
const DASH = 0x2d;
const DOT = 0x2e;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CR = 0x0d;

/** What proxies, containers and log shippers print before a line is shorter than this. */
const MAX_PREFIX_BYTES = 200;
/** Digits of a Unix time in seconds, from 1973 on. */
const MIN_TIME_DIGITS = 9;

/** Docker's json-file: `{"log":"1700000000.123456 [0 …\n","stream":"stdout","time":"…"}`. */
const DOCKER_JSON = Buffer.from('{"log":"');
/** JSON escapes besides those that it shares with MONITOR. */
const JSON_NAMED: Record<number, number> = { 110: 10, 114: 13, 116: 9, 97: 7, 98: 8, 102: 12, 118: 11 };

/**
 * `redis-cli --csv`, `--json` and `--quoted-json` print each line as a quoted string, Docker's json-file as a member of an
 * object. Puts what the string in `bytes[start..end)` means in its place, filled up with CR; returns where it ends, or
 * -1 if there is no such string.
 */
export function unwrap(bytes: Buffer, start: number, end: number): number {
  const docker = bytes[start] === 0x7b && startsWith(bytes, start, DOCKER_JSON);
  if (!docker && (bytes[start] !== QUOTE || bytes[end - 1] !== QUOTE || end - start < 2)) return -1;
  const from = docker ? start + DOCKER_JSON.length : start + 1;
  const to = docker ? closingQuote(bytes, from, end) : end - 1;
  if (to < 0) return -1;
  let written = undoEscapes(bytes, from, to, start);
  // --quoted-json escapes twice, and leaves the quotes of the second time as they are.
  const quote = bytes.subarray(start, written).indexOf(QUOTE);
  if (quote > 0 && bytes[start + quote - 1] === BACKSLASH) written = undoEscapes(bytes, start, written, start);
  // Docker's string has the line's end.
  while (written > start && (bytes[written - 1] === 0x0a || bytes[written - 1] === CR)) written--;
  bytes.fill(CR, written, end);
  return written;
}

function closingQuote(bytes: Uint8Array, from: number, end: number): number {
  for (let p = from; p < end; p++) {
    if (bytes[p] === QUOTE) return p;
    if (bytes[p] === BACKSLASH) p++;
  }
  return -1;
}

/** Copies `bytes[from..to)` to a place before it, escapes undone; one that is none stands for itself. Returns where it ends. */
function undoEscapes(bytes: Uint8Array, from: number, to: number, at: number): number {
  let written = at;
  for (let p = from; p < to; p++) {
    const byte = bytes[p]!;
    const next = byte === BACKSLASH && p + 1 < to ? bytes[p + 1]! : -1;
    if (next < 0) bytes[written++] = byte;
    else if (next === 0x75 && p + 5 < to) {
      // Of these only bytes can occur, and Docker writes <, > and & so.
      bytes[written++] = Number.parseInt(String.fromCharCode(...bytes.subarray(p + 2, p + 6)), 16);
      p += 5;
    } else if (next === 0x78 && p + 3 < to) {
      bytes[written++] = hexValue(bytes[p + 2]!) * 16 + hexValue(bytes[p + 3]!);
      p += 3;
    } else {
      bytes[written++] = JSON_NAMED[next] ?? next;
      p++;
    }
  }
  return written;
}

/** Where a record begins behind what is printed first (`[ proxy4 ] `, `redis-1  | `); -1 if none does. */
export function findRecord(bytes: Uint8Array, start: number, end: number): number {
  const stop = Math.min(end, start + MAX_PREFIX_BYTES);
  for (let dot = start + MIN_TIME_DIGITS; dot < stop; dot++) {
    if (bytes[dot] !== DOT || !isDigit(bytes[dot - 1]!)) continue;
    let p = dot + 1;
    while (isDigit(bytes[p]!)) p++;
    if (p === dot + 1 || bytes[p] !== SP) continue;
    if (bytes[p + 1] !== OPEN && bytes[p + 1] !== QUOTE && bytes[p + 1] !== OPEN_PARENTHESIS) continue;
    let time = dot;
    while (time > start && isDigit(bytes[time - 1]!)) time--;
    if (dot - time < MIN_TIME_DIGITS || time === start) continue;
    const before = bytes[time - 1]!;
    if (before === PLUS) return time - 1;
    if (!isLetter(before) && before !== DOT && before !== DASH && before !== QUOTE) return time;
  }
  return -1;
}

/** What programs around MONITOR write into the same file. */
const NOTICES = [
  ...['Script started', 'Script done', 'Trying ', 'Connected to ', 'Escape character is '],
  ...['Warning: Using a password', 'AUTH failed: ', 'Could not connect to ', 'nohup: '],
].map((text) => Buffer.from(text));
/** The connection was closed by the server, or on its way. */
const CLOSED = ['Error: Server closed the connection', 'Connection closed by '].map((text) => Buffer.from(text));
/** What was typed at the prompt of redis-cli. */
const PROMPT = Buffer.from('> ');
const MONITOR = /^monitor *$/i;

/** Whether the line is a message of such a program, which is neither a record nor damage. */
export function noticeAt(bytes: Buffer, start: number, end: number): 'closed' | 'notice' | undefined {
  if (end - start > MAX_PREFIX_BYTES) return undefined;
  const begins = (text: Buffer) => startsWith(bytes, start, text);
  if (CLOSED.some(begins)) return 'closed';
  const prompt = bytes.subarray(start, end).lastIndexOf(PROMPT);
  const typed = prompt >= 0 && MONITOR.test(bytes.toString('latin1', start + prompt + PROMPT.length, end));
  return typed || NOTICES.some(begins) ? 'notice' : undefined;
}
