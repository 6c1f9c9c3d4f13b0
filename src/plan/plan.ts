/** What will be sent and when: the same bytes to both arms, as typed arrays that worker threads share. */
import type { SubscriptionKind } from '../model/fit/subscriptions.ts';

/** One thing to be recorded apart: a family and a command. Ops point into the plan's list of labels. */
export interface Label {
  /** Family template, `session:{id}`; `(script)` for EVAL, EVALSHA and FCALL; `(none)` for commands without a key. */
  family: string;
  /** Lower-case command name, `get`. Scripts: `evalsha:SHA-PREFIX` or the function's name. */
  command: string;
}

/**
 * `OpFlag.blocking`: the reply waits for data (BLPOP …), so its time is not a latency. `OpFlag.walk`: the op is one of
 * `Slice.walks`.
 */
export const OpFlag = { none: 0, blocking: 1, walk: 2 } as const;

/** A connection of the workload: it selects its database once. */
export interface PlannedConnection {
  db: number;
}

/**
 * A few seconds of planned workload. All arrays but `offset` have one element per op, in order of `intendedUs`
 * (non-decreasing); ops of one pipeline or transaction are adjacent and share connection and time.
 * The buffers are SharedArrayBuffers, so that workers read them without copies.
 */
export interface Slice {
  seed: string;
  durationUs: number;
  count: number;
  /** Microseconds after the slice's start. */
  intendedUs: Float64Array;
  connection: Uint16Array;
  /** Index into `Plan.labels`. */
  label: Uint16Array;
  /** `OpFlag` bits. */
  flags: Uint8Array;
  /** `count + 1` byte offsets into `bytes`; op i is `bytes[offset[i] .. offset[i + 1])`, one RESP command. */
  offset: Uint32Array;
  bytes: Uint8Array;
  /** Where ops on different connections keep their order; undefined: each leaves at its time whatever the others do. */
  order?: Order;
  /** Calls of SCAN and the like that follow the replies to each other; undefined: none does. */
  walks?: WalkSteps;
  /** What is listened to while the slice runs, by connections of their own; undefined: nobody listens. */
  subscriptions?: Subscription[];
}

/** Steps of walks, in the order of their ops; sent, a step carries the cursor of the reply to the one before, on each arm its own. */
export interface WalkSteps {
  /** Index into the slice. */
  op: Uint32Array;
  /** Which walk, by a number that it has in other slices as well. */
  walk: Uint32Array;
  /** Where in the op's bytes the digits of its cursor stand; 0: the walk begins anew, with the cursor that stands there. */
  at: Uint32Array;
}

/** One of a subscriber's channels or patterns. */
export interface Subscription {
  /** Equal for what one connection listens to. */
  subscriber: number;
  kind: SubscriptionKind;
  /** Latin1 text. */
  name: string;
}

/**
 * Op i leaves no sooner than `delayUs[k]` after op `after[k]`, an earlier one, was answered, for each k from `from[i]` to
 * `from[i + 1] - 1`. Of a blocking op, what counts is that it was sent.
 */
export interface Order {
  from: Uint32Array;
  after: Uint32Array;
  delayUs: Uint32Array;
}

/** RESP commands to be sent before a round, per database; `chunks` gives the same bytes each time, in pieces of whole commands. */
export interface Preload {
  commands: number;
  /** Keys and payload bytes that exist afterwards: the denominator of RSS per logical byte, the same on both arms. */
  keys: number;
  logicalBytes: number;
  databases: { db: number; commands: number; chunks: () => Iterable<Uint8Array> }[];
}

export interface Plan {
  seed: string;
  /** Ops per second offered. */
  rate: number;
  labels: Label[];
  connections: PlannedConnection[];
  preload: Preload;
  /** Scripts to `SCRIPT LOAD` (by body) and libraries to `FUNCTION LOAD` before the preload. */
  scripts: { kind: 'script' | 'library'; body: Uint8Array }[];
}
