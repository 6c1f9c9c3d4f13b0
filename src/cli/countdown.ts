/** Turns the stages of a run into the time that is left, true to the second. */
/** What starting, preloading and stopping a pair takes, until a round has shown it. */
const FIRST_GUESS_SECONDS = 2;

/**
 * Load, and idling on purpose, take the time that was planned. What comes with them in each round (starting servers,
 * preloading, last replies) is learnt from the rounds before; in the first round it is what it took so far.
 */
export class Countdown {
  private readonly rounds: number;
  /** By 0-based round. */
  private readonly plannedSecondsOf: (round: number) => number;
  private readonly startedMs: number;
  /** A run that is resumed begins later. */
  private firstRound: number | undefined;
  private round = 0;
  private roundStartedMs: number;
  private stageStartedMs: number;
  private stageSeconds = 0;
  /** What was planned for the stages of this round that are over. */
  private doneSeconds = 0;

  constructor(rounds: number, plannedSecondsOf: (round: number) => number, nowMs: number) {
    this.rounds = rounds;
    this.plannedSecondsOf = plannedSecondsOf;
    this.startedMs = nowMs;
    this.roundStartedMs = nowMs;
    this.stageStartedMs = nowMs;
  }

  /** A stage of a 0-based round begins. */
  begin(round: number, plannedSeconds: number, nowMs: number): void {
    if (this.firstRound === undefined || round !== this.round) {
      this.firstRound ??= round;
      this.round = round;
      this.roundStartedMs = nowMs;
      this.doneSeconds = 0;
    } else {
      this.doneSeconds += this.stageSeconds;
    }
    this.stageStartedMs = nowMs;
    this.stageSeconds = plannedSeconds;
  }

  at(nowMs: number): { elapsedSeconds: number; leftSeconds: number } {
    const secondsSince = (ms: number) => (nowMs - ms) / 1000;
    const done = this.doneSeconds + Math.min(this.stageSeconds, secondsSince(this.stageStartedMs));
    const besides = secondsSince(this.roundStartedMs) - done;
    const first = this.firstRound ?? this.round;
    const usual =
      this.round === first
        ? Math.max(FIRST_GUESS_SECONDS, besides)
        : ((this.roundStartedMs - this.startedMs) / 1000 - this.plannedSeconds(first, this.round)) /
          (this.round - first);
    const after = this.plannedSeconds(this.round + 1, this.rounds) + Math.max(0, this.rounds - this.round - 1) * usual;
    return {
      elapsedSeconds: secondsSince(this.startedMs),
      leftSeconds: Math.max(0, after + this.plannedSecondsOf(this.round) - done + Math.max(0, usual - besides)),
    };
  }

  /** Of the rounds `from … until − 1`. */
  private plannedSeconds(from: number, until: number): number {
    let seconds = 0;
    for (let round = from; round < until; round++) seconds += this.plannedSecondsOf(round);
    return seconds;
  }
}
