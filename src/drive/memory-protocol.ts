/** Two server specs and a plan → what memory each server takes when filled, idle, churned, emptied, refilled and saved. */
import { setTimeout as sleep } from 'node:timers/promises';
import { dataBytes } from '../capture/data-bytes.ts';
import { CutoverError } from '../errors.ts';
import { heldBytes } from '../measure/process-memory.ts';
import {
  ARMS,
  type Arm,
  type CoursePhase,
  type MemoryCourse,
  type MemorySample,
  type Rehearsal,
} from '../measure/rehearsal.ts';
import { keyCount, memorySample } from '../measure/server-memory.ts';
import type { Plan } from '../plan/plan.ts';
import { Dataset, type Traffic } from '../plan/preload/dataset.ts';
import { isUrl, startServer } from '../servers/index.ts';
import type { RunningServer, ServerLimits } from '../servers/server.ts';
import { sendBulk } from './bulk.ts';
import { Driver } from './driver.ts';
import { encodeCommands } from './resp-command.ts';

/** Servers look at their RSS and allocator in a timer of 100 ms; INFO answers what that found. */
const SETTLE_MS = 250;
/** The churn rewrites every key so often, in steps after each of which RSS is read. */
const TURNOVERS = 3;
const STEPS_PER_TURNOVER = 4;
const IDLE_SECONDS = 15;
/** Rounds that have it: memory repeats within half a percent, so that three would tell 5 % apart. */
export const MEMORY_ROUNDS = 5;
/** What it adds to each of them, about: three times idle, the phases and two snapshots. */
export const MEMORY_ROUND_SECONDS = 90;
const LEAST_BYTES = 64 * 2 ** 20;
/** How often both arms idle in it, and of each the snapshot: the part of it whose time is known before. */
export const memoryPlannedSeconds = (saveSeconds: number): number => 3 * IDLE_SECONDS + 2 * saveSeconds;
const DELETED = { from: 0, to: 0.5 };
const IDLE_SAMPLES_EVERY_MS = 1000;
const SAVE_SAMPLES_EVERY_MS = 20;

export interface MemoryProtocolOptions {
  specs: Record<Arm, string>;
  limits: ServerLimits;
  plan: Pick<Plan, 'preload' | 'seed'>;
  /** 0-based: each round has an order of keys of its own, the same for both arms. */
  round: number;
  /** Which arm comes first; the other in the next round. */
  order: readonly Arm[];
  /** Keys overwritten per second while the snapshot is written. */
  rate: number;
  saveSeconds: number;
  /** Default 15: jemalloc takes 10 s to give back what it does not use. */
  idleSeconds?: number;
  /** Default 64 MiB of payload, or what a quarter of a container's memory holds: with less, RSS says little. */
  leastBytes?: number;
  signal: AbortSignal;
  /** `plannedSeconds`: what the stage takes at least. */
  onStage: (doing: string, plannedSeconds: number) => void;
}

/** Whether a run's servers will be such as have it, as far as that is known before they are started: see `hasMemoryProtocol`. */
export const canHaveMemoryProtocol = (specs: Record<Arm, string>, { primaries }: ServerLimits): boolean =>
  primaries === undefined && !Object.values(specs).some(isUrl);

/** Whether a 0-based round ends with it, on servers that are started for it: those of others are not ours to fill and empty. */
export function hasMemoryProtocol({ settings, arms }: Pick<Rehearsal, 'settings' | 'arms'>, round: number): boolean {
  // Before the first round nothing is known of the arms.
  const ours = ARMS.every((arm) => arms[arm]?.provider !== 'url' && !arms[arm]?.primaries);
  return settings.memoryProtocol === 'full' && round < MEMORY_ROUNDS && ours;
}

/** INFO memory of an arm once the server's own timer has caught up with what was sent. */
export async function settledSample(server: RunningServer, logicalBytes: number): Promise<MemorySample> {
  await sleep(SETTLE_MS);
  const memory = await server.info('memory');
  const bytes = dataBytes(memory, await server.info('latencystats'), server.identity.primaries);
  return { ...memorySample(memory, logicalBytes), ...(Number.isNaN(bytes) ? {} : { dataBytes: Math.max(0, bytes) }) };
}

/**
 * Whether a server that we started was built with an allocator that can be defragmented actively: it then takes the
 * setting, which is put back at once. Only such builds fill allocator_frag_ratio, and their jemalloc has other size classes.
 */
export async function canDefragment(server: RunningServer): Promise<boolean> {
  const before = (await server.config())?.activedefrag ?? 'no';
  if (before === 'yes') return true;
  const accepted = await command(server, ['CONFIG', 'SET', 'activedefrag', 'yes']);
  if (accepted) await command(server, ['CONFIG', 'SET', 'activedefrag', before]);
  return accepted;
}

interface ArmState {
  server: RunningServer;
  course: MemoryCourse;
}

/**
 * Starts a pair of servers of its own, because every phase changes them for good, and takes both through the phases side by
 * side with the same bytes. Throws E_SERVER_DIED when one ends, and what providers throw when one does not start.
 */
export async function measureMemory(options: MemoryProtocolOptions): Promise<Record<Arm, MemoryCourse>> {
  const { plan, limits, round, order, signal, idleSeconds = IDLE_SECONDS } = options;
  const { leastBytes = Math.min(LEAST_BYTES, (limits.memoryBytes ?? Number.POSITIVE_INFINITY) / 4) } = options;
  await using stack = new AsyncDisposableStack();
  const arms = {} as Record<Arm, ArmState>;
  const copies = Math.ceil(Math.max(1, leastBytes / Math.max(1, plan.preload.logicalBytes)));
  const dataset = new Dataset(plan.preload, copies, `${plan.seed}/${round}`);
  for (const arm of order) {
    const server = stack.use(await startServer(options.specs[arm], limits));
    if (!server.ours) throw new Error(`${options.specs[arm]} is not ours to fill and empty`);
    arms[arm] = { server, course: { copies, phases: {}, plannedKeys: {}, errors: {}, idleRss: [], churnRss: [] } };
  }
  const watch = <T>(work: Promise<T>) => orDeath(arms, work);

  const sample = async (phase: CoursePhase) => {
    const settled = ARMS.map(async (arm) => {
      const { server, course } = arms[arm];
      const figures = await settledSample(server, dataset.logicalBytes);
      course.phases[phase] = { ...figures, keys: keyCount(await server.info('keyspace')) };
      course.plannedKeys[phase] = dataset.keys;
    });
    await watch(Promise.all(settled));
    signal.throwIfAborted();
  };
  const send = async (traffic: Traffic) => {
    for (const arm of order) {
      const { server, course } = arms[arm];
      for (const { db, bytes, commands } of traffic) {
        addErrors(course, await watch(sendBulk(server.address, db, [bytes], commands, signal)));
      }
    }
  };
  const idle = async (phase: CoursePhase, watched = false) => {
    const startedMs = performance.now();
    const elapsedSeconds = () => (performance.now() - startedMs) / 1000;
    while (elapsedSeconds() < idleSeconds) {
      await sleep(Math.min(IDLE_SAMPLES_EVERY_MS, 1000 * (idleSeconds - elapsedSeconds())), undefined, { signal });
      if (!watched) continue;
      for (const arm of order) {
        const { rssBytes } = memorySample(await watch(arms[arm].server.info('memory')), 0);
        arms[arm].course.idleRss.push({ seconds: elapsedSeconds(), rssBytes });
      }
    }
    await sample(phase);
  };

  options.onStage('memory: filling both', 0);
  await sample('start');
  await send(dataset.fill());
  await sample('fill');
  options.onStage('memory: both idle after the fill', idleSeconds);
  await idle('fillIdle', true);

  let writtenBytes = 0;
  for (let step = 0; step < TURNOVERS * STEPS_PER_TURNOVER; step++) {
    options.onStage(`memory: overwriting, ${Math.floor((100 * step) / (TURNOVERS * STEPS_PER_TURNOVER))} %`, 0);
    const part = step % STEPS_PER_TURNOVER;
    const turn = Math.floor(step / STEPS_PER_TURNOVER);
    await send(dataset.overwrite(turn, { from: part / STEPS_PER_TURNOVER, to: (part + 1) / STEPS_PER_TURNOVER }));
    writtenBytes += dataset.logicalBytes / STEPS_PER_TURNOVER;
    await sample('churn');
    for (const arm of ARMS) {
      const { course } = arms[arm];
      course.churnRss.push({ writtenBytes, rssBytes: course.phases.churn!.rssBytes });
    }
  }
  options.onStage('memory: both idle after the churn', idleSeconds);
  await idle('churnIdle');

  options.onStage('memory: deleting half of the keys', 0);
  await send(dataset.delete(DELETED));
  await sample('delete');
  options.onStage('memory: both idle after half of the keys were deleted', idleSeconds);
  await idle('deleteIdle');
  for (const arm of ARMS) await watch(command(arms[arm].server, ['MEMORY', 'PURGE']));
  await sample('purge');

  options.onStage('memory: refilling with longer values', 0);
  await send(dataset.refill(DELETED));
  await sample('refill');

  const overwriting = dataset.overwriteSlowly(TURNOVERS, options.rate, options.saveSeconds);
  for (const arm of order) {
    options.onStage(`memory: the ${arm} saves while keys are overwritten`, options.saveSeconds);
    const { errors, ...figures } = await watch(save(arms[arm].server, overwriting, signal));
    arms[arm].course.save = figures;
    addErrors(arms[arm].course, errors);
  }
  await sample('save');
  return { baseline: arms.baseline.course, candidate: arms.candidate.course };
}

function addErrors(course: MemoryCourse, errors: Record<string, number>): void {
  for (const [word, times] of Object.entries(errors)) course.errors[word] = (course.errors[word] ?? 0) + times;
}

/** BGSAVE while a slice overwrites keys; ends when both are over. */
async function save(
  server: RunningServer,
  { plan, slice }: ReturnType<Dataset['overwriteSlowly']>,
  signal: AbortSignal,
): Promise<NonNullable<MemoryCourse['save']> & { errors: Record<string, number> }> {
  await using driver = await Driver.open(server.address, plan, { client: 'raw', workers: 1 });
  const { pid } = server.identity;
  const figures: NonNullable<MemoryCourse['save']> = { seconds: 0, forkUs: 0, copiedBytes: 0, rssPeakBytes: 0 };
  const running = driver.run(slice, { signal });
  const startedMs = performance.now();
  if (!(await command(server, ['BGSAVE']))) {
    throw new CutoverError(
      'cannotRun',
      'E_SAVE',
      `${server.identity.spec} refuses BGSAVE, so memory while it saves cannot be measured.`,
      'Measure without it: --memory-protocol quick.',
    );
  }
  for (;;) {
    const info = await server.info();
    figures.rssPeakBytes = Math.max(figures.rssPeakBytes, Number(info.used_memory_rss));
    const held = pid === undefined ? undefined : await heldBytes(pid);
    if (held !== undefined) figures.processPeakBytes = Math.max(figures.processPeakBytes ?? 0, held);
    figures.seconds = (performance.now() - startedMs) / 1000;
    if (info.rdb_bgsave_in_progress === '0') {
      const { errors } = await running;
      if (info.rdb_last_bgsave_status !== 'ok') {
        throw new CutoverError(
          'cannotRun',
          'E_SAVE',
          `${server.identity.spec} could not save: its log says why.`,
          'It needs room on disk for its data. Measure without a snapshot: --memory-protocol quick.',
        );
      }
      const copiedBytes = Number(info.rdb_last_cow_size);
      return { ...figures, forkUs: Number(info.latest_fork_usec), copiedBytes, errors };
    }
    await sleep(SAVE_SAMPLES_EVERY_MS, undefined, { signal });
  }
}

/** Sends one command; false where the server answers with an error. */
async function command(server: RunningServer, words: string[]): Promise<boolean> {
  const errors = await sendBulk(server.address, 0, [encodeCommands([words])], 1);
  return Object.keys(errors).length === 0;
}

/** Waits for `work`, unless a server ends first. */
async function orDeath<T>(arms: Record<Arm, ArmState>, work: Promise<T>): Promise<T> {
  const deaths = ARMS.map((arm) => arms[arm].server.died.then((exit) => ({ arm, exit })));
  // A lost connection may be noticed before the end of the process.
  const outcome = work.then(
    (value) => ({ value }),
    async (error) => (await Promise.race([...deaths, sleep(SETTLE_MS)])) ?? Promise.reject(error),
  );
  const first = await Promise.race([outcome, ...deaths]);
  if ('value' in first) return first.value;
  const { server } = arms[first.arm];
  const tail = await server.logTail(10).catch(() => []);
  const log = tail.length > 0 ? `\nIts log ended with:\n${tail.map((line) => `  ${line}`).join('\n')}` : '';
  throw new CutoverError(
    'cannotRun',
    'E_SERVER_DIED',
    `The ${first.arm} (${server.identity.spec}) died in the memory protocol: ${first.exit.how}.${log}`,
    'Find out why it ended (memory? a crash report above?), then run again.',
  );
}
