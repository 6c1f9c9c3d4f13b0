/** Flags that several commands share: how long, how fast, from which capture. */
import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { CutoverError } from '../errors.ts';

/** The capture that commands use without an argument; beside the sources and beside dist alike. */
export function sampleCapture(): string {
  const up = import.meta.filename.endsWith('.ts') ? '../..' : '../../..';
  return join(import.meta.dirname, up, 'captures/mixed.monitor.gz');
}

/** `2s`, `500ms`, `1m`, `30` → seconds. */
export const secondsFlag = Flags.custom<number>({
  parse: async (text, _, { name }) => {
    const [, value, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
    const seconds = Number(value) * { ms: 0.001, s: 1, m: 60 }[unit as 'ms' | 's' | 'm'];
    if (!(seconds > 0))
      throw new CutoverError(
        'usage',
        'E_USAGE',
        `--${name} ${text} is no length of time.`,
        `Write it like --${name} 2s, --${name} 500ms or --${name} 1m.`,
      );
    return seconds;
  },
});

/** `2x` times the captured rate, or `5000` ops per second → what it means for a captured rate. */
export const rateFlag = Flags.custom<(capturedRate: number) => number>({
  description: 'ops per second: a number, or a multiple of the captured rate (2x, 0.5x)',
  default: async () => (capturedRate) => capturedRate,
  parse: async (text) => {
    const [, value, times] = /^(\d+(?:\.\d+)?)(x)?$/.exec(text) ?? [];
    const number = Number(value);
    if (!(number > 0))
      throw new CutoverError(
        'usage',
        'E_USAGE',
        `--rate ${text} is no rate.`,
        'Write a number of ops per second (--rate 5000) or a multiple of the captured rate (--rate 2x).',
      );
    return (capturedRate) => (times ? number * capturedRate : number);
  },
});
