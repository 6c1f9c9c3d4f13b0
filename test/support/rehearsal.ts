/** Rehearsals made of numbers: a description of each arm in, a rehearsal and its latency histograms out. */
import { createFolder, type StoredRehearsal } from '../../src/measure/folder.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { type LabelledHistograms, writeLatencyLog } from '../../src/measure/latency-log.ts';
import { ARMS, type Arm, type ArmRound, type Rehearsal, type SliceResult } from '../../src/measure/rehearsal.ts';
import type { ServerSample } from '../../src/measure/server-samples.ts';
import { type Timeline, writeTimeline } from '../../src/measure/timeline.ts';

/** Uniform in [0, 1): mulberry32, so that a test's data is the same on every machine. */
export function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal, by Box and Muller. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** What one arm does in one round. */
export interface ArmBehaviour {
  /** Ops per slice and family. */
  ops: number;
  families: string[];
  /** Median service time, and the factor from P50 to P99.9, of the round. */
  serviceUs: number;
  tail: number;
  lagUs: number;
  /** RSS growth over logical bytes. */
  rssPerByte: number;
  /** `FAMILY COMMAND` → prefix → count, in each slice. */
  errors: Record<string, Record<string, number>>;
  /** `FAMILY COMMAND` → ops per slice that count as calls and have no latency. */
  calls: Record<string, number>;
  lost: number;
  /** Per slice; of 50 ms each. */
  stalls: number;
  /** Sent over planned rate. */
  achieved: number;
  /** The longest response of each slice's time line, in its middle; 0: like everywhere else. */
  spikeUs: number;
}

const ORDINARY: ArmBehaviour = {
  ops: 12_000,
  families: ['session:{id}'],
  serviceUs: 400,
  tail: 5,
  lagUs: 20,
  rssPerByte: 1.3,
  errors: {},
  calls: {},
  lost: 0,
  stalls: 0,
  achieved: 1,
  spikeUs: 0,
};

export type Behaviour = (round: number, arm: Arm) => Partial<ArmBehaviour>;

export type Synthetic = Pick<StoredRehearsal, 'rehearsal' | 'modelText' | 'latencyOf' | 'timelineOf' | 'samplesOf'>;

const LOGICAL_BYTES = 200 * 2 ** 20;
const START_BYTES = 8 * 2 ** 20;
const SLICE_PAIRS = 2;

/** A finished rehearsal of `rounds` rounds with two slice pairs each; `behave` says how each arm differs from the ordinary. */
export function rehearse(
  behave: Behaviour,
  {
    rounds = 5,
    sliceSeconds = 3,
    overrides = {} as Partial<Rehearsal>,
    modelText = '{"schema":"cutover/model@1"}\n',
  } = {},
): Synthetic {
  const behaviour = (round: number, arm: Arm): ArmBehaviour => ({ ...ORDINARY, ...behave(round, arm) });
  const rehearsal: Rehearsal = {
    schema: 'cutover/rehearsal@1',
    cutover: '0.1.0',
    node: 'v24.21.0',
    startedAt: '2026-11-23T14:05:09.000Z',
    finishedAt: '2026-11-23T14:09:09.000Z',
    command: 'cutover run captures/mixed.monitor.gz --baseline process:redis-server --candidate process:valkey-server',
    seed: '1',
    settings: {
      rounds,
      slicePairs: SLICE_PAIRS,
      sliceSeconds,
      warmupSeconds: 1,
      rate: 4000,
      capturedRate: 4000,
      connections: 16,
      workers: 1,
    },
    machine: { platform: 'linux x64', cpu: 'a processor', cores: 4, memoryBytes: 8 * 2 ** 30 },
    files: { model: 'model.json', budget: 'budget.yaml' },
    budgetSha256: '0'.repeat(64),
    client: 'raw',
    arms: {
      baseline: {
        spec: 'process:redis-server',
        provider: 'process',
        product: 'redis',
        version: '7.0.15',
        allocator: 'jemalloc-5.3.0',
      },
      candidate: {
        spec: 'process:valkey-server',
        provider: 'process',
        product: 'valkey',
        version: '8.1.1',
        allocator: 'jemalloc-5.3.0',
      },
    },
    configDifferences: [],
    rounds: [],
    caveats: [],
    ...overrides,
  };
  rehearsal.rounds = Array.from({ length: rounds }, (_, index) => ({
    index,
    laterSeconds: 10 * index,
    order:
      index % 2 === 0
        ? ['baseline', 'candidate', 'candidate', 'baseline']
        : ['candidate', 'baseline', 'baseline', 'candidate'],
    arms: {
      baseline: armRound(rehearsal, behaviour(index, 'baseline'), index, 'baseline'),
      candidate: armRound(rehearsal, behaviour(index, 'candidate'), index, 'candidate'),
    },
  }));
  return {
    rehearsal,
    modelText,
    latencyOf: (round, arm, slice) => histograms(behaviour(round, arm), round * SLICE_PAIRS + slice),
    timelineOf: (round, arm, slice) => timeline(behaviour(round, arm), sliceSeconds, round * SLICE_PAIRS + slice),
    samplesOf: (round, arm) => serverSamples(behaviour(round, arm), rehearsal.rounds[round]!.arms[arm].slices),
  };
}

/** A second apart, while the round goes on: half a core each, and memory that stays. */
const serverSamples = ({ rssPerByte }: ArmBehaviour, slices: SliceResult[]): ServerSample[] =>
  Array.from({ length: 20 }, (_, second) => ({
    atMs: (slices[0]?.startedAtMs ?? 0) + 1000 * second,
    rssBytes: START_BYTES + rssPerByte * LOGICAL_BYTES,
    ...{ used_cpu_user: 0.3 * second, used_cpu_sys: 0.2 * second },
  }));

/** Bins that wave a little around the slice's percentiles. */
function timeline({ ops, serviceUs, tail, lagUs, spikeUs }: ArmBehaviour, seconds: number, ripple: number): Timeline {
  const binUs = seconds < 1 ? 10_000 : 100_000;
  const bins = Math.ceil((seconds * 1e6) / binUs);
  const wave = (us: number) =>
    Array.from({ length: bins }, (_, bin) => Math.round(us * (1 + 0.1 * Math.sin(bin / 5 + ripple)) + lagUs));
  const maxUs = wave(serviceUs * tail);
  if (spikeUs > 0) maxUs[bins >> 1] = spikeUs;
  const sent = new Array<number>(bins).fill(ops / bins);
  return {
    ...{ binUs, sent, answered: sent, p50Us: wave(serviceUs), p99Us: wave(serviceUs * tail ** 0.63) },
    ...{ maxUs, waitUs: maxUs.map((us) => us / 2) },
  };
}

function armRound(rehearsal: Rehearsal, behaviour: ArmBehaviour, round: number, arm: Arm): ArmRound {
  const memory = (logicalBytes: number) => {
    const allocatedBytes = START_BYTES / 2 + logicalBytes * (behaviour.rssPerByte - 0.1);
    return {
      rssBytes: START_BYTES + logicalBytes * behaviour.rssPerByte,
      usedBytes: allocatedBytes * 0.98,
      allocatedBytes,
      activeBytes: allocatedBytes * 1.03,
      residentBytes: allocatedBytes * 1.06,
      memFragmentationRatio: 1.13,
      allocatorFragRatio: 1.03,
      logicalBytes,
    };
  };
  return {
    identity: rehearsal.arms[arm],
    preload: { commands: 200_000, keys: 200_000, logicalBytes: LOGICAL_BYTES, seconds: 2, errors: {} },
    memory: { start: memory(0), fill: memory(LOGICAL_BYTES), end: memory(LOGICAL_BYTES * 1.1) },
    slices: Array.from({ length: SLICE_PAIRS }, (_, pair) => slice(behaviour, round, arm, pair)),
  };
}

function slice(behaviour: ArmBehaviour, round: number, arm: Arm, pair: number): SliceResult {
  const errors: Record<string, number> = {};
  for (const prefixes of Object.values(behaviour.errors)) {
    for (const [prefix, times] of Object.entries(prefixes)) errors[prefix] = (errors[prefix] ?? 0) + times;
  }
  const failed = Object.values(errors).reduce((sum, times) => sum + times, 0);
  const planned = behaviour.ops * behaviour.families.length;
  const position = pair * 2 + (arm === 'baseline' ? 0 : 1);
  return {
    position,
    pair,
    seed: `1/${round}/${pair}`,
    startedAtMs: Date.UTC(2026, 10, 23, 14, 5, 9) + (round * 4 + position) * 3000,
    seconds: 3,
    log: `latency/round-${round + 1}-slice-${position + 1}-${arm}.hlog`,
    timeline: `timeline/round-${round + 1}-slice-${position + 1}-${arm}.json`,
    planned,
    replied: planned - failed - behaviour.lost,
    errors,
    errorsByLabel: behaviour.errors,
    lost: behaviour.lost,
    blocked: 0,
    unsent: 0,
    generator: {
      achievedRate: 4000 * behaviour.achieved,
      plannedRate: 4000,
      lagUs: { p50: behaviour.lagUs / 2, p99: behaviour.lagUs, p999: behaviour.lagUs, max: behaviour.lagUs },
      eventLoopDelayUs: { p99: 100, max: 400 },
      gcPauses: { count: 1, totalMs: 1, maxMs: 1 },
      cpuCores: 0.5,
    },
    stalls: Array.from({ length: behaviour.stalls }, (_, i) => ({
      ...{ startUs: 100_000 * (i + 1), durationUs: 50_000, waitUs: 50_000, lagUs: 0 },
    })),
    hits: 1000,
    misses: 10,
  };
}

/** Nothing writes to a histogram that was made, and most arms of most tests are the same. */
const histogramsMade = new Map<string, LabelledHistograms[]>();

/**
 * A distribution with ln q linear in the logarithm of the tail beyond the median: q(p) = serviceUs · tail^(log₂(½/(1−p)) / log₂ 500).
 * Taken at even ranks, so that its quantiles are what the formula says; up to 2 % of ripple makes slices differ.
 */
function histograms(behaviour: ArmBehaviour, ripple: number): LabelledHistograms[] {
  const { ops, families, serviceUs, tail, lagUs, calls } = behaviour;
  const key = JSON.stringify([ripple, ops, families, serviceUs, tail, lagUs, calls]);
  const made = histogramsMade.get(key);
  if (made) return made;
  const factor = 1 + 0.02 * (uniform(ripple)() - 0.5);
  const empty = () => ({
    lag: LatencyHistogram.empty(),
    service: LatencyHistogram.empty(),
    response: LatencyHistogram.empty(),
  });
  const failing = Object.entries(calls).map(([label, times]): LabelledHistograms => {
    const [family, command] = label.split(' ') as [string, string];
    const parts = empty();
    for (let i = 0; i < times; i++) parts.lag.record(lagUs);
    return { family, command, ...parts };
  });
  const answering = families.map((family): LabelledHistograms => {
    const { lag, service, response } = empty();
    for (let i = 0; i < ops; i++) {
      const beyond = 1 - (i + 0.5) / ops;
      const us = serviceUs * factor * tail ** (Math.log(0.5 / beyond) / Math.log(500));
      lag.record(lagUs);
      service.record(us);
      response.record(us + lagUs);
    }
    return { family, command: 'get', lag, service, response };
  });
  const entries = [...answering, ...failing];
  histogramsMade.set(key, entries);
  return entries;
}

/** Writes a synthetic rehearsal as `cutover run` would; resolves to the folder. */
export async function writeRehearsal(
  path: string,
  { rehearsal, modelText, latencyOf, timelineOf }: Synthetic,
  { model = modelText, budget }: { model?: string; budget: string },
): Promise<string> {
  const folder = await createFolder(path);
  await folder.writeText(rehearsal.files.model, model);
  await folder.writeText(rehearsal.files.budget, budget);
  for (const [k, { arms }] of rehearsal.rounds.entries()) {
    for (const arm of ARMS) {
      for (const [i, result] of arms[arm].slices.entries()) {
        await folder.writeText(result.log, writeLatencyLog(latencyOf(k, arm, i), result));
        await folder.writeText(result.timeline!, writeTimeline(timelineOf(k, arm, i)!));
      }
    }
  }
  await folder.save(rehearsal);
  return folder.path;
}
