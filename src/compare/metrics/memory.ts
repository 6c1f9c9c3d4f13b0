/** Turns memory samples into rules on resident memory per byte of data: in the phases the budget names, and while saving. */
import type { Caveat } from '../../errors.ts';
import {
  ARMS,
  type Arm,
  COURSE_PHASES,
  type CoursePhase,
  type MemorySample,
  type Round,
} from '../../measure/rehearsal.ts';
import { type Assessment, geometricMeans, logRatios, type Metric } from '../assessment.ts';
import { ALL_FAMILIES, type JudgedPhase } from '../budget.ts';
import type { Evidence } from '../evidence.ts';
import { driftRemark, explainDifference, purgeRemark } from '../memory-explanation.ts';
import { marginOf, meanOf, testMargin } from '../statistics.ts';
import { plural, quote } from '../wording.ts';

/** Bytes by which RSS grew since the server was empty, and the payload behind it. */
interface Growth {
  bytes: number;
  logicalBytes: number;
}

/** One rule: what it measures on one arm of a round, if that was measured, and what is allowed. */
interface Subject {
  id: string;
  label: string;
  limit: { maxIncrease: number; floorBytes: number };
  growthOf(round: Round, arm: Arm): Growth | undefined;
  /** What the figures do not say, from the rounds that have them. */
  remark(rounds: Round[]): string | undefined;
}

/**
 * RSS per logical byte = (RSS − RSS of the empty server) / payload bytes of the dataset, which the plan knows and which
 * are the same on both arms. Not `mem_fragmentation_ratio`: that is RSS/used_memory and calls the server with less
 * overhead the more fragmented one.
 */
export const judgeMemory: Metric = (evidence) => {
  const subjects = subjectsOf(evidence);
  const notRun = protocolCaveats(evidence);
  // Said even where memory is not judged: what a server costs is no longer its own alone.
  if (subjects.length === 0) return { assessments: [], caveats: [...allocatorCaveats(evidence), ...notRun] };
  const { obstacle, caveats } = comparability(evidence);
  const results = subjects.map((subject) => assess(evidence, subject, obstacle));
  return {
    assessments: results.map(({ assessment }) => assessment),
    caveats: [...caveats, ...notRun, ...results.flatMap(({ caveat }) => caveat ?? [])],
  };
};

function subjectsOf({ budget, rehearsal }: Evidence): Subject[] {
  // Where the protocol ran, the fill is its own: its dataset is large enough. The two are never one sample.
  const isFull = rehearsal.rounds.some(({ arms }) => arms.baseline.memoryProtocol);
  const { rss, peakDuringSave } = budget.memory ?? {};
  const last = rss?.phases.at(-1);
  const growths = (rss?.phases ?? []).map(
    (phase): Subject => ({
      id: `memory.rss_per_logical_byte.${phase}`,
      label: `RSS/byte, ${phase}`,
      limit: rss!,
      growthOf(round, arm) {
        const found = samplesAt(round, arm, phase, isFull);
        return (
          found && { bytes: found.sample.rssBytes - found.start.rssBytes, logicalBytes: found.sample.logicalBytes }
        );
      },
      remark(rounds) {
        const remarks = [
          phase === last ? explainDifference(rounds, (round, arm) => samplesAt(round, arm, phase, isFull)!) : undefined,
          phase === 'churn' ? driftRemark(rounds, budget.alpha) : undefined,
          phase === 'refill' ? purgeRemark(rounds) : undefined,
        ].filter((text) => text !== undefined);
        return remarks.length === 0 ? undefined : remarks.join('; ');
      },
    }),
  );
  if (!peakDuringSave) return growths;
  const peak: Subject = {
    id: 'memory.peak_during_save',
    label: 'peak/byte, save',
    limit: peakDuringSave,
    growthOf: peakIn,
    remark: () => undefined,
  };
  return [...growths, peak];
}

/** The samples of the empty server and of the phase. */
function samplesAt(
  round: Round,
  arm: Arm,
  phase: JudgedPhase,
  isFull: boolean,
): { start: MemorySample; sample: MemorySample } | undefined {
  const { memory, memoryProtocol } = round.arms[arm];
  const isBeside = phase === 'end' || (phase === 'fill' && !isFull);
  const [start, sample] = isBeside
    ? [memory.start, memory[phase]]
    : [memoryProtocol?.phases.start, memoryProtocol?.phases[phase]];
  return start && sample ? { start, sample } : undefined;
}

/** RSS per logical byte of each arm in the phases of the full protocol, and at the peak: means over the rounds that have it. */
export function courseFigures(rounds: Round[]): ({ phase: string } & Record<Arm, number>)[] {
  const measured = rounds.filter(({ arms }) => ARMS.every((arm) => arms[arm]?.memoryProtocol?.phases.save));
  const rowOf = (phase: string, growthOf: (round: Round, arm: Arm) => Growth | undefined) => {
    const [baseline, candidate] = ARMS.map((arm) =>
      measured.flatMap((round) => {
        const growth = growthOf(round, arm);
        return growth ? [growth.bytes / growth.logicalBytes] : [];
      }),
    );
    return baseline!.length > 0 && candidate!.length > 0
      ? [{ phase, baseline: meanOf(baseline!), candidate: meanOf(candidate!) }]
      : [];
  };
  const growthIn = (phase: CoursePhase) => (round: Round, arm: Arm) => {
    const { start, [phase]: sample } = round.arms[arm].memoryProtocol!.phases;
    return start && sample && { bytes: sample.rssBytes - start.rssBytes, logicalBytes: sample.logicalBytes };
  };
  return [
    ...COURSE_PHASES.filter((phase) => phase !== 'start').flatMap((phase) => rowOf(phase, growthIn(phase))),
    ...rowOf('peak while saving', peakIn),
  ];
}

/**
 * The highest memory of server and snapshot together: read from the system where it could be on both arms, else the highest
 * RSS plus the pages that were copied, as the server says.
 */
function peakIn(round: Round, arm: Arm): Growth | undefined {
  const { phases, save } = round.arms[arm].memoryProtocol ?? {};
  if (!phases?.start || !phases.save || !save) return undefined;
  const isReadable = ARMS.every((one) => round.arms[one].memoryProtocol?.save?.processPeakBytes !== undefined);
  const peakBytes = isReadable ? save.processPeakBytes! : save.rssPeakBytes + save.copiedBytes;
  return { bytes: peakBytes - phases.start.rssBytes, logicalBytes: phases.save.logicalBytes };
}

function assess(
  evidence: Evidence,
  subject: Subject,
  incomparable: Caveat | undefined,
): { assessment: Assessment; caveat?: Caveat } {
  // Not only the rounds whose latency is judged: a generator that stood still leaves memory as it is.
  const pairs = evidence.rehearsal.rounds.flatMap((round) => {
    const [baseline, candidate] = ARMS.map((arm) => subject.growthOf(round, arm));
    return baseline && candidate ? [{ round, baseline, candidate }] : [];
  });
  const blank: Assessment = {
    ...{ id: subject.id, label: subject.label, family: ALL_FAMILIES, level: 'error', unit: 'perByte', scale: 'ratio' },
    samples: pairs.length,
  };
  const obstacle = incomparable ?? findObstacle(evidence, pairs);
  if (obstacle) return { assessment: { ...blank, note: `not judged: ${obstacle.message}` }, caveat: obstacle };
  const perByte = pairs.map(({ baseline, candidate }) => ({
    baseline: baseline.bytes / baseline.logicalBytes,
    candidate: candidate.bytes / candidate.logicalBytes,
  }));
  const { maxIncrease, floorBytes } = subject.limit;
  const { baseline } = geometricMeans(
    pairs.map((pair) => ({ baseline: pair.baseline.bytes, candidate: pair.candidate.bytes })),
  );
  const note = subject.remark(pairs.map(({ round }) => round));
  return {
    assessment: {
      ...blank,
      ...geometricMeans(perByte),
      ...(floorBytes > maxIncrease * baseline ? { floor: floorBytes } : {}),
      test: testMargin(logRatios(perByte), marginOf(maxIncrease, floorBytes, baseline), evidence.budget.alpha),
      ...(note === undefined ? {} : { note }),
    },
  };
}

/** Whether memory of these two servers can be compared at all. */
function comparability(evidence: Evidence): { obstacle?: Caveat; caveats: Caveat[] } {
  const { arms } = evidence.rehearsal;
  const caveats = allocatorCaveats(evidence);
  const foreign = ARMS.filter((arm) => arms[arm].provider === 'url');
  if (foreign.length > 0) {
    const obstacle = {
      id: 'memory-of-foreign-server',
      message: `memory of ${foreign.join(' and ')} is not ours to measure: the server was not started for this run`,
      advice: 'Judge memory with docker: or process: servers, which start empty in each round.',
    };
    return { obstacle, caveats };
  }
  const [differ] = caveats;
  return differ && evidence.budget.memory?.allocatorsDifferBecause === undefined
    ? { obstacle: differ, caveats: [] }
    : { caveats };
}

/** One where the full protocol was to be, and a cluster is rehearsed; what it does with servers of others, their memory says. */
function protocolCaveats({ rehearsal: { arms, settings } }: Evidence): Caveat[] {
  if (settings.memoryProtocol !== 'full' || ARMS.every((arm) => !arms[arm].primaries)) return [];
  return [
    {
      id: 'memory-protocol-of-cluster',
      message: 'the full memory protocol did not run: it fills single servers, and a cluster is rehearsed',
      advice:
        'Rehearse once without --cluster and with --memory-protocol full: bytes per byte of data are those of one node.',
    },
  ];
}

/** One where the allocators differ, by name or, on servers that we started, by how they were built. */
function allocatorCaveats({ rehearsal, budget }: Evidence): Caveat[] {
  const { baseline, candidate } = rehearsal.arms;
  const [first, second] = ARMS.map(
    (arm) => rehearsal.rounds.find(({ arms }) => arms[arm].canDefragment !== undefined)?.arms[arm],
  );
  const namesDiffer = baseline.allocator !== candidate.allocator;
  const buildsDiffer = first && second && first.canDefragment !== second.canDefragment;
  if (!namesDiffer && !buildsDiffer) return [];
  const built = (can: boolean | undefined) => (can ? 'with active defragmentation' : 'without');
  const difference = namesDiffer
    ? `the allocators differ (${quote(baseline.allocator)}, ${quote(candidate.allocator)})`
    : `the allocators are built differently (${quote(baseline.allocator)} ${built(first?.canDefragment)}, ${built(second?.canDefragment)}), with other size classes`;
  const because = budget.memory?.allocatorsDifferBecause;
  return [
    {
      id: 'allocators-differ',
      message: `${difference}, so a difference in memory would not be the server's`,
      advice:
        because === undefined
          ? 'Compare builds with the same allocator, for example both official images or both packages of one distribution; or say in the budget why they are compared nevertheless: memory.allocators_differ_because.'
          : `The budget has memory judged nevertheless: ${quote(because)}.`,
    },
  ];
}

/** Why this figure cannot be judged, if so. */
function findObstacle(
  { rehearsal }: Evidence,
  pairs: { round: Round; baseline: Growth; candidate: Growth }[],
): Caveat | undefined {
  const protocol = rehearsal.settings.memoryProtocol ?? 'quick';
  if (pairs.length === 0) {
    return {
      id: 'memory-not-sampled',
      message: `it was not measured in ${plural(rehearsal.rounds.length, 'round')} with --memory-protocol ${protocol}`,
      advice:
        protocol === 'full'
          ? 'See whether the servers answer INFO memory; a cluster is measured by fill and end alone.'
          : 'Leave --memory-protocol out: what the budget judges is then measured.',
    };
  }
  const inexact = pairs.find(({ round }) => ARMS.some((arm) => !isExact(round, arm)));
  if (inexact) {
    return {
      id: 'memory-not-exact',
      message: `the servers did not keep what they were sent in the memory protocol of round ${inexact.round.index + 1}, so bytes per byte of data mean nothing`,
      advice:
        'See whether maxmemory evicts keys, and which errors the servers answered: memoryProtocol in rehearsal.json.',
    };
  }
  if (!pairs.every((pair) => ARMS.every((arm) => pair[arm].bytes > 0 && pair[arm].logicalBytes > 0))) {
    return {
      id: 'dataset-too-small',
      message: 'the dataset is too small for its memory to be seen: RSS did not grow when it was loaded',
      advice:
        'Use --memory-protocol full, which loads enough of it, a capture with more keys, or memory: off in the budget.',
      numbers: { logicalBytes: Math.round(meanOf(pairs.map(({ baseline }) => baseline.logicalBytes))) },
    };
  }
  return undefined;
}

/** Every key that was sent is there, and nothing was refused. */
function isExact(round: Round, arm: Arm): boolean {
  const course = round.arms[arm].memoryProtocol;
  if (!course) return true;
  const counts = Object.entries(course.phases) as [keyof typeof course.phases, { keys: number }][];
  return (
    Object.keys(course.errors).length === 0 && counts.every(([phase, { keys }]) => keys === course.plannedKeys[phase])
  );
}
