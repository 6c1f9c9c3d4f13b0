/** The raw client for a cluster: a connection to each node, ops sent where their slot is, redirections followed. */
import { messageOf } from '../../errors.ts';
import { OpStatus } from '../../measure/latency-log.ts';
import { ANY_SLOT, type Routes, routeOps } from '../../plan/slots.ts';
import type { LoadClient, OpenClient } from '../client.ts';
import { ClusterMap } from '../cluster/cluster-map.ts';
import type { ReplySkipper } from '../reply-skipper.ts';
import { encodeCommands } from '../resp-command.ts';
import { LaneOps } from '../thread/lane-ops.ts';
import { cannotConnect, Wire } from '../wire.ts';

const ASKING = encodeCommands([['ASKING']]);
/** In place of an op: a reply that is nobody's. */
const NOBODY = -1;
/** An op that is sent around in circles has its last MOVED as its outcome; the libraries give up after so many too. */
const MAX_HOPS = 16;

/** A lane that is opened again has the same ops: they are looked at once. */
const routesOf = new WeakMap<LaneOps, Routes>();
/** Connections opened by this thread: commands without a key are spread over the nodes by it, alike on both arms. */
let opened = 0;

/** Connects to every node that serves slots. Throws E_CONNECT. */
export const openCluster: OpenClient = async (seed, db, prefixes, sink) => {
  if (db !== 0) throw cannotConnect(seed, `a cluster has database 0 only, not ${db}`);
  const map = ClusterMap.of(seed);
  await map.read();
  const served = [...new Set(map.owner)].filter((node) => node >= 0);
  /** By node. */
  const links: Link[] = [];
  const home = served[opened++ % served.length]!;
  let ops = LaneOps.none;
  let routes: Routes;
  let hops: Uint8Array;
  /** What was sent in place of an op. */
  const instead = new Map<number, Uint8Array>();
  let over = false;
  let answer: ReplySkipper | undefined;

  const destroy = () => {
    over = true;
    for (const link of links) link?.wire?.destroy();
  };
  const lose = (reason: string) => {
    if (over) return;
    destroy();
    sink.lost(reason);
  };

  async function openLink(node: number): Promise<void> {
    const link: Link = { wire: undefined, awaited: new OpQueue(), backlog: [] };
    links[node] = link;
    const wire = await Wire.open(map.nodes[node]!, 0);
    wire.onReply = (reply, atUs) => onReply(node, reply, atUs);
    wire.onLost = lose;
    if (over) wire.destroy();
    link.wire = wire;
    for (const { op, asking } of link.backlog.splice(0)) resend(node, op, asking);
  }

  function onReply(node: number, reply: ReplySkipper, atUs: number): void {
    const { awaited } = links[node]!;
    // What nobody asked for, like the reply to close()'s QUIT, is no op's.
    if (awaited.size === 0) return;
    const k = awaited.shift();
    if (k === NOBODY) return;
    answer = reply;
    if (!reply.isError) sink.replied(k, reply.nil ? OpStatus.nil : OpStatus.replied, 0, atUs);
    else if (!redirect(node, k, reply))
      sink.replied(k, OpStatus.error, prefixes.idOf(reply.errorWord, reply.errorWordLength), atUs);
  }

  /** Sends op k where `MOVED SLOT HOST:PORT` or `ASK SLOT HOST:PORT` points; false if that is no such reply, or the op's outcome. */
  function redirect(node: number, k: number, reply: ReplySkipper): boolean {
    const length = reply.errorWordLength;
    if (length !== 5 && length !== 3) return false;
    const [, word, slot, endpoint] =
      /^(MOVED|ASK) (\d+) (\S*:\d+)/.exec(reply.errorText.toString('latin1', 0, reply.errorTextLength)) ?? [];
    if (!endpoint) return false;
    const asking = word === 'ASK';
    const target = asking ? map.indexOf(node, endpoint) : map.learn(node, Number(slot), endpoint);
    // Half a transaction cannot be sent elsewhere: it fails as a whole, and the next one finds its way.
    if (routes.inTransaction[k] === 1 || ++hops[k]! > MAX_HOPS) return false;
    map.counts[asking ? 'asked' : 'moved']++;
    resend(target, k, asking);
    return true;
  }

  function resend(node: number, k: number, asking: boolean): void {
    const link = links[node];
    if (!link) openLink(node).catch((error) => lose(messageOf(error)));
    if (!link?.wire) {
      links[node]!.backlog.push({ op: k, asking });
      return;
    }
    if (asking) {
      link.awaited.push(NOBODY);
      link.wire.write(ASKING);
    }
    link.awaited.push(k);
    link.wire.write(instead.get(k) ?? ops.run(k, k + 1));
  }

  function nodeOf(k: number): number {
    const slot = routes.slot[k]!;
    const node = slot === ANY_SLOT ? home : map.owner[slot]!;
    // Where nobody serves a slot, any node says so.
    return node < 0 ? home : node;
  }

  const client: LoadClient = {
    prepare: (prepared) => {
      ops = prepared;
      instead.clear();
      const known = routesOf.get(ops);
      routes = known ?? routeOps(ops.bytes, ops.starts());
      routesOf.set(ops, routes);
      if (!known) map.counts.crossSlot += routes.crossSlot;
      hops = new Uint8Array(routes.slot.length);
    },
    send: (from, to) => {
      for (let k = from; k < to; ) {
        const node = nodeOf(k);
        const start = k;
        while (++k < to && nodeOf(k) === node);
        const link = links[node];
        if (link?.wire) {
          for (let op = start; op < k; op++) link.awaited.push(op);
          link.wire.write(ops.run(start, k));
        } else for (let op = start; op < k; op++) resend(node, op, false);
      }
    },
    sendInstead: (k, command) => {
      instead.set(k, command);
      resend(nodeOf(k), k, false);
    },
    get cursor() {
      return answer?.cursor;
    },
    close: async () => {
      over = true;
      await Promise.all(links.map((link) => link?.wire?.close()));
    },
    destroy,
  };
  try {
    await Promise.all(served.map(openLink));
  } catch (error) {
    destroy();
    throw error;
  }
  return client;
};

interface Link {
  /** Undefined while it is being connected. */
  wire: Wire | undefined;
  /** Ops whose replies are to come, in that order. */
  awaited: OpQueue;
  /** Ops that wait for the connection. */
  backlog: { op: number; asking: boolean }[];
}

/** Numbers, first in first out; allocates only to grow. */
class OpQueue {
  size = 0;
  #ops = new Int32Array(64);
  #first = 0;

  push(op: number): void {
    const { length } = this.#ops;
    if (this.size === length) {
      const grown = new Int32Array(2 * length);
      grown.set(this.#ops.subarray(this.#first));
      grown.set(this.#ops.subarray(0, this.#first), length - this.#first);
      this.#ops = grown;
      this.#first = 0;
    }
    this.#ops[(this.#first + this.size++) & (this.#ops.length - 1)] = op;
  }

  shift(): number {
    const op = this.#ops[this.#first]!;
    this.#first = (this.#first + 1) & (this.#ops.length - 1);
    this.size--;
    return op;
  }
}
