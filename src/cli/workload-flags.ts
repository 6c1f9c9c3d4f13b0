/** Flags that several commands share: how long, how fast, from which capture. */
import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { CutoverError } from '../errors.ts';
import { KEYS, MODES } from '../plan/mode.ts';

/** The capture that commands use without an argument; beside the sources and beside dist alike. */
export function sampleCapture(): string {
  const up = import.meta.filename.endsWith('.ts') ? '../..' : '../../..';
  return join(import.meta.dirname, up, 'captures/mixed.monitor.gz');
}

/** A flag that reads `2s`, `500ms`, `1m` or `30` as seconds. */
export const lengthFlag = Flags.custom<number>({
  helpValue: '<length>',
  parse: async (text, _, { name }) => {
    const [, value, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
    const seconds = Number(value) * { ms: 0.001, s: 1, m: 60 }[unit as 'ms' | 's' | 'm'];
    if (seconds > 0) return seconds;
    throw new CutoverError(
      'usage',
      'E_USAGE',
      `--${name} ${text} is no length of time.`,
      `Write it like --${name} 2s, --${name} 500ms or --${name} 1m.`,
    );
  },
});

/** The same with a value where it is left out. */
export const secondsFlag = (description: string, initial: number) =>
  lengthFlag({ description, default: async () => initial, defaultHelp: async () => `${initial}s` });

/** What `--rate` asks for, given the captured rate in ops per second. */
export type Rate = (capturedRate: number) => number;

/** A flag that reads `5000` as ops per second and `2x` as a multiple of the captured rate. */
export const rateFlag = Flags.custom<Rate>({
  description: 'ops per second: a number, or a multiple of the captured rate (2x, 0.5x)',
  default: async () => (capturedRate: number) => capturedRate,
  defaultHelp: async () => '1x',
  helpValue: '<rate>',
  parse: async (text) => parseRate(text),
});

/** The same, or `max`: the rate is searched on the servers. */
export const searchableRateFlag = Flags.custom<Rate | 'max'>({
  description:
    'ops per second: a number, or a multiple of the captured rate (2x, 0.5x); max: searches the saturation point of both servers, and measures latency at half of the lower one',
  default: async () => (capturedRate: number) => capturedRate,
  defaultHelp: async () => '1x',
  helpValue: '<rate>',
  parse: async (text) => (text === 'max' ? text : parseRate(text)),
});

function parseRate(text: string): Rate {
  const [, value, times] = /^(\d+(?:\.\d+)?)(x)?$/.exec(text) ?? [];
  const number = Number(value);
  if (number > 0) return (capturedRate: number) => (times ? number * capturedRate : number);
  throw new CutoverError(
    'usage',
    'E_USAGE',
    `--rate ${text} is no rate.`,
    'Write a number of ops per second (--rate 5000) or a multiple of the captured rate (--rate 2x).',
  );
}

export const modeFlag = Flags.option({
  options: MODES,
  description:
    'modelled: a workload like the captured one, of any length; exact: the captured ops themselves, in their order, on their connections, at their times; irm: independent draws of keys and commands, the naive baseline',
});

export const keysFlag = Flags.option({
  options: KEYS,
  description:
    'with --mode exact: real keys and values, or others of the same lengths that fit together alike [default: real]',
});

/** `512mb`, `2GiB` → bytes. */
export const bytesFlag = Flags.custom<number>({
  helpValue: '<size>',
  parse: async (text, _, { name }) => {
    const [, value, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i.exec(text) ?? [];
    const bytes = Number(value) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
    if (bytes > 0) return Math.round(bytes);
    throw new CutoverError(
      'usage',
      'E_USAGE',
      `--${name} ${text} is no size.`,
      `Write it like --${name} 512mb or --${name} 2gb.`,
    );
  },
});

export const datasetLimitFlag = bytesFlag({
  description:
    'memory that the dataset may take of each server when a round begins; of a larger one, fewer of the keys are there that the capture never touched',
  defaultHelp: async () => '2gb',
});

/** `1.5` → cores. */
export const coresFlag = Flags.custom<number>({
  helpValue: '<cores>',
  parse: async (text, _, { name }) => {
    const cores = Number(text);
    if (cores > 0) return cores;
    throw new CutoverError(
      'usage',
      'E_USAGE',
      `--${name} ${text} is no number of cores.`,
      `Write it like --${name} 1.5.`,
    );
  },
});
