/** Runs a load thread's share of a slice in two threads: a sender that naps and writes, and this one, asleep until replies arrive. */

import { extname } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { ThreadHealth } from '../../measure/generator.ts';
import type { Priority } from '../../servers/priority.ts';
import { nowUs } from '../clock.ts';
import { type Bell, BellFlag, createBell, ring } from './bell.ts';
import type { Share } from './departures.ts';
import { type DispatchOutcome, type DispatchServices, delayFigures, graceEnd, type RunningSlice } from './dispatch.ts';
import { LOAD_HEAP } from './load-thread.ts';
import { type Lane, Replies, type RepliesListener } from './replies.ts';
import type { FromSender, SenderSetup, ToSender } from './sender.ts';

/**
 * How often the event loop looks whether the probe is due, and whether the slice is over. Until the sender has ended it does so
 * when a reply comes, or else when the sender says, without a timer: an event loop that has one sets and takes back one of
 * the kernel's around each sleep, which on a virtual machine costs as much as reading the reply.
 */
const LOOK_MS = 5;

/** The sender thread of a load thread. */
export class Sender {
  readonly bell: Bell = createBell();
  readonly #worker: Worker;
  #onMessage: (message: FromSender) => void = () => {};

  constructor(priority: Priority) {
    this.#worker = new Worker(new URL(`./sender${extname(import.meta.filename)}`, import.meta.url), {
      workerData: { bell: this.bell, priority } satisfies SenderSetup,
      resourceLimits: LOAD_HEAP,
    });
    this.#worker.on('message', (message: FromSender) => this.#onMessage(message));
    // Whoever drives the load thread hears of it: there is nothing to measure without a sender.
    this.#worker.on('error', (error) => {
      throw error;
    });
  }

  /** Resolves when the sender could start at once. */
  prepare(share: Share): Promise<void> {
    return new Promise((resolve) => {
      this.#onMessage = () => resolve();
      this.#tell({ type: 'prepare', share });
    });
  }

  run(epochUs: number, onMessage: (message: FromSender) => void): void {
    this.bell.flags.fill(0);
    this.#onMessage = onMessage;
    this.#tell({ type: 'run', epochUs });
  }

  close(): void {
    void this.#worker.terminate();
  }

  #tell(message: ToSender): void {
    this.#worker.postMessage(message);
  }
}

export class SplitDispatch implements RunningSlice, RepliesListener {
  readonly #services: DispatchServices;
  readonly #sender: Sender;
  readonly #graceEndsUs: number;
  readonly #onEnd: (outcome: DispatchOutcome, sender: ThreadHealth | undefined) => void;
  readonly #delays = createHistogram();
  #epochUs = 0;
  #started = false;
  readonly #replies: Replies;
  #lookDueUs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #sent: Extract<FromSender, { type: 'sent' }> | undefined;
  #endedUs: number | undefined;

  constructor(
    { share, lanes, graceMs, sender }: { share: Share; lanes: Lane[]; graceMs: number; sender: Sender },
    services: DispatchServices,
    onEnd: (outcome: DispatchOutcome, sender: ThreadHealth | undefined) => void,
  ) {
    this.#services = services;
    this.#sender = sender;
    this.#graceEndsUs = graceEnd(share, graceMs);
    this.#onEnd = onEnd;
    this.#replies = new Replies(share, lanes, services, this);
  }

  onProgress(): void {
    const { bell } = this.#sender;
    if (Atomics.load(bell.flags, BellFlag.listening) === 1) ring(bell);
    if (this.#elapsedUs() >= this.#lookDueUs) this.#look();
  }

  onStanding(): void {
    ring(this.#sender.bell);
  }

  start(epochUs: number): void {
    this.#epochUs = epochUs;
    this.#replies.start(epochUs);
    this.#started = true;
    this.#sender.run(epochUs, (message) => {
      if (message.type === 'beat') this.#lookAsked(message.atUs);
      else if (message.type === 'sent') {
        this.#sent = message;
        if (this.#endedUs === undefined) this.#lookLater();
        else this.#conclude(this.#endedUs);
      }
    });
  }

  stop(): void {
    if (this.#endedUs !== undefined) return;
    this.#endedUs = this.#elapsedUs();
    clearTimeout(this.#timer);
    this.#replies.end();
    const { bell } = this.#sender;
    Atomics.store(bell.flags, BellFlag.stop, 1);
    ring(bell);
    if (this.#sent || !this.#started) this.#conclude(this.#endedUs);
  }

  #elapsedUs(): number {
    return nowUs() - this.#epochUs;
  }

  #lookLater(): void {
    const atUs = this.#elapsedUs() + LOOK_MS * 1000;
    this.#timer = setTimeout(() => {
      this.#lookAsked(atUs);
      if (this.#endedUs === undefined) this.#lookLater();
    }, LOOK_MS);
  }

  #lookAsked(askedUs: number): void {
    if (this.#endedUs !== undefined) return;
    this.#delays.record(Math.max(1, Math.round(this.#elapsedUs() - askedUs)));
    this.#look();
  }

  #look(): void {
    const { flags } = this.#sender.bell;
    const elapsedUs = this.#elapsedUs();
    this.#lookDueUs = elapsedUs + LOOK_MS * 1000;
    Atomics.store(flags, BellFlag.looked, 1);
    this.#services.probe?.tick(elapsedUs);
    const allDue = Atomics.load(flags, BellFlag.allDue) === 1;
    if (elapsedUs > this.#graceEndsUs || (allDue && this.#replies.settled)) this.stop();
  }

  #conclude(endedUs: number): void {
    const { counts = { heldByCap: 0, outOfOrder: 0 }, health } = this.#sent ?? {};
    this.#onEnd(
      {
        endedUs,
        ...counts,
        scriptsResent: this.#replies.scriptsResent,
        outages: this.#replies.outagesUntil(endedUs),
        eventLoopDelayUs: delayFigures(this.#delays),
      },
      health,
    );
  }
}
