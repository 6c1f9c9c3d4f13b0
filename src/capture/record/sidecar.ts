/** What the recorder knows and the lines of a capture cannot tell: the schema of NAME.capture.json. */
import { z } from 'zod';

const infoSchema = z.record(z.string(), z.record(z.string(), z.string()));

const commandSchema = z.looseObject({
  /** Lines from clients, and those that scripts and modules caused. */
  lines: z.number(),
  children: z.number(),
  /** Differences of commandstats; absent where the server refuses INFO. */
  calls: z.number().optional(),
  usec: z.number().optional(),
  rejected: z.number().optional(),
  failed: z.number().optional(),
});

/** `time` and `interrupted` are how a burst should end; all others ended it early. */
const END_REASONS = [
  'time',
  'interrupted',
  'max-bytes',
  'min-free',
  'buffer-full',
  'disk',
  'watchdog',
  'evictions',
  'memory',
  'slowdown',
  'event-loop',
  'connection',
] as const;
export type EndReason = (typeof END_REASONS)[number];

const burstSchema = z.looseObject({
  startedAt: z.string(),
  endedAt: z.string().optional(),
  ended: z.enum(END_REASONS).optional(),
  lines: z.number().optional(),
  /** Lines that were no MONITOR output. */
  rejected: z.number().optional(),
  /** Lines of Valkey 8.1.0 or 8.1.1, whose quotes had to be guessed: the log escapes them, and their sizes are approximate. */
  approximate: z.number().optional(),
  /** As the server sent them. */
  bytes: z.number().optional(),
  /** INFO, by section. */
  before: infoSchema.optional(),
  after: infoSchema.optional(),
  commands: z.record(z.string(), commandSchema).optional(),
  /** Differences of LATENCY HISTOGRAM: command → upper bound in µs → calls. */
  latency: z.record(z.string(), z.record(z.string(), z.number())).optional(),
  /** Lines ÷ calls, over all commands that carry data; and the worst of them. */
  completeness: z
    .looseObject({
      share: z.number(),
      worst: z.array(z.looseObject({ command: z.string(), lines: z.number(), calls: z.number() })),
    })
    .optional(),
  /** Shares of one core, and MONITOR's part in them: predicted before the burst, observed in it. */
  cost: z
    .looseObject({
      predicted: z.number().optional(),
      observed: z.number().optional(),
      serverBefore: z.number().optional(),
      serverDuring: z.number().optional(),
    })
    .optional(),
});

const sampledKeySchema = z.looseObject({
  db: z.number(),
  /** As MONITOR prints it, hashed like the keys of the capture. */
  key: z.string(),
  type: z.string(),
  /** -1: no expiry. */
  pttlMs: z.number(),
  /** MEMORY USAGE. */
  bytes: z.number().optional(),
  encoding: z.string().optional(),
  /** Bytes of a string, elements of anything else. */
  length: z.number().optional(),
  /** Bytes of a few elements: members, items, entries of streams without their ids, fields and values in turn. */
  elementBytes: z.array(z.number()).optional(),
});

const datasetSchema = z.looseObject({
  takenAt: z.string(),
  /** Keys by database, as the server counts them. */
  keys: z.record(z.string(), z.number()),
  /** Every key was looked at. */
  complete: z.boolean(),
  sampled: z.array(sampledKeySchema),
});

export const sidecarSchema = z.looseObject({
  schema: z.literal('cutover/capture@1'),
  recordedAt: z.string(),
  server: z.looseObject({ product: z.string(), version: z.string() }),
  /** What was done to the log: `values` noise or keep, `keys` hash or keep. */
  redaction: z.looseObject({ values: z.string(), keys: z.string() }).optional(),
  /** CONFIG, as far as it bears on a rehearsal. */
  config: z.record(z.string(), z.string()).optional(),
  /** CLIENT LIST, counted by library and protocol; no addresses. */
  connections: z
    .array(
      z.looseObject({
        library: z.string(),
        version: z.string(),
        protocol: z.string(),
        kind: z.string(),
        count: z.number(),
      }),
    )
    .optional(),
  dataset: datasetSchema.optional(),
  bursts: z.array(burstSchema),
});

export type Sidecar = z.infer<typeof sidecarSchema>;
export type Burst = z.infer<typeof burstSchema>;
export type SampledKey = z.infer<typeof sampledKeySchema>;
export type Dataset = z.infer<typeof datasetSchema>;
export type CommandCount = z.infer<typeof commandSchema>;
