/** Servers and limits → one burst of MONITOR on all of them at once, ended by time, by a limit, or before harm. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CutoverError, messageOf } from '../../errors.ts';
import type { Cost } from './advisor.ts';
import { type Control, openControl } from './connection.ts';
import { type Guard, startGuard } from './guard.ts';
import { HarmFinder } from './harm.ts';
import type { Info } from './identity.ts';
import { type MonitorStream, openMonitor } from './monitor-stream.ts';
import { type Baseline, between, type Primary } from './primary.ts';
import type { Pseudonyms } from './pseudonym.ts';
import { Reader } from './reader.ts';
import { type Redaction, Redactor } from './redact.ts';
import { unguardable } from './refusals.ts';
import type { Burst, EndReason } from './sidecar.ts';
import {
  completenessOf,
  countCommands,
  latencyBetween,
  publicInfo,
  readConnectionAddress,
  readInfo,
  readLatency,
} from './snapshot.ts';
import type { LogWriter } from './writer.ts';

/** Of a burst that was not cut short the server still has to send what it executed before its last INFO. */
const LAST_LINE_TIMEOUT_MS = 5000;
const PROGRESS_MS = 200;
const LOOK_MS = 1000;

export interface End {
  reason: EndReason;
  /** A clause, for people. */
  message: string;
}

export interface BurstOptions {
  seconds: number;
  /** Of all files together. */
  maxBytes: number;
  minFreeBytes: number;
  /** Share of a main thread that MONITOR may take. */
  maxCost: number;
  unguarded: boolean;
  redaction: Redaction;
  pseudonyms: Pseudonyms;
  signal: AbortSignal;
  onProgress: (progress: BurstProgress) => void;
}

export interface BurstProgress {
  seconds: number;
  lines: number;
  /** As received. */
  bytes: number;
  /** In the files. */
  bytesWritten: number;
  queuedBytes: number;
  /** Largest share of a main thread that a server uses. */
  cpuShare: number | undefined;
}

export interface Measured {
  primary: Primary;
  baseline: Baseline | undefined;
  cost: Cost | undefined;
}

export interface Recorded extends Measured {
  writer: LogWriter;
}

/** One server in a burst. */
interface Line {
  measured: Recorded;
  control: Control;
  stream: MonitorStream;
  reader: Reader;
  ownAddress: string | undefined;
  /** INFOs that were sent since MONITOR began: each makes one line of our own. */
  infos: number;
  first: Info | undefined;
  firstMs: number;
  last: Info | undefined;
  lastMs: number;
  cpuShare: number | undefined;
  harm: HarmFinder | undefined;
  latency: Burst['latency'];
}

/** Throws CutoverError (cannotRun) if it cannot begin; whatever happens later ends the burst and is its result. */
export async function runBurst(servers: Recorded[], options: BurstOptions): Promise<{ end: End; bursts: Burst[] }> {
  const { promise: ending, resolve } = Promise.withResolvers<End>();
  const stop = (reason: EndReason, message: string) => resolve({ reason, message });
  await using stack = new AsyncDisposableStack();
  const lines: Line[] = [];
  for (const measured of servers) lines.push(await openLine(measured, options, stop, stack));
  if (!options.unguarded) stack.use(await guardLines(lines, stop));
  const onAbort = () => stop('interrupted', 'interrupted');
  options.signal.addEventListener('abort', onAbort);
  stack.defer(() => options.signal.removeEventListener('abort', onAbort));
  if (options.signal.aborted) onAbort();

  const startedAt = new Date();
  const startMs = performance.now();
  for (const line of lines) await start(line, options, stop);
  const timer = setTimeout(() => stop('time', 'time is up'), options.seconds * 1000);
  stack.defer(() => clearTimeout(timer));
  const over = new AbortController();
  const looking = look(lines, options, startMs, stop, over.signal);
  const end = await ending;
  over.abort();
  await looking;
  const endedAt = new Date();
  const bursts = await Promise.all(lines.map((line) => finish(line, end)));
  return {
    end,
    bursts: bursts.map((burst) => ({
      startedAt: startedAt.toISOString(),
      endedAt: endedAt.toISOString(),
      ended: end.reason,
      ...burst,
    })),
  };
}

async function openLine(
  measured: Recorded,
  { redaction, pseudonyms }: BurstOptions,
  stop: (reason: EndReason, message: string) => void,
  stack: AsyncDisposableStack,
): Promise<Line> {
  const { endpoint, spec, identity } = measured.primary;
  const unescaped = identity.product === 'valkey' && /^8\.1\.[01]$/.test(identity.version);
  const control = stack.use(await openControl(endpoint));
  const ownAddress = await readConnectionAddress(control);
  const latency = await readLatency(control);
  const stream = stack.use(await openMonitor(endpoint));
  const reader = new Reader(measured.writer, new Redactor(redaction, pseudonyms, { ownAddress, unescaped }), stop);
  void control.lost.then((reason) => stop('connection', `${spec} does not answer any more: ${reason}`));
  return {
    ...{ measured, control, stream, reader, ownAddress, latency },
    ...{ infos: 0, first: undefined, firstMs: 0, last: undefined, lastMs: 0, cpuShare: undefined, harm: undefined },
  };
}

async function guardLines(lines: Line[], stop: (reason: EndReason, message: string) => void): Promise<Guard> {
  const targets = lines.map(({ measured: { primary }, stream }, node) => {
    if (stream.clientId === undefined) {
      throw unguardable(primary.spec, 'it does not tell the number of a connection (CLIENT ID)');
    }
    return { node, endpoint: primary.endpoint, clientId: stream.clientId, maxBufferBytes: primary.maxBufferBytes() };
  });
  let guard: Guard;
  try {
    guard = await startGuard(targets);
  } catch (error) {
    throw new CutoverError('cannotRun', 'E_CAPTURE_WATCHDOG', `The watchdog cannot watch: ${messageOf(error)}.`, [
      'Without it nothing would end MONITOR if this process were stopped; --unguarded goes without.',
    ]);
  }
  guard.onReport = (report) => {
    if (report.kind === 'failed') stop('watchdog', `the watchdog is gone (${report.message})`);
    else if (report.why === 'silence') stop('watchdog', 'the watchdog ended it: this process was stopped');
    else {
      const { spec } = lines[report.node]!.measured.primary;
      const bytes = `${(report.bufferedBytes / 2 ** 20).toFixed(1)} MiB`;
      stop('watchdog', `the watchdog ended it: ${spec} had to buffer ${bytes} for this process`);
    }
  };
  return guard;
}

async function start(
  line: Line,
  { maxCost, unguarded }: BurstOptions,
  stop: (reason: EndReason, message: string) => void,
): Promise<void> {
  const { reader, stream, control, measured } = line;
  await stream.start((chunk) => reader.take(chunk));
  // A moment for the watchdog's word, which says more.
  void stream.ended
    .then(() => sleep(LOOK_MS, undefined, { ref: false }))
    .then(() => {
      stop('connection', `${measured.primary.spec} ended the connection`);
    });
  line.infos++;
  reader.markFirst(line.ownAddress === undefined ? undefined : line.infos);
  line.first = await readInfo(control);
  line.firstMs = performance.now();
  line.last = line.first;
  line.lastMs = line.firstMs;
  const { baseline, primary } = measured;
  const limits = { maxCost, unguarded, reserveBytes: primary.maxBufferBytes() };
  line.harm = line.first && new HarmFinder(baseline, line.first, limits);
}

/** Shows progress, and looks after servers and disk, until it is over. */
async function look(
  lines: Line[],
  options: BurstOptions,
  startMs: number,
  stop: (reason: EndReason, message: string) => void,
  over: AbortSignal,
): Promise<void> {
  let looked = startMs;
  while (!over.aborted) {
    await sleep(PROGRESS_MS, undefined, { signal: over }).catch(() => {});
    if (over.aborted) return;
    const progress = progressOf(lines, startMs);
    options.onProgress(progress);
    if (progress.bytesWritten > options.maxBytes) stop('max-bytes', 'the log has reached --max-bytes');
    if (performance.now() - looked < LOOK_MS) continue;
    looked = performance.now();
    try {
      await Promise.all(lines.map((line) => lookAt(line, options, stop)));
    } catch (error) {
      stop('connection', messageOf(error));
    }
  }
}

async function lookAt(
  line: Line,
  { minFreeBytes }: BurstOptions,
  stop: (reason: EndReason, message: string) => void,
): Promise<void> {
  const { primary } = line.measured;
  if ((await freeBytes(primary.file)) < minFreeBytes) {
    stop('min-free', `less than ${Math.round(minFreeBytes / 2 ** 20)} MiB are free on the disk of ${primary.file}`);
  }
  const earlier = line.last;
  if (!earlier) return;
  line.infos++;
  const info = await readInfo(line.control);
  const nowMs = performance.now();
  if (!info) return;
  const rates = between(earlier, info, (nowMs - line.lastMs) / 1000);
  line.last = info;
  line.lastMs = nowMs;
  line.cpuShare = rates.cpuShare;
  const harm = line.harm?.look(info, rates);
  if (harm) stop(harm.reason, `${primary.spec} ${harm.message}`);
}

async function finish(line: Line, { reason }: End): Promise<Omit<Burst, 'startedAt'>> {
  const { reader, control, stream, measured } = line;
  const { redactor } = reader;
  // Where the stream was cut, the server has counted more than it could have sent.
  let whole = !['buffer-full', 'watchdog', 'connection', 'disk'].includes(reason);
  let after: Info | undefined;
  if (whole) {
    line.infos++;
    // Marked before it can come; where it cannot be told, what has come a moment after the answer counts.
    const marked = line.ownAddress === undefined ? undefined : reader.markLast(line.infos, LAST_LINE_TIMEOUT_MS);
    after = await readInfo(control).catch(() => undefined);
    line.lastMs = performance.now();
    whole = await (marked ?? reader.markLast(undefined, LAST_LINE_TIMEOUT_MS));
    stream[Symbol.dispose]();
  } else {
    stream[Symbol.dispose]();
    after = await readInfo(control).catch(() => undefined);
  }
  // That the disk refuses is the reason already.
  await reader.finish().catch(() => {});
  const commands = countCommands(reader.counted ?? redactor.seen, line.first, whole ? after : undefined);
  const completeness = completenessOf(commands);
  const latency = latencyBetween(line.latency, await readLatency(control).catch(() => undefined));
  const seconds = (line.lastMs - line.firstMs) / 1000;
  return {
    lines: redactor.lines,
    rejected: redactor.rejected,
    approximate: redactor.approximate,
    bytes: reader.bytes,
    ...(line.first ? { before: publicInfo(line.first) } : {}),
    ...(after ? { after: publicInfo(after) } : {}),
    commands,
    ...(latency ? { latency } : {}),
    ...(completeness ? { completeness } : {}),
    cost: costOf(measured, line.first && after && seconds > 0 ? between(line.first, after, seconds) : undefined),
  };
}

/** What MONITOR took: CPU in the burst, less what as many commands took before it. */
function costOf({ baseline, cost }: Measured, during: Baseline | undefined): NonNullable<Burst['cost']> {
  const predicted = cost ? { predicted: cost.share } : {};
  if (baseline?.cpuShare === undefined || during?.cpuShare === undefined) return predicted;
  const perCommand = baseline.commandsPerSecond > 0 ? baseline.cpuShare / baseline.commandsPerSecond : 0;
  const observed = Math.max(0, during.cpuShare - perCommand * during.commandsPerSecond);
  return { ...predicted, observed, serverBefore: baseline.cpuShare, serverDuring: during.cpuShare };
}

function progressOf(lines: Line[], startMs: number): BurstProgress {
  const sum = (of: (line: Line) => number) => lines.reduce((total, line) => total + of(line), 0);
  const shares = lines.map(({ cpuShare }) => cpuShare).filter((share) => share !== undefined);
  return {
    seconds: (performance.now() - startMs) / 1000,
    lines: sum(({ reader }) => reader.redactor.lines),
    bytes: sum(({ reader }) => reader.bytes),
    bytesWritten: sum(({ measured }) => measured.writer.bytesWritten),
    queuedBytes: sum(({ reader }) => reader.queuedBytes),
    cpuShare: shares.length > 0 ? Math.max(...shares) : undefined,
  };
}

/** Room for more on the disk of a file that may not be there yet. */
export async function freeBytes(file: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(file));
  return bavail * bsize;
}
