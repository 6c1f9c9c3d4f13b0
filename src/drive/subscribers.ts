/** A slice's subscriptions → connections that hold them, and the messages that came. */
import type { SliceResult } from '../measure/rehearsal.ts';
import type { Subscription } from '../plan/plan.ts';
import { keySlot } from '../plan/slots.ts';
import type { ServerAddress } from '../servers/server.ts';
import { ClusterMap } from './cluster-map.ts';
import type { ReplySkipper } from './reply-skipper.ts';
import { encodeCommands } from './resp-command.ts';
import { Wire } from './wire.ts';

export type MessageCounts = NonNullable<SliceResult['messages']>;

const VERBS = { channel: 'SUBSCRIBE', pattern: 'PSUBSCRIBE', shard: 'SSUBSCRIBE' } as const;
const PING = encodeCommands([['PING']]);
const [ARRAY, BULK] = [...Buffer.from('*$')] as [number, number];
/** `message CHANNEL TEXT`, and one more with its pattern; `pong TEXT` is shorter. */
const MESSAGE_LENGTH = 3;
/** A server that does not answer a connection without ops within this time is not waited for. */
const ANSWER_TIMEOUT_MS = 2000;
/** As the lanes: at the nth try after n · 50 ms, at most 2 s. */
const RETRY_STEP_MS = 50;
const MAX_RETRY_MS = 2000;

/**
 * All subscribers of one thread. They are connections of their own, apart from those that send ops: a connection that
 * listens may say little else in RESP2, and a message can never be taken for the reply to an op. They speak RESP2 through
 * the raw client, whatever client sends the ops.
 */
export class Subscribers {
  readonly #address: ServerAddress;
  readonly #owns: (subscriber: number) => boolean;
  /** By subscriber and, in a cluster, node. */
  readonly #listeners = new Map<string, Listener>();

  constructor(address: ServerAddress, owns: (subscriber: number) => boolean) {
    this.#address = { ...address, protocol: 2 };
    this.#owns = owns;
  }

  /** From now on exactly these are held, as far as the server grants it: what it does not is counted. */
  async listen(subscriptions: readonly Subscription[]): Promise<void> {
    const wanted = new Map<string, { address: ServerAddress; commands: Map<string, string[]> }>();
    for (const { subscriber, kind, name } of subscriptions) {
      if (!this.#owns(subscriber)) continue;
      const node = kind === 'shard' && this.#address.cluster ? await this.#nodeOf(name) : undefined;
      const id = `${subscriber} ${node ? `${node.host}:${node.port}` : ''}`;
      const own = wanted.get(id) ?? { address: node ?? this.#address, commands: new Map() };
      wanted.set(id, own);
      own.commands.set(`${kind} ${name}`, [VERBS[kind], name]);
    }
    await Promise.all([
      ...[...this.#listeners].map(async ([id, listener]) => {
        if (sameKeys(listener.commands, wanted.get(id)?.commands)) return;
        listener.destroy();
        this.#listeners.delete(id);
      }),
      ...[...wanted].map(async ([id, { address, commands }]) => {
        let listener = this.#listeners.get(id);
        if (!listener || !sameKeys(listener.commands, commands)) {
          listener = new Listener(address, commands);
          this.#listeners.set(id, listener);
        }
        await listener.ready();
      }),
    ]);
    this.#take();
  }

  /** What came since `listen`: all that was published before, on a single server. */
  async take(): Promise<MessageCounts | undefined> {
    if (this.#listeners.size === 0) return undefined;
    // What a server had to say to a connection before it answers this, it has said then.
    await Promise.all([...this.#listeners.values()].map((listener) => listener.ping()));
    return this.#take();
  }

  destroy(): void {
    for (const listener of this.#listeners.values()) listener.destroy();
    this.#listeners.clear();
  }

  #take(): MessageCounts {
    const counts = { subscribers: this.#listeners.size, received: 0, refused: 0, interrupted: 0 };
    for (const listener of this.#listeners.values()) {
      counts.received += listener.received;
      counts.refused += listener.refused;
      counts.interrupted += listener.interrupted;
      listener.received = 0;
      listener.interrupted = 0;
    }
    return counts;
  }

  async #nodeOf(channel: string): Promise<ServerAddress | undefined> {
    const map = ClusterMap.of(this.#address);
    if (map.owner.length === 0) await map.read();
    const node = map.nodes[map.owner[keySlot(Buffer.from(channel, 'latin1'))]!];
    return node && { ...node, protocol: 2 };
  }
}

const sameKeys = (a: Map<string, unknown>, b: Map<string, unknown> | undefined) =>
  a.size === b?.size && [...a.keys()].every((key) => b.has(key));

/** One connection that listens; when it is cut it comes back by itself, as client libraries do. */
class Listener {
  received = 0;
  /** Subscriptions that the server answered with an error. */
  refused = 0;
  /** How often the connection was cut. */
  interrupted = 0;
  readonly commands: Map<string, string[]>;
  readonly #address: ServerAddress;
  #wire: Wire | undefined;
  #opening: Promise<void> | undefined;
  #over = false;
  /** Answers to come, and who waits for the last of them. */
  #awaited = 0;
  #answered: () => void = () => {};

  constructor(address: ServerAddress, commands: Map<string, string[]>) {
    this.#address = address;
    this.commands = commands;
  }

  /** Stands, or has been tried once. */
  async ready(): Promise<void> {
    if (this.#wire) return;
    this.#opening ??= this.#open();
    await this.#opening;
  }

  async ping(): Promise<void> {
    if (!this.#wire) return;
    await this.#ask(this.#wire, PING, 1);
  }

  destroy(): void {
    this.#over = true;
    this.#wire?.destroy();
    this.#answered();
  }

  async #open(attempt = 1): Promise<void> {
    try {
      const wire = await Wire.open(this.#address, 0);
      if (this.#over) return wire.destroy();
      wire.onReply = (reply) => this.#read(reply);
      wire.onLost = () => this.#lose();
      this.#wire = wire;
      this.#opening = undefined;
      this.refused = 0;
      // Each by itself: one that is refused takes no other with it.
      const bytes = encodeCommands(
        [...this.commands.values()].map(([verb, name]) => [verb!, Buffer.from(name!, 'latin1')]),
      );
      await this.#ask(wire, bytes, this.commands.size);
    } catch {
      // A server that is down is said by the lanes; this one comes back when it does.
      this.#retry(attempt);
    }
  }

  #retry(attempt: number): void {
    if (this.#over) return;
    setTimeout(
      () => {
        if (!this.#over) this.#opening = this.#open(attempt + 1);
      },
      Math.min(attempt * RETRY_STEP_MS, MAX_RETRY_MS),
    ).unref();
  }

  #lose(): void {
    this.#wire = undefined;
    this.#awaited = 0;
    this.#answered();
    this.interrupted++;
    this.#retry(1);
  }

  /** Waits for the answers to these commands, one each. */
  async #ask(wire: Wire, bytes: Uint8Array, answers: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaited = answers;
    this.#answered = resolve;
    wire.write(bytes);
    const timer = setTimeout(resolve, ANSWER_TIMEOUT_MS);
    await promise;
    clearTimeout(timer);
  }

  /** A confirmation ends in the number of subscriptions, a message in its text. */
  #read(reply: ReplySkipper): void {
    if (reply.kind === ARRAY && reply.lastKind === BULK && reply.length >= MESSAGE_LENGTH) {
      this.received++;
      return;
    }
    if (reply.isError) this.refused++;
    if (--this.#awaited === 0) this.#answered();
  }
}
