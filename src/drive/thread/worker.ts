/** A load thread: turns messages of the driver into connections, prepared ops and a dispatched slice. */
import { parentPort, workerData } from 'node:worker_threads';
import { CutoverError, messageOf } from '../../errors.ts';
import type { ThreadHealth } from '../../measure/generator.ts';
import type { Plan, PlannedConnection, Slice } from '../../plan/plan.ts';
import type { Priority } from '../../servers/priority.ts';
import type { ServerAddress } from '../../servers/server.ts';
import { CLIENTS, type ClientName, openCluster } from '../clients/index.ts';
import { type ClusterCounts, ClusterMap } from '../cluster/cluster-map.ts';
import { ErrorPrefixes } from '../error-prefixes.ts';
import { Wire } from '../wire.ts';
import type { SharedTimes } from './departures.ts';
import { Dispatch, type DispatchOutcome, type RunningSlice } from './dispatch.ts';
import { LaneOps, opsByConnection } from './lane-ops.ts';
import { createLaneTable } from './lane-table.ts';
import { LoadThread } from './load-thread.ts';
import { Pacer, type Pacing } from './pacer.ts';
import { Probe } from './probe.ts';
import { Lane } from './replies.ts';
import { ScriptSources } from './script-sources.ts';
import { Sender, SplitDispatch } from './split-dispatch.ts';
import { type MessageCounts, Subscribers } from './subscribers.ts';
import type { WalkTable } from './walks.ts';

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

export interface DriveLimits {
  inFlightCap: number;
  /** How long replies are waited for after the last op was due. */
  graceMs: number;
}

export type ToWorker =
  | { type: 'connect' }
  | { type: 'prepare'; slice: Slice; times: SharedTimes; walkTable: WalkTable | undefined; limits: DriveLimits }
  | { type: 'start'; epochUs: number }
  | { type: 'stop' }
  | { type: 'leave' }
  | { type: 'close' };

export type FromWorker =
  | { type: 'ready' }
  | { type: 'failed'; code: string; message: string; advice: string[] }
  | { type: 'error-word'; id: number; word: string }
  | {
      type: 'ended';
      outcome: DispatchOutcome;
      /** The thread itself, and its sender if it has one. */
      threads: ThreadHealth[];
      lostReason: string | undefined;
      cluster: ClusterCounts | undefined;
    }
  | { type: 'left'; messages: MessageCounts | undefined }
  | { type: 'closed' };

const { address, client, connections, scripts, pacing, priority, worker, workers } = workerData as WorkerSetup;
const port = parentPort!;
const tell = (message: FromWorker) => port.postMessage(message);

const thread = new LoadThread(priority);
const pacer = new Pacer(pacing, thread.priority === 'realtime');
const sender = pacing === 'split' ? new Sender(priority) : undefined;
const sources = new ScriptSources(scripts);
const subscribers = new Subscribers(address, (subscriber) => subscriber % workers === worker);

const prefixes = new ErrorPrefixes((id, word) => tell({ type: 'error-word', id, word }));
const isOwn = (connection: number) => connection % workers === worker;
const table = createLaneTable(connections.length);
const lanes = connections.flatMap((_, index) => (isOwn(index) ? [new Lane(index, table)] : []));
let running: RunningSlice | undefined;
let probe: Probe | undefined;
/** NOSCRIPT has a number before any server has answered it. */
const noscript = prefixes.idOfMessage('NOSCRIPT');

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'connect':
      void answer(connectAll());
      break;
    case 'prepare':
      void answer(prepare(message));
      break;
    case 'start':
      running!.start(message.epochUs);
      break;
    case 'stop':
      running?.stop();
      break;
    case 'leave':
      void subscribers.leave().then((messages) => tell({ type: 'left', messages }));
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
  lane.stand(await open(lane));
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
async function prepare({ slice, times, walkTable, limits }: Extract<ToWorker, { type: 'prepare' }>): Promise<void> {
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

  await subscribers.listen(slice.subscriptions ?? []);

  const own = opsByConnection(slice, connections.length, isOwn);
  for (const lane of lanes) lane.prepare(LaneOps.of(slice, own, lane.connection));
  const share = { slice, times, table, own, inFlightCap: limits.inFlightCap, walkTable };
  await sender?.prepare(share);

  const replacementOf = ({ ops }: Lane, k: number, errorId: number) =>
    errorId === noscript ? sources.inFull(ops.run(k, k + 1)) : undefined;
  const services = { connect: open, replacementOf, probe };
  const work = { share, lanes, graceMs: limits.graceMs };
  const onEnd = (outcome: DispatchOutcome, ofSender?: ThreadHealth) => {
    running = undefined;
    const { eventLoopDelayUs } = outcome;
    const threads = [{ ...thread.end(), eventLoopDelayUs, probe: probe?.take() }, ...(ofSender ? [ofSender] : [])];
    tell({
      type: 'ended',
      outcome,
      threads,
      cluster: address.cluster && ClusterMap.of(address).takeCounts(),
      lostReason: lanes.find(({ lostReason }) => lostReason !== undefined)?.lostReason,
    });
  };
  running = sender
    ? new SplitDispatch({ ...work, sender }, services, onEnd)
    : new Dispatch({ ...work, pacer }, services, onEnd);
  thread.begin();
}

async function closeAll(): Promise<void> {
  running?.stop();
  await Promise.all(
    lanes.map(async (lane) => {
      if (lane.finished) await lane.client?.close();
      else lane.client?.destroy();
    }),
  );
  probe?.destroy();
  subscribers.destroy();
  thread.close();
  sender?.close();
  tell({ type: 'closed' });
  port.close();
}
