/** The verdict as data: what every report is made of and what `--json` prints. */
import type { Caveat } from '../errors.ts';
import type { Arm, LintSummary, Looks, MemorySample, Part } from '../measure/rehearsal.ts';
import type { ServerIdentity } from '../servers/server.ts';
import type { Level } from './budget.ts';
import type { Cause, Outcome } from './statistics.ts';

export type Verdict = 'pass' | 'fail' | 'inconclusive' | 'invalid';

/** What `baseline` and `candidate` of a rule are counted in. `perByte`: bytes of memory per byte of the preload. */
type Unit = 'us' | 'perByte' | 'share' | 'count' | 'perHour';

export interface JudgedRule {
  /** Stable: `latency.p99.9`, `latency.p99.9/session:*`, `memory.rss_per_logical_byte.end`. */
  id: string;
  metric: string;
  /** What a reader calls it: `P99.9`, `RSS per byte, end`. */
  label: string;
  /** Glob over families; `*` is all of them together. Raw: not fit for a terminal. */
  family: string;
  /** `warn` is shown and decides nothing. */
  level: Level;
  unit: Unit;
  baseline: number | null;
  candidate: number | null;
  /**
   * Candidate against baseline. `ratio`: 0.25 = 25 % more. `difference`: in `unit`. `low` and `high` are one-sided bounds
   * at the budget's alpha each; null where there is none.
   */
  change: { unit: 'ratio' | 'difference'; estimate: number | null; low: number | null; high: number | null };
  /** The largest change allowed, floor included, in the unit of `change`. */
  allowed: number | null;
  /** Set where the budget's floor allows more than its percentage: that floor, in µs or bytes. */
  floor?: number;
  /** `not-judged`: this measurement cannot carry a judgement here; `note` says why. It decides nothing. */
  outcome: Outcome | 'not-judged';
  /** Ops, or memory samples, of the arm that has fewer. */
  samples: number;
  rounds: number;
  /** Chance of data this bad if the change were just what is allowed. */
  pFail?: number;
  /** Of a pass: the interval is below 0, or it is above 0 though inside what is allowed. */
  badge?: 'improved' | 'regressed';
  /** The smallest change, in the unit of `change`, that this host finds with 90 % power in so many rounds. */
  resolvable?: number;
  /** Rounds (from 0, among the judged ones) that are far off the others, and what a test says that does not mind. */
  outliers?: { rounds: number[]; estimate: number; pPass: number; pFail: number };
  /** Why it cannot be told; in all how many rounds, and how many minutes from here, would tell with 90 % power. */
  inconclusive?: {
    cause: Cause | 'generator' | 'correction' | 'missing';
    message: string;
    roundsNeeded?: number;
    minutesNeeded?: number;
  };
  note?: string;
}

export interface Spectrum {
  samples: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/** Means over rounds, at the last phase that was sampled. */
export type MemoryFigures = Omit<MemorySample, 'logicalBytes'> & {
  phase: string;
  /** Undefined where nothing was preloaded. */
  rssPerLogicalByte?: number;
};

export interface Judgement {
  schema: 'cutover/verdict@1';
  verdict: Verdict;
  exitCode: number;
  /** The verdict in one sentence, fit for a terminal. */
  sentence: string;
  /** Why the whole run, whatever its rules say, is invalid or cannot pass. */
  reasons: string[];
  rules: JudgedRule[];
  caveats: Caveat[];
  /** What lint finds in the capture's scripts and commands for these two servers, the riskiest first. */
  findings: LintSummary[];
  arms: Record<Arm, Pick<ServerIdentity, 'product' | 'version' | 'spec' | 'allocator' | 'primaries'>>;
  seed: string;
  rounds: { planned: number; judged: number };
  alpha: number;
  /** The one-sided level that each rule was tested at: `alpha`, corrected for looking at the data more than once. */
  level: number;
  /** When it was planned to look, where that was more than once. */
  looks?: Looks;
  /** What the whole run took, per judged round: what a further round would take. */
  roundSeconds: number;
  /** Microseconds, all families and judged rounds together. Explanation: percentiles of pooled requests have no interval. */
  latency: Record<Arm, Record<Part, Spectrum>>;
  memory: Partial<Record<Arm, MemoryFigures>>;
  /** The rehearsal's folder. */
  rehearsal: string;
  /** The command line that repeats the run. */
  command: string;
}
