/** Numbers and names as a reader sees them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytes, digits, duration, percent, quote, shorten, signedPercent } from '../../src/compare/wording.ts';
import { printable } from '../../src/printable.ts';

test('durations, bytes and plain figures have three digits and the unit that fits', () => {
  assert.deepEqual([0, 1, 812.4, 999.6, 1020, 9996, 81_234, 999_700, 3_400_000].map(duration), [
    '0 µs',
    '1 µs',
    '812 µs',
    '1.00 ms',
    '1.02 ms',
    '10.0 ms',
    '81.2 ms',
    '1.00 s',
    '3.40 s',
  ]);
  assert.deepEqual([0, 1023, 1024, 8 * 2 ** 20, 1.5 * 2 ** 30].map(bytes), [
    '0 B',
    '1023 B',
    '1.00 KiB',
    '8.00 MiB',
    '1.50 GiB',
  ]);
  assert.deepEqual([0, 0.8123, 1.1, 12.34, 123.4, 8123].map(digits), ['0.00', '0.81', '1.10', '12.3', '123', '8120']);
});

test('percentages keep the digits that matter and their sign', () => {
  assert.deepEqual([0, 0.0012, 0.031, 0.25, 2.4, -0.077, -1e-9].map(percent), [
    '0 %',
    '0.12 %',
    '3.1 %',
    '25 %',
    '240 %',
    '−7.7 %',
    '0 %',
  ]);
  assert.deepEqual([0, 1e-9, 0.25, -0.25].map(signedPercent), ['0 %', '0 %', '+25 %', '−25 %']);
});

test('nothing that a terminal obeys or an eye misses stays in printable text', () => {
  assert.equal(printable('a\u001b[31m\0\u009b\u202e\u2028\ud800z'), 'a\\x1b[31m\\x00\\x9b\\u{202e}\\u{2028}\\u{d800}z');
  assert.equal(printable('sesión:{id} 键'), 'sesión:{id} 键');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(printable(text), /[\p{C}\p{Zl}\p{Zp}]/u);
      assert.equal(printable(printable(text)), printable(text));
    }),
  );
});

test('a huge name is cut where it is quoted', () => {
  assert.equal(shorten('abcdef', 4), 'abc…');
  assert.equal(quote('k'.repeat(1e6)).length, 62);
});
