/** Files → model: a capture is read and fitted, a saved model is checked and taken as it is. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Capture, type CaptureOptions } from '../capture/read.ts';
import { readSidecar, type Sidecar } from '../capture/record/sidecar.ts';
import { type Caveat, CutoverError, messageOf } from '../errors.ts';
import { Fit } from './fit.ts';
import { type Model, modelSchema } from './model.ts';
import { disguiseStretch } from './stretch.ts';
import { type Dataset, summarize } from './summarize.ts';

export interface BuildOptions extends CaptureOptions {
  /** Folder with Lua files, for scripts whose body the capture does not hold. */
  scripts?: string;
  /** Keep the arguments of script calls as they are, instead of disguising what could name somebody. */
  rawArguments?: boolean;
  /** Called about every 50 ms of work with the lines read so far. */
  onProgress?: (lines: number) => void;
}

export interface Built {
  model: Model;
  caveats: Caveat[];
}

/** A model from a capture or a saved model, told apart by the first character. Throws CutoverError (usage). */
export async function buildModel(name: string, options: BuildOptions = {}): Promise<Built> {
  if (name.endsWith('.json')) return { model: await readModel(name), caveats: [] };
  const capture = new Capture(name, options);
  const fit = new Fit(options.scripts ? await readScripts(options.scripts) : []);
  let lines = 0;
  for await (const op of capture.batches()) {
    while (op.next()) fit.add(op);
    lines = op.line;
    options.onProgress?.(lines);
  }
  const summary = capture.summary();
  const sidecar = await readSidecar(name);
  fit.end();
  const source = {
    lines: summary.lines,
    parsed: summary.parsed,
    rejected: Object.fromEntries(Object.entries(summary.rejected).map(([reason, { count }]) => [reason, count])),
    first: summary.firstUs / 1e6,
    last: summary.lastUs / 1e6,
    spanSeconds: (sidecar && recordedSeconds(sidecar)) ?? Math.max(0, (summary.lastUs - summary.firstUs) / 1e6),
    server: sidecar ? `${sidecar.server.product} ${sidecar.server.version}` : summary.server,
    clock: summary.clock,
    approximate: summary.approximateLines > 0 || (sidecar?.bursts.some((burst) => (burst.approximate ?? 0) > 0) ?? false),
  };
  const model = summarize(fit, source, sidecar ? datasetOf(sidecar) : {});
  if (model.units.length === 0) {
    throw new CutoverError(
      'usage',
      'E_CAPTURE_NOTHING_TO_REPLAY',
      `${name} holds no command that can be replayed, only set-up and administration (${Object.keys(model.commands).slice(0, 6).join(', ')}).`,
      'Record again while clients are at work.',
    );
  }
  if (!options.rawArguments) model.stretch = disguiseStretch(model);
  return { model, caveats: summary.caveats };
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
  const checked = modelSchema.safeParse(document);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0]!;
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

/** What a sidecar knows of the data that the lines cannot show. */
function datasetOf({ bursts, dataset }: Sidecar): Dataset {
  const keyspace = bursts[0]?.before?.keyspace;
  const misses = bursts.map(({ before, after }) =>
    before?.stats && after?.stats
      ? Number(after.stats.keyspace_misses) - Number(before.stats.keyspace_misses)
      : Number.NaN,
  );
  const total = misses.reduce((sum, n) => sum + n, 0);
  const keysOf = (fields: string) => Number(/\bkeys=(\d+)/.exec(fields)?.[1] ?? 0);
  const counted = dataset
    ? Object.entries(dataset.keys)
    : keyspace && Object.entries(keyspace).map(([db, fields]): [string, number] => [db, keysOf(fields)]);
  return {
    ...(counted ? { keys: new Map(counted.map(([db, n]) => [Number(db.replace('db', '')), n])) } : {}),
    ...(Number.isFinite(total) ? { misses: total } : {}),
  };
}

/** Seconds that were recorded: bursts have pauses between them. */
function recordedSeconds({ bursts }: Sidecar): number | undefined {
  if (bursts.length < 2) return undefined;
  const seconds = bursts.map(({ startedAt, endedAt }) => (endedAt ? (Date.parse(endedAt) - Date.parse(startedAt)) / 1000 : Number.NaN));
  const sum = seconds.reduce((a, b) => a + b, 0);
  return sum > 0 ? sum : undefined;
}
