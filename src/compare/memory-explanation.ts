/** Turns memory samples into sentences: where two servers differ per byte of data, and whether one grows while it works. */
import { ARMS, type Arm, type MemoryCourse, type MemorySample, type Round } from '../measure/rehearsal.ts';
import { theilSen } from './slope.ts';
import { meanOf, testMargin } from './statistics.ts';
import { bytes, digits, percent } from './wording.ts';

/** Differences of RSS below this share are not worth a sentence. */
const WORTH_SAYING = 0.02;
/** Less than this is where the allocator happened to put its first pages. */
const SEEN_BYTES = 2 ** 20;
/** The churn's first turnover fills slots that were never used; growth after it is growth of the same data. */
const FIRST_TURNOVER = 1 / 3;

type Samples = { start: MemorySample; sample: MemorySample };

/**
 * RSS − RSS of the empty server, per logical byte, as a sum: 1 for the data itself, and these. Each is a growth since the
 * server was empty, so the parts add up to the whole exactly.
 */
const PARTS = {
  'overhead of keys and encodings': ({ allocatedBytes }: MemorySample) => allocatedBytes,
  fragmentation: ({ activeBytes, allocatedBytes }: MemorySample) => activeBytes - allocatedBytes,
  'kept by the allocator': ({ residentBytes, activeBytes }: MemorySample) => residentBytes - activeBytes,
  'outside the allocator': ({ rssBytes, residentBytes }: MemorySample) => rssBytes - residentBytes,
};

/** What the server itself says that used_memory is made of; overhead holds the others but the data. */
const USES = {
  data: 'datasetBytes',
  overhead: 'overheadBytes',
  scripts: 'scriptBytes',
  clients: 'clientBytes',
  replication: 'replicationBytes',
} as const satisfies Record<string, keyof MemorySample>;

/** `per byte of data the candidate holds 0.11 bytes less: overhead of keys and encodings −0.12`; undefined where alike. */
export function explainDifference(rounds: Round[], samplesOf: (round: Round, arm: Arm) => Samples): string | undefined {
  const perByte = (arm: Arm, of: (sample: MemorySample) => number) =>
    meanOf(
      rounds.map((round) => {
        const { start, sample } = samplesOf(round, arm);
        return (of(sample) - of(start)) / sample.logicalBytes;
      }),
    );
  const differenceOf = (of: (sample: MemorySample) => number) => perByte('candidate', of) - perByte('baseline', of);
  const whole = differenceOf(({ rssBytes }) => rssBytes);
  const logicalBytes = meanOf(rounds.map((round) => samplesOf(round, 'baseline').sample.logicalBytes));
  if (Math.abs(whole) < WORTH_SAYING * perByte('baseline', ({ rssBytes }) => rssBytes)) return undefined;
  if (Math.abs(whole) * logicalBytes < SEEN_BYTES) return undefined;
  const parts = Object.entries(PARTS)
    .map(([name, of]) => ({ name, difference: differenceOf(of) }))
    .filter(({ difference }) => Math.abs(difference) >= Math.abs(whole) / 10)
    .sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference))
    .map(({ name, difference }) => `${name} ${difference < 0 ? '−' : '+'}${digits(Math.abs(difference))}`);
  const uses = Object.entries(USES)
    .map(([name, field]) => ({ name, difference: differenceOf((sample) => sample[field] ?? 0) * logicalBytes }))
    .filter(({ difference }) => Math.abs(difference) >= SEEN_BYTES)
    .map(({ name, difference }) => `${name} ${difference < 0 ? '−' : '+'}${bytes(Math.abs(difference))}`);
  const inside = uses.length === 0 ? '' : `; inside used_memory: ${uses.join(', ')}`;
  return `per byte of data the candidate holds ${digits(Math.abs(whole))} bytes ${whole < 0 ? 'less' : 'more'}: ${parts.join(', ')}${inside}`;
}

/**
 * How RSS moves while the same amount of data is rewritten, and while nothing is sent: Theil–Sen slopes per round, and over
 * rounds their mean with one-sided bounds at `alpha`. A slope within a round has no interval worth the name: its samples
 * depend on each other.
 */
export function driftRemark(rounds: Round[], alpha: number): string | undefined {
  const slopes = (of: (course: MemoryCourse) => { x: number; y: number }[]) =>
    ARMS.map((arm) => rounds.flatMap(({ arms }) => theilSen(of(arms[arm].memoryProtocol!)) ?? []));
  const churn = slopes(({ churnRss }) =>
    churnRss
      .filter(({ writtenBytes }) => writtenBytes >= FIRST_TURNOVER * churnRss.at(-1)!.writtenBytes)
      .map(({ writtenBytes, rssBytes }) => ({ x: writtenBytes, y: rssBytes })),
  );
  const idle = slopes(({ idleRss }) => idleRss.map(({ seconds, rssBytes }) => ({ x: seconds, y: rssBytes })));
  if ([...churn, ...idle].some((values) => values.length === 0)) return undefined;
  const said = (perArm: number[][], show: (slope: number) => string) =>
    perArm
      .map((values, i) => {
        const { estimate, low, high } = testMargin(values, 0, alpha);
        return `${ARMS[i]} ${show(estimate)}${values.length > 1 ? ` [${show(low)}, ${show(high)}]` : ''}`;
      })
      .join(', ');
  const rate = (slope: number) => `${slope < 0 ? '−' : ''}${bytes(Math.abs(slope))}/s`;
  return `RSS grows while data is overwritten, in percent of what is written: ${said(churn, percent)}; while idle: ${said(idle, rate)}`;
}

/** What deletion leaves, and what MEMORY PURGE gives back of it. */
export function purgeRemark(rounds: Round[]): string | undefined {
  const figures = ARMS.map((arm) => {
    const courses = rounds.flatMap((round) => round.arms[arm].memoryProtocol?.phases ?? []);
    const idle = courses.flatMap(({ deleteIdle }) => deleteIdle?.rssBytes ?? []);
    const purged = courses.flatMap(({ purge }) => purge?.rssBytes ?? []);
    return idle.length === 0 || purged.length === 0
      ? undefined
      : `${arm} ${bytes(meanOf(idle))}, ${bytes(meanOf(idle) - meanOf(purged))} of it given back by MEMORY PURGE`;
  });
  return figures.includes(undefined) ? undefined : `RSS when half of the keys were deleted: ${figures.join('; ')}`;
}
