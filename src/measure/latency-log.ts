/** Turns the times of one slice's ops into histograms per label and part, and those into an HdrHistogram log and back. */
import { CutoverError, messageOf } from '../errors.ts';
import { type Label, OpFlag, type Slice } from '../plan/plan.ts';
import { LatencyHistogram } from './histogram.ts';
import type { Part } from './rehearsal.ts';

/** What became of an op. `sent` at the end of a slice: no reply came; `lost`: its connection ended before the reply. */
export const OpStatus = { unsent: 0, sent: 1, replied: 2, nil: 3, error: 4, lost: 5 } as const;

/** A connection that was not there, microseconds after the slice's start: until it stood again, or the slice's end. */
export interface Outage {
  connection: number;
  fromUs: number;
  untilUs: number;
}

/** The times of one slice's ops, indexed as the slice is; microseconds after the slice's start, NaN where it never happened. */
export interface OpTimes {
  sentUs: Float64Array;
  repliedUs: Float64Array;
  /** `OpStatus`. */
  status: Uint8Array;
  outages?: readonly Outage[];
}

interface Latencies extends Record<Part, LatencyHistogram> {
  /** Actual send − the time at which the op could leave: the generator's own share. */
  lag: LatencyHistogram;
  /** Reply − actual send. */
  service: LatencyHistogram;
  /** Reply − intended send: free of coordinated omission. */
  response: LatencyHistogram;
}

export interface LabelledHistograms extends Latencies {
  family: string;
  command: string;
  /** The same by the time at which ops were due, of slices longer than a window: those with any, in order of time. */
  windows?: LatencyWindow[];
}

interface Interval {
  fromSeconds: number;
  seconds: number;
}

interface LatencyWindow extends Interval, Latencies {}

/** Slices are kept in equal parts as near to this as they come: what the shortest windows of alerts look at. */
export const WINDOW_SECONDS = 10;

/** How many parts a slice has that was planned to take so long. */
export const windowCountOf = (seconds: number) => Math.max(1, Math.round(seconds / WINDOW_SECONDS));

const PARTS = ['lag', 'service', 'response'] as const satisfies Part[];
const emptyLatencies = (): Latencies => ({
  ...{ lag: LatencyHistogram.empty(), service: LatencyHistogram.empty(), response: LatencyHistogram.empty() },
});

function addLatencies(sum: Latencies, more: Latencies): void {
  for (const part of PARTS) sum[part].add(more[part]);
}

/** When an op was over for those that have to follow it (`Slice.order`); NaN while it is not. */
export function overUs(op: number, { flags }: Pick<Slice, 'flags'>, { sentUs, repliedUs }: OpTimes): number {
  return flags[op]! & OpFlag.blocking ? sentUs[op]! : repliedUs[op]!;
}

/**
 * When an op could leave: at its intended time, when the last of those that it had to follow was over, or when its
 * connection, then broken, stood again.
 */
export function leavableUs(
  op: number,
  slice: Pick<Slice, 'intendedUs' | 'connection' | 'flags' | 'order'>,
  times: OpTimes,
): number {
  const { intendedUs, order } = slice;
  let us = intendedUs[op]!;
  for (const { connection, untilUs } of times.outages ?? [])
    if (connection === slice.connection[op] && us < untilUs && times.sentUs[op]! >= untilUs) us = untilUs;
  if (!order) return us;
  for (let i = order.from[op]!; i < order.from[op + 1]!; i++) {
    const fromUs = overUs(order.after[i]!, slice, times) + order.delayUs[i]!;
    if (fromUs > us && fromUs <= times.sentUs[op]!) us = fromUs;
  }
  return us;
}

/**
 * Histograms per label, for labels of which an op was sent. `lag` counts every op that was sent; `service` and
 * `response` count the ops whose reply is a latency, which leaves out
 * - error replies: how fast a server refuses says nothing about how fast it serves; the errors rule judges them;
 * - ops without a reply: their latency is unknown but for a lower bound; they are judged as lost;
 * - blocking ops, which wait for data, and ops sent while a blocking op held up their connection.
 */
export function summarize(
  slice: Pick<Slice, 'count' | 'durationUs' | 'intendedUs' | 'connection' | 'label' | 'flags' | 'order'>,
  times: OpTimes,
  labels: Label[],
): LabelledHistograms[] {
  const byLabel: (LabelledHistograms | undefined)[] = [];
  const meaningOf = opTimeReader(slice, times);
  const windowCount = windowCountOf(slice.durationUs / 1e6);
  const windowUs = slice.durationUs / windowCount;
  const emptyWindow = (i: number): LatencyWindow => ({
    ...{ fromSeconds: (i * windowUs) / 1e6, seconds: windowUs / 1e6, ...emptyLatencies() },
  });
  for (let op = 0; op < slice.count; op++) {
    const status = times.status[op]!;
    if (status === OpStatus.unsent) continue;
    const label = slice.label[op]!;
    byLabel[label] ??= { ...labels[label]!, ...emptyLatencies(), ...(windowCount > 1 ? { windows: [] } : {}) };
    let entry: Latencies = byLabel[label];
    const { windows } = byLabel[label];
    if (windows) {
      const i = Math.min(windowCount - 1, Math.floor(slice.intendedUs[op]! / windowUs));
      windows[i] ??= emptyWindow(i);
      entry = windows[i];
    }
    const sentUs = times.sentUs[op]!;
    entry.lag.record(sentUs - leavableUs(op, slice, times));
    if (meaningOf(op) === 'latency') {
      const repliedUs = times.repliedUs[op]!;
      entry.service.record(repliedUs - sentUs);
      entry.response.record(repliedUs - slice.intendedUs[op]!);
    }
  }
  const entries = byLabel.filter((entry) => entry !== undefined);
  for (const entry of entries) {
    if (!entry.windows) continue;
    // Without the holes.
    entry.windows = entry.windows.filter(() => true);
    for (const window of entry.windows) addLatencies(entry, window);
  }
  return entries;
}

/** What several logs hold of the same slice, by label. */
export function addLogs(logs: LabelledHistograms[][]): LabelledHistograms[] {
  const sums = new Map<string, LabelledHistograms>();
  const [anyWindow] = logs.flat().flatMap(({ windows = [] }) => windows);
  for (const { family, command, windows, ...latencies } of logs.flat()) {
    const label = JSON.stringify([family, command]);
    const sum = sums.get(label) ?? { family, command, ...emptyLatencies() };
    sums.set(label, sum);
    addLatencies(sum, latencies);
    if (!anyWindow) continue;
    // A log that shows none has all of its ops in the first.
    for (const own of windows ?? [{ ...latencies, fromSeconds: 0, seconds: anyWindow.seconds }])
      addLatencies(windowOf(sum, own), own);
  }
  return [...sums.values()];
}

/** The window that begins then, made where there was none. */
function windowOf(entry: LabelledHistograms, { fromSeconds, seconds }: Interval): LatencyWindow {
  entry.windows ??= [];
  const known = entry.windows.find((window) => window.fromSeconds === fromSeconds);
  if (known) return known;
  const made = { fromSeconds, seconds, ...emptyLatencies() };
  entry.windows.push(made);
  entry.windows.sort((a, b) => a.fromSeconds - b.fromSeconds);
  return made;
}

/**
 * What the time of an op says, asked of the ops of a slice in their order: a `latency`; that it, or the op that held up
 * its connection, was `waiting` for data; or, without a good reply, `nothing`.
 */
export function opTimeReader(
  { connection, flags }: Pick<Slice, 'connection' | 'flags'>,
  { sentUs, repliedUs, status }: OpTimes,
): (op: number) => 'latency' | 'waiting' | 'nothing' {
  /** Per connection: when the reply to its last blocking op came. */
  const blockedUntilUs: number[] = [];
  return (op) => {
    const lane = connection[op]!;
    if (status[op] === OpStatus.unsent) return 'nothing';
    if (flags[op]! & OpFlag.blocking) {
      blockedUntilUs[lane] = status[op] === OpStatus.sent ? Number.POSITIVE_INFINITY : repliedUs[op]!;
      return 'waiting';
    }
    if (sentUs[op]! < (blockedUntilUs[lane] ?? Number.NEGATIVE_INFINITY)) return 'waiting';
    return status[op] === OpStatus.replied || status[op] === OpStatus.nil ? 'latency' : 'nothing';
  };
}

/** Letters, digits and these stay as they are in a tag; every other byte becomes %XX, so no name can break a line. */
const encodeName = (name: string) =>
  encodeURIComponent(name.toWellFormed()).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

/** One line of a log: what a tag's histogram holds of an interval; without one, of all of the log's time. */
interface TaggedHistogram {
  /** Without comma or line break. */
  tag: string;
  histogram: LatencyHistogram;
  interval?: Interval;
}

/**
 * An HdrHistogram log, format 1.3 (https://github.com/HdrHistogram/HdrHistogram, HistogramLogWriter), one
 * line per histogram that is not empty. Histogram values are microseconds; `Interval_Max` is their maximum in
 * milliseconds, which is what a reader with the usual output scale of 1000 expects. Timestamps are seconds after
 * `BaseTime`. `tagForm` says what tags are made of.
 */
export function writeHistogramLog(
  histograms: TaggedHistogram[],
  { startedAtMs, seconds, tagForm }: { startedAtMs: number; seconds: number; tagForm: string },
): string {
  const startSeconds = (startedAtMs / 1000).toFixed(3);
  const lines = [
    '#[Histogram log format version 1.3]',
    '#[Unit: histogram values in microseconds, Interval_Max in milliseconds]',
    `#[Tag: ${tagForm}]`,
    `#[StartTime: ${startSeconds} (seconds since epoch), ${new Date(startedAtMs).toISOString()}]`,
    `#[BaseTime: ${startSeconds} (seconds since epoch)]`,
    '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ...histograms
      .filter(({ histogram }) => histogram.count > 0)
      .map(({ tag, histogram, interval = { fromSeconds: 0, seconds } }) =>
        [
          ...[`Tag=${tag}`, interval.fromSeconds.toFixed(3), interval.seconds.toFixed(3)],
          ...[(histogram.max / 1000).toFixed(3), histogram.encode()],
        ].join(','),
      ),
  ];
  return `${lines.join('\n')}\n`;
}

/** The log of one slice: a line per label, part and window. */
export function writeLatencyLog(
  entries: LabelledHistograms[],
  { startedAtMs, seconds }: { startedAtMs: number; seconds: number },
): string {
  const histograms = entries
    .flatMap(({ family, command, windows, ...whole }) =>
      (windows ?? [{ fromSeconds: 0, seconds, ...whole }]).flatMap(({ fromSeconds, seconds, ...latencies }) =>
        PARTS.map((part) => ({
          tag: `${part}:${encodeName(family)}:${encodeName(command)}`,
          histogram: latencies[part],
          interval: { fromSeconds, seconds },
        })),
      ),
    )
    .sort((a, b) => a.interval.fromSeconds - b.interval.fromSeconds);
  const tagForm = 'PART:FAMILY:COMMAND, family and command percent-encoded';
  return writeHistogramLog(histograms, { startedAtMs, seconds, tagForm });
}

/** Reads what `writeLatencyLog` wrote; lines of one tag and interval are added up. Throws E_LATENCY_LOG on anything else. */
export function readLatencyLog(text: string): LabelledHistograms[] {
  const lines: { label: string; part: Part; interval: Interval; histogram: LatencyHistogram }[] = [];
  const entries = new Map<string, LabelledHistograms>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || line.startsWith('"')) continue;
    try {
      const [, part, family, command, from, length, base64] =
        /^Tag=(lag|service|response):([^:,]*):([^:,]*),(\d+(?:\.\d+)?),(\d+(?:\.\d+)?),[^,]*,(.+)$/.exec(line)!;
      const label = `${family}:${command}`;
      const histogram = LatencyHistogram.decode(base64!);
      const interval = { fromSeconds: Number(from), seconds: Number(length) };
      lines.push({ label, part: part as Part, interval, histogram });
      if (entries.has(label)) continue;
      const [familyName, commandName] = [decodeURIComponent(family!), decodeURIComponent(command!)];
      entries.set(label, { family: familyName, command: commandName, ...emptyLatencies() });
    } catch (error) {
      throw new CutoverError(
        'usage',
        'E_LATENCY_LOG',
        `line ${index + 1} of a latency log cannot be read: ${messageOf(error)}`,
        'The file was cut or changed. Run the rehearsal again, or restore the folder from a copy.',
      );
    }
  }
  // One whose ops are all in the first looks like one without: addLogs knows.
  const hasWindows = lines.some(({ interval }) => interval.fromSeconds !== 0);
  for (const { label, part, interval, histogram } of lines) {
    const entry = entries.get(label)!;
    entry[part].add(histogram);
    if (hasWindows) windowOf(entry, interval)[part].add(histogram);
  }
  return [...entries.values()];
}
