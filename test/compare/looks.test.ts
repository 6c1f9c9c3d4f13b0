/** When a run may stop: at a planned look, with a verdict, never because it looks good so far. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { judge } from '../../src/compare/judge.ts';
import { decideLook } from '../../src/compare/looks.ts';
import type { Looks } from '../../src/measure/rehearsal.ts';
import { type Behaviour, rehearse, type Synthetic } from '../support/rehearsal.ts';

const budget = parseBudget('apiVersion: cutover/budget@1\n', 'default');
const LOOKS: Looks = { rounds: [5, 8, 12], method: 'pocock' };

/** The first `rounds` rounds of a run that goes on. */
function goingOn(behave: Behaviour, rounds: number, looks: Looks | undefined = LOOKS): Synthetic {
  const synthetic = rehearse(behave, { rounds });
  const { settings } = synthetic.rehearsal;
  synthetic.rehearsal.settings = { ...settings, rounds: 12, ...(looks ? { looks } : {}) };
  delete synthetic.rehearsal.finishedAt;
  return synthetic;
}
const decide = ({ rehearsal, latencyOf }: Synthetic) => decideLook(rehearsal, latencyOf, budget);
const equal: Behaviour = () => ({});
const slow: Behaviour = (round, arm) => (arm === 'candidate' ? { tail: 12 + round / 10 } : {});
const noisy: Behaviour = (round, arm) => (arm === 'candidate' ? { tail: [3, 9, 4, 10, 5][round % 5]! } : {});

test('a clear pass and a clear fail stop at the first look, at the corrected level', () => {
  const passed = decide(goingOn(equal, 5));
  assert.deepEqual([passed?.stop, passed?.verdict, passed?.rounds], [true, 'pass', 5]);
  assert.ok(passed!.level > 0.015 && passed!.level < 0.03);
  assert.deepEqual([decide(goingOn(slow, 5))?.stop, decide(goingOn(slow, 5))?.verdict], [true, 'fail']);
});

test('between looks, before the first, without looks and with a fixed number nobody looks', () => {
  for (const rounds of [1, 4, 6, 7]) assert.equal(decide(goingOn(slow, rounds)), undefined, `${rounds} rounds`);
  const unplanned = goingOn(slow, 5);
  delete unplanned.rehearsal.settings.looks;
  assert.equal(decide(unplanned), undefined);
  assert.equal(decide(goingOn(slow, 5, { rounds: [5], method: 'fixed' })), undefined);
});

test('inconclusive goes on', () => {
  const decision = decide(goingOn(noisy, 5));
  assert.deepEqual([decision?.stop, decision?.verdict], [false, 'inconclusive']);
});

test('a spoiled round does not count: the look comes a round later', () => {
  const run = goingOn(slow, 6);
  run.rehearsal.rounds[2]!.invalid = 'the host was suspended';
  assert.equal(decide(run)?.rounds, 5);
  assert.equal(decide(run)?.stop, true);
});

test('too many spoiled rounds do not stop a run: more rounds make them few', () => {
  const run = goingOn(slow, 7);
  for (const k of [2, 4]) run.rehearsal.rounds[k]!.invalid = 'the host was suspended';
  assert.deepEqual([decide(run)?.stop, decide(run)?.verdict], [false, 'invalid']);
});

test('what no round can cure stops', () => {
  const run = goingOn(equal, 5);
  run.rehearsal.configDifferences = [{ name: 'appendonly', baseline: 'no', candidate: 'yes' }];
  assert.deepEqual([decide(run)?.stop, decide(run)?.verdict], [true, 'invalid']);
});

test('the verdict at the end is at the level of the looks, and says so', () => {
  const { rehearsal, latencyOf } = goingOn(equal, 5);
  const judgement = judge({ ...rehearsal, finishedAt: rehearsal.startedAt }, latencyOf, budget, 'x');
  assert.deepEqual([judgement.alpha, judgement.looks], [0.05, LOOKS]);
  assert.ok(judgement.level < 0.03);
  const once = rehearse(equal);
  assert.equal(judge(once.rehearsal, once.latencyOf, budget, 'x').level, 0.05);
  // The same data with a wider interval: the same rule at a smaller level.
  const width = (one: typeof judgement) => one.rules[0]!.change.high! - one.rules[0]!.change.low!;
  assert.ok(width(judgement) >= width(judge(once.rehearsal, once.latencyOf, budget, 'x')));
});
