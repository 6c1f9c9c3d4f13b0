/** Stand-ins: as long as what they stand for, of the same kind, different for what is different, and secret. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pseudonyms, SipHash } from '../../../src/capture/record/pseudonym.ts';

const secret = Buffer.from('a secret of this test and of no other');
const pseudonyms = new Pseudonyms(secret);

const keyOf = (key: Buffer, by = pseudonyms) => {
  const out = Buffer.alloc(key.length);
  by.key(key, 0, key.length, out, 0);
  return out;
};
const numberOf = (text: string) => {
  const out = Buffer.alloc(text.length);
  pseudonyms.number(Buffer.from(text), 0, text.length, out, 0);
  return out.toString();
};
const noiseOf = (value: Buffer, length = value.length) => {
  const out = Buffer.alloc(length);
  pseudonyms.noise(value, 0, value.length, length, out, 0);
  return out.toString();
};
/** What a template miner looks at. */
const pattern = (key: Buffer) =>
  key
    .toString('latin1')
    .replace(/[0-9]/g, '9')
    .replace(/[a-z]/g, 'a')
    .replace(/[A-Z]/g, 'A')
    .replace(/[^ -~]/g, '?');

test('SipHash-2-4 gives the values of its authors', () => {
  const sip = new SipHash(Uint8Array.from({ length: 16 }, (_, i) => i));
  const message = Uint8Array.from({ length: 15 }, (_, i) => i);
  const hash = (length: number) => {
    sip.hash(message, 0, length);
    return [sip.high, sip.low].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  };
  assert.equal(hash(0), '726fdb47dd0e0e31');
  assert.equal(hash(1), '74f839c593dc67fd');
  assert.equal(hash(8), '93f5f5799a932462');
  assert.equal(hash(15), 'a129ca6149be45e5');
});

test('a key keeps its length, its separators and the kind of every character', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), fc.string({ maxLength: 120 })), (key) => {
      const bytes = Buffer.from(key as Uint8Array);
      const standIn = keyOf(bytes);
      assert.equal(pattern(standIn), pattern(bytes));
      assert.deepEqual(keyOf(bytes, new Pseudonyms(secret)), standIn);
    }),
    { numRuns: 500 },
  );
});

test('tokens of one pattern are permuted: none is lost, none is met twice', () => {
  for (const [from, to] of [
    [0, 10],
    [10, 100],
    [1000, 10_000],
  ] as const) {
    const numbers = Array.from({ length: to - from }, (_, i) => String(from + i));
    assert.deepEqual(numbers.map(numberOf).sort(), numbers);
  }
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const words = letters.flatMap((a) => letters.map((b) => a + b));
  assert.deepEqual(words.map((word) => keyOf(Buffer.from(word)).toString()).sort(), words);
});

test('a UUID stays one, hexadecimal stays hexadecimal, padding stays', () => {
  const uuid = keyOf(Buffer.from('session:4b1c9f3e-beef-4a1b-9c3d-001122334455')).toString();
  assert.match(uuid, /^[a-z]{7}:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  assert.match(keyOf(Buffer.from('{user}:007')).toString(), /^\{[a-z]{4}\}:0\d\d$/);
  // The same word is the same word everywhere: what belongs together stays together.
  const [a, b] = ['cart:{42}', 'user:{42}:name'].map((key) => /\{\d\d\}/.exec(keyOf(Buffer.from(key)).toString())?.[0]);
  assert.equal(a, b);
});

test('a number stays one of as many digits', () => {
  const double = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 });
  fc.assert(
    fc.property(fc.oneof(fc.integer(), double), (number) => {
      const text = String(number);
      const standIn = numberOf(text);
      assert.equal(pattern(Buffer.from(standIn)), pattern(Buffer.from(text)));
      assert.ok(Number.isFinite(Number(standIn)), standIn);
      // An integer that the server stores as one stays such.
      assert.doesNotMatch(standIn, /^-?0\d/);
    }),
  );
});

test('noise is letters, decided on by the value alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (value) => {
      const bytes = Buffer.from(value);
      assert.match(noiseOf(bytes), /^[A-Za-z]+$/);
      assert.equal(noiseOf(bytes), noiseOf(Buffer.from(bytes)));
    }),
  );
  const long = noiseOf(Buffer.alloc(300_000, 'x'));
  assert.equal(long.length, 300_000);
  assert.match(long, /^[A-Za-z]+$/);
  assert.equal(new Set(Array.from({ length: 20_000 }, (_, i) => noiseOf(Buffer.from(`member-${i}`)))).size, 20_000);
});

test('another secret gives other stand-ins', () => {
  const other = new Pseudonyms(Buffer.from('another secret that is long enough'));
  const key = Buffer.from('session:4b1c9f3e');
  assert.notDeepEqual(keyOf(key, other), keyOf(key));
});
