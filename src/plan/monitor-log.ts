/** A slice as a MONITOR log, or as RESP: for looking at it, and for other tools. */
import { encodeArgument } from '../capture/encode.ts';
import type { Plan, Slice } from './plan.ts';
import { readCommand } from './planned-ops.ts';

/** Lines of a MONITOR log, one per op; connection c is the client 127.0.0.1:(10000 + c). Times begin at `epochSeconds`. */
export function* monitorLines(plan: Plan, slice: Slice, epochSeconds: number): Generator<string> {
  for (let i = 0; i < slice.count; i++) {
    const us = Math.round(slice.intendedUs[i]!);
    const seconds = epochSeconds + Math.floor(us / 1e6);
    const connection = slice.connection[i]!;
    const args = readCommand(slice.bytes, slice.offset[i]!).map((argument) => `"${encodeArgument(argument)}"`);
    yield `${seconds}.${String(us % 1e6).padStart(6, '0')} [${plan.connections[connection]!.db} 127.0.0.1:${10_000 + connection}] ${args.join(' ')}`;
  }
}
