/** One round: fresh servers, preload, warm-up and slices in ABBA order → its measurements, kept as they come. */
import { countsSince, type ServerCounts, serverCounts } from '../capture/server-counts.ts';
import { messageOf } from '../errors.ts';
import { hostLoss, readHostCounters } from '../measure/host.ts';
import type { JitterProbe } from '../measure/jitter-probe.ts';
import { type LabelledHistograms, summarize, writeLatencyLog } from '../measure/latency-log.ts';
import { ARMS, type Arm, type ArmRound, type Rehearsal, type Round, type SliceResult } from '../measure/rehearsal.ts';
import { spoiledBy } from '../measure/spoiled.ts';
import { findStalls } from '../measure/stalls.ts';
import { timelineOf, writeTimeline } from '../measure/timeline.ts';
import { stream } from '../plan/random.ts';
import type { Workload } from '../plan/workload.ts';
import { assertEmpty } from '../servers/emptiness.ts';
import { startServer } from '../servers/index.ts';
import { priorityOf } from '../servers/priority.ts';
import type { RunningServer, ServerLimits } from '../servers/server.ts';
import { measureFloor } from './capacity/floor.ts';
import { type ClientName, clientsOf } from './clients/index.ts';
import { compareConfiguration } from './configuration.ts';
import { Driver, type DriverOptions, type SliceRecord } from './driver.ts';
import { canDefragment, settledSample } from './memory-protocol.ts';
import { ServerDied } from './server-death.ts';
import { ServerSampler } from './server-sampler.ts';
import type { ShardSchedule } from './shard-schedule.ts';
import { canSplit } from './thread/pacer.ts';

interface Stage {
  /** 0-based. */
  round: number;
  doing: string;
  /** What it takes at least: load, and idling on purpose. */
  plannedSeconds: number;
}

export interface RoundOptions {
  rehearsal: Rehearsal;
  workload: Workload;
  specs: Record<Arm, string>;
  limits: ServerLimits;
  client: ClientName | 'both';
  allowNonempty: boolean;
  signal: AbortSignal;
  /** Called when there is something new to keep: the rehearsal is a whole document every time. */
  save: (rehearsal: Rehearsal) => Promise<void>;
  writeLog: (path: string, text: string) => Promise<void>;
  /** How often a slice pair that generator or host spoiled is repeated, with the next seconds of the workload. */
  repeats: number;
  /** When several machines drive the plan together. */
  schedule?: ShardSchedule | undefined;
  onStage: (stage: Stage) => void;
  /** Called when a slice has been measured and saved. */
  onSlice: (arm: Arm, entries: LabelledHistograms[]) => void;
}

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
 * Runs the round with this 0-based number and adds it to `rehearsal.rounds`. Throws ServerDied when a server does, with
 * what was measured kept; the signal's reason when it fires; and what providers throw when a server does not start.
 */
export async function conductRound(options: RoundOptions, probe: JitterProbe, index: number): Promise<void> {
  await using round = new RunningRound(options, probe, index);
  await round.start();
  await round.load();
  await round.warmUp();
  await round.measure();
}

class RunningRound implements AsyncDisposable {
  private readonly options: RoundOptions;
  private readonly probe: JitterProbe;
  private readonly index: number;
  private readonly round: Round;
  private readonly stack = new AsyncDisposableStack();
  private readonly arms = {} as Record<Arm, ArmState>;
  /** For the error, should a server die. */
  private when = 'while it was being prepared';

  constructor(options: RoundOptions, probe: JitterProbe, index: number) {
    this.options = options;
    this.probe = probe;
    this.index = index;
    const { rehearsal, schedule } = options;
    this.round = {
      ...{ index, order: orderOf(rehearsal.seed, index, rehearsal.settings.slicePairs), arms: {} as Round['arms'] },
      laterSeconds: schedule?.laterSeconds(index) ?? Math.round((Date.now() - Date.parse(rehearsal.startedAt)) / 1000),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }

  /** Starts both servers and connects to them. */
  async start(): Promise<void> {
    const { index, arms } = this;
    const { rehearsal, specs, limits, allowNonempty, workload } = this.options;
    const { settings } = rehearsal;
    const { priority, memoryProtocol } = settings;
    const servers = {} as Record<Arm, RunningServer>;
    for (const arm of ARMS) {
      this.begin(`starting the ${arm}`);
      servers[arm] = this.stack.use(
        await startServer(specs[arm], { ...limits, ...(priority === 'realtime' ? { priority } : {}) }),
      );
      if (!servers[arm].ours && index === 0 && !allowNonempty) await assertEmpty(servers[arm]);
    }
    // How replies are waited for is part of every latency: both arms wait alike, or the difference would be theirs.
    const splits = ARMS.every((arm) => canSplit(drivingOf(this.options)[0].client, servers[arm].address));
    if (settings.pacing === 'split' && !splits) settings.pacing = 'nap';
    for (const arm of ARMS) {
      const server = servers[arm];
      const open = async (how: DriverOptions) => this.stack.use(await Driver.open(server.address, workload.plan, how));
      const [first, ...others] = drivingOf(this.options);
      const drivers: ArmState['drivers'] = [await open(first), ...(await Promise.all(others.map(open)))];
      const result: ArmRound = {
        identity: server.identity,
        preload: { commands: 0, keys: 0, logicalBytes: 0, seconds: 0, errors: {} },
        memory: {},
        slices: [],
      };
      const serverPriority = server.identity.pid === undefined ? undefined : priorityOf(server.identity.pid);
      if (serverPriority) result.serverPriority = serverPriority;
      if (memoryProtocol !== 'off') {
        result.memory.start = await settledSample(server, 0);
        if (server.ours) result.canDefragment = await canDefragment(server);
      }
      arms[arm] = { server, sampler: this.stack.use(new ServerSampler(server)), drivers, result };
      this.round.arms[arm] = result;
    }
    if (index > 0) return;
    for (const arm of ARMS) rehearsal.arms[arm] = arms[arm].server.identity;
    const { baseline, candidate } = arms;
    const { configDifferences, caveats } = await compareConfiguration({
      baseline: baseline.server,
      candidate: candidate.server,
    });
    rehearsal.configDifferences = configDifferences;
    rehearsal.caveats.push(...caveats);
    if (ARMS.some((arm) => !arms[arm].server.ours)) rehearsal.caveats.push(NOT_FRESH);
  }

  /** Scripts, functions and the preload. */
  async load(): Promise<void> {
    const { rehearsal, workload, schedule, signal } = this.options;
    if (schedule) this.begin('waiting for the other shards');
    await schedule?.begin(this.index, this.arms.baseline.server, signal);
    const { preload, scripts } = workload.plan;
    const { commands, keys, logicalBytes } = preload;
    for (const arm of ARMS) {
      const { server, drivers, result } = this.arms[arm];
      const [driver] = drivers;
      this.begin(`loading ${keys.toLocaleString('en')} keys into the ${arm}`);
      await this.watch(driver.load(scripts));
      result.preload = { commands, keys, logicalBytes, ...(await this.watch(driver.preload(preload))) };
      if (rehearsal.settings.memoryProtocol !== 'off') result.memory.fill = await settledSample(server, logicalBytes);
    }
  }

  /** Load that is not measured; before the first round also against a server that does nothing. */
  async warmUp(): Promise<void> {
    const { index, options, round } = this;
    const { rehearsal, workload, schedule, signal } = options;
    const { warmupSeconds } = rehearsal.settings;
    const warmup = workload.slice(index, 0, warmupSeconds, round.laterSeconds);
    if (!rehearsal.floor && !schedule) {
      this.begin('measuring the generator itself', warmupSeconds);
      rehearsal.floor = await measureFloor(workload.plan, warmup, drivingOf(options)[0]);
      if (!rehearsal.floor.keepsDoubleRate) rehearsal.caveats.push(NEAR_LIMIT);
    }
    this.when = `during the warm-up of round ${index + 1}`;
    for (const [step, arm] of ARMS.entries()) {
      this.begin(`warming up the ${arm}`, warmupSeconds);
      for (const driver of this.arms[arm].drivers)
        await this.watch(driver.run(warmup, { signal, startAtMs: schedule?.startOf(index, step) }));
      signal.throwIfAborted();
    }
  }

  /** All slices; from here on the round is in the rehearsal, and marked invalid where it does not come to its end. */
  async measure(): Promise<void> {
    const { rehearsal, signal, save } = this.options;
    const before = {} as Record<Arm, ServerCounts>;
    for (const arm of ARMS) before[arm] = await this.counts(arm);
    rehearsal.rounds.push(this.round);
    try {
      for (let pair = 0; pair < rehearsal.settings.slicePairs; pair++) await this.measurePair(pair);
      for (const arm of ARMS) {
        const { calls, ...failures } = countsSince(before[arm], await this.counts(arm)) ?? { calls: {} };
        Object.assign(this.arms[arm].result, { commands: calls, ...failures });
      }
      await this.finish();
      await save(rehearsal);
    } catch (error) {
      this.round.invalid = signal.aborted ? 'interrupted' : messageOf(error);
      throw error;
    }
  }

  private async counts(arm: Arm): Promise<ServerCounts> {
    const { server } = this.arms[arm];
    return serverCounts(await server.info('commandstats'), await server.info('errorstats'));
  }

  /** The same bytes to both arms; once more, with the next seconds of the workload, where generator or host spoiled it. */
  private async measurePair(pair: number): Promise<void> {
    const { round, index } = this;
    const { rehearsal, workload, schedule, signal, repeats } = this.options;
    const { sliceSeconds, warmupSeconds } = rehearsal.settings;
    for (let attempt = 0; ; attempt++) {
      // Both arms go on, so that they still hold the same data.
      const fromSeconds = warmupSeconds + (pair + (round.repeated?.length ?? 0)) * sliceSeconds;
      for (const position of [2 * pair, 2 * pair + 1]) {
        const arm = round.order[position]!;
        this.when = `during slice ${position + 1} of round ${index + 1}`;
        this.begin(
          `slice ${position + 1} of ${round.order.length}${attempt > 0 ? ', again' : ''}, ${arm}`,
          sliceSeconds,
        );
        const slice = workload.slice(index, fromSeconds, sliceSeconds, round.laterSeconds);
        await this.runSlice(arm, slice, { position, pair });
        const { startedAtMs } = this.arms[arm].result.slices.at(-1)!;
        const late = schedule?.lateness(index, WARMUPS + position, startedAtMs);
        if (late !== undefined) round.invalid ??= late;
        signal.throwIfAborted();
      }
      const reason = ARMS.map((arm) => spoiledBy(round.arms[arm].slices.at(-1)!)).find(
        (clause) => clause !== undefined,
      );
      if (reason === undefined || attempt === repeats) return;
      round.repeated = [...(round.repeated ?? []), { pair, reason }];
      for (const arm of ARMS) round.arms[arm].slices.pop();
    }
  }

  private async runSlice(arm: Arm, slice: ReturnType<Workload['slice']>, place: { position: number; pair: number }) {
    const { options, probe, index } = this;
    const { rehearsal, workload, signal, schedule, writeLog, save, onSlice } = options;
    const { server, drivers, result } = this.arms[arm];
    const abort = new AbortController();
    const before = await server.info('stats');
    const startAtMs = schedule?.startOf(index, WARMUPS + place.position);
    const counters = readHostCounters();
    probe.begin();
    const clients = clientsOf(options.client);
    // The other client comes first in the next round, so that what is loaded first favours neither.
    const turn = (place.pair + index) % clients.length;
    const running = drivers[turn]!.run(slice, { signal: AbortSignal.any([signal, abort.signal]), startAtMs });
    let record: SliceRecord;
    let death: unknown;
    try {
      record = await this.watch(running);
    } catch (error) {
      // The server died: what was measured until then is kept.
      death = error;
      abort.abort();
      record = await running;
    }
    const host = { jitterUs: await probe.take(), ...hostLoss(counters, readHostCounters()) };
    const after = death ? {} : await server.info('stats').catch((): Record<string, string> => ({}));
    const since = (name: string) => (name in after ? Number(after[name]) - Number(before[name]) : 0);
    const log = `latency/round-${index + 1}-slice-${place.position + 1}-${arm}.hlog`;
    const entries = summarize(slice, record, workload.plan.labels);
    await writeLog(log, writeLatencyLog(entries, record));
    const timeline = log.replace(/^latency(.*)hlog$/, 'timeline$1json');
    await writeLog(timeline, writeTimeline(timelineOf(slice, record)));
    const { startedAtMs, seconds, planned, replied, errors, errorsByLabel, lost, blocked, unsent, generator } = record;
    result.slices.push({
      ...{ ...place, seed: slice.seed, startedAtMs, seconds, log, timeline },
      ...{ planned, replied, errors, errorsByLabel, lost, blocked, unsent, generator },
      ...(clients.length > 1 ? { client: clients[turn]! } : {}),
      ...{ heldByCap: record.heldByCap, outOfOrder: record.outOfOrder, scriptsResent: record.scriptsResent, host },
      ...(record.connectionLost === undefined ? {} : { connectionLost: record.connectionLost }),
      ...outagesOf(record),
      ...(record.cluster ? { cluster: record.cluster } : {}),
      ...(record.transactions ? { transactions: record.transactions } : {}),
      ...(record.walks ? { walks: record.walks } : {}),
      ...(record.messages ? { messages: record.messages } : {}),
      stalls: findStalls(slice, record),
      ...{ hits: since('keyspace_hits'), misses: since('keyspace_misses') },
    });
    await save(rehearsal);
    onSlice(arm, entries);
    if (death) throw death;
  }

  /** What is known of the servers when the last slice is over. */
  private async finish(): Promise<void> {
    const { rehearsal, workload, writeLog } = this.options;
    for (const arm of ARMS) {
      const { server, sampler, result } = this.arms[arm];
      if (rehearsal.settings.memoryProtocol !== 'off')
        result.memory.end = await settledSample(server, workload.plan.preload.logicalBytes);
      result.samples = `servers/round-${this.index + 1}-${arm}.ndjson`;
      await writeLog(result.samples, sampler.text);
    }
  }

  private begin(doing: string, plannedSeconds = 0): void {
    this.options.onStage({ round: this.index, doing, plannedSeconds });
  }

  /** Waits for `work` on one arm, unless either server dies first. */
  private async watch<T>(work: Promise<T>): Promise<T> {
    const { arms } = this;
    const deaths = ARMS.filter((arm) => arms[arm]).map((arm) => arms[arm].server.died.then((exit) => ({ arm, exit })));
    const first = await Promise.race([work.then((value) => ({ value })), ...deaths]);
    if ('value' in first) return first.value;
    work.catch(() => {});
    const { server } = arms[first.arm];
    throw new ServerDied(first.arm, server, first.exit, this.when, await server.logTail(10).catch(() => []));
  }
}

function drivingOf({ client, rehearsal: { settings } }: RoundOptions): [DriverOptions, ...DriverOptions[]] {
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

/** ABBA, or BAAB by a seeded coin: every arm comes first as often as second, so that drift within a round cancels. */
function orderOf(seed: string, index: number, pairs: number): Arm[] {
  const heads = stream(seed, 'order', index)() < 0.5;
  return Array.from({ length: pairs }, (_, pair) =>
    heads === (pair % 2 === 0) ? (['baseline', 'candidate'] as const) : (['candidate', 'baseline'] as const),
  ).flat();
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
