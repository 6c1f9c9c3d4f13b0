/** Property: a key has one hash, whoever computes it: the scanner's program, or JavaScript for lines that the parser read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeArgument } from '../../src/capture/encode.ts';
import { hash64, hashHigh, hashLow } from '../../src/capture/key-hash.ts';
import { OpState, OpView } from '../../src/capture/ops.ts';
import { Tokenizer } from '../../src/capture/tokenize.ts';

const key = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 140 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 140 }).map((bytes) => Buffer.from(bytes)),
);

test('the hash of a key does not depend on where it was computed', () => {
  let byProgram = 0;
  fc.assert(
    fc.property(fc.array(key, { minLength: 3, maxLength: 20 }), fc.nat(15), (keys, db) => {
      const lines = keys.map((one) => `1700000000.123456 [${db} 10.0.0.1:1000] "get" "${encodeArgument(one)}"\n`);
      const tokenizer = new Tokenizer();
      tokenizer.push(Buffer.from(lines.join(''), 'latin1'));
      const batch = tokenizer.next()!;
      batch.hashKeys();
      byProgram += batch.keyHigh.subarray(0, batch.count).filter((half) => half !== 0).length;
      const op = new OpView(batch, new OpState());
      for (const [i, expected] of keys.entries()) {
        assert.ok(op.next());
        hash64(expected, 0, expected.length, db);
        op.hashKey(1);
        assert.deepEqual([op.keyLow, op.keyHigh], [hashLow, hashHigh]);
        assert.ok(op.keyLows[i] === hashLow || (batch.keyLow[i] === 0 && batch.keyHigh[i] === 0));
        // As argument 0 is no key, its hash is always computed.
        hash64(Buffer.from('get'), 0, 3, db);
        op.hashKey(0);
        assert.deepEqual([op.keyLow, op.keyHigh], [hashLow, hashHigh]);
      }
    }),
  );
  assert.ok(byProgram > 100, `the program computed ${byProgram}`);
});
