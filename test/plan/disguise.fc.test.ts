/** Disguised words: as long, different where they differed, the same everywhere; what is no word stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Disguise } from '../../src/model/disguise.ts';

const disguise = new Disguise('a secret', ['user', 'queue', 'EX', 'b']);
const apply = (text: string) => Buffer.from(disguise.apply(Buffer.from(text))).toString();
const letters = fc.stringMatching(/^[A-Za-z]{1,12}$/);
const strings = fc.array(letters, { minLength: 2, maxLength: 200 });

test('length, digits, punctuation and case stay', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const out = disguise.apply(bytes);
      assert.equal(out.length, bytes.length);
      assert.deepEqual(out, disguise.apply(bytes));
    }),
  );
  const shape = (text: string) => text.replace(/[a-z]/g, 'x').replace(/[A-Z]/g, 'X');
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~]{0,60}$/), (text) => {
      assert.equal(shape(apply(text)), shape(text));
    }),
  );
});

test('different words become different words, none of them one that stays', () => {
  fc.assert(
    fc.property(strings, (words) => {
      const distinct = new Set(words);
      assert.equal(new Set([...distinct].map(apply)).size, distinct.size);
      for (const word of distinct) {
        const stays = ['user', 'queue', 'ex', 'b'];
        assert.equal(stays.includes(apply(word).toLowerCase()), stays.includes(word.toLowerCase()), word);
      }
    }),
  );
});

test('every word of some thousand comes to an end, and to a word of its own', () => {
  // Among so many short words some would become words of a to f, which the permutation keeps apart.
  const words = Array.from({ length: 26 ** 3 }, (_, i) =>
    String.fromCharCode(...[0, 1, 2].map((place) => 97 + (Math.floor(i / 26 ** place) % 26)), 122),
  );
  const images = new Set(words.map(apply));
  assert.ok(images.size >= words.length - 1, `${words.length - images.size} words met`);
});

test('a word is the same in a key, a longer token, JSON and MessagePack', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{3,20}$/), fc.nat(), (word, number) => {
      const other = apply(word);
      assert.equal(apply(`user:{${word}}:${number}`), `user:{${other}}:${number}`);
      assert.equal(apply(`${word}${number}`), `${other}${number}`);
      assert.equal(apply(JSON.stringify({ b: `${word}\n"${word}"` })), JSON.stringify({ b: `${other}\n"${other}"` }));
      const packed = (text: string) =>
        Buffer.concat([Buffer.from([0x92, 0xd9, text.length]), Buffer.from(text), Buffer.from([0x61])]);
      assert.deepEqual(Buffer.from(disguise.apply(packed(word))), packed(other));
    }),
  );
});

test('MessagePack keeps its framing whatever its bytes look like', () => {
  const text = 'secret '.repeat(12);
  const document = Buffer.concat([
    // A map of 16-bit size: a string of 84 ('T') bytes, small numbers that are letters, a float, an extension, nothing.
    Buffer.from([0xde, 0, 4, 0xd9, text.length]),
    Buffer.from(text),
    Buffer.from([
      0x61, 0x62, 0xcb, 0x42, 0x7a, 0x20, 0x7d, 0x01, 0xcd, 0x60, 0x00, 0x63, 0xc7, 2, 0x61, 0x61, 0x61, 0xc0, 0xc3,
    ]),
  ]);
  const out = Buffer.from(disguise.apply(document));
  assert.deepEqual(out.subarray(0, 5), document.subarray(0, 5));
  assert.deepEqual(out.subarray(5 + text.length), document.subarray(5 + text.length));
  assert.equal(out.toString('latin1', 5, 5 + text.length), apply(text));
  // Cut short it is no such document.
  assert.equal(disguise.apply(document.subarray(0, -1)).length, document.length - 1);
});

test('numbers stay numbers, whatever letters they have', () => {
  for (const number of ['12', '-1.5', '3e10', '1.5E7', '12:34', '1714651200123-0', '(5'])
    assert.equal(apply(number), number);
});

test('another secret, other words; letters beyond ASCII are letters', () => {
  assert.notEqual(Buffer.from(new Disguise('another', []).apply(Buffer.from('Smith'))).toString(), apply('Smith'));
  const name = Buffer.from('Жанна');
  assert.notDeepEqual(Buffer.from(disguise.apply(name)), name);
  assert.equal(disguise.apply(name).length, name.length);
});

test('noise is as long, printable, and the same for the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const noise = Buffer.from(disguise.noise(bytes)).toString('latin1');
      assert.match(noise, /^[A-Za-z]*$/);
      assert.equal(noise.length, bytes.length);
      assert.equal(noise, Buffer.from(disguise.noise(Uint8Array.from(bytes))).toString('latin1'));
    }),
  );
});
