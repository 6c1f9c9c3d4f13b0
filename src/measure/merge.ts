/** The rehearsals of all shards of one plan → the rehearsal of the plan: counts and histograms add, so nothing is estimated. */
import { isDeepStrictEqual } from 'node:util';
import { type Caveat, CutoverError } from '../errors.ts';
import { printable } from '../printable.ts';
import type { StoredRehearsal } from './folder.ts';
import { LatencyHistogram } from './histogram.ts';
import { addLogs, type LabelledHistograms, writeLatencyLog } from './latency-log.ts';
import {
  ARMS,
  type Arm,
  type ArmRound,
  type GeneratorHealth,
  type Quantiles,
  type Rehearsal,
  type Round,
  type SliceResult,
  type Stall,
} from './rehearsal.ts';

/** Slices of a pair of shards that began further apart did not load the server together. */
const MAX_APART_MS = 200;

/** A stored rehearsal that is one machine's part of a plan. */
type Part = StoredRehearsal & { rehearsal: { shard: NonNullable<Rehearsal['shard']> } };

/**
 * Takes each shard once, in any order, and writes the latency logs of the whole as it goes. Rounds that are not in all
 * parts are left out. What the servers count of themselves (memory, commands, hits) is the first shard's: all of them
 * asked the same servers.
 * @throws CutoverError E_NOT_MERGEABLE (usage), before anything is written, naming what is missing, double or different.
 */
export async function mergeShards(
  stored: readonly StoredRehearsal[],
  writeLog: (path: string, text: string) => Promise<void>,
): Promise<Rehearsal> {
  const parts = inOrder(stored);
  const [first] = parts as [Part];
  assertSamePlan(parts);
  const rehearsals = parts.map(({ rehearsal }) => rehearsal);
  const { shard: _, floor: __, ...common } = first.rehearsal;
  const floors = rehearsals.flatMap(({ floor }) => floor ?? []);
  const stopped = parts.find(({ rehearsal }) => rehearsal.stopped);
  const ends = rehearsals.flatMap(({ finishedAt }) => finishedAt ?? []).sort();
  const roundsOf = (index: number) =>
    rehearsals.flatMap(({ rounds }) => rounds.find((round) => round.index === index) ?? []);
  const complete = first.rehearsal.rounds
    .map(({ index }) => roundsOf(index))
    .filter(({ length }) => length === parts.length);
  const rehearsal: Rehearsal = {
    ...common,
    startedAt: rehearsals.map(({ startedAt }) => startedAt).sort()[0]!,
    // The whole plan, from one machine.
    command: common.command.replace(/ --(?:shard|shard-gap|start-at) \S+/g, ''),
    settings: { ...common.settings, workers: sum(rehearsals, ({ settings }) => settings.workers) },
    rounds: complete.map((rounds) => mergeRounds(rounds, parts)),
    caveats: mergeCaveats(parts),
    ...(floors.length > 0
      ? {
          floor: {
            ops: sum(floors, ({ ops }) => ops),
            responseUs: worst(floors.map(({ responseUs }) => responseUs)),
            lagUs: worst(floors.map(({ lagUs }) => lagUs)),
            keepsDoubleRate: floors.every(({ keepsDoubleRate }) => keepsDoubleRate),
          },
        }
      : {}),
  };
  if (ends.length === parts.length) rehearsal.finishedAt = ends.at(-1)!;
  else delete rehearsal.finishedAt;
  if (stopped) {
    const { reason, message } = stopped.rehearsal.stopped!;
    rehearsal.stopped = { reason, message: `shard ${stopped.rehearsal.shard.number}: ${message}` };
  }
  // One slice at a time: all histograms of a run do not fit in memory.
  for (const { index, arms } of rehearsal.rounds) {
    for (const arm of ARMS) {
      for (const slice of arms[arm].slices) {
        const entries = addLogs(parts.map((part) => readLog(part, index, arm, slice.position)));
        const lag = LatencyHistogram.empty();
        for (const entry of entries) lag.add(entry.lag);
        slice.generator.lagUs = lag.quantiles();
        await writeLog(slice.log, writeLatencyLog(entries, slice));
      }
    }
  }
  return rehearsal;
}

/** What a part measured of a slice. */
function readLog({ rehearsal, latencyOf }: Part, round: number, arm: Arm, position: number): LabelledHistograms[] {
  const at = rehearsal.rounds.findIndex(({ index }) => index === round);
  return latencyOf(
    at,
    arm,
    rehearsal.rounds[at]!.arms[arm].slices.findIndex((slice) => slice.position === position),
  );
}

function inOrder(stored: readonly StoredRehearsal[]): Part[] {
  const parts = stored.map((part) => {
    if (part.rehearsal.shard) return part as Part;
    throw refusal(
      `${part.path} is no part: it was not run with --shard.`,
      'Name the folders that cutover run --shard wrote.',
    );
  });
  const { count } = parts[0]!.rehearsal.shard;
  const seen = new Map<number, Part>();
  for (const part of parts) {
    const { number, count: own } = part.rehearsal.shard;
    if (own !== count) {
      throw refusal(
        `${parts[0]!.path} is one of ${count} shards, ${part.path} one of ${own}.`,
        'Merge the shards of one run: all have the same number behind the slash.',
      );
    }
    const twin = seen.get(number);
    if (twin) {
      throw refusal(
        `Shard ${number} of ${count} is there twice: ${twin.path} and ${part.path}.`,
        'Leave out the one of another run, or of an attempt that was repeated.',
      );
    }
    seen.set(number, part);
  }
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((number) => !seen.has(number));
  if (missing.length > 0) {
    throw refusal(
      `Of ${count} shards, ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing.`,
      'A part of the load gives another latency than all of it: name the folders of all shards.',
    );
  }
  return parts.sort((a, b) => a.rehearsal.shard.number - b.rehearsal.shard.number);
}

/** What parts of one plan have in common, by what a reader would call it. */
function traitsOf({ rehearsal, modelText }: Part): [string, unknown][] {
  const { seed, settings, shard, client, cutover, budgetSha256, arms } = rehearsal;
  return [
    ['the model', modelText],
    ['the seed', seed],
    // Threads are a matter of each machine.
    ...Object.entries(settings).flatMap(([name, value]): [string, unknown][] =>
      name === 'workers' ? [] : [[`the setting ${name}`, value]],
    ),
    ['the plan (mode, keys or epoch)', shard.planSha256],
    ['the budget', budgetSha256],
    ['the client', client],
    ['the start', new Date(shard.startAtMs).toISOString()],
    ['the version of cutover', cutover],
    ...ARMS.flatMap((arm): [string, unknown][] => {
      const { spec, product, version, primaries } = arms[arm];
      return [
        [`the ${arm}`, spec],
        [`the ${arm}'s version`, `${product} ${version}`],
        [`the ${arm}'s primaries`, primaries],
      ];
    }),
  ];
}

function assertSamePlan(parts: Part[]): void {
  const [first, ...others] = parts as [Part, ...Part[]];
  const traits = traitsOf(first);
  const differing = new Set<string>();
  for (const other of others) {
    const own = traitsOf(other);
    for (const [i, [name, value]] of traits.entries()) {
      const theirs = own.find(([candidate]) => candidate === name)?.[1];
      if (isDeepStrictEqual(value, theirs)) continue;
      const both = [value, theirs].map((text) => printable(String(text)));
      const shown = both.every(({ length }) => length <= 40) ? ` (${both.join(', ')})` : '';
      differing.add(`${traits[i]![0]} differs${shown}`);
    }
  }
  if (differing.size === 0) return;
  throw refusal(
    `These are not parts of one run: ${[...differing].join('; ')}.`,
    'Run all shards with the same capture, version and flags, but for the number before the slash of --shard.',
  );
}

function mergeRounds(rounds: Round[], parts: Part[]): Round {
  const [first] = rounds as [Round];
  const arms = {} as Round['arms'];
  let invalid: string | undefined;
  for (const [i, round] of rounds.entries()) {
    if (round.invalid !== undefined) invalid ??= `shard ${parts[i]!.rehearsal.shard.number}: ${round.invalid}`;
  }
  for (const arm of ARMS) {
    const own = rounds.map((round) => round.arms[arm]);
    arms[arm] = mergeArms(own);
    for (const { position } of arms[arm].slices) invalid ??= apart(own, position, parts);
  }
  const { invalid: _, ...common } = first;
  return { ...common, arms, ...(invalid === undefined ? {} : { invalid }) };
}

const sliceAt = ({ slices }: ArmRound, position: number) => slices.find((slice) => slice.position === position);

/** Why the parts of a slice are not one slice, as a clause. Clocks are compared by the baseline's. */
function apart(rounds: ArmRound[], position: number, parts: Part[]): string | undefined {
  const startsMs = rounds.map(
    (round, i) => sliceAt(round, position)!.startedAtMs + parts[i]!.rehearsal.shard.clockOffsetMs,
  );
  const spreadMs = Math.round(Math.max(...startsMs) - Math.min(...startsMs));
  if (spreadMs > MAX_APART_MS) return `its shards began slice ${position + 1} as much as ${spreadMs} ms apart`;
  const [seed, ...others] = rounds.map((round) => sliceAt(round, position)!.seed);
  return others.every((other) => other === seed) ? undefined : `its shards sent other seconds as slice ${position + 1}`;
}

function mergeArms(parts: ArmRound[]): ArmRound {
  const [first] = parts as [ArmRound];
  const positions = first.slices.map(({ position }) => position);
  const errors: Record<string, number>[] = parts.map(({ preload }) => preload.errors);
  return {
    ...first,
    preload: {
      commands: sum(parts, ({ preload }) => preload.commands),
      keys: sum(parts, ({ preload }) => preload.keys),
      logicalBytes: sum(parts, ({ preload }) => preload.logicalBytes),
      seconds: Math.max(...parts.map(({ preload }) => preload.seconds)),
      errors: addCounts(errors),
    },
    slices: positions.flatMap((position) => {
      const slices = parts.flatMap((part) => sliceAt(part, position) ?? []);
      return slices.length === parts.length ? mergeSlices(slices) : [];
    }),
  };
}

function mergeSlices(parts: SliceResult[]): SliceResult {
  const [first] = parts as [SliceResult];
  const { timeline: _, connectionLost: __, ...common } = first;
  const add = (of: (slice: SliceResult) => number) => sum(parts, of);
  const labels = new Set(parts.flatMap(({ errorsByLabel }) => Object.keys(errorsByLabel)));
  const lost = [...new Set(parts.flatMap(({ connectionLost }) => connectionLost ?? []))];
  const outages = parts.flatMap((slice) => slice.outages ?? []);
  const hosts = parts.flatMap(({ host }) => host ?? []);
  return {
    ...common,
    startedAtMs: Math.min(...parts.map(({ startedAtMs }) => startedAtMs)),
    seconds: Math.max(...parts.map(({ seconds }) => seconds)),
    planned: add(({ planned }) => planned),
    replied: add(({ replied }) => replied),
    errors: addCounts(parts.map(({ errors }) => errors)),
    errorsByLabel: Object.fromEntries(
      [...labels].map((label) => [label, addCounts(parts.map(({ errorsByLabel }) => errorsByLabel[label] ?? {}))]),
    ),
    lost: add(({ lost }) => lost),
    blocked: add(({ blocked }) => blocked),
    unsent: add(({ unsent }) => unsent),
    generator: mergeGenerators(parts.map(({ generator }) => generator)),
    ...addOptional('heldByCap', parts),
    ...addOptional('outOfOrder', parts),
    ...addOptional('scriptsResent', parts),
    ...addNamed('cluster', parts),
    ...addNamed('transactions', parts),
    ...addNamed('walks', parts),
    ...addNamed('messages', parts),
    ...(lost.length > 0 ? { connectionLost: lost.join('; ') } : {}),
    ...(outages.length > 0
      ? {
          outages: {
            count: sum(outages, ({ count }) => count),
            longestMs: Math.max(...outages.map(({ longestMs }) => longestMs)),
            totalMs: sum(outages, ({ totalMs }) => totalMs),
          },
        }
      : {}),
    ...(hosts.length > 0
      ? {
          host: {
            jitterUs: worst(hosts.map(({ jitterUs }) => jitterUs)),
            stealShare: Math.max(...hosts.map(({ stealShare }) => stealShare)),
            throttledMs: Math.max(...hosts.map(({ throttledMs }) => throttledMs)),
          },
        }
      : {}),
    ...(first.stalls ? { stalls: joinStalls(parts.flatMap(({ stalls }) => stalls ?? [])) } : {}),
  };
}

/** The rates and the work add up; of what is a quantile of its own, the worst machine's stands. */
function mergeGenerators(parts: GeneratorHealth[]): GeneratorHealth {
  const [first] = parts as [GeneratorHealth];
  const add = (of: (health: GeneratorHealth) => number) => sum(parts, of);
  const most = (of: (health: GeneratorHealth) => number) => Math.max(...parts.map(of));
  const threadCores = parts.flatMap((part) => part.threadCores ?? []);
  const probes = parts.flatMap(({ probeUs }) => probeUs ?? []);
  const { priority, probeUs: _, threadCores: __, ...common } = first;
  return {
    ...common,
    achievedRate: add(({ achievedRate }) => achievedRate),
    plannedRate: add(({ plannedRate }) => plannedRate),
    eventLoopDelayUs: {
      p99: most(({ eventLoopDelayUs }) => eventLoopDelayUs.p99),
      max: most(({ eventLoopDelayUs }) => eventLoopDelayUs.max),
    },
    gcPauses: {
      count: add(({ gcPauses }) => gcPauses.count),
      totalMs: add(({ gcPauses }) => gcPauses.totalMs),
      maxMs: most(({ gcPauses }) => gcPauses.maxMs),
    },
    cpuCores: add(({ cpuCores }) => cpuCores),
    ...(threadCores.length > 0 ? { threadCores } : {}),
    ...(priority && parts.every((part) => part.priority === priority) ? { priority } : {}),
    ...(probes.length > 0 ? { probeUs: { count: sum(probes, ({ count }) => count), ...worst(probes) } } : {}),
  };
}

/** Every shard sees a server stand still: stalls that overlap are one. */
function joinStalls(stalls: Stall[]): Stall[] {
  const joined: Stall[] = [];
  for (const stall of stalls.sort((a, b) => a.startUs - b.startUs)) {
    const last = joined.at(-1);
    const endUs = stall.startUs + stall.durationUs;
    if (!last || stall.startUs > last.startUs + last.durationUs) joined.push({ ...stall });
    else {
      last.durationUs = Math.max(last.startUs + last.durationUs, endUs) - last.startUs;
      last.waitUs = Math.max(last.waitUs, stall.waitUs);
      last.lagUs = Math.max(last.lagUs, stall.lagUs);
    }
  }
  return joined;
}

/** Each once, and one that says what this is. */
function mergeCaveats(parts: Part[]): Caveat[] {
  const caveats = new Map<string, Caveat>();
  for (const caveat of parts.flatMap(({ rehearsal }) => rehearsal.caveats))
    caveats.set(`${caveat.id} ${caveat.message}`, caveat);
  const machines = new Set(parts.map(({ rehearsal }) => JSON.stringify(rehearsal.machine)));
  return [
    {
      id: 'merged-shards',
      message: `Merged from ${parts.length} shards, on ${machines.size === 1 ? 'machines that are alike' : 'machines that differ'}.`,
      advice:
        'Latencies are those of all generators together; time lines are not kept, for their percentiles do not add. The figures of a machine are the first shard’s.',
      numbers: { shards: parts.length },
    },
    ...caveats.values(),
  ];
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0);
}

function worst(quantiles: Quantiles[]): Quantiles {
  const most = (of: keyof Quantiles) => Math.max(...quantiles.map((values) => values[of]));
  return { p50: most('p50'), p99: most('p99'), p999: most('p999'), max: most('max') };
}

/** Names come from servers: fromEntries makes even `__proto__` a plain property. */
function addCounts(parts: Record<string, number>[]): Record<string, number> {
  const total = new Map<string, number>();
  for (const part of parts) for (const [name, n] of Object.entries(part)) total.set(name, (total.get(name) ?? 0) + n);
  return Object.fromEntries(total);
}

function addOptional<Name extends 'heldByCap' | 'outOfOrder' | 'scriptsResent'>(
  name: Name,
  parts: SliceResult[],
): Partial<Record<Name, number>> {
  if (parts.every((part) => part[name] === undefined)) return {};
  return { [name]: sum(parts, (part) => part[name] ?? 0) } as Record<Name, number>;
}

/** Counts by name, of the parts that have them. */
function addNamed<Name extends 'cluster' | 'transactions' | 'walks' | 'messages'>(
  name: Name,
  parts: SliceResult[],
): Pick<SliceResult, Name> {
  const counts = parts.flatMap((part) => part[name] ?? []);
  return (counts.length > 0 ? { [name]: addCounts(counts as Record<string, number>[]) } : {}) as Pick<
    SliceResult,
    Name
  >;
}

const refusal = (message: string, advice: string) => new CutoverError('usage', 'E_NOT_MERGEABLE', message, advice);
