/** The live view: golden files of a run at three moments, and pictures that say what their figures say. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { DEFAULT_BUDGET } from '../../src/compare/default-budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { LatencyHistogram } from '../../src/measure/histogram.ts';
import { ARMS } from '../../src/measure/rehearsal.ts';
import { type LiveRun, liveBlock, liveLine } from '../../src/report/text/live.ts';
import { histogramPictures, intervalPicture, intervalScale, progressBar } from '../../src/report/text/picture.ts';
import { type Behaviour, rehearse } from '../support/rehearsal.ts';

/** The moment after `rounds` complete rounds of five. */
function moment(rounds: number, behave: Behaviour, times: Pick<LiveRun, 'elapsedSeconds' | 'leftSeconds'>): LiveRun {
  const { rehearsal, latencyOf } = rehearse(behave);
  rehearsal.rounds = rehearsal.rounds.slice(0, rounds);
  delete rehearsal.finishedAt;
  const response = { baseline: LatencyHistogram.empty(), candidate: LatencyHistogram.empty() };
  for (const [k, round] of rehearsal.rounds.entries()) {
    for (const arm of ARMS) {
      for (const i of round.arms[arm].slices.keys())
        for (const entry of latencyOf(k, arm, i)) response[arm].add(entry.response);
    }
  }
  const { rules, level, rounds: judged } = judge(rehearsal, latencyOf, parseBudget(DEFAULT_BUDGET, 'budget'), '');
  return {
    ...{ rehearsal, round: rounds, doing: 'slice 2 of 4, candidate', ...times, response },
    judged: rounds < 2 ? undefined : { rounds: judged.judged, rules, level },
  };
}

const slower: Behaviour = (round, arm) =>
  arm === 'candidate' ? { tail: 17 + round, errors: { 'session:{id} getex': { ERR: 31 } } } : { lagUs: 1500 };
const MOMENTS: Record<string, LiveRun> = {
  start: moment(0, () => ({}), { elapsedSeconds: 2, leftSeconds: 78 }),
  good: moment(
    3,
    (round, arm) => (arm === 'candidate' ? { tail: [5.2, 5.9, 5.4][round]!, rssPerByte: 1.36 + round / 50 } : {}),
    { elapsedSeconds: 48, leftSeconds: 32.4 },
  ),
  over: moment(4, slower, { elapsedSeconds: 7000, leftSeconds: 3723 }),
};

for (const [name, run] of Object.entries(MOMENTS)) {
  test(`the live view: ${name}`, () => {
    const text = [...liveBlock(run), '', liveLine(run), ''].join('\n');
    const file = join(import.meta.dirname, `../golden/live-${name}.txt`);
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, text);
    assert.equal(text, readFileSync(file, 'utf8'));
    for (const line of liveBlock(run)) assert.ok(line.length <= 79, `${line.length}: ${line}`);
  });
}

test('a generator that does not keep up is named before all else', () => {
  const run = moment(2, (round) => ({ achieved: round === 0 ? 0.9 : 1 }), { elapsedSeconds: 1, leftSeconds: 1 });
  assert.match(liveBlock(run).join('\n'), /generator {2}BEHIND in 4 of 8 slices; worst: 90 % of the plan/);
});

const picture = (low: number, estimate: number, high: number) =>
  intervalPicture({ change: { unit: 'ratio', low, estimate, high }, allowed: 0.2 }, 25);

test('an interval stands where its figures are: zero at a third, the limit at two thirds', () => {
  const scale = intervalScale(25);
  assert.equal(scale[8], '0');
  assert.equal(scale.slice(14), 'limit');
  assert.equal(picture(-0.05, 0, 0.05), '──────├━●━┤─────┃········');
  assert.equal(picture(0.1, 0.1, 0.1), '────────┼───●───┃········', 'narrower than a column: the estimate alone');
  assert.equal(picture(-1, 0, 1), '<━━━━━━━●━━━━━━━━━━━━━━━>', 'it goes on beyond the edges');
  assert.equal(picture(5, 6, 7), '────────┼───────┃·······>');
  assert.equal(picture(-7, -6, -5), '<───────┼───────┃········');
  assert.equal(intervalPicture({ change: { unit: 'ratio', low: null, estimate: 0, high: null }, allowed: 1 }, 25), '');
});

test('a distribution shows its extremes, whatever lies between', () => {
  const histogram = (values: Record<number, number>) => {
    const made = LatencyHistogram.empty();
    for (const [us, times] of Object.entries(values)) for (let i = 0; i < times; i++) made.record(Number(us));
    return made;
  };
  const pictures = histogramPictures([histogram({ 100: 5000, 100000: 1 }), histogram({ 1000: 70 })], 60)!;
  const [wide, narrow] = pictures.lines as [string, string];
  assert.equal(wide.length, 60);
  assert.equal(wide[0], '█');
  assert.equal(wide.at(-1), '▁');
  assert.equal(wide.slice(1, -1).trim(), '');
  assert.equal(pictures.axis.indexOf('|1 ms'), 20);
  assert.ok(Math.abs(narrow.search(/\S/) - 20) <= 1);
  assert.equal(histogramPictures([LatencyHistogram.empty()], 60), undefined);
});

test('a bar is as long as what is done, and never longer than it is', () => {
  for (const share of [-1, 0, 0.5, 1, 2]) assert.equal(progressBar(share, 10).length, 10);
  assert.equal(progressBar(0.5, 10), '━━━━━─────');
});
