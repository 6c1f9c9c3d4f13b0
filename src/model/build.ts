/** Files → model: a capture is read and fitted, a saved model is checked and taken as it is. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dataBytes } from '../capture/data-bytes.ts';
import type { CaptureOptions } from '../capture/read.ts';
import type { Sidecar } from '../capture/record/sidecar.ts';
import { readSidecar } from '../capture/record/sidecar-file.ts';
import { addServerCounts, countsSince, serverCounts } from '../capture/server-counts.ts';
import type { CaptureSummary } from '../capture/summary.ts';
import { type Caveat, CutoverError, messageOf } from '../errors.ts';
import type { Existence } from './fit/existence.ts';
import type { FitOptions } from './fit/fit.ts';
import { fitStretches, rangesOf, type StretchSetup, stretchesIn } from './fit/stretches.ts';
import type { Dataset } from './fit/summarize.ts';
import type { Model } from './model.ts';
import { forcedGlobs, type Overrides } from './overrides/overrides.ts';
import { treatmentOf } from './replayable.ts';
import { sourceOf } from './source.ts';
import { intern, tally } from './tally.ts';

export interface BuildOptions extends CaptureOptions {
  /** Folder with Lua files, for scripts whose body the capture does not hold. */
  scripts?: string;
  /** Keep the arguments of script calls as they are, instead of disguising what could name somebody. */
  rawArguments?: boolean;
  /** What a person wants different from the capture. */
  overrides?: Overrides;
  /** Called about every 50 ms of work with the lines read so far. */
  onProgress?: (lines: number) => void;
  /** A plain capture is cut in two if both parts are as long, and read by two threads. */
  minStretchBytes?: number;
  /** Keep what the model does not: single keys. The capture is read by one thread, whatever its length. */
  keepKeys?: boolean;
}

export interface Built {
  model: Model;
  caveats: Caveat[];
  /** Models of the first and the second half, where they came with the model. */
  halves?: [Model, Model];
  /** If they are kept. */
  captured?: CapturedKeys;
}

/** What a fit knows of single keys. */
export interface CapturedKeys {
  existence: Existence;
  /** Number of the key's family in the model; undefined for a key that the capture did not have. */
  familyOf(db: number, key: Uint8Array): number | undefined;
}

/** Number of the families that overrides leave out. */
export const LEFT_OUT = -1;

/**
 * A model from captures, which are merged by time, or from saved models (.json), which are merged as models.
 * Throws CutoverError (usage).
 */
export async function buildModel(names: string | string[], options: BuildOptions = {}): Promise<Built> {
  const all = typeof names === 'string' ? [names] : names;
  const saved = all.filter((name) => name.endsWith('.json'));
  if (saved.length > 0 && saved.length < all.length) {
    throw new CutoverError(
      'usage',
      'E_MODEL_MIX',
      `${saved[0]} is a model and ${all.find((name) => !name.endsWith('.json'))} a capture: they cannot be merged.`,
      'Make models of the captures first: cutover model CAPTURE --output NAME.json',
    );
  }
  const built = saved.length > 0 ? await mergeSaved(saved) : await fitCaptures(all, options);
  const after = options.overrides ? await changed(built, options.overrides) : built;
  if (!after.model.overrides) return after;
  const { overrideCaveats } = await import('./overrides/changed-model.ts');
  return { ...after, caveats: [...after.caveats, ...overrideCaveats(after.model)] };
}

async function changed({ model, captured, ...built }: Built, overrides: Overrides): Promise<Built> {
  const { applyOverrides, numbersAfter } = await import('./overrides/changed-model.ts');
  const after = { ...built, model: applyOverrides(model, overrides) };
  if (!captured) return after;
  const numbers = numbersAfter(model, overrides);
  const familyOf = (db: number, key: Uint8Array) => {
    const number = captured.familyOf(db, key);
    return number === undefined ? undefined : (numbers.get(number) ?? LEFT_OUT);
  };
  return { ...after, captured: { ...captured, familyOf } };
}

async function mergeSaved(paths: string[]): Promise<Built> {
  const models = await Promise.all(paths.map(readModel));
  const sources = models.map(({ source }) => JSON.stringify(source));
  const again = sources.findIndex((source, i) => sources.indexOf(source) < i);
  if (again >= 0) {
    throw new CutoverError(
      'usage',
      'E_MODEL_TWICE',
      `${paths[sources.indexOf(sources[again]!)]} and ${paths[again]} are models of one capture: its clients would count twice.`,
      'Name each part once. For twice the load: cutover run MODEL --rate 2x',
    );
  }
  const { mergeModels } = await import('./merge.ts');
  const model = models.length === 1 ? models[0]! : mergeModels(models);
  return { model, caveats: scriptCaveats(model) };
}

async function fitCaptures(names: string[], options: BuildOptions): Promise<Built> {
  const sidecars = await Promise.all(names.map(readSidecar));
  const known = sidecars.every((sidecar) => sidecar !== undefined) ? sidecars : [];
  // Nobody knows in which part of a capture its pauses are.
  const isWhole = names.length === 1 && (known[0]?.bursts.length ?? 0) < 2;
  const threads = isWhole && !options.keepKeys ? await stretchesIn(names[0]!, options.minStretchBytes) : 0;
  const read =
    threads > 0 ? await readStretches(names[0]!, threads, known, options) : await readWhole(names, known, options);
  const { summary, halves, captured } = read;
  const model: Model = { ...read.model, ...countedBy(known) };
  if (model.units.length === 0) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_NOTHING_TO_REPLAY',
      `${names.join(', ')} holds no command that can be replayed, only set-up and administration (${Object.keys(model.commands).slice(0, 6).join(', ')}).`,
      'Record again while clients are at work.',
    );
  }
  if (!options.rawArguments) {
    const { disguiseStretch } = await import('./fit/stretch.ts');
    model.stretch = disguiseStretch(model);
  }
  const caveats = [...summary.caveats, ...scriptCaveats(model)];
  return { model, caveats, ...(halves ? { halves } : {}), ...(captured ? { captured } : {}) };
}

function scriptCaveats({ scripts, unkeptScriptCalls: calls = 0 }: Model): Caveat[] {
  if (calls === 0) return [];
  return [
    {
      id: 'scripts-too-many',
      message: `${calls} calls are of scripts beyond the ${scripts.length} that are told apart; they count as calls of one of these.`,
      advice:
        'Bodies that differ from call to call fill the script cache of both servers: pass what differs as KEYS and ARGV, and lint the scripts.',
      numbers: { calls, scripts: scripts.length },
    },
  ];
}

interface Read extends Pick<Built, 'model' | 'halves' | 'captured'> {
  summary: CaptureSummary;
}

async function readWhole(names: string[], known: Sidecar[], options: BuildOptions): Promise<Read> {
  const { fitWhole } = await import('./fit/whole.ts');
  const learning = await fitOptions(options);
  const whole = await fitWhole(names, options, learning, datasetOf(known), (summary) => knownSource(summary, known));
  const { model, summary } = whole;
  return { model, summary, ...(options.keepKeys ? { captured: capturedKeys(whole.existence()) } : {}) };
}

function capturedKeys(existence: Existence): CapturedKeys {
  return { existence, familyOf: (db, key) => existence.familyOfKey(db, key) };
}

/** What joins models is first needed when one of them is there: then its thread's core has nothing to do. */
const joining = () => Promise.all([import('../capture/summary.ts'), import('./merge.ts'), import('./fit/stretch.ts')]);

/** The capture's stretches by threads of their own, then as one. `count`: how many threads. */
async function readStretches(name: string, count: number, known: Sidecar[], options: BuildOptions): Promise<Read> {
  const { replica, unescaped, minStretchBytes, onProgress } = options;
  const capture = { ...(replica === undefined ? {} : { replica }), ...(unescaped === undefined ? {} : { unescaped }) };
  const fit = { ...(await fitOptions(options)), parts: count };
  const setups = rangesOf(name, count, minStretchBytes).then((ranges) =>
    ranges.map((cut, i): StretchSetup => {
      const range = ranges.length > 1 ? cut : undefined;
      const share = range ? (range.end - range.start) / ranges.at(-1)!.end : 1;
      return { ...{ name, range, capture, fit }, dataset: shareOf(datasetOf(known), share, i === 0) };
    }),
  );
  const fitted = await fitStretches(name, count, setups, { onFitted: joining, ...(onProgress ? { onProgress } : {}) });
  const [{ joinSummaries }, { mergeModels }] = await joining();
  const models = fitted.map(({ model }) => model);
  const [first, second] = models;
  const summaries = fitted.map(({ summary }) => summary);
  const summary = summaries.length === 1 ? summaries[0]! : joinSummaries(name, summaries, options);
  const model = { ...(second ? mergeModels(models) : first!), source: knownSource(summary, known) };
  return { model, summary, ...(second ? { halves: [first!, second] } : {}) };
}

/** A part of a capture saw that part of the lookups; what was there at first is told to all, but is a list of all keys only for the first. */
function shareOf({ lookups, isListed = false, ...atStart }: Dataset, share: number, isFirst: boolean): Dataset {
  return {
    ...atStart,
    isListed: isListed && isFirst,
    ...(lookups
      ? { lookups: { hits: Math.round(lookups.hits * share), misses: Math.round(lookups.misses * share) } }
      : {}),
  };
}

function knownSource(summary: CaptureSummary, known: Sidecar[]): Model['source'] {
  const source = sourceOf(summary);
  const [first] = known;
  if (!first) return source;
  return {
    ...source,
    spanSeconds: recordedSeconds(first) ?? source.spanSeconds,
    server: `${first.server.product} ${first.server.version}`,
    approximate: source.approximate || known.some(({ bursts }) => bursts.some((burst) => (burst.approximate ?? 0) > 0)),
  };
}

/** Longer captures are not read a second time. */
const MAX_LINES_FOR_HALVES = 3_000_000;

/**
 * Models of the first and the second half of captures whose model is known: how much the workload differs from itself.
 * Undefined for stdin, saved models, and captures that are too short or too long for it.
 */
export async function buildHalves(
  names: string[],
  { source }: Model,
  options: BuildOptions = {},
): Promise<[Model, Model] | undefined> {
  if (names.some((name) => name === '-' || name.endsWith('.json'))) return undefined;
  if (source.spanSeconds <= 0 || source.lines > MAX_LINES_FOR_HALVES) return undefined;
  const { fitHalves } = await import('./fit/whole.ts');
  return fitHalves(names, options, { ...(await fitOptions(options)), parts: 2 }, source);
}

async function fitOptions({ scripts, overrides }: BuildOptions): Promise<FitOptions> {
  return {
    bodies: scripts ? await readScripts(scripts) : [],
    globs: overrides ? forcedGlobs(overrides) : [],
  };
}

/** A saved model, validated. Throws CutoverError (usage). */
async function readModel(path: string): Promise<Model> {
  let document: unknown;
  try {
    document = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_MODEL',
      `Cannot read the model ${path}: ${messageOf(error)}.`,
      'Make it again: cutover model CAPTURE --output model.json',
    );
  }
  // Only saved models need zod, which takes as much memory as all that fits captures.
  const { modelSchema } = await import('./model.ts');
  const checked = modelSchema.safeParse(document);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
  const schema = (document as { schema?: unknown } | null)?.schema;
  if (typeof schema === 'string' && /^cutover\/[\w-]+@\d+$/.test(schema) && !schema.startsWith('cutover/model@')) {
    throw new CutoverError(
      'usage',
      'E_MODEL',
      `${path} is no model, but a document of another kind (${schema}).`,
      'Name a model, or the log itself: captures are .log, .gz or .zst, what ends in .json is taken for a model.',
    );
  }
  throw new CutoverError(
    'usage',
    'E_MODEL',
    `${path} is not a model of this version: ${issue.path.join('.') || 'document'}: ${issue.message}.`,
    ['Make it again from its capture: cutover model CAPTURE --output model.json'],
  );
}

async function readScripts(folder: string): Promise<Uint8Array[]> {
  try {
    const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.lua')).sort();
    if (names.length === 0) throw new Error('no .lua file in it');
    return await Promise.all(names.map((name) => readFile(join(folder, name))));
  } catch (error) {
    throw new CutoverError(
      'usage',
      'E_SCRIPTS',
      `Cannot read scripts from ${folder}: ${messageOf(error)}.`,
      'Name a folder that holds .lua files.',
    );
  }
}

/** What sidecars know of the data that the lines cannot show; of several nodes, together. */
function datasetOf(sidecars: Sidecar[]): Dataset {
  if (sidecars.length === 0) return {};
  const keys = new Map<number, number>();
  let counted = true;
  const lookups = { hits: 0, misses: 0 };
  let usedBytes = 0;
  for (const { bursts, dataset } of sidecars) {
    const { memory = {}, latencystats = {} } = bursts[0]?.before ?? {};
    usedBytes += dataBytes(memory, latencystats);
    const keyspace = bursts[0]?.before?.keyspace;
    // The dataset is counted when it is sampled, which may be after the burst.
    const byDatabase = keyspace
      ? Object.entries(keyspace).map(([db, fields]): [string, number] => [db, keysOf(fields)])
      : dataset && Object.entries(dataset.keys);
    counted &&= byDatabase !== undefined;
    for (const [db, n] of byDatabase ?? []) tally(keys, Number(db.replace('db', '')), n);
    for (const { before, after } of bursts) {
      for (const name of ['hits', 'misses'] as const) {
        lookups[name] += Number(after?.stats?.[`keyspace_${name}`]) - Number(before?.stats?.[`keyspace_${name}`]);
      }
    }
  }
  const samples = sidecars.flatMap(({ dataset }) => dataset ?? []);
  return {
    ...(counted ? { keys, ...expiringOf(sidecars) } : {}),
    ...(Number.isFinite(lookups.hits + lookups.misses) ? { lookups } : {}),
    ...(Number.isFinite(usedBytes) ? { usedBytes: Math.max(0, usedBytes) } : {}),
    samples,
    isListed: sidecars.every(listsAllKeys),
  };
}

/** What servers said of their own calls and errors while they were captured. */
function countedBy(sidecars: Sidecar[]): Pick<Model, 'counted'> {
  const bursts = sidecars.flatMap((sidecar) =>
    sidecar.bursts.map(({ before, after }) => {
      if (!before?.commandstats || !after?.commandstats) return undefined;
      return countsSince(
        serverCounts(before.commandstats, before.errorstats),
        serverCounts(after.commandstats, after.errorstats),
      );
    }),
  );
  if (bursts.length === 0 || !bursts.every((counts) => counts !== undefined)) return {};
  const { calls, failed, errors } = addServerCounts(bursts);
  const replayed = (counts: Record<string, number>) =>
    Object.fromEntries(Object.entries(counts).filter(([command]) => treatmentOf(command) === 'replay'));
  return failed ? { counted: { calls: replayed(calls), failed: replayed(failed), ...(errors ? { errors } : {}) } } : {};
}

/** Keys that may have come between the list and the first line. */
const MAX_UNLISTED = 0.01;

/** Whether every key was looked at, right before the lines: then there are about as many when these begin. */
function listsAllKeys({ bursts, dataset }: Sidecar): boolean {
  const [burst, ...more] = bursts;
  if (!dataset?.complete || !burst?.before?.keyspace || more.length > 0) return false;
  if (Date.parse(dataset.takenAt) > Date.parse(burst.startedAt)) return false;
  const keys = Object.values(burst.before.keyspace).reduce((sum, fields) => sum + keysOf(fields), 0);
  return Math.abs(keys - dataset.sampled.length) <= MAX_UNLISTED * keys;
}

/** Of one database, as INFO says them. */
const keysOf = (fields: string) => keyspaceField(fields, 'keys');

function keyspaceField(fields: string, name: 'keys' | 'expires' | 'avg_ttl'): number {
  return Number(new RegExp(`\\b${name}=(\\d+)`).exec(fields)?.[1] ?? 0);
}

/** Keys with an expiry; of databases that several nodes have, all of them and the mean of what they have left. */
function expiringOf(sidecars: Sidecar[]): Pick<Dataset, 'expiring'> {
  const all = new Map<number, { keys: number; seconds: number }>();
  for (const { bursts } of sidecars) {
    const keyspace = bursts[0]?.before?.keyspace;
    if (!keyspace) return {};
    for (const [db, fields] of Object.entries(keyspace)) {
      const keys = Math.min(keysOf(fields), keyspaceField(fields, 'expires'));
      const sum = intern(all, Number(db.replace('db', '')), () => ({ keys: 0, seconds: 0 }));
      sum.keys += keys;
      sum.seconds += keys * Math.min(MAX_SECONDS, keyspaceField(fields, 'avg_ttl') / 1000);
    }
  }
  const expiring: NonNullable<Dataset['expiring']> = [];
  for (const [db, { keys, seconds }] of all) expiring.push([db, keys, seconds / Math.max(1, keys)]);
  return { expiring: expiring.sort((a, b) => a[0] - b[0]) };
}

/** Longer lives are as long: a sidecar may say anything. */
const MAX_SECONDS = 1e9;

/** Seconds that were recorded: bursts have pauses between them. */
function recordedSeconds({ bursts }: Sidecar): number | undefined {
  if (bursts.length < 2) return undefined;
  const seconds = bursts.map(({ startedAt, endedAt }) =>
    endedAt ? (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 : Number.NaN,
  );
  const sum = seconds.reduce((a, b) => a + b, 0);
  return sum > 0 ? sum : undefined;
}
