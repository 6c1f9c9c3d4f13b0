/** Functions that rise or fall all the way cross zero where they are said to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rootOf } from '../../src/model/root.ts';

const place = fc.double({ min: -5, max: 5, noNaN: true });
const SHAPES = [(x: number) => x, (x: number) => x ** 3 + x, Math.expm1, (x: number) => -Math.expm1(-3 * x), Math.atan];

test('the root of what rises or falls is found, however bent it is', () => {
  fc.assert(
    fc.property(place, fc.constantFrom(...SHAPES), fc.constantFrom(1, -1), (root, shape, sign) => {
      const found = rootOf((x) => sign * shape(x - root), -6, 6, 1e-6);
      assert.ok(Math.abs(found - root) < 1e-4, `${found} instead of ${root}`);
    }),
  );
});

test('where there is none, the end that comes closest', () => {
  assert.equal(
    rootOf((x) => x + 1, 0, 4, 1e-6),
    0,
  );
  assert.equal(
    rootOf((x) => x - 5, 0, 4, 1e-6),
    4,
  );
  assert.equal(
    rootOf((x) => 5 - x, 0, 4, 1e-6),
    4,
  );
});

test('few steps, where halving takes one for each bit', () => {
  let steps = 0;
  const found = rootOf((x) => Math.expm1(++steps && x - 1.2), 0, 4, 1e-4);
  assert.ok(Math.abs(found - 1.2) < 1e-4);
  assert.ok(steps <= 10, `${steps}`);
});
