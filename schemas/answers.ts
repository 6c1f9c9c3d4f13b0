/** What `doctor`, `report` of several folders and a shard of a run print with --json, as zod: kept to their types. */
import { z } from 'zod';
import type { Diagnosis } from '../commands/doctor.ts';
import type { HistoryDocument } from '../commands/report.ts';
import type { ShardSummary } from '../src/cli/shard.ts';
import { VerdictSchema } from './verdict.ts';

export const HistorySchema = z.strictObject({
  schema: z.literal('cutover/history@1'),
  rehearsals: z
    .array(
      z.strictObject({
        differs: z.array(z.string()).describe("Conditions that were not the newest's."),
        judgement: VerdictSchema,
      }),
    )
    .describe('Oldest first.'),
  notes: z.array(z.string()),
} satisfies Record<keyof HistoryDocument, z.ZodType>);

export const ShardSchema = z.strictObject({
  schema: z.literal('cutover/shard@1'),
  shard: z.strictObject({ number: z.int(), count: z.int() }).describe('Which part of how many, from 1.'),
  rehearsal: z.string().describe('The folder to merge.'),
  planned: z.int(),
  replied: z.int(),
  errors: z.int(),
  lost: z.int(),
  blocked: z.int(),
  unsent: z.int(),
  invalid: z.array(z.string()).describe('Why rounds cannot be used.'),
} satisfies Record<keyof ShardSummary, z.ZodType>);

const bounds = { low: z.number(), high: z.number() };

const calibration = {
  rounds: z.int().describe('That were judged.'),
  plannedRounds: z.int(),
  rules: z.array(
    z.strictObject({
      ...{ id: z.string(), position: z.enum(['even', 'biased', 'unknown']), message: z.string() },
      bias: z.strictObject({ estimate: z.number(), ...bounds }),
      ...{ sd: z.number(), asked: z.number(), resolvable: z.number(), roundsNeeded: z.int().exactOptional() },
    }),
  ),
  biased: z.array(z.string()),
  verdict: z.enum(['pass', 'fail', 'inconclusive', 'invalid']),
  falseAlarms: z.strictObject({
    ...{ runs: z.int(), fails: z.int(), inconclusive: z.int(), invalid: z.int() },
    ...{ share: z.number(), ...bounds },
  }),
  history: z.string(),
  rehearsal: z.string(),
} satisfies Record<keyof NonNullable<Diagnosis['calibration']>, z.ZodType>;

export const DoctorSchema = z.strictObject({
  schema: z.literal('cutover/doctor@1'),
  checks: z.array(
    z.strictObject({
      ...{ id: z.string(), status: z.enum(['ok', 'warn', 'fail']), message: z.string() },
      cure: z.string().exactOptional(),
      numbers: z.record(z.string(), z.number()).exactOptional(),
    } satisfies Record<keyof Diagnosis['checks'][number], z.ZodType>),
  ),
  ready: z.boolean().describe('A rehearsal can run here.'),
  calibration: z.strictObject(calibration).exactOptional(),
} satisfies Record<keyof Diagnosis, z.ZodType>);
