/** Globs over family templates. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { globMatcher } from '../../src/compare/glob.ts';

test('a glob matches as its regular expression does', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*', '{', '.'), maxLength: 8 });
  fc.assert(
    fc.property(letters, letters, (glob, family) => {
      const pattern = glob.split('*').map(RegExp.escape).join('.*');
      assert.equal(globMatcher(glob)(family), new RegExp(`^${pattern}$`).test(family), `${glob} on ${family}`);
    }),
    { numRuns: 3000 },
  );
});

test('a glob of many stars answers at once', () => {
  assert.equal(globMatcher(`${'*a'.repeat(50)}*b`)('a'.repeat(20_000)), false);
});
