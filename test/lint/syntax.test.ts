/** The parser agrees with the servers' compiler where luaparse 0.3.1 does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLua } from '../../src/lint/syntax.ts';

const accepted: Record<string, string> = {
  'break; at the end of a block': 'while true do break; end',
  'a shebang': '#!lua flags=no-writes\nreturn 1',
  'bytes that are no UTF-8': "return '\xff\xfe'",
  'break; inside a string': "return 'break;', 1",
  'a semicolon behind every statement': 'local a = 1; return a;',
};
const refused: Record<string, string> = {
  'a leading comma in a call': 'f(,1)',
  'a leading comma behind return': 'return ,1',
  'a statement behind break': 'while true do break; x() end',
  goto: 'goto done\n::done::',
  'integer division': 'return 3 // 2',
  'a byte order mark': '\xef\xbb\xbfreturn 1',
  'a shebang that is not in the first line': '\n#!lua\nreturn 1',
  'nesting beyond any stack': `return ${'('.repeat(20_000)}1${')'.repeat(20_000)}`,
};

for (const [what, text] of Object.entries(accepted)) {
  test(`accepts ${what}`, () => assert.ok('chunk' in parseLua(text)));
}
for (const [what, text] of Object.entries(refused)) {
  test(`refuses ${what}`, () => assert.ok('problem' in parseLua(text)));
}

test('says where', () => {
  assert.deepEqual(parseLua("local a = 'x'\nf(, a)"), {
    problem: { offset: 16, message: "unexpected symbol near ','" },
  });
});

test('commas in strings and comments are not stray', () => {
  assert.ok('chunk' in parseLua("f('(,')  -- return ,\nreturn 1"));
});
