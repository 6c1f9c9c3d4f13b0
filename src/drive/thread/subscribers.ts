/** A slice's subscriptions → connections that hold them, and the messages that came. */
import type { SliceResult } from '../../measure/rehearsal.ts';
import type { Subscription } from '../../plan/plan.ts';
import { keySlot } from '../../plan/slots.ts';
import type { ServerAddress } from '../../servers/server.ts';
import { ClusterMap } from '../cluster/cluster-map.ts';
import type { ReplySkipper } from '../reply-skipper.ts';
import { encodeCommands } from '../resp-command.ts';
import { retryDelayMs, Wire } from '../wire.ts';

export type MessageCounts = NonNullable<SliceResult['messages']>;

const VERBS = { channel: 'SUBSCRIBE', pattern: 'PSUBSCRIBE', shard: 'SSUBSCRIBE' } as const;
const PING = encodeCommands([['PING']]);
const [ARRAY, BULK] = [...Buffer.from('*$')] as [number, number];
/** `message CHANNEL TEXT`, and one more with its pattern; `subscribe CHANNEL COUNT`; `pong TEXT` is shorter. */
const MESSAGE_LENGTH = 3;
/** So long confirmations are waited for before a slice, and the last messages after it: less than a thread may take to stop. */
const CONFIRM_TIMEOUT_MS = 5000;
const LAST_WORDS_TIMEOUT_MS = 1000;

/**
 * All subscribers of one thread. They are connections of their own, apart from those that send ops: a connection that
 * listens may say little else in RESP2, and a message can never be taken for the reply to an op. They speak RESP2 through
 * the raw client, whatever client sends the ops.
 */
export class Subscribers {
  readonly #address: ServerAddress;
  readonly #owns: (subscriber: number) => boolean;
  #listeners: Listener[] = [];

  constructor(address: ServerAddress, owns: (subscriber: number) => boolean) {
    this.#address = { ...address, protocol: 2 };
    this.#owns = owns;
  }

  /** Until `leave` these are held, as far as the server grants it: what it does not is counted. */
  async listen(subscriptions: readonly Subscription[]): Promise<void> {
    this.destroy();
    /** By subscriber and, in a cluster, node. */
    const wanted = new Map<string, { address: ServerAddress; commands: Map<string, string[]> }>();
    for (const { subscriber, kind, name } of subscriptions) {
      if (!this.#owns(subscriber)) continue;
      const node = kind === 'shard' && this.#address.cluster ? await this.#nodeOf(name) : undefined;
      const id = `${subscriber} ${node ? `${node.host}:${node.port}` : ''}`;
      const own = wanted.get(id) ?? { address: node ?? this.#address, commands: new Map() };
      wanted.set(id, own);
      own.commands.set(`${kind} ${name}`, [VERBS[kind], name]);
    }
    this.#listeners = [...wanted.values()].map(
      ({ address, commands }) => new Listener(address, [...commands.values()]),
    );
    await Promise.all(this.#listeners.map((listener) => listener.open()));
  }

  /**
   * Disconnects; what came since `listen`, which on a single server is all that was published. Nobody listens between
   * slices: of two clients in turn, the other's subscribers would hear this one's messages.
   */
  async leave(): Promise<MessageCounts | undefined> {
    if (this.#listeners.length === 0) return undefined;
    // What a server had to say to a connection before it answers this, it has said then.
    await Promise.all(this.#listeners.map((listener) => listener.ping()));
    const sum = (of: (listener: Listener) => number) =>
      this.#listeners.reduce((total, listener) => total + of(listener), 0);
    const counts = {
      ...{ subscribers: this.#listeners.length, received: sum(({ received }) => received) },
      ...{ refused: sum(({ refused }) => refused), interrupted: sum(({ interrupted }) => interrupted) },
    };
    this.destroy();
    return counts;
  }

  destroy(): void {
    for (const listener of this.#listeners) listener.destroy();
    this.#listeners = [];
  }

  /** Undefined where nobody serves it, or no node says who does: any node may refuse it then. */
  async #nodeOf(channel: string): Promise<ServerAddress | undefined> {
    const map = ClusterMap.of(this.#address);
    // A cluster that is down is said by the lanes.
    if (map.owner.length === 0) await map.read().catch(() => {});
    const node = map.nodes[map.owner[keySlot(Buffer.from(channel, 'latin1'))]!];
    return node && { ...node, protocol: 2 };
  }
}

/** One connection that listens; when it is cut it comes back by itself, as client libraries do. */
class Listener {
  received = 0;
  /** Subscriptions that the server answered with an error. */
  refused = 0;
  /** How often the connection was cut. */
  interrupted = 0;
  readonly #address: ServerAddress;
  readonly #commands: string[][];
  #wire: Wire | undefined;
  #over = false;
  /** Subscriptions that are not answered yet. */
  #unconfirmed = 0;
  #confirmed: () => void = () => {};
  #ponged: () => void = () => {};

  constructor(address: ServerAddress, commands: string[][]) {
    this.#address = address;
    this.#commands = commands;
  }

  /** Stands afterwards, or has been tried; what cannot be opened is tried again. */
  async open(attempt = 1): Promise<void> {
    try {
      const wire = await Wire.open(this.#address, 0);
      if (this.#over) return wire.destroy();
      wire.onReply = (reply) => this.#read(reply);
      wire.onLost = () => this.#lose();
      this.#wire = wire;
      this.refused = 0;
      this.#unconfirmed = this.#commands.length;
      // Each by itself: one that is refused takes no other with it.
      wire.write(encodeCommands(this.#commands.map(([verb, name]) => [verb!, Buffer.from(name!, 'latin1')])));
      await atMost(CONFIRM_TIMEOUT_MS, (resolve) => {
        this.#confirmed = resolve;
      });
    } catch {
      // A server that is down is said by the lanes; this one comes back when it does.
      this.#retry(attempt);
    }
  }

  /** Resolves when all is heard that the server had to say until now. */
  async ping(): Promise<void> {
    if (!this.#wire) return;
    this.#wire.write(PING);
    await atMost(LAST_WORDS_TIMEOUT_MS, (resolve) => {
      this.#ponged = resolve;
    });
  }

  destroy(): void {
    this.#over = true;
    this.#wire?.destroy();
    this.#letGo();
  }

  /** There is nothing to wait for any more. */
  #letGo(): void {
    this.#confirmed();
    this.#ponged();
  }

  #retry(attempt: number): void {
    if (this.#over) return;
    const tryAgain = () => {
      if (!this.#over) void this.open(attempt + 1);
    };
    setTimeout(tryAgain, retryDelayMs(attempt)).unref();
  }

  #lose(): void {
    this.#wire = undefined;
    this.#letGo();
    this.interrupted++;
    this.#retry(1);
  }

  /**
   * A message ends in its text, a confirmation in the number of subscriptions. Answers come in the order of what was asked:
   * confirmations, however late, and then that of the PING, whatever it says. A server that lets go of a shard channel
   * confirms it unasked.
   */
  #read(reply: ReplySkipper): void {
    const long = reply.kind === ARRAY && reply.length >= MESSAGE_LENGTH;
    if (long && reply.lastKind === BULK) this.received++;
    else if (this.#unconfirmed > 0) {
      if (reply.isError) this.refused++;
      if (--this.#unconfirmed === 0) this.#confirmed();
    } else if (!long) this.#ponged();
  }
}

/** Waits until what `start` is given is called, but no longer than so. */
async function atMost(ms: number, start: (resolve: () => void) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  start(resolve);
  await promise;
  clearTimeout(timer);
}
