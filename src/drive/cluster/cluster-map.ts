/** A node of a cluster → which of its nodes serves which slot, as the connections of one thread know it together. */
import { messageOf } from '../../errors.ts';
import type { SliceResult } from '../../measure/rehearsal.ts';
import { nodeAddress, readSlots } from '../../servers/cluster.ts';
import type { ServerAddress } from '../../servers/server.ts';
import { cannotConnect } from '../wire.ts';

/** A cluster in the middle of a change answers thousands of ops with MOVED: one look is enough for all of them. */
const REFRESH_EVERY_MS = 100;

export type ClusterCounts = NonNullable<SliceResult['cluster']>;

const maps = new Map<string, ClusterMap>();

export class ClusterMap {
  /** Of all connections since `takeCounts`. */
  counts: ClusterCounts = { moved: 0, asked: 0, crossSlot: 0 };
  /** Nodes keep their index for good; those that serve nothing any more stay. */
  readonly nodes: ServerAddress[] = [];
  /** Per slot: index in `nodes`; -1 where nobody serves it. */
  owner = new Int16Array(0);
  readonly #seed: ServerAddress;
  readonly #indexes = new Map<string, number>();
  #reading: Promise<void> | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** The map that all connections of this thread to the same cluster share; still empty until `read`. */
  static of(seed: ServerAddress): ClusterMap {
    const name = `${seed.host}:${seed.port} ${seed.path ?? ''}`;
    const map = maps.get(name) ?? new ClusterMap(seed);
    maps.set(name, map);
    return map;
  }

  private constructor(seed: ServerAddress) {
    this.#seed = seed;
  }

  /** Asks the nodes, one after the other until one answers. Throws E_CONNECT when none does. */
  read(): Promise<void> {
    this.#reading ??= this.#readFrom([this.#seed, ...this.nodes]).finally(() => {
      this.#reading = undefined;
      this.#readAtMs = performance.now();
    });
    return this.#reading;
  }

  /** Node `from` said that `slot` is served at `endpoint` (`HOST:PORT`) now; returns that node's index. */
  learn(from: number, slot: number, endpoint: string): number {
    const node = this.indexOf(from, endpoint);
    this.owner[slot] = node;
    // The other slots that have moved with it. A failure is met again by whoever needs the map.
    if (performance.now() - this.#readAtMs > REFRESH_EVERY_MS) this.read().catch(() => {});
    return node;
  }

  /** The index of a node as node `from` names it. */
  indexOf(from: number, endpoint: string): number {
    // The last colon: an IPv6 address has several.
    const at = endpoint.lastIndexOf(':');
    return this.#add(nodeAddress(this.nodes[from]!, endpoint.slice(0, at), Number(endpoint.slice(at + 1))));
  }

  takeCounts(): ClusterCounts {
    const { counts } = this;
    this.counts = { moved: 0, asked: 0, crossSlot: 0 };
    return counts;
  }

  async #readFrom(candidates: ServerAddress[]): Promise<void> {
    let reason = 'no node serves any slot';
    for (const candidate of candidates) {
      try {
        const { nodes, owner } = await readSlots(candidate);
        if (nodes.length === 0) continue;
        const indexes = nodes.map((node) => this.#add(node));
        this.owner = owner.map((node) => indexes[node] ?? -1);
        return;
      } catch (error) {
        reason = messageOf(error);
      }
    }
    throw cannotConnect(this.#seed, reason);
  }

  #add(node: ServerAddress): number {
    const name = `${node.host}:${node.port}`;
    const index = this.#indexes.get(name) ?? this.nodes.push(node) - 1;
    this.#indexes.set(name, index);
    return index;
  }
}
