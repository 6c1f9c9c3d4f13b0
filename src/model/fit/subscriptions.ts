/** Captured SUBSCRIBE and UNSUBSCRIBE → how many connections listened to what at once. */
import type { OpView } from '../../capture/ops.ts';
import type { Model } from '../model.ts';
import { intern } from '../tally.ts';

export const SUBSCRIPTION_KINDS = ['channel', 'pattern', 'shard'] as const;
export type SubscriptionKind = (typeof SUBSCRIPTION_KINDS)[number];

const COMMANDS = new Map<string, { kind: SubscriptionKind; begins: boolean }>([
  ['subscribe', { kind: 'channel', begins: true }],
  ['unsubscribe', { kind: 'channel', begins: false }],
  ['psubscribe', { kind: 'pattern', begins: true }],
  ['punsubscribe', { kind: 'pattern', begins: false }],
  ['ssubscribe', { kind: 'shard', begins: true }],
  ['sunsubscribe', { kind: 'shard', begins: false }],
]);

/** Whether a command (lower case) changes what its connection listens to. */
export const isSubscription = (command: string): boolean => COMMANDS.has(command);

/** Memory for subscriptions that are followed; more are hostile, or one for each of countless requests. */
const MAX_FOLLOWED_BYTES = 16 << 20;
/** What the place of one takes besides its name. */
const ENTRY_BYTES = 64;

type SubscriptionOp = Pick<OpView, 'command' | 'clientId' | 'atUs' | 'argCount' | 'arg'>;

/** Follows each connection's subscriptions; `onChange` hears of each that begins or ends. Names are latin1 text. */
export class SubscriptionFollower {
  /** Names by client. */
  private readonly held: Record<SubscriptionKind, Map<number, Set<string>>> = {
    channel: new Map(),
    pattern: new Map(),
    shard: new Map(),
  };
  private bytes = 0;
  private readonly onChange: (kind: SubscriptionKind, name: string, begins: boolean, op: SubscriptionOp) => void;

  constructor(onChange: (kind: SubscriptionKind, name: string, begins: boolean, op: SubscriptionOp) => void) {
    this.onChange = onChange;
  }

  add(op: SubscriptionOp): void {
    const { kind, begins } = COMMANDS.get(op.command)!;
    const clients = this.held[kind];
    const held = intern(clients, op.clientId, () => new Set<string>());
    const named = Array.from({ length: op.argCount - 1 }, (_, i) => Buffer.from(op.arg(i + 1)).toString('latin1'));
    // UNSUBSCRIBE without a name ends all of its kind.
    for (const name of named.length === 0 && !begins ? [...held] : named) {
      const bytes = name.length + ENTRY_BYTES;
      const isFull = this.bytes + bytes > MAX_FOLLOWED_BYTES;
      if (begins) {
        if (held.has(name) || isFull) continue;
        held.add(name);
        this.bytes += bytes;
      } else if (held.delete(name)) this.bytes -= bytes;
      // It began before the capture did, unless it is one of those that are not followed.
      else if (isFull) continue;
      this.onChange(kind, name, begins, op);
    }
    if (held.size === 0) clients.delete(op.clientId);
  }
}

const BEGINS: Record<SubscriptionKind, string> = { channel: 'subscribe', pattern: 'psubscribe', shard: 'ssubscribe' };

/** Whether connections subscribed to what the model does not name: more names, or longer ones, than it keeps. */
export const isUnnamed = ({ commands, subscriptions = [] }: Model, kind: SubscriptionKind): boolean =>
  commands[BEGINS[kind]] !== undefined && !subscriptions.some((own) => own.kind === kind);

/** Of one channel or pattern, counted from what was held when the capture began. */
export interface ListenerCount {
  /** More (or, below 0, fewer) at the end than at the beginning. */
  change: number;
  /** The most and the fewest at any time, less those at the beginning: at least `-low` listened before it began. */
  peak: number;
  low: number;
}

export const noListeners = (): ListenerCount => ({ change: 0, peak: 0, low: 0 });

export function addListener(count: ListenerCount, begins: boolean): void {
  count.change += begins ? 1 : -1;
  count.peak = Math.max(count.peak, count.change);
  count.low = Math.min(count.low, count.change);
}

/** `b` follows `a`. */
export const joinListeners = (a: ListenerCount, b: ListenerCount): ListenerCount => ({
  change: a.change + b.change,
  peak: Math.max(a.peak, a.change + b.peak),
  low: Math.min(a.low, a.change + b.low),
});

/** Of the same time: when each had the most or the fewest is not known, so it is taken to be the same moment. */
export const addListeners = (a: ListenerCount, b: ListenerCount): ListenerCount => ({
  change: a.change + b.change,
  peak: a.peak + b.peak,
  low: a.low + b.low,
});
