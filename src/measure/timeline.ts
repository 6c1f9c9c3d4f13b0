/** Turns the times of one slice's ops into what happened when: figures per bin of workload time, and back from its file. */
import { z } from 'zod';
import { CutoverError, messageOf } from '../errors.ts';
import type { Slice } from '../plan/plan.ts';
import { OpStatus, type OpTimes, opTimeReader } from './latency-log.ts';

/** Columns by bin; bin b holds the times from b · binUs to (b + 1) · binUs after the slice's start. */
export interface Timeline {
  binUs: number;
  /** Ops by the time they were sent. */
  sent: number[];
  /** Replies by the time they came, errors too; those after the slice's end are in no bin. */
  answered: number[];
  /** Response in whole µs of the ops that were due in the bin, as histograms count them; null where there was none. */
  p50Us: (number | null)[];
  p99Us: (number | null)[];
  maxUs: (number | null)[];
  /** How long, at the end of the bin, the op that had waited longest had been waiting since it was due; 0 where none was. */
  waitUs: number[];
}

/** Bins of a round width, as fine as this many: short slices still give a line, long ones a small file. */
const MAX_BINS = 300;
const WIDTHS_MS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000];
/** Finer bins hold too few ops for a percentile; slices of less than two seconds have no choice. */
const USUAL_WIDTH_MS = 100;
const FEWEST_BINS = 20;

function binWidthUs(durationUs: number): number {
  const fits = (count: number) => (ms: number) => durationUs / (ms * 1000) <= count;
  const width =
    durationUs < FEWEST_BINS * USUAL_WIDTH_MS * 1000
      ? WIDTHS_MS.findLast((ms) => durationUs / (ms * 1000) >= FEWEST_BINS)
      : WIDTHS_MS.find((ms) => ms >= USUAL_WIDTH_MS && fits(MAX_BINS)(ms));
  return 1000 * (width ?? (durationUs < 1e6 ? WIDTHS_MS[0]! : WIDTHS_MS.at(-1)!));
}

/** Response counts the ops that the latency histograms count; waiting leaves out ops that wait for data. */
export function timelineOf(
  slice: Pick<Slice, 'count' | 'durationUs' | 'intendedUs' | 'connection' | 'flags'>,
  times: OpTimes,
): Timeline {
  const binUs = binWidthUs(slice.durationUs);
  const bins = Math.max(1, Math.ceil(slice.durationUs / binUs));
  const zeros = () => new Array<number>(bins).fill(0);
  const timeline: Timeline = {
    ...{ binUs, sent: zeros(), answered: zeros(), p50Us: [], p99Us: [], maxUs: [], waitUs: zeros() },
  };
  const binOf = (us: number) => Math.floor(us / binUs);
  const tally = (column: number[], us: number) => {
    const bin = binOf(us);
    if (bin < bins) column[bin]!++;
  };
  const responses: number[][] = Array.from({ length: bins }, () => []);
  const meaningOf = opTimeReader(slice, times);
  for (let op = 0; op < slice.count; op++) {
    const status = times.status[op]!;
    const intendedUs = slice.intendedUs[op]!;
    const repliedUs = times.repliedUs[op]!;
    const answered = status > OpStatus.sent;
    if (status !== OpStatus.unsent) tally(timeline.sent, times.sentUs[op]!);
    if (answered) tally(timeline.answered, repliedUs);
    const due = Math.min(bins - 1, binOf(intendedUs));
    const meaning = meaningOf(op);
    if (meaning === 'latency') responses[due]!.push(repliedUs - intendedUs);
    if (meaning === 'waiting') continue;
    const until = answered ? Math.min(bins, binOf(repliedUs)) : bins;
    for (let bin = due; bin < until; bin++) {
      timeline.waitUs[bin] = Math.max(timeline.waitUs[bin]!, Math.round((bin + 1) * binUs - intendedUs));
    }
  }
  for (const values of responses) {
    values.sort((a, b) => a - b);
    const rank = (q: number) => (values.length === 0 ? null : Math.round(values[Math.ceil(q * values.length) - 1]!));
    timeline.p50Us.push(rank(0.5));
    timeline.p99Us.push(rank(0.99));
    timeline.maxUs.push(rank(1));
  }
  return timeline;
}

const total = z.number().min(0);
const column = z.array(total);
const sparse = z.array(total.nullable());
export const TimelineSchema = z
  .object({
    schema: z.literal('cutover/timeline@1'),
    binUs: z.number().positive(),
    ...{ sent: column, answered: column, p50Us: sparse, p99Us: sparse, maxUs: sparse, waitUs: column },
  })
  .refine(
    ({ sent, answered, p50Us, p99Us, maxUs, waitUs }) =>
      [answered, p50Us, p99Us, maxUs, waitUs].every(({ length }) => length === sent.length),
    'its columns are not of one length',
  );

/** One line of JSON: `cutover/timeline@1` and the columns. */
export const writeTimeline = (timeline: Timeline) =>
  `${JSON.stringify({ schema: 'cutover/timeline@1', ...timeline } satisfies z.input<typeof TimelineSchema>)}\n`;

/** Reads what `writeTimeline` wrote. Throws E_TIMELINE on anything else. */
export function readTimeline(text: string): Timeline {
  try {
    const { schema: _, ...timeline } = TimelineSchema.parse(JSON.parse(text));
    return timeline;
  } catch (error) {
    const reason = error instanceof z.ZodError ? error.issues[0]!.message : messageOf(error);
    throw new CutoverError(
      'usage',
      'E_TIMELINE',
      `a time line cannot be read: ${reason}`,
      'The file was cut or changed. Run the rehearsal again, or restore the folder from a copy.',
    );
  }
}
