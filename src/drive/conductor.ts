/** Two server specs and a workload → rounds of measurements: fresh servers, preload, warm-up, slices in ABBA order. */
import { CutoverError, messageOf } from '../errors.ts';
import { hostLoss, readHostCounters } from '../measure/host.ts';
import { JitterProbe } from '../measure/jitter-probe.ts';
import { type LabelledHistograms, summarize, writeLatencyLog } from '../measure/latency-log.ts';
import {
  ARMS,
  type Arm,
  type ArmRound,
  type MemoryProtocol,
  type Rehearsal,
  type Round,
  type SliceResult,
} from '../measure/rehearsal.ts';
import { callsSince, commandCalls } from '../measure/server-commands.ts';
import { spoiledBy } from '../measure/spoiled.ts';
import { findStalls } from '../measure/stalls.ts';
import { timelineOf, writeTimeline } from '../measure/timeline.ts';
import type { Slice } from '../plan/plan.ts';
import { stream } from '../plan/random.ts';
import type { Workload } from '../plan/workload.ts';
import { assertEmpty } from '../servers/emptiness.ts';
import { startServer } from '../servers/index.ts';
import { priorityOf } from '../servers/priority.ts';
import type { RunningServer, ServerExit, ServerLimits } from '../servers/server.ts';
import { type ClientName, clientsOf } from './clients/index.ts';
import { Driver, type DriverOptions, type SliceRecord } from './driver.ts';
import { measureFloor } from './floor.ts';
import { canDefragment, MEMORY_ROUNDS, measureMemory, settledSample } from './memory-protocol.ts';
import { ServerSampler } from './server-sampler.ts';
import type { ShardSchedule } from './shard-schedule.ts';

interface Stage {
  /** 0-based. */
  round: number;
  doing: string;
  /** For so long one arm is under load. */
  loadSeconds: number;
}

export interface ConductOptions {
  rehearsal: Rehearsal;
  workload: Workload;
  specs: Record<Arm, string>;
  limits: ServerLimits;
  client: ClientName | 'both';
  allowNonempty: boolean;
  /** Real-time priority was not asked for by name: without it where a server cannot have it. */
  mayFallBack: boolean;
  signal: AbortSignal;
  /** Called when there is something new to keep: the rehearsal is a whole document every time. */
  save: (rehearsal: Rehearsal) => Promise<void>;
  writeLog: (path: string, text: string) => Promise<void>;
  /** How often a slice pair that generator or host spoiled is repeated, with the next seconds of the workload. */
  repeats: number;
  /** Asked after each round: whether the rounds so far decide. */
  isDecided: () => Promise<boolean>;
  /** When several machines drive the plan together. */
  schedule?: ShardSchedule | undefined;
  onStage: (stage: Stage) => void;
  /** Called when a slice has been measured and saved. */
  onSlice: (arm: Arm, entries: LabelledHistograms[]) => void;
}

/** Configuration that differs by nature, or says nothing about behaviour. */
const IGNORED_CONFIG =
  /^(port|tls-.*|bind|dir|pidfile|logfile|unixsocket.*|dbfilename|appendfilename|appenddirname|.*-?user|requirepass|masterauth|primaryauth|.*syslog.*|proc-title-template|locale-collate|availability-zone)$/;

/** Steps of a round before its first slice: one warm-up an arm. */
const WARMUPS = ARMS.length;

interface ArmState {
  server: RunningServer;
  sampler: ServerSampler;
  /** One per client of the run. */
  drivers: [Driver, ...Driver[]];
  result: ArmRound;
}

/**
 * Runs the rounds that are still to be run, keeping `rehearsal` up to date on disk. Throws CutoverError E_SERVER_DIED when a server dies (what was
 * measured is saved before), E_INTERRUPTED when the signal fires, and what providers throw when a server does not start.
 */
export async function conduct(options: ConductOptions): Promise<void> {
  const { rehearsal, signal } = options;
  const { rounds } = rehearsal.settings;
  await using probe = new JitterProbe();
  try {
    // A run that goes on has rounds already.
    for (let index = rehearsal.rounds.length; index < rounds; index++) {
      signal.throwIfAborted();
      await conductRound(options, probe, index).catch((error) => {
        if (index > 0 || !fallBack(options, error)) throw error;
        return conductRound(options, probe, index);
      });
      await conductMemory(options, index);
      if (await options.isDecided()) break;
    }
  } catch (error) {
    if (signal.aborted) {
      rehearsal.stopped = { reason: 'interrupted', message: 'interrupted by the user' };
    } else if (error instanceof ServerDied) {
      rehearsal.stopped = { reason: 'server-died', message: error.message };
    } else {
      throw error;
    }
    await options.save(rehearsal);
    if (error instanceof ServerDied) throw await error.explain();
    throw new CutoverError(
      'interrupted',
      'E_INTERRUPTED',
      `Interrupted in round ${rehearsal.rounds.length || 1} of ${rounds}.`,
      'What was measured is kept.',
    );
  }
}

/** Where a container cannot have real-time priority and the user did not insist on it, nothing of the run has it. */
function fallBack({ rehearsal, mayFallBack }: ConductOptions, error: unknown): boolean {
  if (!mayFallBack || !(error instanceof CutoverError) || error.code !== 'E_PRIORITY') return false;
  rehearsal.settings.priority = 'normal';
  return true;
}

class ServerDied extends Error {
  private readonly arm: Arm;
  private readonly server: RunningServer;
  private readonly tail: string[];

  constructor(arm: Arm, server: RunningServer, exit: ServerExit, when: string, tail: string[]) {
    super(
      `the ${arm} (${server.identity.spec}, ${server.identity.product} ${server.identity.version}) died ${when}: ${exit.how} at ${new Date(exit.atMs).toISOString()}`,
    );
    this.arm = arm;
    this.server = server;
    this.tail = tail;
  }

  async explain(): Promise<CutoverError> {
    const log = this.tail.length > 0 ? `\nIts log ended with:\n${this.tail.map((line) => `  ${line}`).join('\n')}` : '';
    return new CutoverError('cannotRun', 'E_SERVER_DIED', `${this.message.replace(/^t/, 'T')}.${log}`, [
      this.server.ours
        ? `Find out why the ${this.arm} ended (memory? a crash report above?), then run again.`
        : `Look into the log of the ${this.arm}, which someone else runs.`,
    ]);
  }
}

async function conductRound(options: ConductOptions, probe: JitterProbe, index: number): Promise<void> {
  const { rehearsal, workload, signal } = options;
  const { settings } = rehearsal;
  const { slicePairs, sliceSeconds, warmupSeconds, memoryProtocol: protocol = 'quick' } = settings;
  const driving = drivingOf(options);
  const stage = (doing: string, loadSeconds = 0) => options.onStage({ round: index, doing, loadSeconds });
  await using stack = new AsyncDisposableStack();
  const arms = {} as Record<Arm, ArmState>;
  const round: Round = {
    ...{ index, order: orderOf(rehearsal.seed, index, slicePairs), arms: {} as Round['arms'] },
    laterSeconds:
      options.schedule?.laterSeconds(index) ?? Math.round((Date.now() - Date.parse(rehearsal.startedAt)) / 1000),
  };
  let when = 'while it was being prepared';
  /** Waits for `work` on one arm, unless either server dies first. */
  const watch = async <T>(work: Promise<T>): Promise<T> => {
    const deaths = ARMS.filter((arm) => arms[arm]).map((arm) => arms[arm].server.died.then((exit) => ({ arm, exit })));
    const first = await Promise.race([work.then((value) => ({ value })), ...deaths]);
    if ('value' in first) return first.value;
    work.catch(() => {});
    const { server } = arms[first.arm];
    throw new ServerDied(first.arm, server, first.exit, when, await server.logTail(10).catch(() => []));
  };
  try {
    for (const arm of ARMS) {
      stage(`starting the ${arm}`);
      const server = stack.use(
        await startServer(options.specs[arm], {
          ...options.limits,
          ...(settings.priority === 'realtime' ? { priority: settings.priority } : {}),
        }),
      );
      if (!server.ours && index === 0 && !options.allowNonempty) await assertEmpty(server);
      const [first, ...others] = driving;
      const open = async (how: DriverOptions) => stack.use(await Driver.open(server.address, workload.plan, how));
      const drivers: ArmState['drivers'] = [await open(first), ...(await Promise.all(others.map(open)))];
      const result: ArmRound = {
        identity: server.identity,
        preload: { commands: 0, keys: 0, logicalBytes: 0, seconds: 0, errors: {} },
        memory: {},
        slices: [],
      };
      const serverPriority = server.identity.pid === undefined ? undefined : priorityOf(server.identity.pid);
      if (serverPriority) result.serverPriority = serverPriority;
      await measureStart(server, result, protocol);
      const sampler = stack.use(new ServerSampler(server));
      arms[arm] = { server, sampler, drivers, result };
      round.arms[arm] = result;
    }
    if (index === 0) {
      for (const arm of ARMS) rehearsal.arms[arm] = arms[arm].server.identity;
      rehearsal.configDifferences = await configDifferences(arms);
      if (ARMS.some((arm) => !arms[arm].server.ours)) rehearsal.caveats.push(NOT_FRESH);
    }
    if (options.schedule) stage('waiting for the other shards');
    await options.schedule?.begin(index, arms.baseline.server, signal);
    const { preload, scripts } = workload.plan;
    for (const arm of ARMS) {
      const { server, drivers, result } = arms[arm];
      const [driver] = drivers;
      stage(`loading ${preload.keys.toLocaleString('en')} keys into the ${arm}`);
      await watch(driver.load(scripts));
      const loaded = await watch(driver.preload(preload));
      result.preload = {
        commands: preload.commands,
        keys: preload.keys,
        logicalBytes: preload.logicalBytes,
        ...loaded,
      };
      if (protocol !== 'off') result.memory.fill = await settledSample(server, preload.logicalBytes);
    }
    const warmup = workload.slice(index, 0, warmupSeconds, round.laterSeconds);
    if (!rehearsal.floor && !options.schedule) {
      stage('measuring the generator itself', warmupSeconds);
      rehearsal.floor = await measureFloor(workload.plan, warmup, driving[0]);
      if (!rehearsal.floor.keepsDoubleRate) rehearsal.caveats.push(NEAR_LIMIT);
    }
    for (const [step, arm] of ARMS.entries()) {
      when = `during the warm-up of round ${index + 1}`;
      stage(`warming up the ${arm}`, warmupSeconds);
      for (const driver of arms[arm].drivers)
        await watch(driver.run(warmup, { signal, startAtMs: options.schedule?.startOf(index, step) }));
      signal.throwIfAborted();
    }
    const calls = {} as Record<Arm, Map<string, number>>;
    for (const arm of ARMS) calls[arm] = commandCalls(await arms[arm].server.info('commandstats'));
    rehearsal.rounds.push(round);
    let repeats = 0;
    for (let position = 0; position < round.order.length; position++) {
      const arm = round.order[position]!;
      const pair = position >> 1;
      when = `during slice ${position + 1} of round ${index + 1}`;
      const again = repeats === 0 ? '' : ', again';
      stage(`slice ${position + 1} of ${round.order.length}${again}, ${arm}`, sliceSeconds);
      const fromSeconds = warmupSeconds + (pair + (round.repeated?.length ?? 0)) * sliceSeconds;
      await runSlice(
        options,
        arms[arm],
        arm,
        workload.slice(index, fromSeconds, sliceSeconds, round.laterSeconds),
        { index, position, pair },
        probe,
        watch,
      );
      const { startedAtMs } = arms[arm].result.slices.at(-1)!;
      const late = options.schedule?.lateness(index, WARMUPS + position, startedAtMs);
      if (late !== undefined) round.invalid ??= late;
      signal.throwIfAborted();
      if (position % 2 === 0) continue;
      const reason = spoiledPair(round, pair);
      if (reason !== undefined && repeats < options.repeats) {
        // Both arms go on with the next seconds of the workload, so that they still hold the same data.
        repeats++;
        round.repeated = [...(round.repeated ?? []), { pair, reason }];
        for (const { slices } of Object.values(round.arms)) slices.pop();
        position -= 2;
      } else {
        repeats = 0;
      }
    }
    for (const arm of ARMS) {
      const { server, result } = arms[arm];
      result.commands = callsSince(calls[arm], commandCalls(await server.info('commandstats')));
      if (protocol !== 'off') result.memory.end = await settledSample(server, preload.logicalBytes);
      result.samples = `servers/round-${index + 1}-${arm}.ndjson`;
      await options.writeLog(result.samples, arms[arm].sampler.text);
    }
    await options.save(rehearsal);
  } catch (error) {
    if (rehearsal.rounds.at(-1) === round) round.invalid = signal.aborted ? 'interrupted' : messageOf(error);
    throw error;
  }
}

async function measureStart(server: RunningServer, result: ArmRound, protocol: MemoryProtocol): Promise<void> {
  if (protocol === 'off') return;
  result.memory.start = await settledSample(server, 0);
  if (server.ours) result.canDefragment = await canDefragment(server);
}

/** The full protocol, on servers that are started for it: those of others are not ours to fill, empty and save. */
async function conductMemory(options: ConductOptions, index: number): Promise<void> {
  const { rehearsal, workload, specs, limits, signal } = options;
  const { memoryProtocol, rate, sliceSeconds } = rehearsal.settings;
  const round = rehearsal.rounds[index];
  const ours = ARMS.every((arm) => rehearsal.arms[arm].provider !== 'url' && !rehearsal.arms[arm].primaries);
  // Shards share servers, and their rounds begin together.
  if (options.schedule) return;
  if (memoryProtocol !== 'full' || index >= MEMORY_ROUNDS || !round || !ours) return;
  const courses = await measureMemory({
    ...{ specs, limits, plan: workload.plan, round: index, order: round.order.slice(0, 2), rate, signal },
    saveSeconds: sliceSeconds,
    onStage: (doing) => options.onStage({ round: index, doing, loadSeconds: 0 }),
  });
  for (const arm of ARMS) round.arms[arm].memoryProtocol = courses[arm];
  await options.save(rehearsal);
}

/** Why a slice pair must not be used, if so. */
const spoiledPair = ({ arms }: Round, pair: number) =>
  ARMS.map((arm) => arms[arm].slices.find((slice) => slice.pair === pair))
    .map((slice) => slice && spoiledBy(slice))
    .find((reason) => reason !== undefined);

function drivingOf({ client, rehearsal: { settings } }: ConductOptions): [DriverOptions, ...DriverOptions[]] {
  const of = (name: ClientName): DriverOptions => ({
    ...{ client: name, workers: settings.workers },
    ...(settings.priority ? { priority: settings.priority } : {}),
    ...(settings.pacing ? { pacing: settings.pacing } : {}),
    ...(settings.protocol ? { protocol: settings.protocol } : {}),
  });
  const [first, ...others] = clientsOf(client);
  return [of(first), ...others.map(of)];
}

function outagesOf({ outages }: SliceRecord): Pick<SliceResult, 'outages'> {
  if (outages.length === 0) return {};
  const lengthsMs = outages.map(({ fromUs, untilUs }) => (untilUs - fromUs) / 1000);
  return {
    outages: {
      count: outages.length,
      longestMs: Math.max(...lengthsMs),
      totalMs: lengthsMs.reduce((sum, ms) => sum + ms, 0),
    },
  };
}

const NEAR_LIMIT = {
  id: 'generator-near-limit',
  message:
    'The rate is more than half of what the generator can do here: against a server that does nothing it could not keep twice the rate.',
  advice:
    'Part of what is measured may be the generator. Lower --rate, or give it more cores; cutover doctor tells what it can do.',
};

const NOT_FRESH = {
  id: 'rounds-not-fresh',
  message:
    'A server under test is run by someone else: it was not restarted between rounds, and the keys of the rehearsal are still on it.',
  advice:
    'Memory is not judged for it. Let cutover start the servers (docker:IMAGE or process:BINARY) for rounds that are independent.',
};

async function runSlice(
  options: ConductOptions,
  state: ArmState,
  arm: Arm,
  slice: Slice,
  place: { index: number; position: number; pair: number },
  probe: JitterProbe,
  watch: <T>(work: Promise<T>) => Promise<T>,
): Promise<void> {
  const { rehearsal, workload, signal } = options;
  const abort = new AbortController();
  const both = AbortSignal.any([signal, abort.signal]);
  const before = await state.server.info('stats');
  const startAtMs = options.schedule?.startOf(place.index, WARMUPS + place.position);
  const counters = readHostCounters();
  probe.begin();
  const clients = clientsOf(options.client);
  // The other client comes first in the next round, so that what is loaded first favours neither.
  const turn = (place.pair + place.index) % clients.length;
  const running = state.drivers[turn]!.run(slice, { signal: both, startAtMs });
  let record: SliceRecord;
  let death: unknown;
  try {
    record = await watch(running);
  } catch (error) {
    // The server died: what was measured until then is kept.
    death = error;
    abort.abort();
    record = await running;
  }
  const host = { jitterUs: await probe.take(), ...hostLoss(counters, readHostCounters()) };
  const after = death ? {} : await state.server.info('stats').catch((): Record<string, string> => ({}));
  const since = (name: string) => (name in after ? Number(after[name]) - Number(before[name]) : 0);
  const log = `latency/round-${place.index + 1}-slice-${place.position + 1}-${arm}.hlog`;
  const entries = summarize(slice, record, workload.plan.labels);
  await options.writeLog(log, writeLatencyLog(entries, record));
  const timeline = log.replace(/^latency(.*)hlog$/, 'timeline$1json');
  await options.writeLog(timeline, writeTimeline(timelineOf(slice, record)));
  const { startedAtMs, seconds, planned, replied, errors, errorsByLabel, lost, blocked, unsent, generator } = record;
  const result: SliceResult = {
    ...{ position: place.position, pair: place.pair, seed: slice.seed, startedAtMs, seconds, log, timeline },
    ...{ planned, replied, errors, errorsByLabel, lost, blocked, unsent, generator },
    ...(clients.length > 1 ? { client: clients[turn]! } : {}),
    ...{ heldByCap: record.heldByCap, outOfOrder: record.outOfOrder, scriptsResent: record.scriptsResent, host },
    ...(record.connectionLost === undefined ? {} : { connectionLost: record.connectionLost }),
    ...outagesOf(record),
    ...(record.cluster ? { cluster: record.cluster } : {}),
    stalls: findStalls(slice, record),
    ...{ hits: since('keyspace_hits'), misses: since('keyspace_misses') },
  };
  state.result.slices.push(result);
  await options.save(rehearsal);
  options.onSlice(arm, entries);
  if (death) throw death;
}

/** ABBA, or BAAB by a seeded coin: every arm comes first as often as second, so that drift within a round cancels. */
function orderOf(seed: string, index: number, pairs: number): Arm[] {
  const heads = stream(seed, 'order', index)() < 0.5;
  return Array.from({ length: pairs }, (_, pair) =>
    heads === (pair % 2 === 0) ? (['baseline', 'candidate'] as const) : (['candidate', 'baseline'] as const),
  ).flat();
}

async function configDifferences(arms: Record<Arm, ArmState>): Promise<Rehearsal['configDifferences']> {
  const [baseline, candidate] = await Promise.all(ARMS.map((arm) => arms[arm].server.config()));
  if (!baseline || !candidate) return [];
  // A setting that only one of them has is a difference of the products, not of how they are set up.
  return Object.keys(baseline)
    .filter((name) => name in candidate && !IGNORED_CONFIG.test(name) && baseline[name] !== candidate[name])
    .sort()
    .map((name) => ({ name, baseline: baseline[name], candidate: candidate[name] }));
}
