/** Turns a budget file into checked numbers, and a mistake in it into its line, column and the word that was meant. */
import { z } from 'zod';
import type { MemoryProtocol } from '../measure/rehearsal.ts';
import { readSettings } from '../model/settings.ts';
import { DEFAULT_BUDGET } from './default-budget.ts';

export type Level = 'warn' | 'error';

export interface Budget {
  /** Who answers for the budget, and until when it was thought through (ISO date). */
  name?: string;
  owner?: string;
  reviewOn?: string;
  /** One-sided error probability of a wrong pass and of a wrong fail. */
  alpha: number;
  /** Rounds after which to look whether the verdict is in, and how the level is corrected for looking again. */
  looks?: { rounds: number[]; method: 'pocock' | 'obf' | 'fixed' };
  /** What the caller wants of a verdict that cannot be told; an option of the command line overrules it. */
  onInconclusive?: 'pass' | 'fail';
  /** What latency is judged on; the objective with family `*` comes first. */
  latency: LatencyObjective[];
  stalls?: { longerThanUs: number; maxRateRatio: number; level: Level };
  slo?: { extraBurn: number; objectives: SloObjective[] };
  memory?: MemoryLimits;
  /** `maxIncrease` is a difference of shares: 0.001 = 0.1 percentage points. */
  errors?: { newPrefixes: number; maxIncrease: number };
  /** Errors that the candidate may answer although the baseline does not. */
  allowed: AllowedError[];
}

/** Which requests an objective is about. */
export interface RequestScope {
  /** Glob over family templates: `*` stands for any text, everything else for itself. */
  family: string;
  /** Lower case; absent: all. */
  commands?: string[];
}

export interface LatencyObjective extends RequestScope {
  level: Level;
  limits: LatencyLimit[];
}

export interface LatencyLimit {
  percentile: number;
  /** 0.25 = 25 %. */
  maxIncrease: number;
  floorUs: number;
}

export interface SloObjective extends RequestScope {
  level: Level;
  /** A request is good if it is answered without an error within this time; `target` is the share that must be. */
  thresholdUs: number;
  target: number;
  windowDays: number;
  /** How much more of the error budget (1 − target) the candidate may use up: 0.25 = a quarter of it more. */
  extraBurn: number;
  /** How many times faster than it lasts the budget may burn within any 10 seconds. */
  peakBurn: number;
  /** Weight of a request in the sum over all objectives. */
  weight: number;
  /** Decides by itself, whatever the sum says. */
  isKey: boolean;
}

/** Phases of memory that can be judged: `fill` and `end` are those of every round, the others of the memory protocol. */
const JUDGED_PHASES = ['fill', 'end', 'churn', 'refill'] as const;
export type JudgedPhase = (typeof JUDGED_PHASES)[number];

interface MemoryLimits {
  rss?: { maxIncrease: number; floorBytes: number; phases: JudgedPhase[] };
  /** RSS and copied pages while a snapshot is written. */
  peakDuringSave?: { maxIncrease: number; floorBytes: number };
  /** Why allocators that differ are compared nevertheless. */
  allocatorsDifferBecause?: string;
}

/** What must be measured for the budget to be judged: what only the full protocol measures is asked for by name. */
export function memoryProtocolFor({ memory }: Budget): MemoryProtocol {
  const isMeasuredAlways = (phase: JudgedPhase) => phase === 'fill' || phase === 'end';
  return memory?.peakDuringSave || memory?.rss?.phases.some((phase) => !isMeasuredAlways(phase)) ? 'full' : 'quick';
}

export interface AllowedError {
  id: string;
  /** Glob over `COMMAND PREFIX`: `object ERR`, `* NOPERM`. */
  match: string;
  reason: string;
  owner: string;
  /** ISO date: the last day on which it excuses anything. */
  expires: string;
}

export const ALL_FAMILIES = '*';

const PERCENTILES = ['p50', 'p90', 'p95', 'p99', 'p99.5', 'p99.9', 'p99.99'] as const;
const MIB = 2 ** 20;

/** A number with its unit, `20%` or `100us`: the unit is not optional, because 20 could mean three things. */
const literal = (example: string, units: Record<string, number>) =>
  z
    .string({ error: `needs a unit: ${example}` })
    .meta({ pattern: `^\\d+(\\.\\d+)? ?(${Object.keys(units).join('|')})$`, examples: [example] })
    .transform((text, context) => {
      const [, number, unit] = /^(\d+(?:\.\d+)?) ?(\S+)$/.exec(text) ?? [];
      const scale = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
      // 99.9 · 0.01 is not 0.999.
      if (scale !== undefined) return Number((Number(number) * scale).toPrecision(15));
      context.addIssue(`expected a number with a unit (${Object.keys(units).join(', ')}), like ${example}`);
      return z.NEVER;
    });
const share = literal('20%', { '%': 0.01 });
const durationUs = literal('100us', { us: 1, µs: 1, ms: 1e3, s: 1e6 });
const windowDays = literal('30d', { d: 1, h: 1 / 24 });
const sizeBytes = literal('8MiB', { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 });
const date = z.iso.date('expected a date like 2027-01-31');

const limit = {
  max_increase: share.describe('How much longer the candidate may take, in percent.'),
  floor: durationUs.default(100).describe('An increase up to this is always allowed: nobody feels it.'),
};
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
const level = z
  .literal(['off', 'warn', 'error'])
  .default('error')
  .describe('error decides the verdict, warn is only shown, off is not judged.');
const stalls = {
  longer_than: durationUs.describe('A wait of the earliest pending request longer than this is a stall.'),
  max_rate_ratio: z.number().gt(1).describe('How many times as often the candidate may stall.'),
  level,
};
const peak = { max_increase: share, floor: sizeBytes.default(8 * MIB) };
const rss = {
  ...peak,
  phases: z
    .array(z.literal([...JUDGED_PHASES]))
    .min(1)
    .default(['fill', 'end'])
    .describe('fill and end are measured in every round; churn and refill by --memory-protocol full.'),
};
const memory = {
  rss_per_logical_byte: z
    .strictObject(rss)
    .optional()
    .describe('(RSS − RSS of the empty server) / bytes of keys and values.'),
  peak_during_save: z
    .strictObject(peak)
    .optional()
    .describe('The same of the highest RSS while a snapshot is written, copied pages included.'),
  allocators_differ_because: z
    .string()
    .min(1)
    .optional()
    .describe('Why memory of different allocators is compared nevertheless; without it, it is not.'),
};
const errors = {
  new_prefixes: z.int().min(0).describe('Kinds of error that only the candidate answers.'),
  max_increase: share.describe('More requests that fail, in percentage points of all requests.'),
};
const rounds = {
  looks: z
    .array(z.int().min(2).max(200))
    .min(1)
    .refine((looks) => looks.every((look, i) => i === 0 || look > looks[i - 1]!), 'must rise: [6, 10, 15, 20]')
    .describe('Rounds after which the run may stop if the verdict is in; the last is the longest it can take.'),
  method: z
    .literal(['pocock', 'obf', 'fixed'])
    .default('pocock')
    .describe(
      'How the level is corrected for looking again: the same at each look, stricter at early ones, or one look.',
    ),
};
const confidence = {
  alpha: z.number().min(0.001).max(0.2).optional().describe('Chance of a wrong pass and of a wrong fail, each.'),
  rounds: z.strictObject(rounds).optional(),
  on_inconclusive: z.literal(['pass', 'fail']).optional().describe('What a verdict that cannot be told counts as.'),
};
const slo = {
  threshold: durationUs.describe('A request is good if it is answered without an error within this time.'),
  target: share
    .refine((target) => target > 0 && target < 1, 'expected less than 100%: it leaves no error budget')
    .describe('The share of requests that must be good.'),
  window: windowDays.default(30).describe('The time that the error budget is for.'),
};
const burn = {
  extra_burn: z
    .number()
    .min(0)
    .default(0.25)
    .describe('0.25: the candidate may use up a quarter of the error budget more.'),
  peak_burn: z.number().gt(0).default(14.4).describe('Burn rate within 10 s that would page somebody.'),
};
const objective = {
  family: z.string().min(1).describe('Glob over key families as `cutover model show` names them; * is any text.'),
  commands: z
    .array(
      z
        .string()
        .regex(/^[!-~]+$/, 'expected the name of a command')
        .toLowerCase(),
    )
    .min(1)
    .optional()
    .describe('Only these commands of the family.'),
  level,
  key: z.boolean().default(false).describe('Its SLO decides by itself, whatever the weighted sum over all says.'),
  weight: z.number().gt(0).default(1).describe('Weight of one of its requests in the sum over all SLOs.'),
  latency: z.literal('off').or(latencySection).optional().describe('Left out: as the latency section above says.'),
  slo: z.strictObject(slo).optional(),
  budget: z.strictObject(burn).optional(),
};
const metadata = { name: z.string().min(1).optional(), owner: z.string().min(1).optional(), review: date.optional() };
const allow = {
  id: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, dots and dashes'),
  match: z.string().min(1).describe('Glob over COMMAND ERROR: "object ERR", "* NOPERM".'),
  reason: z.string().min(1),
  owner: z.string().min(1),
  expires: date.describe('The last day on which it excuses anything; after it the run fails, naming it.'),
};
const correctness = {
  allow: z.array(z.strictObject(allow)).superRefine((all, context) => {
    for (const [i, { id }] of all.entries()) {
      if (all.findIndex((other) => other.id === id) < i)
        context.addIssue({ code: 'custom', path: [i, 'id'], message: 'this id is taken by an entry above' });
    }
  }),
};
const off = z.literal('off');
const budget = {
  apiVersion: z.literal('cutover/budget@1'),
  metadata: z.strictObject(metadata).optional(),
  confidence: z.strictObject(confidence).optional(),
  latency: off.or(latencySection).optional(),
  stalls: off.or(z.strictObject(stalls)).optional(),
  memory: off.or(z.strictObject(memory)).optional(),
  errors: off.or(z.strictObject(errors)).optional(),
  slo: z
    .strictObject({ extra_burn: burn.extra_burn })
    .optional()
    .describe('What the weighted sum over the SLOs of all objectives may rise by.'),
  correctness: z.strictObject(correctness).optional(),
  objectives: z
    .array(
      z.strictObject(objective).superRefine((one, context) => {
        if (one.slo === undefined && one.budget !== undefined)
          context.addIssue({
            code: 'custom',
            path: ['budget'],
            message: 'there is no slo that it could be the budget of',
          });
        if (one.key && one.slo === undefined)
          context.addIssue({ code: 'custom', path: ['key'], message: 'there is no slo that could decide by itself' });
        if (one.family === ALL_FAMILIES && !one.commands && (one.slo === undefined || one.latency !== undefined))
          context.addIssue({
            code: 'custom',
            path: ['family'],
            message: 'all families: that is the latency section above',
          });
      }),
    )
    .superRefine((all, context) => {
      // Two budgets for the same requests would be two rules of one name.
      for (const [i, scope] of all.entries()) {
        if (all.findIndex((other) => scopeName(other) === scopeName(scope)) < i)
          context.addIssue({ code: 'custom', path: [i, 'family'], message: 'this family has an objective already' });
      }
    })
    .optional(),
};

/** The budget file, as zod and, by `z.toJSONSchema(…, { io: 'input' })`, as JSON Schema for editors. */
export const BudgetSchema = z.strictObject(budget);

/** The words that are valid below each key, for "did you mean". */
const WORDS: Record<string, string[]> = Object.fromEntries(
  Object.entries({
    '': budget,
    ...{ metadata, confidence, rounds, latency, stalls, memory, errors, correctness, allow },
    ...{ rss_per_logical_byte: rss, peak_during_save: peak, objectives: objective },
    // `slo` and `budget` of an objective; the section `slo` of the file has one word of the latter.
    ...{ slo: { ...slo, extra_burn: burn.extra_burn }, budget: burn },
    ...Object.fromEntries(PERCENTILES.map((name) => [name, limit])),
  }).map(([section, shape]) => [section, Object.keys(shape)]),
);

/** `session:{id}`, or `session:{id} get,set` where an objective is about some commands: what its rules are called. */
export const scopeName = ({ family, commands }: { family: string; commands?: string[] | undefined }) =>
  commands ? `${family} ${commands.toSorted().join(',')}` : family;

/**
 * Reads a budget file. `name` is the file's name for the error message.
 * @throws CutoverError E_BUDGET (usage) naming line, column and, for a misspelt word, the nearest valid one.
 */
export function parseBudget(text: string, name: string): Budget {
  const defaults = read(DEFAULT_BUDGET, 'default budget');
  const given = read(text, name);
  // A section left out is judged by the default: forgetting one must not switch it off.
  const section = <Key extends 'latency' | 'stalls' | 'memory' | 'errors'>(key: Key) => given[key] ?? defaults[key]!;
  const [latencyLimits, stallLimits, memoryLimits, errorLimits] = [
    section('latency'),
    section('stalls'),
    section('memory'),
    section('errors'),
  ];
  const everything = latencyLimits === 'off' ? [] : latencyLimits;
  const objectives = (given.objectives ?? []).flatMap(({ level, ...one }) =>
    level === 'off' ? [] : [{ ...one, level }],
  );
  const latencyObjectives: LatencyObjective[] = [
    { family: ALL_FAMILIES, level: 'error', limits: everything },
    ...objectives
      .filter((one) => one.family !== ALL_FAMILIES || one.commands)
      .map(
        ({ latency: own, level, ...one }): LatencyObjective => ({
          ...scopeOf(one),
          level,
          limits: own === 'off' ? [] : (own ?? everything),
        }),
      ),
  ];
  const sloObjectives = objectives.flatMap(
    ({ slo: own, budget: limits, level, key, weight, ...one }): SloObjective[] => {
      if (!own) return [];
      const { extra_burn, peak_burn } = limits ?? BURN;
      return [
        {
          ...{ ...scopeOf(one), level, isKey: key, weight, extraBurn: extra_burn, peakBurn: peak_burn },
          ...{ thresholdUs: own.threshold, target: own.target, windowDays: own.window },
        },
      ];
    },
  );
  const { name: title, owner, review } = given.metadata ?? {};
  const { alpha, rounds: looks, on_inconclusive: onInconclusive } = given.confidence ?? {};
  return {
    ...(title === undefined ? {} : { name: title }),
    ...(owner === undefined ? {} : { owner }),
    ...(review === undefined ? {} : { reviewOn: review }),
    alpha: alpha ?? defaults.confidence!.alpha!,
    ...(looks ? { looks: { rounds: looks.looks, method: looks.method } } : {}),
    ...(onInconclusive ? { onInconclusive } : {}),
    latency: latencyObjectives.filter(({ limits }) => limits.length > 0),
    ...(stallLimits === 'off' || stallLimits.level === 'off'
      ? {}
      : {
          stalls: {
            ...{ longerThanUs: stallLimits.longer_than, maxRateRatio: stallLimits.max_rate_ratio },
            level: stallLimits.level,
          },
        }),
    ...(sloObjectives.length === 0
      ? {}
      : { slo: { extraBurn: given.slo?.extra_burn ?? BURN.extra_burn, objectives: sloObjectives } }),
    ...(memoryLimits === 'off' ? {} : { memory: memoryOf(memoryLimits) }),
    ...(errorLimits === 'off'
      ? {}
      : { errors: { newPrefixes: errorLimits.new_prefixes, maxIncrease: errorLimits.max_increase } }),
    allowed: given.correctness?.allow ?? [],
  };
}

const BURN = z.strictObject(burn).parse({});

const scopeOf = ({ family, commands }: { family: string; commands?: string[] | undefined }): RequestScope => ({
  family,
  ...(commands ? { commands } : {}),
});

function memoryOf(limits: Exclude<NonNullable<z.output<typeof BudgetSchema>['memory']>, 'off'>): MemoryLimits {
  const { rss_per_logical_byte: growth, peak_during_save: save, allocators_differ_because: because } = limits;
  return {
    ...(growth ? { rss: { maxIncrease: growth.max_increase, floorBytes: growth.floor, phases: growth.phases } } : {}),
    ...(save ? { peakDuringSave: { maxIncrease: save.max_increase, floorBytes: save.floor } } : {}),
    ...(because === undefined ? {} : { allocatorsDifferBecause: because }),
  };
}

function read(text: string, name: string): z.output<typeof BudgetSchema> {
  return readSettings(text, BudgetSchema, {
    name,
    code: 'E_BUDGET',
    advice:
      'cutover budget init CAPTURE writes one to start from; each rehearsal folder holds the one it was planned with.',
    words: WORDS,
  });
}
