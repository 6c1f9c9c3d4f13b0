/** Properties: any bytes survive printing and parsing, whatever chunks the capture comes in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeArgument, decodedLength, encodeArgument } from '../../src/capture/encode.ts';
import { tokenizeAll } from '../support/capture.ts';

const argument = fc.uint8Array({ maxLength: 60 });
const command = fc
  .array(argument, { minLength: 1, maxLength: 6 })
  .filter(
    (args) =>
      args[0]!.length > 0 && !/^(auth|acl|config|hello|migrate)$/i.test(Buffer.from(args[0]!).toString('latin1')),
  );
const lineOf = (args: Uint8Array[], i: number) =>
  `17000000${String(i).padStart(2, '0')}.123456 [0 10.0.0.1:${1000 + (i % 3)}] ${args.map((arg) => `"${encodeArgument(arg)}"`).join(' ')}\n`;

test('decode(encode(bytes)) is bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const text = Buffer.from(encodeArgument(bytes), 'latin1');
      assert.deepEqual(Buffer.from(decodeArgument(text, 0, text.length)), Buffer.from(bytes));
      assert.equal(decodedLength(text, 0, text.length), bytes.length);
    }),
  );
});

test('encode(decode(text)) is text for every accepted argument', () => {
  const piece = fc.oneof(
    fc.constantFrom('\\n', '\\r', '\\t', '\\a', '\\b', '\\"', '\\\\', '\\x00', '\\xff', '\\x7f'),
    fc.constantFrom(..."abcXYZ012 []{}:,'"),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 80 }), (pieces) => {
      const text = pieces.join('');
      const bytes = Buffer.from(text, 'latin1');
      assert.equal(encodeArgument(decodeArgument(bytes, 0, bytes.length)), text);
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
