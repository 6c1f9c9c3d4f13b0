/** Servers that were started as empty nodes, or the node of a cluster that someone else runs → one cluster, seen as one server. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CutoverError, messageOf } from '../errors.ts';
import { SLOTS } from '../plan/slots.ts';
import { type ControlConnection, connect } from './control/connection.ts';
import { sumInfo } from './control/info.ts';
import type { RunningServer, ServerAddress, ServerExit } from './server.ts';

/** Nodes that have just started wait two seconds before they take writes; gossip takes less. */
const FORM_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

/** Which node serves which slots. */
export interface ClusterSlots {
  nodes: ServerAddress[];
  /** Per slot: index in `nodes`; -1 where nobody serves it. */
  owner: Int16Array;
}

/**
 * Starts `primaries` nodes and makes them one cluster without replicas, with the slots shared out evenly. `startNode` starts
 * an empty node. Throws CutoverError (cannotRun) when a node does not start, or they do not agree within half a minute.
 */
export async function startCluster(
  spec: string,
  primaries: number,
  startNode: () => Promise<RunningServer>,
): Promise<RunningServer> {
  const nodes = await allOrNone(Array.from({ length: primaries }, startNode));
  try {
    await formCluster(nodes);
  } catch (error) {
    await disposeAll(nodes);
    throw new CutoverError(
      'cannotRun',
      'E_CLUSTER_START',
      `${spec}: ${primaries} nodes were started and do not become a cluster: ${messageOf(error)}`,
      'Nodes talk on their port plus 10000: is that port open? Try --cluster 3, or the URL of a cluster that runs already.',
    );
  }
  const reach = Object.fromEntries(
    nodes.flatMap(({ peerAddress, address }) =>
      peerAddress ? [[`${peerAddress.host}:${peerAddress.port}`, { host: address.host, port: address.port }]] : [],
    ),
  );
  return asOneServer(spec, nodes, reach);
}

/** Waits for all; when one fails the others are disposed of. */
export async function allOrNone(starting: Promise<RunningServer>[]): Promise<RunningServer[]> {
  const starts = await Promise.allSettled(starting);
  const servers = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const failed = starts.find((start) => start.status === 'rejected');
  if (!failed) return servers;
  await disposeAll(servers);
  throw failed.reason;
}

async function disposeAll(servers: RunningServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
}

async function formCluster(nodes: RunningServer[]): Promise<void> {
  using stack = new DisposableStack();
  const controls = await Promise.all(
    nodes.map(async ({ address }) => stack.adopt(await connect(address), (control) => control.close())),
  );
  await Promise.all(controls.map((control, i) => takeSlots(control, i, nodes.length)));
  for (const node of nodes.slice(1)) {
    const { host, port } = node.peerAddress ?? node.address;
    await controls[0]!.call('CLUSTER', 'MEET', host, String(port));
  }
  await Promise.all(controls.map((control) => waitUntilFormed(control, nodes.length)));
}

/** An even part of the slots, and an epoch of its own, so that no two nodes claim the same one. */
async function takeSlots(control: ControlConnection, node: number, primaries: number): Promise<void> {
  const from = Math.floor((SLOTS * node) / primaries);
  const to = Math.floor((SLOTS * (node + 1)) / primaries);
  await control.call('CLUSTER', 'SET-CONFIG-EPOCH', String(node + 1));
  await control.call('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to - from }, (_, i) => String(from + i)));
}

async function waitUntilFormed(control: ControlConnection, primaries: number): Promise<void> {
  const deadlineMs = performance.now() + FORM_TIMEOUT_MS;
  for (;;) {
    const text = String(await control.call('CLUSTER', 'INFO'));
    const {
      cluster_state: state,
      cluster_known_nodes: known,
      cluster_slots_ok: slots,
    } = Object.fromEntries(text.split('\r\n').map((line) => line.split(':'))) as Record<string, string>;
    if (state === 'ok' && Number(known) === primaries && Number(slots) === SLOTS) return;
    if (performance.now() > deadlineMs) {
      throw new Error(
        `after ${FORM_TIMEOUT_MS / 1000} s the state is ${state}, with ${known} nodes and ${slots} slots`,
      );
    }
    await sleep(POLL_MS);
  }
}

/**
 * Asks one node who serves which slots; its credentials and TLS are the other nodes' too. Rejects with the plain error of
 * socket, TLS or server.
 */
export async function readSlots(address: ServerAddress): Promise<ClusterSlots> {
  const control = await connect(address);
  try {
    return parseSlots(await control.call('CLUSTER', 'SLOTS'), address);
  } finally {
    control.close();
  }
}

/** The reply to CLUSTER SLOTS: `[[from, to, [host, port, id, …], replica…], …]`. */
export function parseSlots(reply: unknown, asked: ServerAddress): ClusterSlots {
  const slots: ClusterSlots = { nodes: [], owner: new Int16Array(SLOTS).fill(-1) };
  const numbers = new Map<string, number>();
  const ranges = (Array.isArray(reply) ? reply : []) as [number, number, [string | null, number]][];
  // By their first slot, so that the order of the nodes does not depend on which of them was asked.
  for (const [from, to, [host, port]] of ranges.sort(([a], [b]) => a - b)) {
    const address = nodeAddress(asked, host ?? '', port);
    const name = `${address.host}:${address.port}`;
    const number = numbers.get(name) ?? slots.nodes.push(address) - 1;
    numbers.set(name, number);
    slots.owner.fill(number, from, to + 1);
  }
  return slots;
}

/** How to reach a node that `asked` told of: as announced, but for what lies behind published ports. */
export function nodeAddress(asked: ServerAddress, host: string, port: number): ServerAddress {
  const { path: _, ...common } = asked;
  // A node that does not know its own address leaves it out: it is the one that was asked, or beside it.
  const announced = host === '' || host === '?' ? asked.host : host;
  return { ...common, ...(asked.cluster?.reach[`${announced}:${port}`] ?? { host: announced, port }) };
}

/** All that a run asks of a server, of all nodes together; the first stands for them where they are alike. */
export function asOneServer(
  spec: string,
  nodes: RunningServer[],
  reach: Record<string, { host: string; port: number }>,
): RunningServer {
  const first = nodes[0]!;
  const { pid: _, ...identity } = first.identity;
  return {
    identity: { ...identity, spec, primaries: nodes.length },
    address: { ...first.address, cluster: { reach } },
    ours: first.ours,
    info: async (section) =>
      // Its figures are no amounts: times, ports, versions.
      section === 'server' ? first.info(section) : sumInfo(await Promise.all(nodes.map((node) => node.info(section)))),
    config: () => first.config(),
    died: Promise.race(
      nodes.map(async ({ died, address }): Promise<ServerExit> => {
        const { atMs, how } = await died;
        return { atMs, how: `its node ${address.host}:${address.port}: ${how}` };
      }),
    ),
    logTail: async (lines) => (await Promise.all(nodes.map((node) => node.logTail(lines)))).flat(),
    [Symbol.asyncDispose]: () => disposeAll(nodes),
  };
}
