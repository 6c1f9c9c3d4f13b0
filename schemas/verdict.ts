/** The verdict document, as zod: kept to its type by the compiler, so that a field that is added there needs a line here. */
import { z } from 'zod';
import type { JudgedRule, Judgement, MemoryFigures, Spectrum } from '../src/compare/judgement.ts';

const perArm = <T extends z.ZodType>(arm: T) => z.strictObject({ baseline: arm, candidate: arm });
/** Every field of a type has a schema, and there is no other. */
type FieldsOf<T> = Record<keyof T, z.ZodType>;

const rule = {
  id: z.string().describe('Stable: latency.p99.9, latency.p99.9/session:*, memory.rss_per_logical_byte.end.'),
  metric: z.string(),
  label: z.string(),
  family: z.string().describe('Glob over families; * is all of them together.'),
  level: z.enum(['error', 'warn']).describe('warn is shown and decides nothing.'),
  unit: z.enum(['us', 'perByte', 'share', 'count', 'perHour']).describe('What baseline and candidate are counted in.'),
  baseline: z.number().nullable(),
  candidate: z.number().nullable(),
  change: z
    .strictObject({
      unit: z.enum(['ratio', 'difference']).describe('ratio: 0.25 = 25 % more; difference: in the unit of the rule.'),
      estimate: z.number().nullable(),
      low: z.number().nullable(),
      high: z.number().nullable(),
    })
    .describe("Candidate against baseline; low and high are one-sided bounds at the budget's alpha each."),
  allowed: z.number().nullable().describe('The largest change allowed, floor included, in the unit of change.'),
  floor: z
    .number()
    .optional()
    .describe("The budget's floor, in µs or bytes, where it allows more than the percentage."),
  outcome: z.enum(['pass', 'fail', 'inconclusive', 'not-judged']),
  samples: z.number().describe('Ops, or memory samples, of the arm that has fewer.'),
  rounds: z.number(),
  pFail: z.number().optional().describe('Chance of data this bad if the change were just what is allowed.'),
  badge: z
    .enum(['improved', 'regressed'])
    .optional()
    .describe('Of a pass: the interval is below 0, or it is above 0 though inside what is allowed.'),
  resolvable: z
    .number()
    .optional()
    .describe('The smallest change, in the unit of change, that this host finds with 90 % power in so many rounds.'),
  outliers: z
    .strictObject({
      rounds: z.array(z.int()).describe('From 0, among the judged ones.'),
      ...{ estimate: z.number(), pPass: z.number(), pFail: z.number() },
    })
    .optional()
    .describe('Rounds that are far off the others, and what a test says that does not mind.'),
  inconclusive: z
    .strictObject({
      ...{ cause: z.string(), message: z.string() },
      ...{ roundsNeeded: z.number().optional(), minutesNeeded: z.number().optional() },
    })
    .optional()
    .describe('Why it cannot be told; in all how many rounds, and how many minutes from here, would tell.'),
  note: z.string().optional(),
} satisfies FieldsOf<JudgedRule>;

const caveat = z.strictObject({
  id: z.string(),
  message: z.string(),
  advice: z.string(),
  numbers: z.record(z.string(), z.number()).optional(),
});

const finding = z.strictObject({
  ...{ code: z.string(), rule: z.string(), severity: z.enum(['error', 'warning', 'info']) },
  ...{ message: z.string(), fix: z.string(), calls: z.number() },
});

const spectrum = z.strictObject({
  ...{ samples: z.number(), p50: z.number(), p90: z.number(), p99: z.number(), p999: z.number(), max: z.number() },
} satisfies FieldsOf<Spectrum>);

const memory = z.strictObject({
  phase: z.string(),
  ...{ rssBytes: z.number(), usedBytes: z.number(), allocatedBytes: z.number() },
  ...{ activeBytes: z.number(), residentBytes: z.number() },
  ...{ memFragmentationRatio: z.number(), allocatorFragRatio: z.number(), rssPerLogicalByte: z.number().optional() },
  ...{ datasetBytes: z.number().optional(), overheadBytes: z.number().optional(), scriptBytes: z.number().optional() },
  ...{ clientBytes: z.number().optional(), replicationBytes: z.number().optional() },
  ...{ dataBytes: z.number().optional() },
} satisfies FieldsOf<MemoryFigures>);

const verdict = {
  schema: z.literal('cutover/verdict@1'),
  verdict: z.enum(['pass', 'fail', 'inconclusive', 'invalid']),
  exitCode: z.int(),
  sentence: z.string().describe('The verdict in one sentence.'),
  reasons: z.array(z.string()).describe('Why the whole run, whatever its rules say, is invalid or cannot pass.'),
  rules: z.array(z.strictObject(rule)),
  caveats: z.array(caveat),
  findings: z.array(finding).describe("What lint finds in the capture's scripts and commands, the riskiest first."),
  arms: perArm(
    z.strictObject({
      ...{ product: z.string(), version: z.string(), spec: z.string(), allocator: z.string() },
      primaries: z.int().exactOptional().describe('Of a cluster: how many nodes serve slots.'),
    }),
  ),
  seed: z.string(),
  rounds: z.strictObject({ planned: z.int(), judged: z.int() }),
  alpha: z.number(),
  level: z.number().describe('The one-sided level of each rule: alpha, corrected for looking more than once.'),
  looks: z
    .strictObject({ rounds: z.array(z.int()), method: z.enum(['pocock', 'obf', 'fixed']) })
    .optional()
    .describe('When it was planned to look, where that was more than once.'),
  roundSeconds: z.number().describe('What a further round would take.'),
  latency: perArm(z.strictObject({ lag: spectrum, service: spectrum, response: spectrum })).describe(
    'Microseconds, all families and judged rounds together: an explanation, without interval.',
  ),
  memory: z.strictObject({ baseline: memory.optional(), candidate: memory.optional() }),
  rehearsal: z.string().describe('The folder of the rehearsal.'),
  command: z.string().describe('The command line that repeats the run.'),
} satisfies FieldsOf<Judgement>;

export const VerdictSchema = z.strictObject(verdict);

/** Whatever a judgement can be is valid. */
true satisfies Judgement extends z.input<typeof VerdictSchema> ? true : never;
