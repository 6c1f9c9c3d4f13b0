/** Turns the stages of a run into the time that is left, true to the second. */
import type { Rehearsal } from '../measure/rehearsal.ts';

/** What starting, preloading and stopping a pair takes, until a round has shown it. */
const FIRST_GUESS_SECONDS = 2;

/**
 * Load takes the time that was planned. What comes with it in each round (starting servers, preloading, last replies) is
 * learnt from the rounds before; in the first round it is what it took so far.
 */
export class Countdown {
  private readonly rounds: number;
  private readonly loadSecondsPerRound: number;
  private readonly startedMs: number;
  /** A run that is resumed begins later. */
  private firstRound: number | undefined;
  private round = 0;
  private roundStartedMs: number;
  private stageStartedMs: number;
  private stageLoadSeconds = 0;
  /** Load of the stages of this round that are over. */
  private loadDoneSeconds = 0;

  constructor({ rounds, slicePairs, sliceSeconds, warmupSeconds }: Rehearsal['settings'], nowMs: number) {
    this.rounds = rounds;
    this.loadSecondsPerRound = 2 * (slicePairs * sliceSeconds + warmupSeconds);
    this.startedMs = nowMs;
    this.roundStartedMs = nowMs;
    this.stageStartedMs = nowMs;
  }

  /** A stage of a 0-based round begins. */
  begin(round: number, loadSeconds: number, nowMs: number): void {
    if (this.firstRound === undefined || round !== this.round) {
      this.firstRound ??= round;
      this.round = round;
      this.roundStartedMs = nowMs;
      this.loadDoneSeconds = 0;
    } else {
      this.loadDoneSeconds += this.stageLoadSeconds;
    }
    this.stageStartedMs = nowMs;
    this.stageLoadSeconds = loadSeconds;
  }

  at(nowMs: number): { elapsedSeconds: number; leftSeconds: number } {
    const secondsSince = (ms: number) => (nowMs - ms) / 1000;
    const load = this.loadDoneSeconds + Math.min(this.stageLoadSeconds, secondsSince(this.stageStartedMs));
    const besides = secondsSince(this.roundStartedMs) - load;
    const roundsBefore = this.round - (this.firstRound ?? this.round);
    const usual =
      roundsBefore === 0
        ? Math.max(FIRST_GUESS_SECONDS, besides)
        : (this.roundStartedMs - this.startedMs) / 1000 / roundsBefore - this.loadSecondsPerRound;
    const after = (this.rounds - this.round - 1) * (this.loadSecondsPerRound + usual);
    return {
      elapsedSeconds: secondsSince(this.startedMs),
      leftSeconds: Math.max(0, after + this.loadSecondsPerRound - load + Math.max(0, usual - besides)),
    };
  }
}
