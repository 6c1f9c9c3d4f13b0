/** The table of pairs does what a map would. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PairCounts, PairTable } from '../../src/model/fit/pair-table.ts';

const half = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.integer());

test('pairs have the numbers in which they came first, and are found by them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(half, half), { maxLength: 400 }), (pairs) => {
      const table = new PairTable();
      const known = new Map<string, number>();
      for (const [first, second] of pairs) {
        const number = known.get(`${first} ${second}`);
        assert.equal(table.find(first, second), number ?? -1);
        if (number === undefined) known.set(`${first} ${second}`, table.add(first, second));
      }
      assert.deepEqual(
        [...known.values()],
        [...known.keys()].map((_, i) => i),
      );
      assert.equal(table.size, known.size);
    }),
  );
});

test('pairs are counted, but not more of them than asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(half, half), { maxLength: 400 }), fc.integer({ min: 1, max: 100 }), (pairs, most) => {
      const counts = new PairCounts(most);
      const expected = new Map<string, [number, number, number]>();
      for (const [first, second] of pairs) {
        counts.add(first, second);
        const known = expected.get(`${first} ${second}`);
        if (known) known[2]++;
        else if (expected.size < most) expected.set(`${first} ${second}`, [first, second, 1]);
      }
      assert.deepEqual([...counts.entries()], [...expected.values()]);
    }),
  );
});
