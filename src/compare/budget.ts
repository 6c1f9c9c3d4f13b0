/** Turns a budget file into checked numbers, and a mistake in it into its line, column and the word that was meant. */
import { z } from 'zod';
import { readSettings } from '../model/settings.ts';
import { DEFAULT_BUDGET } from './default-budget.ts';

export type Level = 'warn' | 'error';

export interface Budget {
  /** One-sided error probability of a wrong pass and of a wrong fail. */
  alpha: number;
  /** What latency is judged on; the objective with family `*` comes first. */
  latency: LatencyObjective[];
  memory?: { maxIncrease: number; floorBytes: number };
  /** `maxIncrease` is a difference of shares: 0.001 = 0.1 percentage points. */
  errors?: { newPrefixes: number; maxIncrease: number };
}

export interface LatencyObjective {
  /** Glob over family templates: `*` stands for any text, everything else for itself. */
  family: string;
  level: Level;
  limits: LatencyLimit[];
}

export interface LatencyLimit {
  percentile: number;
  /** 0.25 = 25 %. */
  maxIncrease: number;
  floorUs: number;
}

export const ALL_FAMILIES = '*';

const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'p99.5', 'p99.9', 'p99.99'] as const;

/** A number with its unit, `20%` or `100us`: the unit is not optional, because 20 could mean three things. */
const literal = (example: string, units: Record<string, number>) =>
  z.string({ error: `needs a unit: ${example}` }).transform((text, context) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?) ?(\S+)$/.exec(text) ?? [];
    const scale = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
    if (scale !== undefined) return Number(number) * scale;
    context.addIssue(`expected a number with a unit (${Object.keys(units).join(', ')}), like ${example}`);
    return z.NEVER;
  });
const share = literal('20%', { '%': 0.01 });
const durationUs = literal('100us', { us: 1, µs: 1, ms: 1e3, s: 1e6 });
const sizeBytes = literal('8MiB', { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 });

const limit = { max_increase: share, floor: durationUs.default(100) };
const latency = Object.fromEntries(PERCENTILES.map((name) => [name, z.strictObject(limit).optional()]));
const latencySection = z
  .strictObject(latency)
  .transform((limits) =>
    Object.entries(limits).flatMap(([name, value]): LatencyLimit[] =>
      value === undefined
        ? []
        : [{ percentile: Number(name.slice(1)), maxIncrease: value.max_increase, floorUs: value.floor }],
    ),
  )
  .refine((limits) => limits.length > 0, `names no percentile: one or more of ${PERCENTILES.join(', ')}`);
const rss = { max_increase: share, floor: sizeBytes.default(8 * 2 ** 20) };
const memory = { rss_per_logical_byte: z.strictObject(rss) };
const errors = { new_prefixes: z.int().min(0), max_increase: share };
const confidence = { alpha: z.number().min(0.001).max(0.2) };
const objective = {
  family: z.string().min(1),
  level: z.literal(['off', 'warn', 'error']).default('error'),
  latency: latencySection.optional(),
};
const off = z.literal('off');
const budget = {
  apiVersion: z.literal('cutover/budget@1'),
  confidence: z.strictObject(confidence).optional(),
  latency: off.or(latencySection).optional(),
  memory: off.or(z.strictObject(memory)).optional(),
  errors: off.or(z.strictObject(errors)).optional(),
  objectives: z
    .array(z.strictObject(objective))
    .superRefine((all, context) => {
      // Two budgets for one family would be two rules of one name.
      for (const [i, { family }] of all.entries()) {
        const path = [i, 'family'];
        if (family === ALL_FAMILIES)
          context.addIssue({ code: 'custom', path, message: 'all families: that is the latency section above' });
        else if (all.findIndex((other) => other.family === family) < i)
          context.addIssue({ code: 'custom', path, message: 'this family has an objective already' });
      }
    })
    .optional(),
};
const Schema = z.strictObject(budget);

/** The words that are valid below each key, for "did you mean". */
const WORDS: Record<string, string[]> = Object.fromEntries(
  Object.entries({
    '': budget,
    confidence,
    latency,
    memory,
    errors,
    rss_per_logical_byte: rss,
    objectives: objective,
    ...Object.fromEntries(PERCENTILES.map((name) => [name, limit])),
  }).map(([section, shape]) => [section, Object.keys(shape)]),
);

/**
 * Reads a budget file. `name` is the file's name for the error message.
 * @throws CutoverError E_BUDGET (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function parseBudget(text: string, name: string): Budget {
  const defaults = read(DEFAULT_BUDGET, 'default budget');
  const given = read(text, name);
  // A section left out is judged by the default: forgetting one must not switch it off.
  const section = <Key extends 'latency' | 'memory' | 'errors'>(key: Key) => given[key] ?? defaults[key]!;
  const [latencyLimits, memoryLimits, errorLimits] = [section('latency'), section('memory'), section('errors')];
  const everything = latencyLimits === 'off' ? [] : latencyLimits;
  const latencyObjectives: LatencyObjective[] = [
    { family: ALL_FAMILIES, level: 'error', limits: everything },
    ...(given.objectives ?? []).flatMap(({ family, level, latency: own }) =>
      level === 'off' ? [] : [{ family, level, limits: own ?? everything }],
    ),
  ];
  return {
    alpha: (given.confidence ?? defaults.confidence!).alpha,
    latency: latencyObjectives.filter(({ limits }) => limits.length > 0),
    ...(memoryLimits === 'off'
      ? {}
      : {
          memory: {
            maxIncrease: memoryLimits.rss_per_logical_byte.max_increase,
            floorBytes: memoryLimits.rss_per_logical_byte.floor,
          },
        }),
    ...(errorLimits === 'off'
      ? {}
      : { errors: { newPrefixes: errorLimits.new_prefixes, maxIncrease: errorLimits.max_increase } }),
  };
}

function read(text: string, name: string): z.infer<typeof Schema> {
  return readSettings(text, Schema, {
    name,
    code: 'E_BUDGET',
    advice: 'Each rehearsal folder holds the budget it was planned with (budget.yaml), as an example.',
    words: WORDS,
  });
}
