/** Keys that expired while an arm waited for the other are told from those that the workload misses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Arm, Round, SliceResult } from '../../src/measure/rehearsal.ts';
import { waitCaveats } from '../../src/measure/waits.ts';

/** Slices of 3 s in ABBA order, 1 s apart; a tenth of what is found otherwise has expired after a wait, where that is said. */
function roundOf(order: [Arm, Arm, Arm, Arm], expires: boolean, lookups: number): Round {
  const arms = { baseline: [] as Partial<SliceResult>[], candidate: [] as Partial<SliceResult>[] };
  order.forEach((arm, position) => {
    const waited = position === 3 && expires;
    const hits = (waited ? 0.8 : 0.9) * lookups;
    const misses = lookups - hits;
    arms[arm].push({ position, pair: position >> 1, startedAtMs: 4000 * position, seconds: 3, hits, misses });
  });
  return { arms: { baseline: { slices: arms.baseline }, candidate: { slices: arms.candidate } } } as unknown as Round;
}

const roundsOf = (expires: boolean, lookups = 1000) => [
  roundOf(['baseline', 'candidate', 'candidate', 'baseline'], expires, lookups),
  roundOf(['candidate', 'baseline', 'baseline', 'candidate'], expires, lookups),
];

test('what expires in waits is said, with how much and how long', () => {
  const [caveat, ...more] = waitCaveats(roundsOf(true));
  assert.equal(more.length, 0);
  assert.deepEqual(caveat!.numbers, { waited: 0.8, others: 0.9, seconds: 9 });
});

test('nothing is said where keys outlive the waits, there are none, or chance explains it', () => {
  assert.deepEqual(waitCaveats(roundsOf(true, 20)), []);
  assert.deepEqual(waitCaveats(roundsOf(false)), []);
  assert.deepEqual(waitCaveats([]), []);
});
