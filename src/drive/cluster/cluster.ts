/** A plan made for one server → what of it a cluster can take, and its commands by node. */
import { type Caveat, CutoverError } from '../../errors.ts';
import type { SliceResult } from '../../measure/rehearsal.ts';
import type { Plan } from '../../plan/plan.ts';
import { ANY_SLOT, routeOps } from '../../plan/slots.ts';
import { readSlots } from '../../servers/cluster.ts';
import type { ServerAddress } from '../../servers/server.ts';
import { Bulk, sendBulk } from '../bulk.ts';
import type { ClientName } from '../clients/index.ts';
import { ReplySkipper } from '../reply-skipper.ts';

/** Throws CutoverError (usage) for what no cluster has and for clients that know none; says nothing of single servers. */
export function assertClusterCan(
  { cluster }: ServerAddress,
  { connections }: Pick<Plan, 'connections'>,
  client: ClientName,
): void {
  if (!cluster) return;
  const databases = [...new Set(connections.map(({ db }) => db))].sort((a, b) => a - b);
  if (databases.some((db) => db !== 0)) {
    throw new CutoverError(
      'usage',
      'E_CLUSTER_DATABASES',
      `The workload uses databases ${databases.join(', ')}; a cluster has only database 0.`,
      'Its keys would have to move before such a migration: rehearse against single servers, or capture the part that is in database 0.',
    );
  }
  if (client !== 'raw') {
    throw new CutoverError(
      'usage',
      'E_CLUSTER_CLIENT',
      `--client ${client} drives single servers only; a server under test is a cluster.`,
      'Leave --client out: the raw client knows clusters.',
    );
  }
}

/** As `sendBulk`, each command to the node that serves its keys; `chunks` hold whole commands. */
export async function sendBulkToCluster(
  address: ServerAddress,
  chunks: Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const { nodes, owner } = await readSlots(address);
  await using stack = new AsyncDisposableStack();
  const bulks: Bulk[] = [];
  for (const node of nodes) bulks.push(stack.use(await Bulk.open(node, 0, signal)));
  const commands = nodes.map(() => 0);
  for (const bytes of chunks) {
    const offset = commandOffsets(bytes);
    const { slot } = routeOps(bytes, offset.slice(0, -1));
    const nodeOf = (k: number) => Math.max(0, slot[k] === ANY_SLOT ? 0 : owner[slot[k]!]!);
    const runs = nodes.map((): Uint8Array[] => []);
    for (let k = 0; k < slot.length; ) {
      const start = k;
      const node = nodeOf(k);
      while (++k < slot.length && nodeOf(k) === node);
      runs[node]!.push(bytes.subarray(offset[start], offset[k]));
      commands[node]! += k - start;
    }
    await Promise.all(bulks.map((bulk, node) => bulk.write(Buffer.concat(runs[node]!))));
  }
  return await addUp(bulks.map((bulk, node) => bulk.end(commands[node]!)));
}

/** As `sendBulk`, all commands to every node that serves slots: scripts and functions. */
export async function sendToEachNode(
  address: ServerAddress,
  bytes: Uint8Array,
  commands: number,
): Promise<Record<string, number>> {
  const { nodes } = await readSlots(address);
  return addUp(nodes.map((node) => sendBulk(node, 0, [bytes], commands)));
}

async function addUp(parts: Promise<Record<string, number>>[]): Promise<Record<string, number>> {
  const errors = new Map<string, number>();
  for (const part of await Promise.all(parts))
    for (const [word, count] of Object.entries(part)) errors.set(word, (errors.get(word) ?? 0) + count);
  return Object.fromEntries(errors);
}

/** Where each RESP command begins, and where the last one ends. */
function commandOffsets(bytes: Uint8Array): number[] {
  const offsets = [0];
  new ReplySkipper().feed(bytes, bytes.length, (end) => offsets.push(end));
  return offsets;
}

/** What the reader must know of slices that ran on a cluster. */
export function clusterCaveats(slices: Pick<SliceResult, 'planned' | 'cluster'>[]): Caveat[] {
  const onCluster = slices.flatMap(({ cluster, planned }) => (cluster ? [{ ...cluster, planned }] : []));
  const sum = (of: 'crossSlot' | 'planned') => onCluster.reduce((total, slice) => total + slice[of], 0);
  const [crossSlot, planned] = [sum('crossSlot'), sum('planned')];
  if (crossSlot === 0) return [];
  return [
    {
      id: 'cross-slot',
      message: `${crossSlot} of ${planned} ops that were sent to a cluster use keys of several slots: it answers them with CROSSSLOT, and the capture's server did not.`,
      advice:
        'Give keys that are used together a common hash tag ({user1}:cart, {user1}:orders), or split these commands, before you move to a cluster.',
      numbers: { crossSlot, planned },
    },
  ];
}
