/** Turns a rehearsal into a folder on disk as the run proceeds, and a folder back into a rehearsal that can be judged. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { CutoverError, messageOf } from '../errors.ts';
import { type LabelledHistograms, readLatencyLog } from './latency-log.ts';
import { type Arm, COURSE_PHASES, MEMORY_PROTOCOLS, type Rehearsal } from './rehearsal.ts';
import { readServerSamples, type ServerSample } from './server-samples.ts';
import { readTimeline, type Timeline } from './timeline.ts';

const DOCUMENT = 'rehearsal.json';

/** A folder that a run is writing. */
export interface RehearsalFolder {
  path: string;
  /** Replaces rehearsal.json in one step: a run killed at any moment leaves the last complete state. */
  save(rehearsal: Rehearsal): Promise<void>;
  /** Writes a text file below the folder. */
  writeText(name: string, text: string): Promise<void>;
}

/** The latency log of a slice; positions in `Rehearsal.rounds` and in that arm's `slices`. */
type LatencyReader = (round: number, arm: Arm, slice: number) => LabelledHistograms[];

/** The time line of a slice, named as its latency log is; undefined of a run that kept none, or a copy without them. */
type TimelineReader = (round: number, arm: Arm, slice: number) => Timeline | undefined;

/** INFO of a round's server each second; undefined as above. */
type SamplesReader = (round: number, arm: Arm) => ServerSample[] | undefined;

export interface StoredRehearsal {
  path: string;
  rehearsal: Rehearsal;
  modelText: string;
  budgetText: string;
  latencyOf: LatencyReader;
  timelineOf: TimelineReader;
  samplesOf: SamplesReader;
}

/**
 * Makes a new folder; `rehearsals/TIME-RANDOM` in the working directory unless a path is given.
 * @throws CutoverError E_FOLDER_EXISTS or E_FOLDER (usage): what was measured before is never written over.
 */
export async function createFolder(path?: string): Promise<RehearsalFolder> {
  const folder = path ?? join('rehearsals', `${timeName(new Date())}-${randomBytes(2).toString('hex')}`);
  const cannot = (code: string, message: string) =>
    new CutoverError('usage', code, message, 'Name a folder that does not exist yet, where you may write.');
  const failed = (error: unknown) => cannot('E_FOLDER', `Cannot create ${folder}: ${messageOf(error)}.`);
  await mkdir(dirname(folder), { recursive: true }).catch((error) => {
    throw failed(error);
  });
  await mkdir(folder).catch((error) => {
    throw error.code === 'EEXIST'
      ? cannot('E_FOLDER_EXISTS', `${folder} exists already; a rehearsal is never written over.`)
      : failed(error);
  });
  return folderAt(folder);
}

/**
 * Goes on with a run that was stopped or killed: rounds that are not complete are left out, to be run again.
 * @throws CutoverError E_REHEARSAL (usage) as `loadFolder`; E_FINISHED (usage) where nothing is left to run.
 */
export async function reopenFolder(path: string): Promise<RehearsalFolder & { stored: StoredRehearsal }> {
  const stored = await loadFolder(path);
  const { rehearsal } = stored;
  if (rehearsal.finishedAt) {
    throw new CutoverError(
      'usage',
      'E_FINISHED',
      `The rehearsal ${path} is finished; there is nothing to go on with.`,
      `Judge it again with cutover compare ${path}, or start a new one.`,
    );
  }
  const { slicePairs } = rehearsal.settings;
  const cut = rehearsal.rounds.findIndex(
    ({ arms }) => !Object.values(arms).every(({ slices, commands }) => slices.length === slicePairs && commands),
  );
  if (cut >= 0) rehearsal.rounds.length = cut;
  delete rehearsal.stopped;
  return { ...folderAt(path), stored };
}

function folderAt(folder: string): RehearsalFolder {
  return {
    path: folder,
    async save(rehearsal) {
      const target = join(folder, DOCUMENT);
      await writeFile(`${target}.tmp`, `${JSON.stringify(rehearsal, undefined, 2)}\n`);
      await rename(`${target}.tmp`, target);
    },
    async writeText(name, text) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    },
  };
}

/** 2026-11-23T14-05-09: sorts by time and is a file name everywhere. */
const timeName = (date: Date) => date.toISOString().slice(0, 19).replaceAll(':', '-');

/**
 * Reads a folder that a run wrote, finished or not.
 * @throws CutoverError E_REHEARSAL (usage) if it is missing, cut, of another version, or not a rehearsal.
 */
export async function loadFolder(path: string): Promise<StoredRehearsal> {
  const stats = await stat(path).catch(() => undefined);
  const advice = 'Name the folder that cutover run printed at its end.';
  if (!stats) throw refusal(`There is no folder ${path}.`, advice);
  if (!stats.isDirectory()) throw refusal(`${path} is a file; a rehearsal is a folder.`, advice);
  const document = join(path, DOCUMENT);
  const text = await readFile(document, 'utf8').catch((error) => {
    throw error.code === 'ENOENT'
      ? refusal(
          `${path} holds no rehearsal (no ${DOCUMENT} in it).`,
          'A run that was killed before its first slice leaves none. Name another folder.',
        )
      : refusal(`${document} cannot be read: ${messageOf(error)}.`, advice);
  });
  const rehearsal = parseRehearsal(text, document);
  return {
    path,
    rehearsal,
    modelText: readPart(path, rehearsal.files.model),
    budgetText: readPart(path, rehearsal.files.budget),
    latencyOf: latencyReader(path, rehearsal),
    timelineOf: (round, arm, slice) =>
      readIfKept(path, rehearsal.rounds[round]!.arms[arm].slices[slice]!.timeline, readTimeline),
    samplesOf: (round, arm) => readIfKept(path, rehearsal.rounds[round]!.arms[arm].samples, readServerSamples),
  };
}

/** Reads latency logs when asked for them: all of a run's do not fit in memory. */
export function latencyReader(path: string, rehearsal: Rehearsal): LatencyReader {
  return (round, arm, slice) => {
    const { log } = rehearsal.rounds[round]!.arms[arm].slices[slice]!;
    return parsePart(path, log, readLatencyLog);
  };
}

const readIfKept = <Part>(path: string, name: string | undefined, read: (text: string) => Part): Part | undefined =>
  name !== undefined && existsSync(join(path, name)) ? parsePart(path, name, read) : undefined;

function parsePart<Part>(path: string, name: string, read: (text: string) => Part): Part {
  const text = readPart(path, name);
  try {
    return read(text);
  } catch (error) {
    throw refusal(`${join(path, name)} cannot be read: ${messageOf(error)}.`, RESTORE);
  }
}

const RESTORE = 'The folder is not complete: restore it from a copy, or repeat the run.';

/** A rehearsal from elsewhere may name any file; only those in its own folder are its parts. */
function readPart(folder: string, name: string): string {
  const path = resolve(folder, name);
  const from = relative(resolve(folder), path);
  if (from === '..' || from.startsWith(`..${sep}`) || resolve(from) === from) {
    throw refusal(
      `${folder} names a file outside of itself.`,
      'cutover never writes such a name: do not trust this folder.',
    );
  }
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw refusal(`${join(folder, name)} cannot be read: ${messageOf(error)}.`, RESTORE);
  }
}

const refusal = (message: string, advice: string) => new CutoverError('usage', 'E_REHEARSAL', message, advice);

function parseRehearsal(text: string, file: string): Rehearsal {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw refusal(`${file} is not JSON: ${messageOf(error)}.`, RESTORE);
  }
  const schema = (data as { schema?: unknown } | null)?.schema;
  if (schema !== 'cutover/rehearsal@1') {
    throw refusal(
      `${file} has the schema ${JSON.stringify(schema) ?? '(none)'}; this cutover reads "cutover/rehearsal@1".`,
      'Judge it with the version of cutover that wrote it, or repeat the run.',
    );
  }
  const parsed = RehearsalSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw refusal(`${file} is damaged at ${JSON.stringify(path.join('.'))}: ${message}.`, RESTORE);
}

const total = z.number().min(0);
/** Names that cutover writes; anything else would end up in an error message. */
const FileName = z.string().regex(/^[\w./-]+$/);
const counts = z.record(z.string(), total);
const per = <T extends z.ZodType>(arm: T) => z.object({ baseline: arm, candidate: arm });

const Identity = z.object({
  spec: z.string(),
  provider: z.string(),
  product: z.literal(['redis', 'valkey', 'other']),
  version: z.string(),
  allocator: z.string(),
  pid: z.number().exactOptional(),
  artefact: z.string().exactOptional(),
  primaries: total.exactOptional(),
});

const Memory = z.object({
  rssBytes: total,
  usedBytes: total,
  allocatedBytes: total,
  activeBytes: total,
  residentBytes: total,
  memFragmentationRatio: total,
  allocatorFragRatio: total,
  logicalBytes: total,
  datasetBytes: total.exactOptional(),
  overheadBytes: total.exactOptional(),
  scriptBytes: total.exactOptional(),
  clientBytes: total.exactOptional(),
  replicationBytes: total.exactOptional(),
  dataBytes: total.exactOptional(),
});

const CoursePhase = z.literal([...COURSE_PHASES]);
const Course = z.object({
  copies: total,
  phases: z.partialRecord(CoursePhase, Memory.extend({ keys: total })),
  plannedKeys: z.partialRecord(CoursePhase, total),
  errors: counts,
  idleRss: z.array(z.object({ seconds: total, rssBytes: total })),
  churnRss: z.array(z.object({ writtenBytes: total, rssBytes: total })),
  save: z
    .object({
      ...{ seconds: total, forkUs: total, copiedBytes: total, rssPeakBytes: total },
      processPeakBytes: total.exactOptional(),
    })
    .exactOptional(),
});

const Priority = z.literal(['realtime', 'normal']);
const Quantiles = z.object({ p50: total, p99: total, p999: total, max: total });

const Slice = z.object({
  position: total,
  pair: total,
  seed: z.string(),
  startedAtMs: total,
  seconds: total,
  log: FileName,
  timeline: FileName.exactOptional(),
  planned: total,
  replied: total,
  errors: counts,
  errorsByLabel: z.record(z.string(), counts),
  lost: total,
  blocked: total,
  unsent: total,
  generator: z.object({
    achievedRate: total,
    plannedRate: total,
    lagUs: z.object({ p50: total, p99: total, p999: total, max: total }),
    eventLoopDelayUs: z.object({ p99: total, max: total }),
    gcPauses: z.object({ count: total, totalMs: total, maxMs: total }),
    cpuCores: total,
    threadCores: z.array(total).exactOptional(),
    priority: Priority.exactOptional(),
    probeUs: Quantiles.extend({ count: total }).exactOptional(),
  }),
  client: z.string().exactOptional(),
  heldByCap: total.exactOptional(),
  outOfOrder: total.exactOptional(),
  scriptsResent: total.exactOptional(),
  cluster: z.object({ moved: total, asked: total, crossSlot: total }).exactOptional(),
  transactions: z.object({ committed: total, aborted: total }).exactOptional(),
  walks: z.object({ steps: total, ahead: total, ended: total }).exactOptional(),
  messages: z.object({ subscribers: total, received: total, refused: total, interrupted: total }).exactOptional(),
  connectionLost: z.string().exactOptional(),
  outages: z.object({ count: total, longestMs: total, totalMs: total }).exactOptional(),
  host: z.object({ jitterUs: Quantiles, stealShare: total, throttledMs: total }).exactOptional(),
  stalls: z.array(z.object({ startUs: total, durationUs: total, waitUs: total, lagUs: total })).exactOptional(),
  hits: total,
  misses: total,
});

const ArmRoundSchema = z.object({
  identity: Identity,
  preload: z.object({ commands: total, keys: total, logicalBytes: total, seconds: total, errors: counts }),
  memory: z.object({ start: Memory.exactOptional(), fill: Memory.exactOptional(), end: Memory.exactOptional() }),
  canDefragment: z.boolean().exactOptional(),
  memoryProtocol: Course.exactOptional(),
  samples: FileName.exactOptional(),
  slices: z.array(Slice),
  serverPriority: Priority.exactOptional(),
  commands: counts.exactOptional(),
  failed: counts.exactOptional(),
  errors: counts.exactOptional(),
});

export const RehearsalSchema = z.object({
  schema: z.literal('cutover/rehearsal@1'),
  cutover: z.string(),
  node: z.string(),
  startedAt: z.string(),
  finishedAt: z.string().exactOptional(),
  command: z.string(),
  seed: z.string(),
  settings: z.object({
    rounds: total,
    slicePairs: total,
    sliceSeconds: total,
    warmupSeconds: total,
    rate: total,
    capturedRate: total,
    connections: total,
    workers: total,
    priority: Priority.exactOptional(),
    pacing: z.literal(['nap', 'split', 'spin']).exactOptional(),
    protocol: z.literal([2, 3]).exactOptional(),
    memoryProtocol: z.literal([...MEMORY_PROTOCOLS]).exactOptional(),
    looks: z.object({ rounds: z.array(total).min(1), method: z.literal(['pocock', 'obf', 'fixed']) }).exactOptional(),
  }),
  shard: z
    .object({ number: total, count: total, startAtMs: total, clockOffsetMs: z.number(), planSha256: z.string() })
    .exactOptional(),
  machine: z.object({ platform: z.string(), cpu: z.string(), cores: total, memoryBytes: total }),
  files: z.object({ model: FileName, budget: FileName }),
  budgetSha256: z.string(),
  client: z.string(),
  arms: per(Identity),
  // JSON leaves undefined out: a setting that one server lacks has no value there.
  configDifferences: z.array(
    z
      .object({ name: z.string(), baseline: z.string().optional(), candidate: z.string().optional() })
      .transform(({ name, baseline, candidate }) => ({ name, baseline, candidate })),
  ),
  calibration: z
    .object({ folder: FileName, rounds: total, biased: z.array(z.string()), unresolvable: z.array(z.string()) })
    .exactOptional(),
  rounds: z.array(
    z.object({
      index: total,
      order: z.array(z.literal(['baseline', 'candidate'])),
      laterSeconds: total,
      invalid: z.string().exactOptional(),
      repeated: z.array(z.object({ pair: total, reason: z.string() })).exactOptional(),
      arms: per(ArmRoundSchema),
    }),
  ),
  caveats: z.array(
    z.object({
      id: z.string(),
      message: z.string(),
      advice: z.string(),
      numbers: z.record(z.string(), z.number()).exactOptional(),
    }),
  ),
  capacity: z.object({ baseline: total, candidate: total, generator: total }).exactOptional(),
  floor: z
    .object({ ops: total, responseUs: Quantiles, lagUs: Quantiles, keepsDoubleRate: z.boolean() })
    .exactOptional(),
  findings: z
    .array(
      z.object({
        ...{ code: z.string(), rule: z.string(), severity: z.literal(['error', 'warning', 'info']) },
        ...{ message: z.string(), fix: z.string(), calls: total },
      }),
    )
    .exactOptional(),
  outcome: per(
    z.array(
      z.object({
        ...{ aspect: z.string(), metric: z.string(), value: total, target: total },
        ...{ captured: total.exactOptional(), replayed: total.exactOptional() },
      }),
    ),
  ).exactOptional(),
  fidelity: z
    .array(
      z.object({
        ...{ aspect: z.string(), metric: z.string(), value: total.optional(), target: total },
        ...{ noise: total.optional(), naive: total.optional(), outcome: z.literal(['ok', 'missed', 'unknown']) },
      }),
    )
    .exactOptional(),
  stopped: z.object({ reason: z.literal(['interrupted', 'server-died']), message: z.string() }).exactOptional(),
});
