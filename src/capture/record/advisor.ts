/** A server's input → what MONITOR will cost its main thread, as a share of one core. */
import type { Identity } from './identity.ts';

/**
 * Main-thread time per byte of arguments, in ns, of the class that costs most (JSON up to 6.x, binary since). Measured
 * with 1 MiB SETs on each version; text costs a fifth or less from Redis 7.2 and Valkey 8.0 on.
 */
const WORST_NS_PER_BYTE: Record<string, [major: number, minor: number, ns: number][]> = {
  redis: [
    [7, 2, 35],
    [7, 0, 44],
    [0, 0, 45],
  ],
  valkey: [
    [8, 1, 33],
    [8, 0, 44],
    [0, 0, 35],
  ],
};
const UNKNOWN_NS_PER_BYTE = 45;
/** Header, and the reply's place in the output buffer. */
const NS_PER_COMMAND = 1000;

export interface Traffic {
  inputBytesPerSecond: number;
  commandsPerSecond: number;
}

export interface Cost extends Traffic {
  nsPerByte: number;
  /** Of one core; 1 is the whole main thread, and never more. */
  share: number;
}

/** share = bytes/s × ns/byte + commands/s × 1 µs, the byte being of the dearest class that the version knows. */
export function predictCost(traffic: Traffic, { product, version }: Identity): Cost {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const known = WORST_NS_PER_BYTE[product]?.find(([a, b]) => major > a || (major === a && minor >= b));
  const nsPerByte = known?.[2] ?? UNKNOWN_NS_PER_BYTE;
  const ns = traffic.inputBytesPerSecond * nsPerByte + traffic.commandsPerSecond * NS_PER_COMMAND;
  return { ...traffic, nsPerByte, share: Math.min(1, ns / 1e9) };
}
