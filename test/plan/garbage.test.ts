/** Memory is given back when there is much of it to give. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectGarbage } from '../../src/plan/fidelity/garbage.ts';

test('a heap that holds much garbage becomes smaller', () => {
  let held: object[] = Array.from({ length: 1_000_000 }, (_, i) => ({ i }));
  const { heapTotal } = process.memoryUsage();
  assert.equal(held.length, 1_000_000);
  held = [];
  collectGarbage();
  assert.ok(process.memoryUsage().heapTotal < heapTotal - (16 << 20), 'the heap is as large as before');
});
