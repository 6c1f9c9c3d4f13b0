/** Error words become numbers and back, whatever a server makes up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorPrefixes } from '../../src/drive/error-prefixes.ts';

function prefixes() {
  const words: string[] = [];
  return { words, table: new ErrorPrefixes((id, word) => (words[id] = word)) };
}

test('a word keeps its number, from bytes as from a message', () => {
  const { words, table } = prefixes();
  assert.equal(table.idOfMessage('ERR unknown command'), 0);
  assert.equal(table.idOf(Buffer.from('WRONGTYPExxx'), 9), 1);
  assert.equal(table.idOfMessage('WRONGTYPE Operation against a key'), 1);
  assert.equal(table.idOf(Buffer.from('ERR'), 3), 0);
  assert.deepEqual(words, ['ERR', 'WRONGTYPE']);
});

test('words reach readers as plain text', () => {
  const { words, table } = prefixes();
  for (const message of ['\x1b[31mRED x', '<script>', '', ' leading']) table.idOfMessage(message);
  assert.deepEqual(words, ['??31mRED', '?script?', '(none)']);
});

test('a server cannot make the table grow without end', () => {
  const { words, table } = prefixes();
  const ids = Array.from({ length: 1000 }, (_, i) => table.idOfMessage(`E${i} x`));
  assert.ok(Math.max(...ids) < 256);
  assert.equal(words[ids.at(-1)!], '(other)');
  assert.equal(table.idOfMessage('E3 x'), 3);
  assert.ok(table.idOfMessage('x'.repeat(500)) <= 250);
});
