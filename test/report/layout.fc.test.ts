/** Columns and wrapped lines, for any words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { alignTable, wrap } from '../../src/report/text/layout.ts';

const words = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 30 }), {
  minLength: 1,
});

test('wrapped text loses no word and keeps within its width', () => {
  fc.assert(
    fc.property(words, fc.integer({ min: 5, max: 40 }), (text, width) => {
      const lines = wrap(text.join(' '), width, '  ');
      for (const line of lines) assert.ok(line.length <= width, line);
      assert.equal(lines.join('').replaceAll(' ', ''), text.join(''));
    }),
  );
});

test('cells stand in their columns; paint does not move them', () => {
  const columns = [
    { title: 'name', align: 'left' },
    { title: 'n', align: 'right' },
  ] as const;
  assert.deepEqual(
    alignTable(
      [...columns],
      [
        ['a', '1'],
        ['longer', '123'],
      ],
      (text, row, column) => (column === 1 ? `<${row}:${text}>` : text),
    ),
    ['name      n', 'a         <0:1>', 'longer  <1:123>'],
  );
});
