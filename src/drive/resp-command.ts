/** Turns arguments into RESP commands and a RESP command into its arguments. */
import { RespWriter } from '../plan/resp.ts';

/** RESP commands, one after the other. */
export function encodeCommands(commands: (string | Uint8Array)[][]): Uint8Array {
  const writer = new RespWriter();
  for (const args of commands) {
    writer.begin(args.length);
    for (const arg of args) writer.bytes(typeof arg === 'string' ? Buffer.from(arg) : arg);
  }
  return writer.view();
}

/** The arguments of the RESP command at `start`, its name first. */
export function decodeCommand(bytes: Buffer, start: number): Buffer[] {
  let position = start;
  const readLength = () => {
    const lineEnd = bytes.indexOf(10, position);
    const length = Number(bytes.toString('latin1', position + 1, lineEnd - 1));
    position = lineEnd + 1;
    return length;
  };
  return Array.from({ length: readLength() }, () => {
    const length = readLength();
    const arg = bytes.subarray(position, position + length);
    position += length + 2;
    return arg;
  });
}
