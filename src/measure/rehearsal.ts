/** The one artefact of a run: what was done and measured, versioned, written as the run proceeds, judged afterwards. */
import type { Caveat } from '../errors.ts';
import type { Priority } from '../servers/priority.ts';
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
  /** Set if this is what one of several machines sent of the plan: `cutover merge` puts the parts together. */
  shard?: ShardOf;
  machine: Machine;
  /** Paths relative to the rehearsal folder. */
  files: { model: string; budget: string };
  budgetSha256: string;
  client: string;
  arms: Record<Arm, ServerIdentity>;
  /** Differences of `CONFIG GET *` between the arms, without paths, ports and process ids. */
  configDifferences: { name: string; baseline: string | undefined; candidate: string | undefined }[];
  /** What rounds of the baseline against itself, before the first, said of this host. */
  calibration?: CalibrationSummary;
  rounds: Round[];
  /** Facts that lower stages noticed (commands left out, unknown scripts); compare adds its own. */
  caveats: Caveat[];
  /** What the servers did, beside what the capture's server did; of modelled and exact workloads. */
  outcome?: Record<Arm, OutcomeRow[]>;
  /** How faithful the modelled workload is to the captured one. */
  fidelity?: FidelityRow[];
  /** The riskiest first: by calls × severity. */
  findings?: LintSummary[];
  /** Measured once, in the first round. */
  floor?: Floor;
  /** Where the rate was to be searched (`--rate max`). */
  capacity?: Capacity;
  /** Why the run ended early. */
  stopped?: { reason: 'interrupted' | 'server-died'; message: string };
}

export interface CalibrationSummary {
  /** The rehearsal folder of those rounds, below this one. */
  folder: string;
  /** That were judged. */
  rounds: number;
  /** Each a clause: the same server is faster in one arm's slots. */
  biased: string[];
  /** Each a clause: a change that the budget asks for and this host cannot resolve in the planned rounds. */
  unresolvable: string[];
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
  /** How far the two are apart. */
  value: number;
  target: number;
  /** The figures themselves, where the distance is their difference. */
  captured?: number;
  replayed?: number;
}

/** One line of the scorecard; see `plan/fidelity.ts`. What could not be had is left out. */
interface FidelityRow extends Pick<OutcomeRow, 'aspect' | 'metric' | 'target'> {
  value?: number | undefined;
  /** The same difference between the capture's own halves, and with independent draws. */
  noise?: number | undefined;
  naive?: number | undefined;
  outcome: 'ok' | 'missed' | 'unknown';
}

interface ShardOf {
  /** From 1 to `count`. */
  number: number;
  count: number;
  /** When the shards agreed to start, and the baseline's clock less this machine's. */
  startAtMs: number;
  clockOffsetMs: number;
  /** Equal for parts of the same plan. */
  planSha256: string;
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
  /** What load threads and servers were to be scheduled at; each `generator.priority` and `serverPriority` say what they got. */
  priority?: Priority;
  /** How load threads waited: `nap`, `spin`, or `split` in a thread that sends and one that receives. */
  pacing?: 'nap' | 'split' | 'spin';
  /** RESP version of the raw client; absent: 2. */
  protocol?: 2 | 3;
  /** How memory is measured: not at all, beside latency, or also on servers of its own. Absent in older runs: `quick`. */
  memoryProtocol?: MemoryProtocol;
  /** When it was planned to look whether the verdict is in; absent: once, at the end. */
  looks?: Looks;
}

export const MEMORY_PROTOCOLS = ['quick', 'full', 'off'] as const;
export type MemoryProtocol = (typeof MEMORY_PROTOCOLS)[number];

/** Rounds after which to look, rising, and how the level is corrected for looking again. */
export interface Looks {
  rounds: number[];
  method: 'pocock' | 'obf' | 'fixed';
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
  /** Slice pairs that generator or host spoiled and that were run again: nothing of them is in `arms`. */
  repeated?: { pair: number; reason: string }[];
  arms: Record<Arm, ArmRound>;
}

export interface ArmRound {
  identity: ServerIdentity;
  preload: { commands: number; keys: number; logicalBytes: number; seconds: number; errors: Record<string, number> };
  /** INFO figures at: `start` (empty server), `fill` (after preload), `end` (after the last slice). */
  memory: Partial<Record<MemoryPhase, MemorySample>>;
  /** Whether its allocator supports active defragmentation, tried on servers that we started: builds differ in that. */
  canDefragment?: boolean;
  /** Of `--memory-protocol full`: another pair of fresh servers, for memory alone. */
  memoryProtocol?: MemoryCourse;
  /** INFO each second of the round: NDJSON, relative to the rehearsal folder. */
  samples?: string;
  slices: SliceResult[];
  /** What the server's process is scheduled at, as the system says; absent where it does not say (a server elsewhere). */
  serverPriority?: Priority;
  /** Calls by command from the first slice to the last, scripts' own included: differences of INFO commandstats. */
  commands?: Record<string, number>;
  /**
   * Of these, the calls that ended in an error; and error replies by first word meanwhile, those that scripts caught and those
   * to no call included: differences of INFO errorstats.
   */
  failed?: Record<string, number>;
  errors?: Record<string, number>;
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
  /** What `usedBytes` is made of, as far as the server says: data, and the rest, of which some is named. */
  datasetBytes?: number;
  overheadBytes?: number;
  scriptBytes?: number;
  clientBytes?: number;
  replicationBytes?: number;
  /** Keys and values, with what is spent on them: without what an empty server takes, clients, and latencies by command. */
  dataBytes?: number;
}

/** Phases of the full protocol in their order; `…Idle`: some seconds after, with nothing sent. See docs/memory.md. */
export const COURSE_PHASES = [
  'start',
  'fill',
  'fillIdle',
  'churn',
  'churnIdle',
  'delete',
  'deleteIdle',
  'purge',
  'refill',
  'save',
] as const;
export type CoursePhase = (typeof COURSE_PHASES)[number];

/** What the full memory protocol measured on one arm in one round. */
export interface MemoryCourse {
  /** How many times over the keys of the preload are there, so that there is enough to be seen. */
  copies: number;
  phases: Partial<Record<CoursePhase, MemorySample & { keys: number }>>;
  /** Keys that there should have been, and error replies by first word: otherwise logical bytes are not what is there. */
  plannedKeys: Partial<Record<CoursePhase, number>>;
  errors: Record<string, number>;
  /** RSS while idle after the fill, and in the churn against the payload bytes written by then. */
  idleRss: { seconds: number; rssBytes: number }[];
  churnRss: { writtenBytes: number; rssBytes: number }[];
  save?: SaveFigures;
}

/** A snapshot (BGSAVE) while keys are overwritten. */
interface SaveFigures {
  seconds: number;
  /** How long the fork itself stopped the server, and bytes of pages copied, as the server says. */
  forkUs: number;
  copiedBytes: number;
  /** The highest RSS that INFO showed meanwhile. */
  rssPeakBytes: number;
  /** The highest sum of server and child, shared pages counted once; where the system lets us read it. */
  processPeakBytes?: number;
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
  /** Blocking commands still waiting at the end, and what was due behind them: no errors. */
  blocked: number;
  /** Never sent (the server died, or the run was stopped). */
  unsent: number;
  generator: GeneratorHealth;
  /** Which client sent the slice, where a run has two. */
  client?: string;
  /** Back-pressure: ops that were due while their connection had as much in flight as it may. */
  heldByCap?: number;
  /** Ops that left although others, which they had to follow, were not over. */
  outOfOrder?: number;
  /** Script calls that the server had forgotten (NOSCRIPT), sent again with their source as client libraries do. */
  scriptsResent?: number;
  /** On a cluster: ops sent again because their slot had moved (MOVED) or was moving (ASK), and ops of several slots. */
  cluster?: { moved: number; asked: number; crossSlot: number };
  /** EXECs that were answered: those that ran, and those that a watched key stopped (nil). */
  transactions?: { committed: number; aborted: number };
  /**
   * Where SCAN, HSCAN, SSCAN or ZSCAN walk: calls that continued, those of them that left before the reply to the call before
   * had come and asked for the same once more, and replies that ended a walk.
   */
  walks?: { steps: number; ahead: number; ended: number };
  /**
   * Where the workload has subscribers: their connections, the messages that they were sent, subscriptions that the server
   * refused, and how often one of the connections was cut.
   */
  messages?: { subscribers: number; received: number; refused: number; interrupted: number };
  /** Which connections, or load threads, were lost, and why. */
  connectionLost?: string;
  /** What the host did in the same seconds. */
  host?: HostHealth;
  /** Times without a connection, until it stood again or the slice ended. */
  outages?: { count: number; longestMs: number; totalMs: number };
  /** Times in which the earliest pending request waited long; see `measure/stalls.ts`. */
  stalls?: Stall[];
  /** Server's own counters over the slice, as differences of INFO stats. */
  hits: number;
  misses: number;
}

/** Microseconds; `startUs` after the slice's start: when the request that waits was sent. */
export interface Stall {
  startUs: number;
  durationUs: number;
  /** The longest that a request waited in it. */
  waitUs: number;
  /** The most that a request which was due meanwhile left late: as long as the stall, where the generator stood still too. */
  lagUs: number;
}

export interface GeneratorHealth {
  /** Ops per second that were sent, over planned. */
  achievedRate: number;
  plannedRate: number;
  lagUs: Quantiles;
  /** Event-loop delay of the worst worker. */
  eventLoopDelayUs: { p99: number; max: number };
  gcPauses: { count: number; totalMs: number; maxMs: number };
  /** Cores used by the generator's process, and by each of its load threads. */
  cpuCores: number;
  threadCores?: number[];
  /** What the load threads were scheduled at: all of them real-time, or not. Absent where the system does not say. */
  priority?: Priority;
  /** Replies to a PING every 10 ms on a connection of its own per load thread: what the server does without our queues. */
  probeUs?: Quantiles & { count: number };
}

interface HostHealth {
  /** How late a thread of the lowest priority was woken, that asked for it every millisecond. */
  jitterUs: Quantiles;
  /** Part of all processor time that the hypervisor gave to others, 0 to 1. */
  stealShare: number;
  /** How long a CPU limit stopped our group of processes. */
  throttledMs: number;
}

/** Ops per second of the workload before they queue: of each server, and of the generator against a server that does nothing. */
export interface Capacity extends Record<Arm, number> {
  generator: number;
}

/** The same load against a server that does nothing: what generator and host add to a latency. */
export interface Floor {
  ops: number;
  responseUs: Quantiles;
  lagUs: Quantiles;
  /** Twice the rate was kept too: the run stays below half of what the generator can do here. */
  keepsDoubleRate: boolean;
}

export interface Quantiles {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}
