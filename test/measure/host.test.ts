/** The arithmetic of host jitter, on gaps whose answer is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayAt, probeJitter } from '../../src/measure/host.ts';

test('one gap: the delay that its last part leaves', () => {
  // 10 ms of 1 s: a random moment waits more than d with probability (10 ms − d) / 1 s, which is 0.1 % at 9 ms.
  assert.equal(delayAt([10_000], 1e6, 0.001), 9000);
});

test('equal gaps share the probability', () => {
  // 100 gaps of 1 ms in 1 s: 100 · (1 ms − d) = 1 ms at d = 0.99 ms.
  assert.ok(
    Math.abs(
      delayAt(
        Array.from({ length: 100 }, () => 1000),
        1e6,
        0.001,
      ) - 990,
    ) < 1e-6,
  );
});

test('small gaps beside a large one count once the delay is below them', () => {
  // At d = 100: (600 − 100) + 5 · (200 − 100) = 1000 of 1 000 000.
  assert.equal(delayAt([200, 200, 600, 200, 200, 200], 1e6, 0.001), 100);
});

test('gaps rarer than the probability delay nobody at that quantile', () => {
  assert.equal(delayAt([500], 1e6, 0.001), 0);
  assert.equal(delayAt([], 1e6, 0.001), 0);
});

test('the probe is consistent with itself', () => {
  const { maxGapUs, delayP999Us, lostShare } = probeJitter(30);
  assert.ok(delayP999Us <= maxGapUs);
  assert.ok(lostShare >= 0 && lostShare <= 1);
});
