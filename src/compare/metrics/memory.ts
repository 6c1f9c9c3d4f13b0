/** Turns memory samples into a rule on resident memory per byte of the preload, after the preload and at the end. */
import type { Caveat } from '../../errors.ts';
import { ARMS, type Arm, type Round } from '../../measure/rehearsal.ts';
import { type Assessment, geometricMeans, logRatios, type Metric } from '../assessment.ts';
import { ALL_FAMILIES } from '../budget.ts';
import type { Evidence } from '../evidence.ts';
import { marginOf, meanOf, testMargin } from '../statistics.ts';
import { quote } from '../wording.ts';

const PHASES = ['fill', 'end'] as const;
type Phase = (typeof PHASES)[number];

/**
 * RSS per logical byte = (RSS − RSS of the empty server) / payload bytes of the dataset, which the plan knows and which
 * are the same on both arms. Not `mem_fragmentation_ratio`: that is RSS/used_memory and calls the server with less
 * overhead the more fragmented one.
 */
export const judgeMemory: Metric = (evidence) => {
  const limits = evidence.budget.memory?.rss;
  if (!limits) return { assessments: [], caveats: [] };
  const blanks = PHASES.map(
    (phase): Assessment => ({
      id: `memory.rss_per_logical_byte.${phase}`,
      label: `RSS/byte, ${phase}`,
      family: ALL_FAMILIES,
      level: 'error',
      unit: 'perByte',
      scale: 'ratio',
      samples: evidence.rounds.length,
    }),
  );
  const obstacle = findObstacle(evidence);
  if (obstacle) {
    const note = `not judged: ${obstacle.message}`;
    return { assessments: blanks.map((blank) => ({ ...blank, note })), caveats: [obstacle] };
  }
  const assessments = PHASES.map((phase, i): Assessment => {
    const growths = evidence.rounds.map((round) => growthPair(round, phase)!);
    const pairs = growths.map(({ bytes, logicalBytes }) => ({
      baseline: bytes.baseline / logicalBytes.baseline,
      candidate: bytes.candidate / logicalBytes.candidate,
    }));
    const { baseline } = geometricMeans(growths.map(({ bytes }) => bytes));
    const margin = marginOf(limits.maxIncrease, limits.floorBytes, baseline);
    const test = testMargin(logRatios(pairs), margin, evidence.budget.alpha);
    const floor = limits.floorBytes > limits.maxIncrease * baseline ? { floor: limits.floorBytes } : {};
    return { ...blanks[i]!, ...geometricMeans(pairs), ...floor, test };
  });
  return { assessments, caveats: [] };
};

/** Bytes by which RSS grew from the empty server to `phase`, and the payload behind it; undefined where not sampled. */
function growthOf(round: Round, arm: Arm, phase: Phase): { bytes: number; logicalBytes: number } | undefined {
  const { start, [phase]: sample } = round.arms[arm].memory;
  if (!start || !sample) return undefined;
  return { bytes: sample.rssBytes - start.rssBytes, logicalBytes: sample.logicalBytes };
}

function growthPair(round: Round, phase: Phase) {
  const baseline = growthOf(round, 'baseline', phase);
  const candidate = growthOf(round, 'candidate', phase);
  if (!baseline || !candidate) return undefined;
  return {
    bytes: { baseline: baseline.bytes, candidate: candidate.bytes },
    logicalBytes: { baseline: baseline.logicalBytes, candidate: candidate.logicalBytes },
  };
}

/** Why memory cannot be compared here, if so. */
function findObstacle({ rehearsal, rounds }: Evidence): Caveat | undefined {
  const { baseline, candidate } = rehearsal.arms;
  const foreign = ARMS.filter((arm) => rehearsal.arms[arm].provider === 'url');
  if (foreign.length > 0) {
    return {
      id: 'memory-of-foreign-server',
      message: `memory of ${foreign.join(' and ')} is not ours to measure: the server was not started for this run`,
      advice: 'Judge memory with docker: or process: servers, which start empty in each round.',
    };
  }
  if (baseline.allocator !== candidate.allocator) {
    return {
      id: 'allocators-differ',
      message: `the allocators differ (${quote(baseline.allocator)}, ${quote(candidate.allocator)}), so a difference in memory would not be the server's`,
      advice:
        'Compare builds with the same mem_allocator, for example both official images or both packages of one distribution.',
    };
  }
  const growths = rounds.flatMap((round) => PHASES.map((phase) => growthPair(round, phase)));
  if (growths.some((growth) => growth === undefined)) {
    return {
      id: 'memory-not-sampled',
      message: 'memory samples are missing in some rounds',
      advice: 'See whether the servers answer INFO memory.',
    };
  }
  const grew = (growth: (typeof growths)[number]) =>
    ARMS.every((arm) => growth!.bytes[arm] > 0 && growth!.logicalBytes[arm] > 0);
  if (!growths.every(grew)) {
    return {
      id: 'dataset-too-small',
      message: 'the dataset is too small for its memory to be seen: RSS did not grow when it was loaded',
      advice: 'Use a capture with more keys, or set memory: off in the budget.',
      numbers: { logicalBytes: Math.round(meanOf(growths.map((growth) => growth!.logicalBytes.baseline))) },
    };
  }
  return undefined;
}
