/** A start time that several machines agree on → when each of them begins every step of every round. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Caveat, CutoverError } from '../errors.ts';
import type { Preload } from '../plan/plan.ts';
import type { RunningServer } from '../servers/server.ts';

/** A preload is given time at a tenth of what one connection to a server nearby takes. */
const PRELOAD_COMMANDS_PER_SECOND = 20_000;
const PRELOAD_BYTES_PER_SECOND = 10e6;
/** Of so many answers the quickest tells the time best. */
const CLOCK_READINGS = 5;
/** Shards that begin a step this far apart do not load the server together. */
const MAX_APART_MS = 100;

export interface ShardTiming {
  /** Unix time in milliseconds, by the clock of the baseline. */
  startAtMs: number;
  /** Between two steps: for replies that are late, for saving, and for planning the next slice. */
  gapSeconds: number;
  slicePairs: number;
  sliceSeconds: number;
  warmupSeconds: number;
  /** Of the whole plan, which the first shard sends. */
  preload: Pick<Preload, 'commands' | 'logicalBytes'>;
}

/** The next full minute that leaves time to get ready: what shards that are started together agree on by themselves. */
export function defaultStart(nowMs: number): number {
  return Math.ceil((nowMs + 20_000) / 60_000) * 60_000;
}

export class ShardSchedule {
  private readonly timing: ShardTiming;
  /** The clock of the baseline less our own. */
  clockOffsetMs = 0;
  /** The baseline does not tell the time: shards go by clocks of their own. */
  private unset = false;

  constructor(timing: ShardTiming) {
    this.timing = timing;
  }

  /** How much later than the first a round begins, which is the same on all machines. */
  laterSeconds(round: number): number {
    return round * Math.ceil(this.roundSeconds());
  }

  /**
   * Waits until a round begins, and with it the preload. Before the first it sets the clock by the baseline's, which all
   * shards can ask: theirs may differ by more than a slice. Throws E_SHARD_LATE when the first has begun already.
   */
  async begin(round: number, baseline: Pick<RunningServer, 'info'>, signal: AbortSignal): Promise<void> {
    if (round === 0) {
      const offsetMs = await readClockOffset(baseline);
      this.unset = offsetMs === undefined;
      this.clockOffsetMs = offsetMs ?? 0;
      assertAhead(this.timing.startAtMs, Date.now() + this.clockOffsetMs);
    }
    await sleep(Math.max(0, this.local(this.roundStart(round)) - Date.now()), undefined, { signal });
  }

  /** What the reader must know of when the shards began. */
  caveats(): Caveat[] {
    if (!this.unset) return [];
    return [
      {
        id: 'shard-clock',
        message:
          'The baseline does not tell the time (no server_time_usec in its INFO): this shard began by the clock of its own machine.',
        advice: `Keep the machines' clocks together (NTP): shards that are more than ${MAX_APART_MS} ms apart do not load the servers together, and none of them can tell.`,
      },
    ];
  }

  /** When step n of a round begins, in Unix milliseconds of our own clock: the two warm-ups, then the slices. */
  startOf(round: number, step: number): number {
    const { gapSeconds, warmupSeconds, sliceSeconds } = this.timing;
    const [warmups, slices] = [Math.min(step, 2), Math.max(0, step - 2)];
    const seconds =
      this.preparationSeconds() + warmups * (warmupSeconds + gapSeconds) + slices * (sliceSeconds + gapSeconds);
    return this.local(this.roundStart(round) + seconds * 1000);
  }

  /** Why a step that began at `startedAtMs` is of no use, as a clause; undefined if it is. */
  lateness(round: number, step: number, startedAtMs: number): string | undefined {
    const lateMs = Math.round(startedAtMs - this.startOf(round, step));
    if (lateMs <= MAX_APART_MS) return undefined;
    return `this shard began a slice ${lateMs} ms late: a longer --shard-gap gives it more time to get ready`;
  }

  private local(baselineMs: number): number {
    return baselineMs - this.clockOffsetMs;
  }

  private roundStart(round: number): number {
    return this.timing.startAtMs + this.laterSeconds(round) * 1000;
  }

  private roundSeconds(): number {
    const { gapSeconds, slicePairs, sliceSeconds, warmupSeconds } = this.timing;
    const steps = 2 * (warmupSeconds + gapSeconds) + 2 * slicePairs * (sliceSeconds + gapSeconds);
    return this.preparationSeconds() + steps + gapSeconds;
  }

  /** For the preload of both arms, one after the other. */
  private preparationSeconds(): number {
    const { gapSeconds, preload } = this.timing;
    return (
      gapSeconds +
      2 * (preload.commands / PRELOAD_COMMANDS_PER_SECOND + preload.logicalBytes / PRELOAD_BYTES_PER_SECOND)
    );
  }
}

/** Throws E_SHARD_LATE where the start has passed. */
export function assertAhead(startAtMs: number, nowMs: number): void {
  if (nowMs <= startAtMs) return;
  throw new CutoverError(
    'cannotRun',
    'E_SHARD_LATE',
    `The shards start at ${new Date(startAtMs).toISOString()}, and that was ${((nowMs - startAtMs) / 1000).toFixed(1)} s ago when this one was ready.`,
    'Start all shards again with a --start-at that leaves time for pulling images and for reading the capture.',
  );
}

/** The server's clock less ours, in milliseconds, to half a round trip; undefined where it does not tell the time. */
async function readClockOffset(server: Pick<RunningServer, 'info'>): Promise<number | undefined> {
  let best: { tripMs: number; offsetMs: number } | undefined;
  for (let reading = 0; reading < CLOCK_READINGS; reading++) {
    const askedMs = Date.now();
    const startMs = performance.now();
    const { server_time_usec: timeUs } = await server.info('server');
    const tripMs = performance.now() - startMs;
    if (timeUs === undefined) return undefined;
    if (!best || tripMs < best.tripMs) best = { tripMs, offsetMs: Number(timeUs) / 1000 - askedMs - tripMs / 2 };
  }
  return best?.offsetMs;
}
