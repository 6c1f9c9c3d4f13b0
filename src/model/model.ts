/** The statistics of a workload: one versioned JSON document that holds no raw key and no value. */
import { z } from 'zod';

/** Values ascending, each with how often it came. */
const counts = z.array(z.tuple([z.number(), z.number()]));
const count = z.number().int().nonnegative();

const part = z.union([
  z.string(),
  z.strictObject({ placeholder: z.enum(['int', 'hex', 'uuid', 'date', 'email', 'id']), lengths: counts }),
]);

/** What stands at one argument position of a command. */
const role = z.union([
  /** A key: of which family. */
  z.strictObject({ key: count }),
  /** One of a few short words or numbers: options, fields, limits. Text is latin1. */
  z.strictObject({ literals: z.array(z.tuple([z.string(), z.number()])) }),
  z.strictObject({ integers: counts }),
  z.strictObject({ numbers: counts }),
  /** A wall-clock time in seconds or milliseconds, or a stream id that begins with one, kept as its distance from the op's own time. */
  z.strictObject({ times: z.enum(['s', 'ms', 'stream-id']), offsets: counts }),
  /** Anything else: sizes in bytes, and an estimate of how many different ones there are. */
  z.strictObject({ bytes: counts, distinct: count }),
]);

const family = z.strictObject({
  template: z.string(),
  parts: z.array(part),
  db: count,
  /** What the keys hold, by the commands that touch them. */
  type: z.enum(['string', 'integer', 'hash', 'list', 'set', 'zset', 'stream', 'hyperloglog', 'unknown']),
  keys: count,
  /** Accesses by clients; those by scripts stand apart. */
  requests: count,
  scriptRequests: count,
  share: z.number(),
  commands: z.record(z.string(), count),
  /** Zipf exponent s of p(rank) ∝ rank^-s; null where there are too few requests to tell. */
  zipf: z.number().nullable(),
  /** Requests of the most popular keys, in order of rank; the rest share `tail`. */
  top: z.array(count),
  tail: z.strictObject({ keys: count, requests: count }),
  /** Share of keys that were read before anything wrote them: those must exist before the replay begins. */
  existing: z.number(),
  /** Bytes written per value, and expiry set, in seconds. */
  valueBytes: counts,
  ttlSeconds: counts,
});

const shape = z.strictObject({
  command: z.string(),
  /** Index of the script, for EVAL, EVALSHA and FCALL. */
  script: count.optional(),
  /** Family of the first key, for accounting; null without a key. */
  family: count.nullable(),
  blocking: z.boolean(),
  roles: z.array(role),
  /** Variadic calls: roles from `from` on repeat in groups of `period`; `counts` are the argument counts seen. */
  repeat: z.strictObject({ from: count, period: count, counts }).optional(),
});

/** One op of a unit: a shape, and for each of its keys a slot; equal slots of one family are the same key. */
const unitOp = z.tuple([count, z.array(count)]);

const script = z.strictObject({
  sha1: z.string(),
  kind: z.enum(['script', 'function']),
  /** Base64 of the body; null when the capture does not hold it. */
  body: z.string().nullable(),
  calls: count,
  /** Whole calls as captured (base64: keys, then arguments): script arguments cannot be made up. */
  exemplars: z.array(z.strictObject({ keys: z.array(z.string()), args: z.array(z.string()) })),
  /** What calls did, as sequences of ops, for scripts whose body is unknown. */
  effects: z.array(z.strictObject({ count, ops: z.array(unitOp) })),
});

export const modelSchema = z.strictObject({
  schema: z.literal('cutover/model@1'),
  source: z.strictObject({
    lines: count,
    parsed: count,
    rejected: z.record(z.string(), count),
    /** Unix time in seconds of the first and the last op. */
    first: z.number(),
    last: z.number(),
    spanSeconds: z.number(),
    server: z.string(),
    /** Whether line stamps are the start or the end of a command's execution. */
    clock: z.enum(['start', 'end', 'unknown']),
    approximate: z.boolean(),
  }),
  clients: z.strictObject({
    connections: count,
    /** Connections that share a database and a habit; each class is driven by connections of its own. */
    classes: z.array(
      z.strictObject({
        db: count,
        blocking: z.boolean(),
        connections: count,
        peakConnections: count,
        units: count,
        /** Units per bin of `binSeconds` over the capture. */
        arrivals: z.strictObject({ binSeconds: z.number(), units: z.array(count) }),
        /** Index of dispersion for counts at 10 ms, 100 ms and 1 s; 1 for Poisson arrivals, null for too few. */
        dispersion: z.strictObject({
          ms10: z.number().nullable(),
          ms100: z.number().nullable(),
          ms1000: z.number().nullable(),
        }),
      }),
    ),
  }),
  commands: z.record(z.string(), z.strictObject({ count, share: z.number() })),
  scriptCommands: z.record(z.string(), count),
  families: z.array(family),
  shapes: z.array(shape),
  /** What one client sends at once: a single command, a pipeline, a transaction. */
  units: z.array(z.strictObject({ class: count, count, ops: z.array(unitOp) })),
  scripts: z.array(script),
  transactions: z.strictObject({ committed: count, empty: count, discarded: count, sizes: counts }),
  pipelines: z.strictObject({ depths: counts }),
  /** Commands that are never replayed, with how often they came. */
  leftOut: z.record(z.string(), count),
});

export type Model = z.infer<typeof modelSchema>;
export type Family = Model['families'][number];
export type Shape = Model['shapes'][number];
export type Role = Shape['roles'][number];
export type Script = Model['scripts'][number];
export type UnitOp = z.infer<typeof unitOp>;
