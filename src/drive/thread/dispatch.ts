/** Runs one thread's share of a slice in that thread: ops leave between naps, and replies are read between ops. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Outage } from '../../measure/latency-log.ts';
import { nowUs } from '../clock.ts';
import { type DepartureCounts, Departures, type Exit, type Share } from './departures.ts';
import type { Pacer } from './pacer.ts';
import type { Probe } from './probe.ts';
import { type Lane, Replies, type RepliesListener, type ReplyServices } from './replies.ts';

/** No longer at once: after the last op has left this is how often it is asked whether all replies have come. */
const MAX_SLEEP_MS = 5;
/** With so much time until the next op the event loop sleeps … */
const SLEEP_FROM_US = 3000;
/** … by a timer, which counts in milliseconds, rounds up and is late: it is set this much too early. */
const SLEEP_MARGIN_US = 2000;
/**
 * A thread that may poll does not sleep for so long after the last send, while a reply is awaited: a sleeping thread reads
 * it late. A reply later than that does not change by a wake-up's lateness.
 */
const ALERT_US = 3000;

/** What a slice asks of the thread that runs it. */
export type DispatchServices = ReplyServices & { probe: Probe | undefined };

export interface DispatchOutcome extends DepartureCounts {
  /** Microseconds after the slice's start. */
  endedUs: number;
  scriptsResent: number;
  outages: Outage[];
  /** How much later than asked the event loop came back. */
  eventLoopDelayUs: { p99: number; max: number };
}

/** A slice under way on the lanes of one thread. */
export interface RunningSlice {
  /** Starts at `epochUs` (clock.ts), which all threads are told alike and should lie a little ahead. */
  start(epochUs: number): void;
  /** Ends the slice now; what has not been sent stays unsent. */
  stop(): void;
}

/** When a slice's replies are waited for no longer. */
export function graceEnd({ slice }: Pick<Share, 'slice'>, graceMs: number): number {
  return (slice.count > 0 ? slice.intendedUs[slice.count - 1]! : 0) + graceMs * 1000;
}

/** The figures of a histogram of delays in microseconds. */
export const delayFigures = (delays: RecordableHistogram) =>
  delays.count === 0 ? { p99: 0, max: 0 } : { p99: delays.percentile(99), max: delays.max };

export class Dispatch implements RunningSlice, RepliesListener {
  readonly #services: DispatchServices;
  readonly #pacer: Pacer;
  readonly #graceEndsUs: number;
  readonly #onEnd: (outcome: DispatchOutcome) => void;
  readonly #delays = createHistogram();

  #epochUs = 0;
  readonly #departures: Departures;
  readonly #replies: Replies;
  #expectedUs = 0;
  #sleep: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(
    { share, lanes, graceMs, pacer }: { share: Share; lanes: Lane[]; graceMs: number; pacer: Pacer },
    services: DispatchServices,
    onEnd: (outcome: DispatchOutcome) => void,
  ) {
    this.#services = services;
    this.#pacer = pacer;
    this.#graceEndsUs = graceEnd(share, graceMs);
    this.#onEnd = onEnd;
    this.#departures = new Departures(share, new ClientExit(lanes));
    this.#replies = new Replies(share, lanes, services, this);
  }

  start(epochUs: number): void {
    this.#epochUs = epochUs;
    this.#expectedUs = this.#elapsedUs();
    this.#departures.start(epochUs);
    this.#replies.start(epochUs);
    this.#tick();
  }

  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#sleep);
    this.#replies.end();
    const endedUs = this.#elapsedUs();
    this.#onEnd({
      endedUs,
      ...this.#departures.counts,
      scriptsResent: this.#replies.scriptsResent,
      outages: this.#replies.outagesUntil(endedUs),
      eventLoopDelayUs: delayFigures(this.#delays),
    });
  }

  #elapsedUs(): number {
    return nowUs() - this.#epochUs;
  }

  /** Held ops may leave. */
  onProgress({ connection, sent, client }: Lane): void {
    if (!client || !this.#departures.isBehind(connection, sent)) return;
    this.#departures.list(connection);
    this.#wake();
  }

  onStanding(): void {
    if (!this.#departures.awaitsConnection) return;
    this.#departures.retryDown();
    this.#wake();
  }

  /** No sleep to its end. */
  #wake(): void {
    if (!this.#sleep) return;
    clearTimeout(this.#sleep);
    this.#sleep = undefined;
    this.#expectedUs = this.#elapsedUs();
    setImmediate(this.#tick);
  }

  #tick = (): void => {
    if (this.#ended) return;
    this.#sleep = undefined;
    const elapsedUs = this.#elapsedUs();
    const departures = this.#departures;
    departures.step(elapsedUs);
    // With the step, in which a host stops the thread as well as between.
    this.#delays.record(Math.max(1, Math.round(this.#elapsedUs() - this.#expectedUs)));
    this.#services.probe?.tick(elapsedUs);
    const { nextDueUs } = departures;
    const allDue = nextDueUs === Number.POSITIVE_INFINITY;
    if (allDue && (elapsedUs > this.#graceEndsUs || this.#replies.settled)) this.stop();
    else this.#waitUntil(nextDueUs);
  };

  #waitUntil(dueUs: number): void {
    const { polling, latenciesSent, lastSentUs } = this.#departures;
    const elapsedUs = this.#elapsedUs();
    const waitUs = dueUs - elapsedUs;
    const awaiting = latenciesSent > this.#replies.latenciesOver;
    const alert = this.#pacer.polls && awaiting && elapsedUs - lastSentUs < ALERT_US;
    if (waitUs >= SLEEP_FROM_US && !polling && !alert) {
      const sleepMs = Math.min(MAX_SLEEP_MS, Math.floor((waitUs - SLEEP_MARGIN_US) / 1000));
      this.#expectedUs = elapsedUs + sleepMs * 1000;
      this.#sleep = setTimeout(this.#tick, sleepMs);
      return;
    }
    this.#expectedUs = elapsedUs + this.#pacer.nap(elapsedUs, polling ? 0 : waitUs, awaiting);
    setImmediate(this.#tick);
  }
}

/** Writes through the clients of this thread's own connections. */
class ClientExit implements Exit {
  readonly polls = false;
  /** By connection. */
  readonly #lanes: Lane[] = [];

  constructor(lanes: Lane[]) {
    for (const lane of lanes) this.#lanes[lane.connection] = lane;
  }

  acquire(connection: number): 'granted' | 'down' {
    return this.#lanes[connection]!.client ? 'granted' : 'down';
  }

  send(connection: number, from: number, to: number): void {
    this.#lanes[connection]!.client!.send(from, to);
  }

  release(): boolean {
    return true;
  }
}
