/** Accesses to keys, in captured order → which ops must be over before another one leaves. */
import type { Order } from '../plan.ts';

/** An op, or what a script or a transaction does, uses a key. */
export interface Access {
  /** Database and key. */
  id: string;
  writes: boolean;
  /** Captured time, in µs: of the whole script or transaction, for their clock stands still. */
  atUs: number;
  /** The expiry that it gives the key, in µs from now. */
  ttlUs: number | undefined;
}

/** The last ops that used a key in some way; -1 for none. */
interface Last {
  write: number;
  decisive: number;
  /** The op that set its expiry, and when it ends, in whole milliseconds as servers count it. */
  expiry: number;
  ttlUs: number;
  endsMs: number;
}

/** A key that had expired so shortly before an op must have expired when the op comes again. */
const JUST_EXPIRED_MS = 50;
/** An expiry ends with its last millisecond. */
const EXPIRY_STEP_US = 1000;

/**
 * Scripts and guarded transactions do one thing or another, depending on what they find: they are decisive. If a script
 * on one connection overtakes a script on another, everything after it differs. So a decisive op waits for the last
 * write to its keys, and a write for the last decisive op. Plain commands do the same in any order, and wait for none of
 * their like: that would make a hot key's clients take turns.
 */
export class Precedence {
  private readonly keys = new Map<string, Last>();
  private readonly waiting: number[] = [];
  private readonly awaited: number[] = [];
  private readonly delayUs: number[] = [];
  private readonly keepExpiry: boolean;
  private known = new Set<string>();

  /** `keepExpiry`: the workload runs at the captured speed, so that keys can expire between the same ops. */
  constructor(keepExpiry: boolean) {
    this.keepExpiry = keepExpiry;
  }

  /** Notes an access by `op`; if it has to wait, then all that leaves with it, from op `first` on. */
  note({ id, writes, atUs, ttlUs }: Access, op: number, first: number, decisive: boolean): void {
    const last = this.keys.get(id) ?? { write: -1, decisive: -1, expiry: -1, ttlUs: 0, endsMs: 0 };
    this.keys.set(id, last);
    if (decisive) this.wait(first, last.write, 0);
    if (decisive || writes) this.wait(first, last.decisive, 0);
    const atMs = Math.floor(atUs / 1000);
    if (decisive && this.keepExpiry && atMs >= last.endsMs && atMs < last.endsMs + JUST_EXPIRED_MS)
      this.wait(first, last.expiry, last.ttlUs + EXPIRY_STEP_US);
    if (writes) last.write = op;
    if (decisive) last.decisive = op;
    if (ttlUs !== undefined) {
      last.expiry = op;
      last.ttlUs = ttlUs;
      last.endsMs = atMs + ttlUs / 1000;
    }
  }

  /**
   * The order of `count` ops. `numberOf` maps ops as they were noted to these, -1 for those that are no more;
   * `connected` tells ops that follow each other anyway.
   */
  finish(count: number, numberOf: (op: number) => number, connected: (a: number, b: number) => boolean): Order {
    const lists: number[][] = [];
    this.waiting.forEach((op, i) => {
      const [late, early] = [numberOf(op), numberOf(this.awaited[i]!)];
      if (late < 0 || early < 0 || (this.delayUs[i] === 0 && connected(late, early))) return;
      lists[late] ??= [];
      lists[late].push(i);
    });
    const from = new Uint32Array(count + 1);
    for (let op = 0; op < count; op++) from[op + 1] = from[op]! + (lists[op]?.length ?? 0);
    const pairs = lists.flat();
    return {
      from,
      after: Uint32Array.from(pairs, (i) => numberOf(this.awaited[i]!)),
      delayUs: Uint32Array.from(pairs, (i) => this.delayUs[i]!),
    };
  }

  private wait(op: number, on: number, delayUs: number): void {
    if (on < 0 || on >= op) return;
    if (op !== this.waiting.at(-1)) this.known.clear();
    const pair = `${on} ${delayUs}`;
    if (this.known.has(pair)) return;
    this.known.add(pair);
    this.waiting.push(op);
    this.awaited.push(on);
    this.delayUs.push(delayUs);
  }
}
