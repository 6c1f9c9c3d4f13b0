/** A time budget as rounds and slices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planSchedule, shortestTime } from '../../src/compare/schedule.ts';

const round = fc.record({
  rate: fc.double({ min: 1, max: 200_000, noNaN: true }),
  slicePairs: fc.integer({ min: 1, max: 6 }),
  warmupSeconds: fc.double({ min: 0, max: 10, noNaN: true }),
});

test('what is planned fits the time, looks rise to the last round, and only too short a time is refused', () => {
  fc.assert(
    fc.property(fc.double({ min: 1, max: 7200, noNaN: true }), round, (seconds, shape) => {
      const plan = planSchedule(seconds, shape);
      if (!plan) return assert.ok(seconds < shortestTime(shape));
      const { rounds, calibrationRounds, sliceSeconds, looks } = plan;
      assert.ok(
        (rounds + calibrationRounds) * (2 * (shape.slicePairs * sliceSeconds + shape.warmupSeconds) + 4) <=
          seconds + 1e-6,
      );
      assert.ok(rounds >= 3 && rounds <= 20 && sliceSeconds >= 1 && sliceSeconds <= 30);
      if (looks) {
        assert.equal(looks.rounds.at(-1), rounds);
        assert.ok(looks.rounds.every((look, i) => i === 0 || look > looks.rounds[i - 1]!));
      }
    }),
  );
});

test('slices are as long as P99.9 needs where there is time for it, and shorter where rounds would become too few', () => {
  const shape = { slicePairs: 2, warmupSeconds: 1 };
  assert.deepEqual(planSchedule(600, { ...shape, rate: 10_000 }), {
    calibrationRounds: 3,
    rounds: 20,
    sliceSeconds: 1,
    looks: { rounds: [6, 10, 15, 20], method: 'pocock' },
  });
  assert.equal(planSchedule(600, { ...shape, rate: 2000 })?.sliceSeconds, 5);
  const slow = planSchedule(600, { ...shape, rate: 100 })!;
  assert.ok(slow.rounds >= 6 && slow.sliceSeconds > 10, JSON.stringify(slow));
  assert.equal(planSchedule(29, { ...shape, rate: 100 }), undefined);
  assert.equal(planSchedule(30, { ...shape, rate: 100 })?.looks, undefined);
});
