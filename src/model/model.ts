/** The statistics of a workload: one versioned JSON document that holds no raw key and no value. */
import { z } from 'zod';
import { MAX_LITERALS } from './fit/literals.ts';
import { SUBSCRIPTION_KINDS } from './fit/subscriptions.ts';
import { PLACEHOLDERS } from './template/parts.ts';
import { TIME_UNITS } from './time-units.ts';

/** Values ascending, each with how often it came. */
const counts = z.array(z.tuple([z.number(), z.number()]));
const count = z.number().int().nonnegative();

/** Size in keys, hit ratio; ascending. */
const curve = z.array(z.tuple([z.number(), z.number()]));

/** Whether `(` stands before it: the end of a range that is not part of it. */
const open = z.literal(true).optional();

const part = z.union([z.string(), z.strictObject({ placeholder: z.enum(PLACEHOLDERS), lengths: counts })]);

/** What stands at one argument position of a command. */
const role = z.union([
  /** A key: of which family. */
  z.strictObject({ key: count }),
  /** One of a few short words or numbers: options, fields, limits. Text is latin1. */
  z.strictObject({ literals: z.array(z.tuple([z.string(), z.number()])) }),
  z.strictObject({ integers: counts, open }),
  z.strictObject({ numbers: counts, open }),
  /** A wall-clock time, or a stream id that begins with one, kept as its distance from the op's own time. */
  z.strictObject({ times: z.enum(TIME_UNITS), offsets: counts, open }),
  /** Anything else: sizes in bytes, and an estimate of how many different ones there are. */
  z.strictObject({ bytes: counts, distinct: count }),
]);

/** Sampled keys of one type and encoding, as the server names both, and what they hold: each number is of all keys that there were. */
const storedKind = z.strictObject({
  type: z.string(),
  encoding: z.string(),
  keys: count,
  /** Bytes of strings, elements of anything else. */
  lengths: counts,
  /** Bytes of members, items, entries and fields, and of the values of fields. */
  elementBytes: counts,
  fieldValueBytes: counts,
  /** Seconds left, of those that expire. */
  ttlSeconds: counts,
});

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
  /** Requests a key, and how many keys have so many: all of popularity but which key it is. */
  references: counts,
  /** Keys by popularity: class c holds those with 2^c to 2^(c+1) - 1 requests. */
  classes: z.array(
    z.strictObject({
      class: count,
      /** When keys were first accessed: of 32 equal parts of the capture, counted in key accesses, each with its keys. */
      births: counts,
      /** Accesses of all keys between two of the same, as quarters of an octave: bucket b is 2^(b/4) to 2^((b+1)/4). */
      gaps: counts,
      /** Share of keys whose first access is a read that nothing filled. */
      readFirst: z.number(),
      /** Share of keys of which a client showed, before anything wrote them, that it had found them; left out where there are none. */
      found: z.number().optional(),
      /** Expiries that were set, in seconds. */
      ttlSeconds: counts,
    }),
  ),
  /** Share of the keys that were read first, and not found, which really were there: those must exist before the workload begins. */
  existing: z.number(),
  /** Share of later accesses, by bucket of the gap before, that found the key gone though nobody had removed it. */
  expired: counts,
  /**
   * Keys that were asked for and not there, which the asking unit did not make itself, and how many of these others made
   * as a whole soon after; first of those that had never been there, then of those that were gone. And how many seconds
   * after. Left out where there were none.
   */
  fills: z
    .strictObject({ missing: z.tuple([count, count]), gone: z.tuple([count, count]), delaySeconds: counts })
    .optional(),
  /**
   * Expiries that were set again by units which did nothing before, at regular times: how often, and how long after the last
   * time, in times of the expiry, summed up; and how many were asked for in vain because no more came. Left out where this is
   * not regular.
   */
  renewals: z.strictObject({ count, times: z.number(), lapsed: count }).optional(),
  /** Members, fields or items of collections: distinct ones a key and of all keys, requests of each of a key, and their exponent. */
  elements: z
    .strictObject({ perKey: z.number(), universe: count.optional(), references: counts, zipf: z.number().nullable() })
    .nullable(),
  /** Bytes written per value, and expiry set, in seconds. */
  valueBytes: counts,
  ttlSeconds: counts,
  /**
   * The keys whose hash, as a number from 0 to 1, is lowest: models of one workload chose the same. Of each the first
   * seven digits of that number, requests, first and last access: what merging needs to know of keys that both models
   * have, and too few digits to tell a key from others.
   */
  sample: z.strictObject({ below: z.number(), keys: z.array(z.tuple([z.number(), count, count, count])) }),
  /** Hit ratio of a least-recently-used cache by its size in keys; only of the busiest families. */
  hitRatio: curve.optional(),
  /** Its keys when the capture began, touched or not, scaled up from a sample; left out where none was looked at. */
  atStart: z.strictObject({ keys: count, kinds: z.array(storedKind) }).optional(),
});

const shape = z.strictObject({
  command: z.string(),
  /** Argument index and word of each of its options, for calls whose other arguments depend on them. */
  form: z.string().optional(),
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

const unit = z.strictObject({
  class: count,
  count,
  ops: z.array(unitOp),
  /** Where later steps begin (index of the op), and the median of the time since the step before, in µs. */
  steps: z.array(z.tuple([count, z.number()])),
  /** What the first key was when the unit came (see `KeyState`): state × 32 + popularity class, and how often. */
  keyStates: counts,
});

const script = z.strictObject({
  sha1: z.string(),
  kind: z.enum(['script', 'function']),
  /** Latin1 text of the body; null when the capture does not hold it. */
  body: z.string().nullable(),
  calls: count,
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
    /** Units arrive in streams: one a database, blocking ones apart. */
    streams: z.array(
      z.strictObject({
        db: count,
        blocking: z.boolean(),
        units: count,
        /** Units per bin of `binSeconds` over the capture. */
        arrivals: z.strictObject({ binSeconds: z.number(), units: z.array(count) }),
        /** Index of dispersion for counts in windows of so many ms; 1 for Poisson arrivals, null for too few. */
        dispersion: z.strictObject({
          ms1: z.number().nullable(),
          ms10: z.number().nullable(),
          ms100: z.number().nullable(),
          ms1000: z.number().nullable(),
        }),
        /** Each arrival's gap to the one before (see `gapsUs`) and its class, packed; null where there are too many. */
        recorded: z.strictObject({ gaps: z.string(), classes: z.string() }).nullable(),
      }),
    ),
    /** Connections that share a stream and a habit; each class is driven by connections of its own. */
    classes: z.array(z.strictObject({ stream: count, connections: count, peakConnections: count, units: count })),
  }),
  commands: z.record(z.string(), z.strictObject({ count, share: z.number() })),
  scriptCommands: z.record(z.string(), count),
  families: z.array(family),
  shapes: z.array(shape),
  /** Key accesses by clients: the clock of births and gaps. */
  keyAccesses: count,
  /** Keys by database when the capture began, touched or not; null where nobody counted them. */
  keysAtStart: z.array(z.tuple([count, count])).nullable(),
  /** Of these, by database, those that expire, and their mean of seconds left, 0 where the server said none; left out where nobody counted. */
  expiringAtStart: z.array(z.tuple([count, count, z.number().nonnegative()])).optional(),
  /** How many keys were looked at then, and whether these were all; left out where nobody looked. */
  sampledAtStart: z.strictObject({ keys: count, complete: z.boolean() }).optional(),
  /** Bytes that keys and values took then, with what the server spends on them; left out where nobody asked it. */
  usedBytesAtStart: count.optional(),
  /** Reads that found their key and that did not, as the server counted them; null where nobody asked it. */
  lookups: z.strictObject({ hits: count, misses: count }).nullable(),
  /**
   * What the server counted meanwhile: calls of commands that are replayed, scripts' own included, how many of them failed, and
   * all error replies by first word; left out where nobody asked it.
   */
  counted: z
    .strictObject({
      calls: z.record(z.string(), count),
      failed: z.record(z.string(), count),
      errors: z.record(z.string(), count).optional(),
    })
    .optional(),
  /** Hit ratio of a least-recently-used cache of all keys by its size in keys. */
  hitRatio: curve,
  /** What one client sends as one thing: a single command, a pipeline, a transaction, an idiom. */
  units: z.array(unit),
  /** Which kind of unit follows which on a connection, by class; a class is missing where the one before tells nothing. */
  transitions: z.array(
    z.strictObject({
      class: count,
      /** Mutual information of neighbours, in bits, corrected for chance (Miller–Madow). */
      bits: z.number(),
      /** Family and command of a unit's first op. */
      labels: z.array(z.string()),
      /** Label of the one before, of the next, how often. */
      pairs: z.array(z.tuple([count, count, count])),
    }),
  ),
  scripts: z.array(script),
  /** Calls of scripts beyond those that are told apart, counted as calls of one of these; missing for none. */
  unkeptScriptCalls: count.optional(),
  /** Calls of scripts in their order, from the capture's beginning: arguments of scripts cannot be made up. */
  stretch: z.strictObject({
    /** Whether words that could name somebody have been replaced. */
    disguised: z.boolean(),
    /** Arguments, each once: latin1 text. */
    texts: z.array(z.string()),
    /**
     * Units that call scripts, as indexes of `units`, and such as store what scripts are told; microseconds after the
     * capture's beginning; and for each script call, or for the call that stores, the keys' and the arguments' texts, none
     * where a script is not told what was stored.
     */
    units: z.array(z.tuple([count, count, z.array(z.tuple([z.array(count), z.array(count)]))])),
    /** Keys of these calls that other commands use as well: family, requests by those, text. */
    shared: z.array(z.tuple([count, count, count])).optional(),
    /**
     * Keys without an expiry that these calls made and did not remove: database and text; and how many there were after a
     * quarter of the calls, after half, and in the end. Left out where there are none, or too many.
     */
    left: z
      .strictObject({
        counts: z.tuple([count, count, count]),
        keys: z.array(z.tuple([count, count])),
      })
      .optional(),
  }),
  transactions: z.strictObject({ committed: count, empty: count, discarded: count, sizes: counts }),
  pipelines: z.strictObject({ depths: counts }),
  /** Channels and patterns, of kinds with few and short plain names, and how many connections listened to each (see `ListenerCount`). */
  subscriptions: z
    .array(
      z.strictObject({
        kind: z.enum(SUBSCRIPTION_KINDS),
        name: z.string(),
        change: z.number().int(),
        peak: count,
        low: z.number().int().nonpositive(),
      }),
    )
    .max(SUBSCRIPTION_KINDS.length * MAX_LITERALS)
    .optional(),
  /** Commands that are never replayed, with how often they came. */
  leftOut: z.record(z.string(), count),
  /** What a person had changed: who, why, and which families it was. */
  overrides: z
    .array(
      z.strictObject({
        match: z.string(),
        merge: z.boolean().optional(),
        name: z.string().optional(),
        exclude: z.boolean().optional(),
        requests: z.number().optional(),
        keys: z.number().optional(),
        by: z.string(),
        why: z.string(),
        families: z.array(z.string()),
      }),
    )
    .optional(),
});

export type Model = z.infer<typeof modelSchema>;
export type Family = Model['families'][number];
export type Shape = Model['shapes'][number];
export type Role = Shape['roles'][number];
export type Script = Model['scripts'][number];
export type Unit = Model['units'][number];
export type UnitOp = z.infer<typeof unitOp>;
