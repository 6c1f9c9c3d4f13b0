/** Properties: any bytes survive printing and parsing, whatever chunks the capture comes in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeArgument, encodeArgument } from '../../src/capture/encode.ts';
import { OpState, OpView } from '../../src/capture/ops.ts';
import { Tokenizer } from '../../src/capture/tokenize.ts';
import { tokenizeAll } from '../support/capture.ts';

const argument = fc.uint8Array({ maxLength: 60 });
const command = fc
  .array(argument, { minLength: 1, maxLength: 6 })
  .filter(
    (args) =>
      args[0]!.length > 0 && !/^(auth|acl|config|hello|migrate)$/i.test(Buffer.from(args[0]!).toString('latin1')),
  );
const decode = (text: Buffer) => Buffer.from(decodeArgument(text, 0, text.length));
const lineOf = (args: Uint8Array[], i: number) =>
  `17000000${String(i).padStart(2, '0')}.123456 [0 10.0.0.1:${1000 + (i % 3)}] ${args.map((arg) => `"${encodeArgument(arg)}"`).join(' ')}\n`;

test('decode(encode(bytes)) is bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const text = Buffer.from(encodeArgument(bytes), 'latin1');
      assert.deepEqual(decode(text), Buffer.from(bytes));
    }),
  );
});

test('encode(decode(text)) is text for every argument that a server prints', () => {
  const piece = fc.oneof(
    fc.constantFrom('\\n', '\\r', '\\t', '\\a', '\\b', '\\"', '\\\\', '\\x00', '\\xff', '\\x7f'),
    fc.constantFrom(..."abcXYZ012 []{}:,'"),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
      const text = pieces.join('');
      const bytes = Buffer.from(text, 'latin1');
      assert.equal(encodeArgument(decode(bytes)), text);
    }),
  );
});

test('the same ops in any chunks', () => {
  fc.assert(
    fc.property(
      fc.array(command, { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(400), { maxLength: 12 }),
      fc.boolean(),
      (commands, cuts, crlf) => {
        const text = commands.map(lineOf).join('');
        const bytes = Buffer.from(crlf ? text.replaceAll('\n', '\r\n') : text, 'latin1');
        const points = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
        const chunks = [...points, bytes.length].map((end, i) => bytes.subarray(points[i - 1] ?? 0, end));
        const { ops, tokenizer } = tokenizeAll(chunks);
        assert.equal(tokenizer.rejects.size, 0);
        assert.deepEqual(
          ops.map((op) => op.args),
          commands.map((args) => args.map((arg) => Buffer.from(arg))),
        );
      },
    ),
  );
});

test('escaped quotes are counted wherever they fall among other escapes and in the bytes that are looked at together', () => {
  const text = fc
    .constantFrom('"a', '""a\\', '"a\n\xff', '"\\')
    .chain((characters) => fc.array(fc.constantFrom(...characters), { maxLength: 150 }))
    .map((characters) => Buffer.from(characters.join(''), 'latin1'));
  fc.assert(
    fc.property(fc.array(fc.array(text, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }), (calls) => {
      const known = Array.from({ length: 3 }, () => [Buffer.from('set')]);
      const commands = [...known, ...calls.map((args) => [Buffer.from('set'), ...args])];
      const tokenizer = new Tokenizer();
      tokenizer.push(Buffer.from(commands.map(lineOf).join(''), 'latin1'));
      tokenizer.finish();
      const view = new OpView(tokenizer.next()!, new OpState());
      for (const args of commands) {
        assert.ok(view.next());
        assert.deepEqual(
          args.map((_, i) => Buffer.from(view.arg(i))),
          args,
        );
        assert.deepEqual(
          args.map((_, i) => view.argLength(i)),
          args.map(({ length }) => length),
        );
      }
      assert.equal(view.next(), false);
    }),
  );
});

test('every line of any text is an op, a reject, or one of those that mean nothing', () => {
  const piece = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom('1700000000.000001 ', '[0 1.2.3.4:5] ', '[0 lua] ', '[0 ] ', '"get" "k"', '\n'),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom('[0 unix:/a] "b] ', '[0 [::1]:5] ', '\r\n', 'OK\n', '+', '"', '\\', '\\x0', ' '),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const bytes = Buffer.from(`${pieces.join('')}\n`, 'latin1');
      const { ops, tokenizer } = tokenizeAll([bytes]);
      const lines = bytes.toString('latin1').slice(0, -1).split('\n');
      const { blanks, starts } = tokenizer.traits;
      const rejected = [...tokenizer.rejects.values()].reduce((sum, { count }) => sum + count, 0);
      assert.equal(tokenizer.lines, lines.length);
      assert.equal(ops.length + rejected + blanks + starts, lines.length);
    }),
    { numRuns: 300 },
  );
});
