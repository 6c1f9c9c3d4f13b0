/** Marks on keys do not grow with a workload's length. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyMarks } from '../../src/plan/synthesis/key-marks.ts';

test('marks of keys that never come again are forgotten, others are not', () => {
  const keys = 1000;
  const marks = new KeyMarks(keys);
  let most = 0;
  for (let time = 0; time < 200; time++) {
    for (let key = 0; key < keys; key++) {
      // Every tenth key stays, and keeps its number.
      marks.add(key % 10 === 0 ? key : key + time * keys);
      most = Math.max(most, marks.size);
    }
    for (let key = 0; key < keys; key++) assert.ok(marks.has(key % 10 === 0 ? key : key + time * keys));
  }
  assert.ok(most <= 6 * keys, `${most} marks of ${keys} keys`);
  assert.ok(marks.delete(0) && !marks.delete(0) && !marks.has(0));
});
