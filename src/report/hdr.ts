/** Turns a judged rehearsal into one HdrHistogram log, which other tools of that format read: a line per arm and part. */
import { writeHistogramLog } from '../measure/latency-log.ts';
import { ARMS } from '../measure/rehearsal.ts';
import { gatherDistributions, PARTS } from './html/distributions.ts';
import type { ReportSource } from './source.ts';

/** All families and judged rounds together; the log of each slice by family and command is in the rehearsal's folder. */
export function reportHdr(source: ReportSource): string {
  const { rehearsal } = source;
  const { total } = gatherDistributions(source);
  const ends = rehearsal.rounds.flatMap(({ arms }) =>
    ARMS.flatMap((arm) => arms[arm].slices.map(({ startedAtMs, seconds }) => startedAtMs + seconds * 1000)),
  );
  const startedAtMs = Date.parse(rehearsal.startedAt);
  return writeHistogramLog(
    ARMS.flatMap((arm) => PARTS.map((part) => ({ tag: `${arm}:${part}`, histogram: total[arm][part] }))),
    { startedAtMs, seconds: (Math.max(startedAtMs, ...ends) - startedAtMs) / 1000, tagForm: 'ARM:PART' },
  );
}
