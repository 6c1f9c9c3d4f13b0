/** Plots: whatever the length of a run, no extreme of a line is lost, and its picture stays inside its frame. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { downsample, type Plot, rangeOf } from '../../src/report/html/plot.ts';
import { plotSvg } from '../../src/report/html/plot-svg.ts';

const value = fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }));
const plots = fc.integer({ min: 1, max: 300 }).chain((length) =>
  fc
    .tuple(
      fc.array(fc.array(value, { minLength: length, maxLength: length }), { minLength: 1, maxLength: 3 }),
      fc.constantFrom('linear' as const, 'log' as const),
    )
    .map(
      ([lines, scale]): Plot => ({
        title: 't',
        x: { label: 'x', scale: 'linear', unit: 'seconds', values: Array.from({ length }, (_, i) => i / 10) },
        y: { label: 'y', scale, unit: 'us' },
        series: lines.map((y, i) => ({ label: `${i}`, group: 'g', colour: 'baseline', style: 'thin', y })),
        marks: [{ from: -1, to: 1e9, label: 'm' }],
      }),
    ),
);

test('downsampling keeps the smallest and the largest of each line, in few points with rising x', () => {
  fc.assert(
    fc.property(plots, fc.integer({ min: 4, max: 80 }), (plot, points) => {
      const small = downsample(plot, points);
      assert.ok(small.x.values.length <= Math.max(points, 2));
      for (const [i, { y }] of small.series.entries()) {
        assert.equal(y.length, small.x.values.length);
        assert.deepEqual(rangeOf(y), rangeOf(plot.series[i]!.y));
      }
      for (const [i, x] of small.x.values.entries()) assert.ok(i === 0 || x >= small.x.values[i - 1]!);
    }),
  );
});

test('a picture has finite coordinates inside its frame, whatever is drawn', () => {
  fc.assert(
    fc.property(plots, (plot) => {
      const { markup } = plotSvg(plot);
      assert.doesNotMatch(markup, /NaN|Infinity|undefined/);
      for (const [, path] of markup.matchAll(/class="line[^"]*" d="([^"]*)"/g)) {
        for (const [, x, y] of path!.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
          assert.ok(Number(x) >= 0 && Number(x) <= 720 && Number(y) >= 0 && Number(y) <= 300, path);
        }
      }
    }),
  );
});
