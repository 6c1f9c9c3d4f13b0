/** Workloads with a known truth, as captures and as models. */
import { encodeArgument } from '../../src/capture/encode.ts';
import { buildModel } from '../../src/model/build.ts';
import type { Model } from '../../src/model/model.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { temporaryFile } from './capture.ts';

export interface Line {
  atUs: number;
  client?: string;
  db?: number;
  args: (string | Uint8Array)[];
}

export const monitorLine = ({ atUs, client = '10.0.0.1:1000', db = 0, args }: Line) =>
  `${Math.floor(atUs / 1e6)}.${String(Math.floor(atUs) % 1e6).padStart(6, '0')} [${db} ${client}] ${args
    .map((arg) => `"${encodeArgument(typeof arg === 'string' ? Buffer.from(arg) : arg)}"`)
    .join(' ')}\n`;

export async function modelOf(lines: Line[], options: Parameters<typeof buildModel>[1] = {}): Promise<Model> {
  return (await builtFrom(lines, options)).model;
}

export const builtFrom = (lines: Line[], options: Parameters<typeof buildModel>[1] = {}) =>
  buildModel(temporaryFile('capture.log', `OK\n${lines.map(monitorLine).join('')}`), options);

/** Commands of one client, a millisecond apart, so that each is a unit of its own. */
export const sequence = (commands: string[][]): Line[] =>
  commands.map((args, i) => ({ atUs: 1_700_000_000e6 + i * 1000, args }));

/** `n` ranks drawn from p(rank) ∝ rank^-s over `keys` ranks. */
export function zipfRanks(s: number, keys: number, n: number, seed: number): number[] {
  const random = mulberry32(seed);
  const cumulative: number[] = [];
  let sum = 0;
  for (let r = 1; r <= keys; r++) {
    sum += r ** -s;
    cumulative.push(sum);
  }
  return Array.from({ length: n }, () => {
    const u = random() * sum;
    let low = 0;
    let high = keys - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < u) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}
