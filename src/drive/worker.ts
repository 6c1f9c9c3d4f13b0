/** A load thread: turns messages of the driver into connections, prepared ops and a dispatched slice. */
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { CutoverError, messageOf } from '../errors.ts';
import type { GcPauses, ThreadHealth } from '../measure/generator.ts';
import { findThreadId, sharpenTimers } from '../measure/thread.ts';
import type { Plan, PlannedConnection, Slice } from '../plan/plan.ts';
import { makeRealtime, type Priority, priorityOf } from '../servers/priority.ts';
import type { ServerAddress } from '../servers/server.ts';
import { CLIENTS, type ClientName, openCluster } from './clients/index.ts';
import { type ClusterCounts, ClusterMap } from './cluster-map.ts';
import { Dispatch, type DispatchLimits, type DispatchOutcome, Lane, type SharedTimes } from './dispatch.ts';
import { ErrorPrefixes } from './error-prefixes.ts';
import { Pacer, type Pacing } from './pacer.ts';
import { Probe } from './probe.ts';
import { ScriptSources } from './script-sources.ts';
import { Wire } from './wire.ts';

export interface WorkerSetup {
  address: ServerAddress;
  client: ClientName;
  /** All connections of the plan; this thread owns those with index ≡ worker (mod workers). */
  connections: PlannedConnection[];
  /** Sources of scripts, for servers that have forgotten them. */
  scripts: Plan['scripts'];
  pacing: Pacing;
  priority: Priority;
  worker: number;
  workers: number;
}

export type ToWorker =
  | { type: 'connect' }
  | { type: 'prepare'; slice: Slice; times: SharedTimes; limits: DispatchLimits }
  | { type: 'start'; epochUs: number }
  | { type: 'stop' }
  | { type: 'close' };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'failed'; code: string; message: string; advice: string[] }
  | { type: 'error-word'; id: number; word: string }
  | ({
      type: 'ended';
      outcome: DispatchOutcome;
      lostReason: string | undefined;
      cluster: ClusterCounts | undefined;
    } & Omit<ThreadHealth, 'eventLoopDelayUs'>)
  | { type: 'closed' };

const { address, client, connections, scripts, pacing, priority, worker, workers } = workerData as WorkerSetup;
const port = parentPort!;
const tell = (message: FromWorker) => port.postMessage(message);

// V8's helper threads wait for a core like everybody else, and the load thread for them: pauses were three times as long.
setFlagsFromString('--no-parallel-scavenge');
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const threadId = findThreadId();
sharpenTimers();
if (priority === 'realtime' && threadId !== undefined) makeRealtime(threadId);
const granted = threadId === undefined ? undefined : priorityOf(threadId);
const pacer = new Pacer(pacing, granted === 'realtime');
const sources = new ScriptSources(scripts);

const prefixes = new ErrorPrefixes((id, word) => tell({ type: 'error-word', id, word }));
const lanes = connections.flatMap((_, index) => (index % workers === worker ? [new Lane(index)] : []));
const gcEntries: { startTime: number; duration: number }[] = [];
const gcObserver = new PerformanceObserver((list) => gcEntries.push(...list.getEntries()));
gcObserver.observe({ entryTypes: ['gc'] });
let dispatch: Dispatch | undefined;
let probe: Probe | undefined;
/** NOSCRIPT has a number before any server has answered it. */
const noscript = prefixes.idOfMessage('NOSCRIPT');

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'connect':
      void answer(connectAll());
      break;
    case 'prepare':
      void answer(prepare(message.slice, message.times, message.limits));
      break;
    case 'start':
      dispatch!.start(message.epochUs);
      break;
    case 'stop':
      dispatch?.stop();
      break;
    case 'close':
      void closeAll();
      break;
  }
});

async function answer(work: Promise<void>): Promise<void> {
  try {
    await work;
    tell({ type: 'ready' });
  } catch (error) {
    // An error loses its class on the way to another thread.
    if (!(error instanceof CutoverError)) throw error;
    tell({ type: 'failed', code: error.code, message: error.message, advice: error.suggestions });
  }
}

const openClient = address.cluster ? openCluster : CLIENTS[client];
const open = (lane: Lane) => openClient(address, connections[lane.connection]!.db, prefixes, lane);

async function connect(lane: Lane): Promise<void> {
  lane.lostReason = undefined;
  lane.client = await open(lane);
}

async function connectAll(): Promise<void> {
  await Promise.all([...lanes.map(connect), openProbe()]);
}

async function openProbe(): Promise<void> {
  probe = new Probe(await Wire.open(address, 0));
}

/**
 * Gives each lane its ops of the slice. A connection that did not finish the last slice is replaced first: late replies
 * would count for this one, and it may be blocked or inside a transaction. If that fails it is tried again during the slice.
 */
async function prepare(slice: Slice, times: SharedTimes, limits: DispatchLimits): Promise<void> {
  // A server that is down is said by the lanes.
  if (probe?.lost) await openProbe().catch(() => {});
  await Promise.all(
    lanes.map(async (lane) => {
      if (lane.client && lane.finished) return;
      lane.client?.destroy();
      lane.client = undefined;
      try {
        await connect(lane);
      } catch (error) {
        lane.lostReason = messageOf(error);
      }
    }),
  );

  const opCounts = new Uint32Array(connections.length);
  const byteCounts = new Float64Array(connections.length);
  for (let op = 0; op < slice.count; op++) {
    opCounts[slice.connection[op]!]!++;
    byteCounts[slice.connection[op]!]! += slice.offset[op + 1]! - slice.offset[op]!;
  }
  /** Per connection of this thread: its ops laid end to end. */
  const shares: { lane: Lane; ops: Uint32Array; bytes: Uint8Array; offset: Uint32Array; filled: number }[] = [];
  let own = 0;
  for (const lane of lanes) {
    const ops = opCounts[lane.connection]!;
    own += ops;
    shares[lane.connection] = {
      lane,
      ops: new Uint32Array(ops),
      bytes: Buffer.allocUnsafeSlow(byteCounts[lane.connection]!),
      offset: new Uint32Array(ops + 1),
      filled: 0,
    };
  }
  const order: Lane[] = new Array(own);
  const dueUs = new Float64Array(own);
  let next = 0;
  for (let op = 0; op < slice.count; op++) {
    const share = shares[slice.connection[op]!];
    if (!share) continue;
    order[next] = share.lane;
    dueUs[next++] = slice.intendedUs[op]!;
    const start = share.offset[share.filled]!;
    const bytes = slice.bytes.subarray(slice.offset[op], slice.offset[op + 1]);
    share.bytes.set(bytes, start);
    share.ops[share.filled++] = op;
    share.offset[share.filled] = start + bytes.length;
  }
  for (const lane of lanes) {
    const { ops, bytes, offset } = shares[lane.connection]!;
    lane.prepare(ops, bytes, offset);
  }

  // What the last slice and this preparation left behind is not collected while something is timed.
  collectGarbage();
  const startedAt = performance.now();
  const cpuBefore = process.threadCpuUsage();
  const replacementOf = ({ bytes, offset }: Lane, k: number, errorId: number) =>
    errorId === noscript ? sources.inFull(bytes.subarray(offset[k], offset[k + 1])) : undefined;
  const services = { connect: open, replacementOf, pacer, probe };
  dispatch = new Dispatch({ slice, times, limits, lanes, order, dueUs }, services, (outcome) => {
    dispatch = undefined;
    const cpu = process.threadCpuUsage(cpuBefore);
    tell({
      type: 'ended',
      outcome,
      gcPauses: gcPausesSince(startedAt),
      cpuUs: cpu.user + cpu.system,
      probe: probe?.take(),
      priority: granted,
      cluster: address.cluster && ClusterMap.of(address).takeCounts(),
      lostReason: lanes.find(({ lostReason }) => lostReason !== undefined)?.lostReason,
    });
  });
}

function gcPausesSince(startedAt: number): GcPauses {
  gcEntries.push(...gcObserver.takeRecords());
  const durations = gcEntries.filter(({ startTime }) => startTime >= startedAt).map(({ duration }) => duration);
  gcEntries.length = 0;
  return {
    count: durations.length,
    totalMs: durations.reduce((sum, ms) => sum + ms, 0),
    maxMs: Math.max(0, ...durations),
  };
}

async function closeAll(): Promise<void> {
  dispatch?.stop();
  await Promise.all(
    lanes.map(async (lane) => {
      if (lane.finished) await lane.client?.close();
      else lane.client?.destroy();
    }),
  );
  probe?.destroy();
  gcObserver.disconnect();
  tell({ type: 'closed' });
  port.close();
}
