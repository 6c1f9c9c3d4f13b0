/** Turns what a run reports about itself into a live view: where it is, what it has measured, how the verdict narrows. */
import type { Judgement } from '../compare/judgement.ts';
import { hasMemoryProtocol, memoryPlannedSeconds } from '../drive/memory-protocol.ts';
import { LatencyHistogram } from '../measure/histogram.ts';
import type { LabelledHistograms } from '../measure/latency-log.ts';
import { ARMS, type Arm, type Rehearsal } from '../measure/rehearsal.ts';
import { colourFor } from '../report/text/colour.ts';
import { type LiveRun, liveBlock, liveLine } from '../report/text/live.ts';
import { Countdown } from './countdown.ts';
import type { Progress } from './progress.ts';

const REDRAW_EVERY_MS = 1000;
/** Judging reads every log again. Where that takes longer than this, it is done only when the rounds have doubled. */
const JUDGE_WITHIN_MS = 500;

export class RunView implements Disposable {
  private readonly progress: Progress;
  private readonly rehearsal: Rehearsal;
  private readonly judgeSaved: () => Promise<{ judgement: Judgement }>;
  private readonly countdown: Countdown;
  private readonly response = { baseline: LatencyHistogram.empty(), candidate: LatencyHistogram.empty() };
  private readonly timer = setInterval(() => this.draw(), REDRAW_EVERY_MS);
  private readonly redraw = () => this.draw();
  private stage: { round: number; doing: string } | undefined;
  private judged: LiveRun['judged'];
  /** Complete rounds when it was judged last. */
  private roundsSeen = 0;
  private judgingMs = 0;

  /** `canHaveMemory`: by the servers that will be started. `judgeSaved` judges the rehearsal as it was saved last. */
  constructor(
    progress: Progress,
    rehearsal: Rehearsal,
    canHaveMemory: boolean,
    judgeSaved: () => Promise<{ judgement: Judgement }>,
  ) {
    this.progress = progress;
    this.rehearsal = rehearsal;
    this.judgeSaved = judgeSaved;
    this.countdown = new Countdown(
      rehearsal.settings.rounds,
      (round) => plannedSecondsOf(rehearsal, round, canHaveMemory),
      Date.now(),
    );
    process.stderr.on('resize', this.redraw);
  }

  /** A stage begins, which takes at least the `plannedSeconds`. */
  begin({ round, doing, plannedSeconds }: { round: number; doing: string; plannedSeconds: number }): void {
    this.stage = { round, doing };
    this.countdown.begin(round, plannedSeconds, Date.now());
    this.draw();
  }

  /** A slice has been measured. */
  measured(arm: Arm, entries: LabelledHistograms[]): void {
    for (const { response } of entries) this.response[arm].add(response);
  }

  /** The rehearsal has been saved: if a round was completed, the rules are judged anew, while no load is running. */
  async saved(): Promise<void> {
    const rounds = this.rehearsal.rounds.filter(({ arms }) => ARMS.every((arm) => arms[arm].commands)).length;
    if (this.progress.silent || rounds === this.roundsSeen || rounds === this.rehearsal.settings.rounds) return;
    if (rounds < 2 || (this.judgingMs > JUDGE_WITHIN_MS && rounds < 2 * this.roundsSeen)) return;
    this.roundsSeen = rounds;
    const startedMs = performance.now();
    const { rules, level, rounds: counted } = (await this.judgeSaved()).judgement;
    this.judgingMs = performance.now() - startedMs;
    this.judged = { rounds: counted.judged, rules, level };
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
    process.stderr.off('resize', this.redraw);
    this.progress.done();
  }

  private draw(): void {
    if (this.progress.silent || !this.stage) return;
    const { rehearsal, response, judged } = this;
    const run = { rehearsal, ...this.stage, ...this.countdown.at(Date.now()), response, judged };
    this.progress.show(this.progress.interactive ? liveBlock(run, colourFor(process.stderr)) : '', liveLine(run));
  }
}

/** What of a 0-based round is known before: its warm-ups and slices, and of the memory protocol what takes a set time. */
function plannedSecondsOf(rehearsal: Rehearsal, round: number, canHaveMemory: boolean): number {
  const { slicePairs, sliceSeconds, warmupSeconds } = rehearsal.settings;
  const memory = canHaveMemory && hasMemoryProtocol(rehearsal, round) ? memoryPlannedSeconds(sliceSeconds) : 0;
  return 2 * (slicePairs * sliceSeconds + warmupSeconds) + memory;
}
