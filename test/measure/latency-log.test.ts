/** What counts as a latency, and that other HdrHistogram tools and this one read each other's logs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HistogramLogReader, listTags } from 'hdr-histogram-js';
import { LatencyHistogram, MAX_LATENCY_US } from '../../src/measure/histogram.ts';
import {
  addLogs,
  type LabelledHistograms,
  OpStatus,
  readLatencyLog,
  summarize,
  writeLatencyLog,
} from '../../src/measure/latency-log.ts';
import { sliceOf, type TestOp } from '../support/slice.ts';

const LABELS = [
  { family: 'user:{id}', command: 'get' },
  { family: 'queue', command: 'blpop' },
];

/** Ops with their fates: `[op, sentUs, repliedUs, status]`. */
function summaryOf(fates: [TestOp, number, number, number][], durationUs = 5e6) {
  return summarize(
    sliceOf(
      fates.map(([op]) => op),
      durationUs,
    ),
    {
      sentUs: Float64Array.from(fates, ([, sentUs]) => sentUs),
      repliedUs: Float64Array.from(fates, ([, , repliedUs]) => repliedUs),
      status: Uint8Array.from(fates, ([, , , status]) => status),
    },
    LABELS,
  );
}

const get = (atUs: number, connection = 0): TestOp => ({ args: ['GET', 'k'], atUs, connection });
const blpop = (atUs: number): TestOp => ({ args: ['BLPOP', 'q', '0'], atUs, label: 1, blocking: true });

test('lag, service and response are the differences of intended, sent and replied', () => {
  const [entry] = summaryOf([[get(100), 130, 330, OpStatus.replied]]);
  assert.equal(entry!.family, 'user:{id}');
  assert.deepEqual([entry!.lag.max, entry!.service.max, entry!.response.max], [30, 200, 230]);
});

test('errors and lost ops have a lag but no latency, unsent ops neither', () => {
  const [entry, ...others] = summaryOf([
    [get(0), 10, 20, OpStatus.nil],
    [get(0), 10, 20, OpStatus.error],
    [get(0), 10, Number.NaN, OpStatus.sent],
    [get(0), Number.NaN, Number.NaN, OpStatus.unsent],
  ]);
  assert.equal(others.length, 0);
  assert.deepEqual([entry!.lag.count, entry!.service.count, entry!.response.count], [3, 1, 1]);
});

test('blocking ops, and ops that waited behind them, are no latencies', () => {
  const [gets, blpops] = summaryOf([
    [blpop(0), 0, 5000, OpStatus.replied],
    [get(1000), 1000, 5001, OpStatus.replied],
    [get(1000, 1), 1000, 1100, OpStatus.replied],
    [get(6000), 6000, 6100, OpStatus.replied],
  ]);
  assert.equal(blpops!.response.count, 0);
  assert.equal(blpops!.lag.count, 1);
  assert.equal(gets!.response.count, 2);
  assert.ok(gets!.response.max <= 100);
});

test('latencies out of range are clamped, not dropped', () => {
  const histogram = LatencyHistogram.empty();
  histogram.record(-3);
  histogram.record(2 * MAX_LATENCY_US);
  assert.deepEqual([histogram.count, histogram.min, histogram.max], [2, 0, MAX_LATENCY_US]);
});

test('an empty histogram answers 0', () => {
  const empty = LatencyHistogram.empty();
  assert.deepEqual([empty.count, empty.min, empty.max, empty.quantile(0.99)], [0, 0, 0, 0]);
});

test('the reader of hdr-histogram-js reads the log: tags, times, unit', () => {
  const entries = summaryOf([[get(0), 10, 2010, OpStatus.replied]]);
  const text = writeLatencyLog(entries, { startedAtMs: 1_700_000_000_250, seconds: 5 });
  assert.deepEqual(listTags(text), [
    'lag:user%3A%7Bid%7D:get',
    'service:user%3A%7Bid%7D:get',
    'response:user%3A%7Bid%7D:get',
  ]);
  const reader = new HistogramLogReader(text);
  const intervals = [];
  for (let next = reader.nextIntervalHistogram(); next; next = reader.nextIntervalHistogram()) intervals.push(next);
  assert.deepEqual(
    intervals.map(({ totalCount }) => totalCount),
    [1, 1, 1],
  );
  assert.equal(intervals[2]!.getValueAtPercentile(50), 2010);
  assert.equal(intervals[0]!.startTimeStampMsec, 1_700_000_000_250);
  assert.equal(intervals[0]!.endTimeStampMsec, 1_700_000_005_250);
  // Interval_Max is in milliseconds.
  assert.match(text, /^Tag=response:\S+,0\.000,5\.000,2\.010,/m);
});

test('a log that the Java HdrHistogram 2.1.11 wrote is read', () => {
  // 7, 14, … 7000 and once 45,000,000.
  const text = `#[Histogram log format version 1.3]
#[StartTime: 1700000000.250 (seconds since epoch), Tue Nov 14 22:13:20 UTC 2023]
#[BaseTime: 1700000000.250 (seconds since epoch)]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
Tag=response:user%3A%7Bid%7D:get,0.000,5.000,45.023,HISTFAAAAD542pNpmSzMwMCeywABzFCaEcyZ3M5g/wEiwMvEPQpHIcWQnYmViXkUj2KKMQMYjlKj1LCiuk8xMgEA6woeWA==
`;
  const [{ family, command, response }] = readLatencyLog(text) as [LabelledHistograms];
  assert.deepEqual([family, command], ['user:{id}', 'get']);
  // As Java says: getTotalCount, getValueAtPercentile(50) and (99), getMaxValue.
  assert.deepEqual(
    [response.count, response.quantile(0.5), response.quantile(0.99), response.max],
    [1001, 3507, 6939, 45_023_231],
  );
});

test('intervals of one tag add up', () => {
  const text = writeLatencyLog(summaryOf([[get(0), 10, 2010, OpStatus.replied]]), { startedAtMs: 0, seconds: 5 });
  const [entry] = readLatencyLog(text + text);
  assert.equal(entry!.response.count, 2);
});

test('of a slice that is longer than an alert’s window each part is kept, and all of them together', () => {
  const ops = [0, 9_999_999, 20_000_000, 30_000_000].map((atUs): [TestOp, number, number, number] => [
    get(atUs),
    atUs,
    atUs + 2000,
    OpStatus.replied,
  ]);
  const entries = summaryOf(ops, 30e6);
  const figures = ([entry]: LabelledHistograms[]) => [
    entry!.response.count,
    ...(entry!.windows ?? []).map(({ fromSeconds, response }) => [fromSeconds, response.count]),
  ];
  // The reply that came in the second ten seconds counts where its op was due.
  assert.deepEqual(figures(entries), [4, [0, 2], [20, 2]]);
  const text = writeLatencyLog(entries, { startedAtMs: 0, seconds: 30 });
  assert.match(text, /^Tag=response:\S+?,20\.000,10\.000,2\.000,/m);
  const read = readLatencyLog(text);
  assert.deepEqual(figures(read), [4, [0, 2], [20, 2]]);
  assert.deepEqual(figures(addLogs([read, read])), [8, [0, 4], [20, 4]]);
  assert.equal(summaryOf(ops, 14e6)[0]!.windows, undefined);
});

test('logs of one slice add up whichever windows each of them shows, and keep the length of a window', () => {
  const logOf = (...dueUs: number[]) => {
    const fates = dueUs.map((us): [TestOp, number, number, number] => [get(us), us, us + 2000, OpStatus.replied]);
    return writeLatencyLog(summaryOf(fates, 40e6), { startedAtMs: 0, seconds: 45.2 });
  };
  const addedUp = (...texts: string[]) =>
    writeLatencyLog(addLogs(texts.map(readLatencyLog)), { startedAtMs: 0, seconds: 46 });
  const figures = (text: string) =>
    readLatencyLog(text).map(({ response, windows = [] }) => [
      response.count,
      ...windows.map(({ fromSeconds, seconds, response }) => [fromSeconds, seconds, response.count]),
    ]);
  const [first, last, both] = [logOf(0, 1), logOf(30e6), logOf(0, 30e6)];
  assert.deepEqual(figures(addedUp(first, both)), [[4, [0, 10, 3], [30, 10, 1]]]);
  assert.deepEqual(figures(addedUp(both, first)), [[4, [0, 10, 3], [30, 10, 1]]]);
  assert.deepEqual(figures(addedUp(first, last)), [[3, [0, 10, 2], [30, 10, 1]]]);
  assert.deepEqual(figures(addedUp(last, last)), [[2, [30, 10, 2]]]);
});

test('a damaged log names its line and what to do', () => {
  const text = writeLatencyLog(summaryOf([[get(0), 10, 2010, OpStatus.replied]]), { startedAtMs: 0, seconds: 5 });
  for (const broken of [text.slice(0, -20), `${text}Tag=x,1,2,3,AAAA\n`, `${text}Tag=lag:%E0%A4%A:x,1,2,3,AAAA\n`])
    assert.throws(() => readLatencyLog(broken), { code: 'E_LATENCY_LOG', message: /^line \d+ of a latency log/ });
});
