/** `--shard`, or what a scheduler says of this task → this machine's part of a workload, and when it sends it. */
import { Flags } from '@oclif/core';
import { assertAhead, defaultStart, ShardSchedule, type ShardTiming } from '../drive/shard-schedule.ts';
import { CutoverError } from '../errors.ts';
import type { Arm, Rehearsal, SliceResult } from '../measure/rehearsal.ts';
import type { WorkloadRequest } from '../plan/mode.ts';
import { digestOf, parseShard, type Shard, ShardedWorkload, shardFromEnvironment } from '../plan/shard.ts';
import type { Workload } from '../plan/workload.ts';
import { isUrl } from '../servers/index.ts';
import { secondsFlag } from './workload-flags.ts';

/** A part to drive; without a start, the shards agree on a full minute. */
export interface AskedShard extends Shard {
  startAtMs: number | undefined;
  gapSeconds: number;
}

export const shardFlags = {
  shard: Flags.string({
    description:
      'drive one part of the plan of several machines: 2/3 is the second of three (also from JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX and SLURM_ARRAY_TASK_ID); see cutover merge',
    helpValue: '<number/count>',
  }),
  'start-at': Flags.custom<number>({
    description: 'when all shards begin: an ISO time or Unix seconds; default: the next full minute',
    env: 'CUTOVER_START_AT',
    helpValue: '<time>',
    parse: async (text) => parseTime(text),
  })(),
  'shard-gap': secondsFlag('between two slices of a shard, to get ready for the next', 3),
};

function parseTime(text: string): number {
  // Without a zone, machines in different ones would mean different times.
  const ms = /^\d+(\.\d+)?$/.test(text)
    ? Number(text) * 1000
    : /(Z|[+-]\d\d:?\d\d)$/.test(text)
      ? Date.parse(text)
      : NaN;
  if (ms > 0) return ms;
  throw new CutoverError(
    'usage',
    'E_USAGE',
    `--start-at ${text} is no time.`,
    'Write it with its zone, like 2026-11-23T14:05:00Z, or as Unix seconds: $(date -d "+2 minutes" +%s).',
  );
}

/** The part that the flags ask for, or else the environment; `note` says where it comes from if that is no flag. */
export function askedShard(
  flags: { shard: string | undefined; 'start-at': number | undefined; 'shard-gap': number },
  environment: Readonly<Record<string, string | undefined>>,
): { shard: AskedShard; note?: string } | undefined {
  const found =
    flags.shard === undefined
      ? shardFromEnvironment(environment)
      : { shard: parseShard(flags.shard), variable: undefined };
  // One of one is no part: a run like any other.
  if (!found || found.shard.count === 1) return undefined;
  const { shard, variable } = found;
  return {
    shard: { ...shard, startAtMs: flags['start-at'], gapSeconds: flags['shard-gap'] },
    ...(variable ? { note: `shard ${shard.number} of ${shard.count}, by ${variable}` } : {}),
  };
}

/** Throws CutoverError where shards could not drive the same servers together, or have begun without this one. */
export function assertShardable(
  { startAtMs }: AskedShard,
  specs: Record<Arm, string>,
  asked: { resumes: boolean; searches: boolean },
): void {
  if (asked.searches) {
    throw new CutoverError(
      'usage',
      'E_SHARD_RATE',
      '--rate max searches what one machine can send; shards have to agree on a rate before they start.',
      'Give all shards the same --rate, and raise it until the report says that an arm is saturated.',
    );
  }
  if (asked.resumes) {
    throw new CutoverError(
      'usage',
      'E_SHARD_RESUME',
      'A shard cannot go on by itself: the others have finished, or stopped elsewhere.',
      'Run all shards again, with a new --start-at and new folders.',
    );
  }
  const started = Object.values(specs).find((spec) => !isUrl(spec));
  if (started !== undefined) {
    throw new CutoverError(
      'usage',
      'E_SHARD_SERVERS',
      `Shards drive the same two servers together; ${started} would be another one for each shard.`,
      [
        'Start both servers once, where all shards reach them, and name them by URL: --baseline redis://HOST:PORT --candidate valkey://HOST:PORT.',
        '--shard 1/1 drives all of the plan from here, with servers of its own.',
      ],
    );
  }
  if (startAtMs !== undefined) assertAhead(startAtMs, Date.now());
}

/** When a shard begins. */
export const startOf = ({ startAtMs }: AskedShard): number => startAtMs ?? defaultStart(Date.now());

interface OpenShard {
  workload: ShardedWorkload;
  schedule: ShardSchedule;
  /** What the rehearsal says of it. */
  document: NonNullable<Rehearsal['shard']>;
}

/** This machine's part of `whole`. */
export function openShard(
  { number, count, gapSeconds }: AskedShard,
  whole: Workload,
  timing: Omit<ShardTiming, 'gapSeconds' | 'preload'>,
  { mode, keys, epochSeconds }: Pick<WorkloadRequest, 'mode' | 'keys' | 'epochSeconds'>,
): OpenShard {
  const { plan } = whole;
  return {
    workload: new ShardedWorkload(whole, { number, count }),
    schedule: new ShardSchedule({ ...timing, gapSeconds, preload: plan.preload }),
    document: {
      ...{ number, count, startAtMs: timing.startAtMs, clockOffsetMs: 0 },
      planSha256: digestOf(plan, { mode, keys, epochSeconds }),
    },
  };
}

/** What a shard says at its end instead of a verdict. */
export interface ShardSummary {
  schema: 'cutover/shard@1';
  shard: Shard;
  rehearsal: string;
  planned: number;
  replied: number;
  errors: number;
  lost: number;
  blocked: number;
  unsent: number;
  /** Why rounds cannot be used. */
  invalid: string[];
}

export function summarizeShard({ number, count }: Shard, { rounds }: Rehearsal, path: string): ShardSummary {
  const slices = rounds.flatMap(({ arms }) => [...arms.baseline.slices, ...arms.candidate.slices]);
  const sum = (of: (slice: SliceResult) => number) => slices.reduce((total, slice) => total + of(slice), 0);
  return {
    schema: 'cutover/shard@1',
    shard: { number, count },
    rehearsal: path,
    planned: sum(({ planned }) => planned),
    replied: sum(({ replied }) => replied),
    errors: sum(({ errors }) => Object.values(errors).reduce((a, b) => a + b, 0)),
    lost: sum(({ lost }) => lost),
    blocked: sum(({ blocked }) => blocked),
    unsent: sum(({ unsent }) => unsent),
    invalid: rounds.flatMap(({ index, invalid }) => (invalid === undefined ? [] : `round ${index + 1}: ${invalid}`)),
  };
}

export function describeShard({ shard, rehearsal, planned, ...ops }: ShardSummary): string {
  const count = (n: number) => n.toLocaleString('en');
  const fates = (['replied', 'errors', 'lost', 'blocked', 'unsent'] as const).map(
    (fate) => `${count(ops[fate])} ${fate}`,
  );
  return [
    `shard ${shard.number} of ${shard.count}: ${count(planned)} ops planned: ${fates.join(', ')}`,
    ...ops.invalid.map((reason) => `! ${reason}`),
    'A part has no verdict. With the folders of all shards in one place:',
    `  cutover merge FOLDER... (one of them: ${rehearsal})`,
  ].join('\n');
}
