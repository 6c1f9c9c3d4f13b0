/** A workload and `2/3` → the part of it that one of several machines drives: every third connection, with its ops. */
import { createHash } from 'node:crypto';
import { type Caveat, CutoverError } from '../errors.ts';
import type { Order, Plan, Slice } from './plan.ts';
import { share } from './resp.ts';
import { stepsOf, walksOf } from './walks.ts';
import type { Workload } from './workload.ts';

/** Which part of how many; `number` counts from 1. */
export interface Shard {
  number: number;
  count: number;
}

/** Reads `2/3`. Throws CutoverError (usage). */
export function parseShard(text: string): Shard {
  const [, number, count] = (/^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? []).map(Number);
  if (number === undefined || count === undefined || number < 1 || number > count) {
    throw new CutoverError(
      'usage',
      'E_SHARD',
      `--shard ${text} is no part of a whole.`,
      'Write --shard 1/3, --shard 2/3 and --shard 3/3, one on each of three machines.',
    );
  }
  return { number, count };
}

/** What schedulers call a task of an array, how many tasks there are, the first task's number and the step between them. */
const SCHEDULERS: { index: string; count: string; from?: string; step?: string }[] = [
  // Kubernetes sets the index of an Indexed Job only; the count comes from the manifest.
  { index: 'JOB_COMPLETION_INDEX', count: 'JOB_COMPLETIONS' },
  { index: 'AWS_BATCH_JOB_ARRAY_INDEX', count: 'AWS_BATCH_JOB_ARRAY_SIZE' },
  {
    index: 'SLURM_ARRAY_TASK_ID',
    count: 'SLURM_ARRAY_TASK_COUNT',
    from: 'SLURM_ARRAY_TASK_MIN',
    step: 'SLURM_ARRAY_TASK_STEP',
  },
];

/**
 * The shard that a scheduler's variables name, and the variable; undefined where there is none. Throws CutoverError (usage)
 * where they name no part of a whole: a task of many that drove all of the plan would multiply the load.
 */
export function shardFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): { shard: Shard; variable: string } | undefined {
  const scheduler = SCHEDULERS.find(({ index }) => environment[index] !== undefined);
  if (!scheduler) return undefined;
  const { index, count, from = '', step = '' } = scheduler;
  const task = (Number(environment[index]) - Number(environment[from] ?? 0)) / Number(environment[step] ?? 1);
  const tasks = Number(environment[count] ?? Number.NaN);
  if (Number.isInteger(task) && Number.isInteger(tasks) && task >= 0 && task < tasks) {
    return { shard: { number: task + 1, count: tasks }, variable: index };
  }
  throw new CutoverError(
    'usage',
    'E_SHARD',
    `${index} is ${environment[index]}, so this is one task of an array, and ${count} (${environment[count] ?? 'not set'}) does not tell of how many.`,
    [`Set ${count} to the number of tasks, or say --shard yourself.`, '--shard 1/1 drives all of the plan here.'],
  );
}

/** A fingerprint of what is driven: two machines with the same one drive parts of the same plan. */
export function digestOf(plan: Plan, request: Record<string, string | number | undefined>): string {
  const { seed, rate, labels, connections, scripts, preload } = plan;
  const hash = createHash('sha256').update(JSON.stringify({ seed, rate, labels, connections, request }));
  for (const { body } of scripts) hash.update(body);
  for (const { db, chunks } of preload.databases) {
    hash.update(String(db));
    for (const chunk of chunks()) hash.update(chunk);
  }
  return hash.digest('hex');
}

const NO_PRELOAD = { commands: 0, keys: 0, logicalBytes: 0, databases: [] };

export class ShardedWorkload implements Workload {
  readonly plan: Plan;
  readonly caveats: Caveat[];
  private readonly whole: Workload;
  private readonly shard: Shard;
  /** Places where an op had to follow one that another shard sends. */
  private untied = 0;

  /** Throws CutoverError (usage) where there are more shards than connections. */
  constructor(whole: Workload, shard: Shard) {
    const { connections, preload } = whole.plan;
    if (connections.length < shard.count) {
      throw new CutoverError(
        'usage',
        'E_SHARD',
        `The plan has ${connections.length} connections, fewer than ${shard.count} shards.`,
        `Use at most ${connections.length} shards: a connection is driven by one machine.`,
      );
    }
    this.whole = whole;
    this.shard = shard;
    this.caveats = whole.caveats;
    this.plan = {
      ...whole.plan,
      connections: connections.filter((_, connection) => this.owns(connection)),
      // All shards drive the same servers, which are filled once.
      preload: shard.number === 1 ? preload : NO_PRELOAD,
    };
  }

  slice(round: number, fromSeconds: number, seconds: number, laterSeconds?: number): Slice {
    const slice = this.whole.slice(round, fromSeconds, seconds, laterSeconds);
    const kept = Uint32Array.from(
      slice.connection.reduce((ops: number[], connection, op) => {
        if (this.owns(connection)) ops.push(op);
        return ops;
      }, []),
    );
    const offset = new Uint32Array(kept.length + 1);
    kept.forEach((op, i) => {
      offset[i + 1] = offset[i]! + slice.offset[op + 1]! - slice.offset[op]!;
    });
    const bytes = new Uint8Array(offset[kept.length]!);
    kept.forEach((op, i) => {
      bytes.set(slice.bytes.subarray(slice.offset[op], slice.offset[op + 1]), offset[i]);
    });
    const numbers = new Int32Array(slice.count).fill(-1);
    kept.forEach((op, i) => {
      numbers[op] = i;
    });
    return {
      seed: slice.seed,
      durationUs: slice.durationUs,
      count: kept.length,
      intendedUs: share(Float64Array.from(kept, (op) => slice.intendedUs[op]!)),
      connection: share(Uint16Array.from(kept, (op) => Math.floor(slice.connection[op]! / this.shard.count))),
      label: share(Uint16Array.from(kept, (op) => slice.label[op]!)),
      flags: share(Uint8Array.from(kept, (op) => slice.flags[op]!)),
      offset: share(offset),
      bytes: share(bytes),
      ...(slice.walks ? walksOf(stepsOf(slice.walks), (op) => numbers[op]!) : {}),
      ...(slice.order ? { order: this.orderOf(slice.order, numbers, kept) } : {}),
      ...(slice.subscriptions
        ? { subscriptions: slice.subscriptions.filter(({ subscriber }) => this.owns(subscriber)) }
        : {}),
    };
  }

  /** What the reader must know of the slices made so far. */
  sliceCaveats(): Caveat[] {
    if (this.untied === 0) return [];
    return [
      {
        id: 'order-across-shards',
        message: `${this.untied} times an op follows one that another shard sends: it was sent at its time, whatever had become of the other.`,
        advice:
          'Scripts and transactions that hand work over to each other may find it not there yet. Fewer shards, or one, keep the order.',
        numbers: { count: this.untied },
      },
    ];
  }

  private owns(connection: number): boolean {
    return connection % this.shard.count === this.shard.number - 1;
  }

  /** Nobody here sees the replies to another shard's ops. */
  private orderOf({ from, after, delayUs }: Order, numbers: Int32Array, kept: Uint32Array): Order {
    const ends = new Uint32Array(kept.length + 1);
    const ties: number[] = [];
    kept.forEach((op, i) => {
      for (let tie = from[op]!; tie < from[op + 1]!; tie++) {
        if (numbers[after[tie]!]! >= 0) ties.push(tie);
        else this.untied++;
      }
      ends[i + 1] = ties.length;
    });
    return {
      from: share(ends),
      after: share(Uint32Array.from(ties, (tie) => numbers[after[tie]!]!)),
      delayUs: share(Uint32Array.from(ties, (tie) => delayUs[tie]!)),
    };
  }
}
