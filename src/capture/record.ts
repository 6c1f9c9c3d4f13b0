/** The address of a server in production → captures of its MONITOR with their sidecars, taken without harm. */
import { existsSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Caveat, CutoverError, messageOf } from '../errors.ts';
import { type BurstProgress, type End, freeBytes, type Measured, runBurst } from './record/burst.ts';
import { findPrimaries } from './record/cluster.ts';
import { type Endpoint, openControl } from './record/connection.ts';
import { parseSections } from './record/identity.ts';
import { MEASURED_MS, Primary } from './record/primary.ts';
import { Pseudonyms } from './record/pseudonym.ts';
import type { Redaction } from './record/redact.ts';
import type { Burst, Sidecar } from './record/sidecar.ts';
import { sidecarPath, writeSidecar } from './record/sidecar-file.ts';
import { LogWriter } from './record/writer.ts';

const COMPLETE = 0.99;

export interface RecordOptions {
  endpoint: Endpoint;
  /** The same for people, without credentials. */
  spec: string;
  /** File of the log; `.zst` and `.gz` are compressed. Nodes of a cluster get one each: `NAME.node1…`. */
  output: string;
  forSeconds: number;
  /** From one burst's beginning to the next. */
  everySeconds: number;
  times: number;
  /** Largest share of a main thread that MONITOR may take; 1 accepts anything. */
  maxCost: number;
  /** Of all files together. */
  maxBytes: number;
  minFreeBytes: number;
  redaction: Redaction;
  /** Keys of the dataset to look at; 0 for none. */
  sampleKeys: number;
  replica: boolean;
  unguarded: boolean;
  signal: AbortSignal;
  /** What is going on, in a clause. */
  onStage: (text: string) => void;
  onPrediction: (server: Measured) => void;
}

interface RecordedFile {
  server: string;
  path: string;
  sidecar: string;
  lines: number;
  /** As the server sent them. */
  bytes: number;
  /** Of the log. */
  fileBytes: number;
  /** What the sidecar holds, in words. */
  holds: string[];
  /** Lines ÷ calls over all bursts; undefined where the server does not count. */
  completeness: number | undefined;
  cost: Burst['cost'];
}

export interface Recording {
  files: RecordedFile[];
  bursts: number;
  /** How the last burst ended. */
  end: End;
  caveats: Caveat[];
}

interface Log {
  primary: Primary;
  sidecar: Sidecar;
  writer: LogWriter;
}

/** Throws CutoverError for what cannot or should not be captured, and the plain error of a connection that fails. */
export async function record(options: RecordOptions): Promise<Recording> {
  const { signal, onStage } = options;
  const caveats: Caveat[] = [];
  const pseudonyms = new Pseudonyms(options.redaction.secret);
  onStage(`measuring the traffic of ${options.spec}`);
  const primaries = await findServers(options);
  await assertRoom(primaries, options.minFreeBytes);
  const servers = await measure(primaries, options);
  for (const server of servers) options.onPrediction(server);
  const sidecars: Sidecar[] = [];
  for (const primary of primaries) sidecars.push(await prepare(primary, pseudonyms, options, caveats));
  if (options.unguarded) caveats.push(UNGUARDED);
  if (signal.aborted) {
    throw new CutoverError('interrupted', 'E_INTERRUPTED', 'Interrupted before anything was recorded.', [
      'Nothing was written, and nothing is left on the server.',
    ]);
  }
  const logs = primaries.map((primary, i) => ({
    primary,
    sidecar: sidecars[i]!,
    writer: new LogWriter(primary.file),
  }));
  let end: End;
  try {
    end = await recordBursts(logs, servers, pseudonyms, options, caveats);
  } finally {
    // What the disk refuses has ended the burst already.
    for (const { writer } of logs) await writer.close().catch(() => {});
    for (const { primary, sidecar } of logs) {
      if (sidecar.bursts.length === 0) await rm(primary.file, { force: true });
    }
  }
  const files = logs.map(summarize);
  caveats.push(...endCaveats(end), ...files.flatMap((file, i) => fileCaveats(file, logs[i]!.sidecar)));
  return { files, bursts: logs[0]!.sidecar.bursts.length, end, caveats };
}

/** How the last one ended. Throws if already the first one cannot begin; later ones end what has been recorded by then. */
async function recordBursts(
  logs: Log[],
  measured: Measured[],
  pseudonyms: Pseudonyms,
  options: RecordOptions,
  caveats: Caveat[],
): Promise<End> {
  const { times, signal } = options;
  const startMs = performance.now();
  let end = INTERRUPTED;
  let servers: Measured[] | undefined = measured;
  for (let turn = 0; turn < times; turn++) {
    try {
      if (turn > 0) {
        await waitUntil(startMs + turn * options.everySeconds * 1000 - MEASURED_MS, turn, options);
        if (signal.aborted) return INTERRUPTED;
        servers = await measureAgain(logs, turn, options, caveats);
        if (!servers) continue;
      }
      end = await recordBurst(logs, servers!, turn, pseudonyms, options);
    } catch (error) {
      if (turn === 0) throw error;
      return { reason: 'connection', message: `burst ${turn + 1} could not begin: ${messageOf(error)}` };
    }
    if (end.reason !== 'time') return end;
  }
  return end;
}

async function recordBurst(
  logs: Log[],
  servers: Measured[],
  turn: number,
  pseudonyms: Pseudonyms,
  options: RecordOptions,
): Promise<End> {
  const { forSeconds, times, maxBytes, minFreeBytes, maxCost, unguarded, redaction, signal } = options;
  const nth = times > 1 ? `burst ${turn + 1} of ${times}: ` : '';
  const { end, bursts } = await runBurst(
    servers.map((server, i) => ({ ...server, writer: logs[i]!.writer })),
    {
      ...{ seconds: forSeconds, maxBytes, minFreeBytes, maxCost, unguarded, redaction, pseudonyms, signal },
      onProgress: (progress) => options.onStage(nth + describeProgress(progress, forSeconds)),
    },
  );
  for (const [i, burst] of bursts.entries()) {
    const { primary, sidecar } = logs[i]!;
    sidecar.bursts.push(burst);
    await writeSidecar(primary.file, sidecar);
  }
  return end;
}

const INTERRUPTED: End = { reason: 'interrupted', message: 'interrupted' };
const UNGUARDED: Caveat = {
  id: 'capture-unguarded',
  message: 'No watchdog stood by: had this process been stopped, the server would have buffered without end.',
  advice: 'Let the user run CLIENT ID, CLIENT LIST and CLIENT KILL.',
};

/** All servers to capture, inspected: one, or the primaries of a cluster. */
async function findServers(options: RecordOptions): Promise<Primary[]> {
  const { endpoint, spec, output } = options;
  using control = await openControl(endpoint);
  const info = await control.ask('INFO', 'cluster');
  const clustered = typeof info === 'string' && parseSections(info).cluster?.cluster_enabled === '1';
  const endpoints = clustered ? await findPrimaries(control, endpoint, spec) : [endpoint];
  if (endpoints.length === 0) {
    throw new CutoverError('cannotRun', 'E_CAPTURE_CLUSTER', `No primary of the cluster at ${spec} owns any slot.`, [
      'Look at CLUSTER NODES: is the cluster up?',
    ]);
  }
  const primaries = endpoints.map((node, i) =>
    endpoints.length === 1
      ? new Primary(node, spec, output)
      : new Primary(node, node.path ? `unix:${node.path}` : `${node.host}:${node.port}`, nodeFile(output, i + 1)),
  );
  for (const primary of primaries) {
    for (const path of [primary.file, sidecarPath(primary.file)]) {
      if (!existsSync(path)) continue;
      throw new CutoverError('usage', 'E_CAPTURE_EXISTS', `${path} is there already.`, [
        'Name another file with --output; nothing is ever overwritten.',
      ]);
    }
  }
  for (const primary of primaries) {
    using own = await openControl(primary.endpoint);
    await primary.inspect(own, options);
  }
  return primaries;
}

/** `app.monitor.zst` of the first node is `app.node1.monitor.zst`. */
function nodeFile(output: string, node: number): string {
  const name = basename(output);
  const ends = /(\.(monitor|log|txt))?(\.(gz|zst))?$/.exec(name)![0];
  const stem = name.slice(0, name.length - ends.length);
  return join(dirname(output), `${stem}.node${node}${ends}`);
}

async function assertRoom(primaries: Primary[], minFreeBytes: number): Promise<void> {
  for (const { file } of primaries) {
    if (!existsSync(dirname(file))) {
      throw new CutoverError('usage', 'E_CAPTURE_FOLDER', `There is no folder ${dirname(file)}.`, 'Make it first.');
    }
    const free = await freeBytes(file);
    if (free >= minFreeBytes) continue;
    throw new CutoverError(
      'cannotRun',
      'E_CAPTURE_ROOM',
      `Only ${Math.round(free / 2 ** 20)} MiB are free on the disk of ${file}.`,
      [`Make room, write elsewhere (--output), or be content with less: --min-free ${Math.max(1, free >> 21)}mb`],
    );
  }
}

/** Throws CutoverError (cannotRun) if one of the servers could not bear it. */
async function measure(primaries: Primary[], { maxCost }: RecordOptions): Promise<Measured[]> {
  return Promise.all(
    primaries.map(async (primary) => {
      using control = await openControl(primary.endpoint);
      const baseline = await primary.measure(control);
      return { primary, baseline, cost: primary.predict(baseline, maxCost) };
    }),
  );
}

/** Before a later burst: undefined, and a caveat, if it would cost too much now. */
async function measureAgain(
  logs: Log[],
  turn: number,
  options: RecordOptions,
  caveats: Caveat[],
): Promise<Measured[] | undefined> {
  try {
    return await measure(
      logs.map(({ primary }) => primary),
      options,
    );
  } catch (error) {
    if (!(error instanceof CutoverError)) throw error;
    caveats.push({
      id: 'capture-burst-skipped',
      message: `Burst ${turn + 1} was left out: ${error.message}`,
      advice: error.suggestions[0]!,
      numbers: { burst: turn + 1 },
    });
    return undefined;
  }
}

/** The sidecar as far as it is known before the first burst, with its sample of the dataset. */
async function prepare(
  primary: Primary,
  pseudonyms: Pseudonyms,
  { redaction, sampleKeys, signal, onStage }: RecordOptions,
  caveats: Caveat[],
): Promise<Sidecar> {
  using control = await openControl(primary.endpoint);
  const { values, keys } = redaction;
  const sidecar = await primary.describe(control, { values, keys });
  const redact = (key: Buffer) => {
    if (keys === 'keep') return key;
    const standIn = Buffer.alloc(key.length);
    pseudonyms.key(key, 0, key.length, standIn, 0);
    return standIn;
  };
  const dataset = await primary.sample(sampleKeys, redact, signal, (sampled) =>
    onStage(`looking at the dataset of ${primary.spec}: ${sampled.toLocaleString('en')} keys`),
  );
  if (dataset) sidecar.dataset = dataset;
  else if (sampleKeys > 0) {
    caveats.push({
      id: 'capture-no-dataset',
      message: `The dataset of ${primary.spec} could not be looked at: INFO or SCAN is refused.`,
      advice: 'Grant the user +info +scan +type +pttl +memory|usage +object|encoding, or leave it out: --sample 0',
    });
  }
  if (primary.isFull()) {
    caveats.push({
      id: 'capture-memory-full',
      message: `${primary.spec} is at maxmemory: whatever it buffers for a reader takes the place of keys, up to ${primary.maxBufferBytes() >> 20} MiB before the watchdog ends it.`,
      advice: 'Keep bursts short.',
    });
  }
  return sidecar;
}

/** Returns early if it is interrupted. */
async function waitUntil(atMs: number, turn: number, { times, signal, onStage }: RecordOptions): Promise<void> {
  for (let left = atMs - performance.now(); left > 0; left = atMs - performance.now()) {
    const seconds = Math.ceil(left / 1000);
    const text = seconds >= 120 ? `${Math.ceil(seconds / 60)} min` : `${seconds} s`;
    onStage(`burst ${turn + 1} of ${times} begins in ${text}`);
    await sleep(Math.min(left, 1000), undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

function describeProgress(progress: BurstProgress, ofSeconds: number): string {
  const { seconds, lines, bytes, bytesWritten, queuedBytes, cpuShare } = progress;
  const size = (value: number) => (value < 1e6 ? `${Math.round(value / 1e3)} kB` : `${(value / 1e6).toFixed(1)} MB`);
  return [
    `${Math.floor(seconds)} of ${ofSeconds} s`,
    `${lines.toLocaleString('en')} lines, ${size(bytes)} (${size(bytesWritten)} written)`,
    ...(queuedBytes > 1e6 ? [`${size(queuedBytes)} waiting`] : []),
    ...(cpuShare === undefined ? [] : [`server CPU ${Math.round(cpuShare * 100)} %`]),
  ].join(', ');
}

function summarize({ primary, sidecar }: Log): RecordedFile {
  const { bursts } = sidecar;
  const sum = (of: (burst: Burst) => number | undefined) =>
    bursts.reduce((total, burst) => total + (of(burst) ?? 0), 0);
  const counted = bursts.filter(({ completeness }) => completeness);
  return {
    server: primary.spec,
    path: primary.file,
    sidecar: sidecarPath(primary.file),
    lines: sum(({ lines }) => lines),
    bytes: sum(({ bytes }) => bytes),
    fileBytes: statSync(primary.file, { throwIfNoEntry: false })?.size ?? 0,
    holds: holdings(sidecar),
    completeness: counted.length > 0 ? Math.min(...counted.map(({ completeness }) => completeness!.share)) : undefined,
    cost: bursts.at(-1)?.cost,
  };
}

function holdings({ bursts, config, connections, dataset }: Sidecar): string[] {
  const holds: string[] = [];
  if (bursts.some(({ before }) => before)) holds.push('INFO before and after');
  if (config) holds.push('configuration');
  if (connections) holds.push('client libraries');
  if (dataset) {
    // Keys may have come while they were looked at.
    const counted = Object.values(dataset.keys).reduce((total, count) => total + count, 0);
    const keys = Math.max(counted, dataset.sampled.length);
    holds.push(`${dataset.sampled.length.toLocaleString('en')} of ${keys.toLocaleString('en')} keys`);
  }
  return holds.length > 0 ? holds : ['nothing: the server answers no question'];
}

function endCaveats({ reason, message }: End): Caveat[] {
  if (reason === 'time' || reason === 'interrupted') return [];
  return [
    {
      id: `capture-ended-early`,
      message: `The capture ended early: ${message}.`,
      advice: 'What was captured until then is whole. Shorter bursts cost less; so does a quieter time.',
    },
  ];
}

function fileCaveats({ path, lines, completeness }: RecordedFile, { bursts }: Sidecar): Caveat[] {
  const caveats: Caveat[] = [];
  if (lines === 0) {
    caveats.push({
      id: 'capture-empty',
      message: `${path} holds no command: nothing happened while it was recorded.`,
      advice: 'Record while clients are at work, or longer: --for 5m',
    });
  }
  if (completeness !== undefined && completeness < COMPLETE) {
    const worst = bursts.flatMap((burst) => burst.completeness?.worst ?? []).slice(0, 3);
    const named = worst.map(({ command, lines: seen, calls }) => `${command} ${seen} of ${calls}`).join(', ');
    caveats.push({
      id: 'capture-incomplete',
      message: `${path} has lines for ${(completeness * 100).toFixed(1)} % of the commands that the server executed${named ? ` (${named})` : ''}.`,
      advice:
        'Some versions hide commands (FCALL in 7.0.0 to 7.0.5, those postponed by CLIENT PAUSE); see docs/capturing.md.',
      numbers: { completeness },
    });
  }
  const approximate = bursts.reduce((sum, burst) => sum + (burst.approximate ?? 0), 0);
  if (approximate > 0) {
    caveats.push({
      id: 'capture-unescaped',
      message: `The server does not escape quotes (Valkey 8.1.0 and 8.1.1 do not): ${approximate} lines had to be guessed, sizes are approximate.`,
      advice: 'Capture another version if you can; JSON values are affected most.',
      numbers: { lines: approximate },
    });
  }
  const rejected = bursts.reduce((sum, burst) => sum + (burst.rejected ?? 0), 0);
  if (rejected > 0) {
    caveats.push({
      id: 'capture-rejects',
      message: `${rejected} lines that the server sent are no MONITOR output and were left out.`,
      advice: 'Is this a compatible server of another make? cutover ops shows what was understood.',
      numbers: { rejected },
    });
  }
  return caveats;
}
