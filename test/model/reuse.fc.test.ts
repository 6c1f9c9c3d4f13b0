/** Hit ratio curves are those of a cache that forgets the least recently used key, for all keys and for those of a family. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyTable } from '../../src/model/fit/keyspace.ts';
import { ReuseSample } from '../../src/model/fit/reuse.ts';

/** Share of accesses that such a cache of so many keys hits. */
function hitRatio(accesses: number[], keys: number): number {
  let hits = 0;
  let cached: number[] = [];
  for (const key of accesses) {
    if (cached.includes(key)) hits++;
    cached = [key, ...cached.filter((other) => other !== key)].slice(0, keys);
  }
  return hits / accesses.length;
}

test('a cache of so many keys hits as often as the curve says', () => {
  const few = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 600, size: 'max' });
  const many = fc.array(fc.integer({ min: 0, max: 99 }), { maxLength: 600, size: 'max' });
  fc.assert(
    fc.property(fc.oneof(few, many), (accesses) => {
      const table = new KeyTable(1 << 12);
      const sample = new ReuseSample(table, 1 << 12);
      for (const key of accesses) sample.add(table.row(key, key));
      const familyOfRow = new Int32Array(table.rows + 1);
      for (const key of new Set(accesses)) familyOfRow[table.row(key, key)] = key % 3;
      const expect = (curve: [number, number][], own: number[]) => {
        assert.equal(curve.length > 0, own.length > 0);
        for (const [keys, ratio] of curve) assert.ok(Math.abs(ratio - hitRatio(own, Math.floor(keys))) < 1e-5);
      };
      expect(sample.curve(), accesses);
      for (const family of [0, 1, 2]) {
        const own = accesses.filter((key) => key % 3 === family);
        expect(sample.curve(familyOfRow, family), own);
      }
    }),
    { numRuns: 40 },
  );
});
