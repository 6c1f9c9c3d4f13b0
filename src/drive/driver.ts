/** Turns planned slices into load on one server: owns the load threads, hands them slices, collects what they measured. */
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { CutoverError, messageOf } from '../errors.ts';
import { assessGenerator } from '../measure/generator.ts';
import { OpStatus, type OpTimes, type Outage } from '../measure/latency-log.ts';
import type { SliceResult } from '../measure/rehearsal.ts';
import { OpFlag, type Plan, type Preload, type Slice } from '../plan/plan.ts';
import { sharedArray } from '../plan/resp.ts';
import type { Priority } from '../servers/priority.ts';
import type { ServerAddress } from '../servers/server.ts';
import { sendBulk } from './bulk.ts';
import type { ClientName } from './clients/index.ts';
import { nowUs } from './clock.ts';
import { assertClusterCan, sendBulkToCluster, sendToEachNode } from './cluster/cluster.ts';
import type { ClusterCounts } from './cluster/cluster-map.ts';
import { encodeCommands } from './resp-command.ts';
import type { SharedTimes } from './thread/departures.ts';
import { calmGarbageCollection, LOAD_HEAP } from './thread/load-thread.ts';
import { canSplit, type Pacing } from './thread/pacer.ts';
import type { MessageCounts } from './thread/subscribers.ts';
import { countsOf, tableFor, type WalkTable } from './thread/walks.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './thread/worker.ts';

/** So far ahead lies a slice's start: each thread has the message by then and waits for the same instant. */
const START_DELAY_MS = 25;
/** A thread that was told to stop or close and does not say so within this time is ended by force. */
const ANSWER_TIMEOUT_MS = 2000;
const PROGRESS_INTERVAL_MS = 500;

export interface DriverOptions {
  client: ClientName;
  /** Load threads; see `defaultWorkers`. */
  workers: number;
  /** How load threads wait. Default `split`, which is `nap` where no sender can write to the connections (`canSplit`). */
  pacing?: Pacing;
  /** What load threads are scheduled at, if that is permitted. Default normal. */
  priority?: Priority;
  /** What the raw client speaks. Default 2. */
  protocol?: 2 | 3;
  /** Ops in flight per connection, beyond which ops are held back and counted. Default 10,000. */
  inFlightCap?: number;
  /** How long replies are waited for after the last op was due. Default 2000. */
  graceMs?: number;
}

interface RunOptions {
  signal?: AbortSignal | undefined;
  onProgress?: (progress: SliceProgress) => void;
  /** When the slice shall begin, in Unix milliseconds; once everything is ready, if that is later. */
  startAtMs?: number | undefined;
}

export interface SliceProgress {
  seconds: number;
  planned: number;
  sent: number;
  answered: number;
}

/** What one slice gave. `planned = replied + errors + lost + blocked + unsent`, also for a slice that ended early. */
export interface SliceRecord
  extends OpTimes,
    Pick<
      SliceResult,
      | 'startedAtMs'
      | 'seconds'
      | 'planned'
      | 'replied'
      | 'errors'
      | 'errorsByLabel'
      | 'lost'
      | 'blocked'
      | 'unsent'
      | 'generator'
      | 'connectionLost'
      | 'cluster'
      | 'transactions'
      | 'walks'
      | 'messages'
    > {
  heldByCap: number;
  outOfOrder: number;
  scriptsResent: number;
  outages: Outage[];
}

/**
 * One thread where there are at most two cores, since the server needs the other; else two cores are left to the server
 * and the kernel. More than four threads bring nothing: a server that executes commands on one core is saturated before.
 */
export function defaultWorkers(): number {
  const cores = availableParallelism();
  return cores <= 2 ? 1 : Math.min(4, cores - 2);
}

/** What of a plan the driver needs; `scripts` are those that it can send again to a server that has forgotten them. */
type DrivenPlan = Pick<Plan, 'labels' | 'connections'> & Partial<Pick<Plan, 'scripts'>>;

interface LoadThread {
  worker: Worker;
  /** First words of error replies by this thread's numbers. */
  errorWords: string[];
  /** Resolves with the next message other than `error-word`; with undefined when the thread has died. */
  next(): Promise<Exclude<FromWorker, { type: 'error-word' }> | undefined>;
  /** Why it died. */
  died: string | undefined;
}

export class Driver implements AsyncDisposable {
  readonly #address: ServerAddress;
  readonly #plan: DrivenPlan;
  readonly #limits: { inFlightCap: number; graceMs: number };
  readonly #threads: LoadThread[];
  /** How far the walks of earlier slices have come on this server. */
  #walkTable: WalkTable | undefined;

  /** Starts the threads and connects. Throws E_CONNECT. Credentials travel in the threads' memory only. */
  static async open(address: ServerAddress, plan: DrivenPlan, options: DriverOptions): Promise<Driver> {
    assertClusterCan(address, plan, options.client);
    const driver = new Driver(address, plan, options);
    try {
      await driver.#askAll({ type: 'connect' });
    } catch (error) {
      await driver[Symbol.asyncDispose]();
      throw error;
    }
    return driver;
  }

  private constructor(address: ServerAddress, plan: DrivenPlan, options: DriverOptions) {
    this.#address = address;
    this.#plan = plan;
    this.#limits = { inFlightCap: options.inFlightCap ?? 10_000, graceMs: options.graceMs ?? 2000 };
    const workers = Math.max(1, Math.min(options.workers, plan.connections.length));
    const { client, pacing: asked = 'split' } = options;
    const pacing = asked === 'split' && !canSplit(client, address) ? 'nap' : asked;
    this.#threads = Array.from({ length: workers }, (_, worker) =>
      startThread({
        address: options.protocol === undefined ? address : { ...address, protocol: options.protocol },
        ...{ client, connections: plan.connections, scripts: plan.scripts ?? [] },
        ...{ pacing, priority: options.priority ?? 'normal', worker, workers },
      }),
    );
  }

  /** SCRIPT LOAD and FUNCTION LOAD REPLACE; returns error replies by first word. */
  async load(scripts: Plan['scripts']): Promise<Record<string, number>> {
    const commands = scripts.map(({ kind, body }) =>
      kind === 'script' ? ['SCRIPT', 'LOAD', body] : ['FUNCTION', 'LOAD', 'REPLACE', body],
    );
    const bytes = encodeCommands(commands);
    if (this.#address.cluster) return sendToEachNode(this.#address, bytes, commands.length);
    return sendBulk(this.#address, 0, [bytes], commands.length);
  }

  /** Fills the server, one database after the other. Throws E_CONNECTION_LOST if it dies, the signal's reason on abort. */
  async preload(
    preload: Preload,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ seconds: number; errors: Record<string, number> }> {
    const startedUs = nowUs();
    const errors = new Map<string, number>();
    for (const database of preload.databases) {
      const found = this.#address.cluster
        ? await sendBulkToCluster(this.#address, database.chunks(), signal)
        : await sendBulk(this.#address, database.db, database.chunks(), database.commands, signal);
      for (const [word, count] of Object.entries(found)) errors.set(word, (errors.get(word) ?? 0) + count);
    }
    return { seconds: (nowUs() - startedUs) / 1e6, errors: Object.fromEntries(errors) };
  }

  /**
   * Drives one slice. Neither a dying server nor an abort rejects: the record then holds what was measured until then.
   * A connection that is lost is opened again, and what is due meanwhile waits for it; connections that did not finish
   * the slice before are opened anew first.
   */
  async run(slice: Slice, { signal, onProgress, startAtMs = 0 }: RunOptions = {}): Promise<SliceRecord> {
    const times = allocateTimes(slice.count, this.#plan.connections.length);
    const walkTable = slice.walks && tableFor(slice.walks, this.#walkTable);
    this.#walkTable = walkTable ?? this.#walkTable;
    await this.#askAll({ type: 'prepare', slice, times, walkTable, limits: this.#limits });
    const earlyMs = startAtMs - Date.now() - 2 * START_DELAY_MS;
    // Aborted, it goes on to what an aborted slice gives.
    if (earlyMs > 0) await sleep(earlyMs, undefined, signal && { signal }).catch(() => {});

    const running = new Set(this.#threads);
    const ended = this.#threads.map(async (thread) => {
      const message = await thread.next();
      running.delete(thread);
      return message;
    });
    let giveUp: NodeJS.Timeout | undefined;
    const stop = () => {
      this.#tellAll({ type: 'stop' });
      giveUp = setTimeout(() => {
        for (const { worker } of running) void worker.terminate();
      }, ANSWER_TIMEOUT_MS);
    };
    const delayMs = Math.max(START_DELAY_MS, startAtMs - Date.now());
    const epochUs = nowUs() + delayMs * 1000;
    const startedAtMs = Date.now() + delayMs;
    const cpuBefore = process.cpuUsage();
    const elapsedSeconds = () => Math.max(0, nowUs() - epochUs) / 1e6;
    if (!signal?.aborted) this.#tellAll({ type: 'start', epochUs });
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    const progress =
      onProgress && setInterval(() => onProgress(progressOf(times, elapsedSeconds())), PROGRESS_INTERVAL_MS);

    const outcomes = await Promise.all(ended);
    const seconds = elapsedSeconds();
    const cpu = process.cpuUsage(cpuBefore);
    clearInterval(progress);
    // Only now: what one thread still publishes, the subscribers of all threads hear.
    const messages = slice.subscriptions ? await this.#leave() : {};
    clearTimeout(giveUp);
    signal?.removeEventListener('abort', stop);

    const health = outcomes.flatMap((message) => (message?.type === 'ended' ? [message] : []));
    const outages = health.flatMap(({ outcome }) => outcome.outages);
    const lostConnections = new Set(outages.map(({ connection }) => connection)).size;
    const lostReason =
      this.#threads.find(({ died }) => died)?.died ?? health.find((message) => message.lostReason)?.lostReason;
    return {
      startedAtMs,
      seconds,
      sentUs: times.sentUs,
      repliedUs: times.repliedUs,
      status: times.status,
      outages,
      planned: slice.count,
      ...this.#count(slice, times, seconds * 1e6),
      ...(this.#address.cluster ? { cluster: sumCounts(health.map(({ cluster }) => cluster)) } : {}),
      ...(walkTable ? { walks: countsOf(walkTable) } : {}),
      ...messages,
      heldByCap: health.reduce((sum, { outcome }) => sum + outcome.heldByCap, 0),
      outOfOrder: health.reduce((sum, { outcome }) => sum + outcome.outOfOrder, 0),
      scriptsResent: health.reduce((sum, { outcome }) => sum + outcome.scriptsResent, 0),
      generator: assessGenerator(
        slice,
        { ...times, outages },
        health.flatMap(({ threads }) => threads),
        // The threads idle until the start; the processor time of those milliseconds is not worth a message.
        { usedUs: cpu.user + cpu.system, seconds: seconds + START_DELAY_MS / 1000 },
      ),
      ...(lostReason === undefined
        ? {}
        : { connectionLost: `${lostConnections} of ${this.#plan.connections.length} connections lost: ${lostReason}` }),
    };
  }

  /** Subscriptions end with the slice. */
  async #leave(): Promise<Pick<SliceRecord, 'messages'>> {
    const left = this.#threads.map((thread) => thread.next());
    this.#tellAll({ type: 'leave' });
    return messagesOf(
      (await Promise.all(left)).map((answer) => (answer?.type === 'left' ? answer.messages : undefined)),
    );
  }

  /** What became of each op until the slice's end. */
  #count(slice: Slice, { status, errorId }: SharedTimes, endedUs: number) {
    let replied = 0;
    let lost = 0;
    let blocked = 0;
    let unsent = 0;
    const errors = new Map<string, number>();
    const byLabel = new Map<number, Map<string, number>>();
    const isExec = this.#plan.labels.map(({ command }) => command === 'exec');
    const transactions = { committed: 0, aborted: 0 };
    /** Per connection: a blocking op waits, and what is due behind waits with it, sent or not. */
    const waiting: boolean[] = [];
    for (let op = 0; op < slice.count; op++) {
      const connection = slice.connection[op]!;
      switch (status[op]) {
        case OpStatus.unsent:
          if (waiting[connection] && slice.intendedUs[op]! <= endedUs) blocked++;
          else unsent++;
          break;
        case OpStatus.sent:
          waiting[connection] ||= (slice.flags[op]! & OpFlag.blocking) !== 0;
          if (waiting[connection]) blocked++;
          else lost++;
          break;
        case OpStatus.lost:
          lost++;
          break;
        case OpStatus.error: {
          const word = this.#threads[connection % this.#threads.length]!.errorWords[errorId[op]!] ?? '(unknown)';
          const label = slice.label[op]!;
          const ofLabel = byLabel.get(label) ?? new Map<string, number>();
          byLabel.set(label, ofLabel);
          errors.set(word, (errors.get(word) ?? 0) + 1);
          ofLabel.set(word, (ofLabel.get(word) ?? 0) + 1);
          break;
        }
        default:
          replied++;
          if (isExec[slice.label[op]!]) transactions[status[op] === OpStatus.nil ? 'aborted' : 'committed']++;
      }
    }
    const nameOf = (label: number) => `${this.#plan.labels[label]!.family} ${this.#plan.labels[label]!.command}`;
    return {
      replied,
      lost,
      blocked,
      unsent,
      ...(transactions.committed + transactions.aborted > 0 ? { transactions } : {}),
      // Words come from the server: fromEntries makes even `__proto__` a plain property.
      errors: Object.fromEntries(errors),
      errorsByLabel: Object.fromEntries(
        [...byLabel].map(([label, counts]) => [nameOf(label), Object.fromEntries(counts)]),
      ),
    };
  }

  #tellAll(message: ToWorker): void {
    for (const { worker } of this.#threads) worker.postMessage(message);
  }

  /** Waits until every thread has done what `message` asks. */
  async #askAll(message: ToWorker): Promise<void> {
    const answers = this.#threads.map((thread) => thread.next());
    this.#tellAll(message);
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      if (answer?.type === 'failed') throw new CutoverError('cannotRun', answer.code, answer.message, answer.advice);
      if (answer === undefined) throw new Error(`a load thread died: ${this.#threads[index]!.died}`);
    }
  }

  /** Disconnects, waiting a little for replies under way, and ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#threads.map(async (thread) => {
        const closed = thread.next();
        thread.worker.postMessage({ type: 'close' } satisfies ToWorker);
        let timer: NodeJS.Timeout | undefined;
        const timeout = new Promise((resolve) => {
          timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
        });
        await Promise.race([closed, timeout]);
        clearTimeout(timer);
        await thread.worker.terminate();
      }),
    );
  }
}

function startThread(setup: WorkerSetup): LoadThread {
  calmGarbageCollection();
  const worker = new Worker(new URL(`./thread/worker${extname(import.meta.filename)}`, import.meta.url), {
    workerData: setup,
    resourceLimits: LOAD_HEAP,
  });
  let waiting: ((message: Exclude<FromWorker, { type: 'error-word' }> | undefined) => void) | undefined;
  const thread: LoadThread = {
    worker,
    errorWords: [],
    died: undefined,
    next: () =>
      new Promise((resolve) => {
        if (thread.died) resolve(undefined);
        else waiting = resolve;
      }),
  };
  const die = (reason: string) => {
    thread.died ??= reason;
    waiting?.(undefined);
  };
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'error-word') thread.errorWords[message.id] = message.word;
    else waiting?.(message);
  });
  worker.on('error', (error) => die(messageOf(error)));
  worker.on('exit', (code) => die(`its thread exited with code ${code}`));
  return thread;
}

function allocateTimes(count: number, connections: number): SharedTimes {
  return {
    sentUs: sharedArray(Float64Array, count).fill(Number.NaN),
    repliedUs: sharedArray(Float64Array, count).fill(Number.NaN),
    status: sharedArray(Uint8Array, count),
    errorId: sharedArray(Uint8Array, count),
    down: sharedArray(Uint8Array, connections),
  };
}

function sumCounts(counts: (ClusterCounts | undefined)[]): ClusterCounts {
  const sum = (of: keyof ClusterCounts) => counts.reduce((total, count) => total + (count?.[of] ?? 0), 0);
  return { moved: sum('moved'), asked: sum('asked'), crossSlot: sum('crossSlot') };
}

function messagesOf(counts: (MessageCounts | undefined)[]): Pick<SliceRecord, 'messages'> {
  const listening = counts.filter((count) => count !== undefined);
  if (listening.length === 0) return {};
  const sum = (of: keyof MessageCounts) => listening.reduce((total, count) => total + count[of], 0);
  return {
    messages: {
      ...{ subscribers: sum('subscribers'), received: sum('received') },
      ...{ refused: sum('refused'), interrupted: sum('interrupted') },
    },
  };
}

function progressOf({ status }: SharedTimes, seconds: number): SliceProgress {
  let sent = 0;
  let answered = 0;
  for (const value of status) {
    if (value !== OpStatus.unsent) sent++;
    if (value > OpStatus.sent && value !== OpStatus.lost) answered++;
  }
  return { seconds, planned: status.length, sent, answered };
}
