/** Turns arguments into RESP commands and a RESP command into its arguments. */
import { RespWriter } from '../plan/resp.ts';

const CR = 13;
const ZERO = 48;

/** RESP commands, one after the other. */
export function encodeCommands(commands: (string | Uint8Array)[][]): Uint8Array {
  const writer = new RespWriter();
  for (const args of commands) {
    writer.begin(args.length);
    for (const arg of args) writer.bytes(typeof arg === 'string' ? Buffer.from(arg) : arg);
  }
  return writer.view();
}

/**
 * The arguments of the RESP command at `start`, its name first, each as `read` makes it of its bytes `from … to − 1`.
 * Called for every op that a library sends: no closure, no copy, no text for lengths.
 */
export function decodeCommand<T>(
  bytes: Buffer,
  start: number,
  read: (bytes: Buffer, from: number, to: number) => T,
): T[] {
  let position = start + 1;
  const args: T[] = [];
  for (let left = -1; left !== 0; left--) {
    let number = 0;
    for (let byte = bytes[position]!; byte !== CR; byte = bytes[++position]!) number = number * 10 + byte - ZERO;
    position += 2;
    if (left === -1) {
      left = number + 1;
    } else {
      args.push(read(bytes, position, position + number));
      position += number + 2;
    }
    // The next line's type byte.
    position++;
  }
  return args;
}

export const asBytes = (bytes: Buffer, from: number, to: number): Buffer => bytes.subarray(from, to);
