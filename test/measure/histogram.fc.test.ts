/** Histograms against sorted arrays, merging and the log's round trip, for any latencies and names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LatencyHistogram, MAX_LATENCY_US } from '../../src/measure/histogram.ts';
import { type LabelledHistograms, readLatencyLog, writeLatencyLog } from '../../src/measure/latency-log.ts';

const latencies = fc.array(fc.integer({ min: 0, max: MAX_LATENCY_US }), { minLength: 1, maxLength: 200 });

function histogramOf(values: number[]): LatencyHistogram {
  const histogram = LatencyHistogram.empty();
  for (const value of values) histogram.record(value);
  return histogram;
}

/** Everything that can be asked of a histogram. */
const facts = (histogram: LatencyHistogram) => [
  histogram.count,
  histogram.min,
  histogram.max,
  ...[0, 0.1, 0.5, 0.9, 0.99, 0.999, 1].map((q) => histogram.quantile(q)),
];

test('a quantile is the value of its rank, to a thousandth', () => {
  fc.assert(
    fc.property(latencies, fc.double({ min: 0.001, max: 1, noNaN: true }), (values, q) => {
      const sorted = values.toSorted((a, b) => a - b);
      // The histogram forgives one unit in the last place of q·n; so must the expectation, on both sides.
      const rank = q * sorted.length;
      const candidates = [rank - 1e-9, rank + 1e-9].map(
        (r) => sorted[Math.min(sorted.length, Math.max(1, Math.ceil(r))) - 1]!,
      );
      const actual = histogramOf(values).quantile(q);
      assert.ok(
        candidates.some((exact) => actual >= exact && actual - exact <= exact / 1000 + 1),
        `${actual} for ${candidates}`,
      );
    }),
  );
});

test('min and max are exact before encoding, and counting is counting', () => {
  fc.assert(
    fc.property(latencies, (values) => {
      const histogram = histogramOf(values);
      assert.equal(histogram.count, values.length);
      assert.equal(histogram.max, Math.max(...values));
      assert.equal(histogram.min, Math.min(...values));
    }),
  );
});

test('adding is recording everything in one', () => {
  fc.assert(
    fc.property(latencies, latencies, (some, others) => {
      const sum = histogramOf(some);
      sum.add(histogramOf(others));
      sum.add(LatencyHistogram.empty());
      assert.deepEqual(facts(sum), facts(histogramOf([...some, ...others])));
    }),
  );
});

test('decode undoes encode', () => {
  fc.assert(
    fc.property(latencies, (values) => {
      const histogram = histogramOf(values);
      const decoded = LatencyHistogram.decode(histogram.encode());
      assert.equal(decoded.count, histogram.count);
      for (const q of [0.1, 0.5, 0.99, 1])
        assert.ok(Math.abs(decoded.quantile(q) - histogram.quantile(q)) <= histogram.quantile(q) / 1000 + 1);
    }),
  );
});

test('a log keeps every name and every histogram', () => {
  const name = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      'a,b',
      'a:b',
      'a b',
      '"',
      "'",
      '\n',
      '%2C',
      '',
      '\0\x1b[31m',
      '</script>',
      '__proto__',
      '#x',
      '\ud800',
    ),
  );
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.record({ family: name, command: name, values: latencies }), {
        selector: ({ family, command }) => JSON.stringify([family.toWellFormed(), command.toWellFormed()]),
        maxLength: 5,
      }),
      (labels) => {
        const entries: LabelledHistograms[] = labels.map(({ family, command, values }) => ({
          family,
          command,
          lag: LatencyHistogram.empty(),
          service: histogramOf(values.slice(1)),
          response: histogramOf(values),
        }));
        const text = writeLatencyLog(entries, { startedAtMs: 1_700_000_000_000, seconds: 5 });
        assert.match(text, /^[\x20-\x7e\n]*$/);
        const read = readLatencyLog(text);
        assert.deepEqual(
          read.map(({ family, command }) => [family, command]),
          labels.map(({ family, command }) => [family.toWellFormed(), command.toWellFormed()]),
        );
        for (const [index, { lag, service, response }] of read.entries()) {
          assert.equal(lag.count, 0);
          assert.equal(service.count, labels[index]!.values.length - 1);
          assert.deepEqual(facts(response), facts(LatencyHistogram.decode(entries[index]!.response.encode())));
        }
      },
    ),
    { numRuns: 50 },
  );
});
