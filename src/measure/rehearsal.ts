/** The one artefact of a run: what was done and measured, versioned, written as the run proceeds, judged afterwards. */
import type { Caveat } from '../errors.ts';
import type { ServerIdentity } from '../servers/server.ts';

export const ARMS = ['baseline', 'candidate'] as const;
export type Arm = (typeof ARMS)[number];

/** Which part of an op's time a histogram holds; see the words in the README. */
export type Part = 'lag' | 'service' | 'response';

export interface Rehearsal {
  schema: 'cutover/rehearsal@1';
  cutover: string;
  node: string;
  startedAt: string;
  finishedAt?: string;
  /** The command line that repeats this run: every default spelled out, no credentials. */
  command: string;
  seed: string;
  settings: RunSettings;
  machine: Machine;
  /** Paths relative to the rehearsal folder. */
  files: { model: string; budget: string };
  budgetSha256: string;
  client: string;
  arms: Record<Arm, ServerIdentity>;
  /** Differences of `CONFIG GET *` between the arms, without paths, ports and process ids. */
  configDifferences: { name: string; baseline: string | undefined; candidate: string | undefined }[];
  rounds: Round[];
  /** Facts that lower stages noticed (commands left out, unknown scripts); compare adds its own. */
  caveats: Caveat[];
  /** What the servers did, beside what the capture's server did; of modelled and exact workloads. */
  outcome?: Record<Arm, OutcomeRow[]>;
  /** How faithful the modelled workload is to the captured one. */
  fidelity?: FidelityRow[];
  /** The riskiest first: by calls × severity. */
  findings?: LintSummary[];
  /** Why the run ended early. */
  stopped?: { reason: 'interrupted' | 'server-died'; message: string };
}

/** What differs between the two servers for scripts and commands of the capture, as `cutover lint` finds it. */
export interface LintSummary {
  code: string;
  rule: string;
  severity: 'error' | 'warning' | 'info';
  message: string;
  fix: string;
  /** Calls of the script or command in the capture. */
  calls: number;
}

/** One aspect of what a server did, against what the capture says. */
interface OutcomeRow {
  aspect: string;
  metric: string;
  value: number;
  target: number;
}

/** One line of the scorecard; see `plan/fidelity.ts`. What could not be had is left out. */
interface FidelityRow extends Omit<OutcomeRow, 'value'> {
  value?: number | undefined;
  /** The same difference between the capture's own halves, and with independent draws. */
  noise?: number | undefined;
  naive?: number | undefined;
  outcome: 'ok' | 'missed' | 'unknown';
}

interface RunSettings {
  /** Rounds that were planned; `rounds.length` may be smaller when stopped. */
  rounds: number;
  /** Slice pairs per round (each pair: the same slice on both arms). */
  slicePairs: number;
  sliceSeconds: number;
  warmupSeconds: number;
  /** Ops per second offered, and the capture's own. */
  rate: number;
  capturedRate: number;
  connections: number;
  workers: number;
}

export interface Machine {
  platform: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
}

export interface Round {
  index: number;
  /** Arms in the order in which slices ran: baseline, candidate, candidate, baseline, or mirrored. */
  order: Arm[];
  /** How long after the rehearsal it began: times in planned arguments are so much later. */
  laterSeconds: number;
  /** Set when the round's measurements must not be used, with the reason. */
  invalid?: string;
  arms: Record<Arm, ArmRound>;
}

export interface ArmRound {
  identity: ServerIdentity;
  preload: { commands: number; keys: number; logicalBytes: number; seconds: number; errors: Record<string, number> };
  /** INFO figures at: `start` (empty server), `fill` (after preload), `end` (after the last slice). */
  memory: Partial<Record<MemoryPhase, MemorySample>>;
  slices: SliceResult[];
  /** Calls by command from the first slice to the last, scripts' own included: differences of INFO commandstats. */
  commands?: Record<string, number>;
}

export type MemoryPhase = 'start' | 'fill' | 'end';

export interface MemorySample {
  rssBytes: number;
  usedBytes: number;
  allocatedBytes: number;
  activeBytes: number;
  residentBytes: number;
  /** As INFO prints them; shown, never judged. */
  memFragmentationRatio: number;
  allocatorFragRatio: number;
  /** Payload bytes in the dataset according to the plan; the same on both arms. */
  logicalBytes: number;
}

/** What one slice gave on one arm. Latency distributions are in the HdrHistogram log named by `log`. */
export interface SliceResult {
  /** 0-based position in the round; slices of one pair share `pair`. */
  position: number;
  pair: number;
  seed: string;
  startedAtMs: number;
  seconds: number;
  /** HdrHistogram V2 log, relative to the rehearsal folder. */
  log: string;
  /** Time line, relative to the rehearsal folder. */
  timeline?: string;
  /** planned = replied + errors + lost + blocked + unsent. */
  planned: number;
  replied: number;
  /** Error replies by prefix (first word: `WRONGTYPE`), with how often. */
  errors: Record<string, number>;
  /** Error replies by label: `FAMILY COMMAND` → prefix → count. */
  errorsByLabel: Record<string, Record<string, number>>;
  /** Sent but never answered when the slice ended. */
  lost: number;
  /** Blocking commands still waiting at the end: not an error. */
  blocked: number;
  /** Never sent (the server died, or the run was stopped). */
  unsent: number;
  generator: GeneratorHealth;
  /** Server's own counters over the slice, as differences of INFO stats. */
  hits: number;
  misses: number;
}

export interface GeneratorHealth {
  /** Ops per second that were sent, over planned. */
  achievedRate: number;
  plannedRate: number;
  lagUs: Quantiles;
  /** Event-loop delay of the worst worker. */
  eventLoopDelayUs: { p99: number; max: number };
  gcPauses: { count: number; totalMs: number; maxMs: number };
  /** Cores used by the generator's process. */
  cpuCores: number;
}

interface Quantiles {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}
