/** Any stream of RESP2 and RESP3 replies, split anywhere, gives the same replies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReplySkipper } from '../../src/drive/reply-skipper.ts';

interface Seen {
  kind: string;
  length: number;
  nil: boolean;
  word: string | undefined;
  cursor: bigint | undefined;
}

/** A reply's bytes, and what should be said of it. */
interface Reply extends Seen {
  bytes: Buffer;
}

const line = fc.string({ unit: fc.constantFrom(...'abz09 -:$*\0\u00e9') });
const payload = fc.uint8Array({ maxLength: 12 });
const CRLF = Buffer.from('\r\n');
const reply = (kind: string, body: (string | Buffer)[], rest: Partial<Seen> = {}): Reply => ({
  bytes: Buffer.concat([kind, ...body].map((part) => Buffer.from(part as Buffer))),
  kind,
  length: 0,
  nil: false,
  word: undefined,
  cursor: undefined,
  ...rest,
});
const sized = (kind: string, bytes: Uint8Array, rest: Partial<Seen> = {}) =>
  reply(kind, [`${bytes.length}\r\n`, Buffer.from(bytes), CRLF], { length: bytes.length, ...rest });
const firstWord = (text: string) => /^[^ \r\n]*/.exec(text)![0].slice(0, 64);

const leaf: fc.Arbitrary<Reply> = fc.oneof(
  line.map((text) => reply('+', [text, CRLF])),
  fc.bigInt().map((n) => reply(':', [`${n}\r\n`])),
  fc.double().map((n) => reply(',', [`${n}\r\n`])),
  fc.bigInt().map((n) => reply('(', [`${n}\r\n`])),
  fc.boolean().map((yes) => reply('#', [yes ? 't\r\n' : 'f\r\n'])),
  fc.constant(reply('_', ['\r\n'], { nil: true })),
  fc.constant(reply('$', ['-1\r\n'], { length: -1, nil: true })),
  fc.constant(reply('*', ['-1\r\n'], { length: -1, nil: true })),
  payload.map((bytes) => sized('$', bytes)),
  payload.map((bytes) => sized('=', Buffer.concat([Buffer.from('txt:'), bytes]))),
  fc
    .string({ unit: fc.constantFrom(...'ABC '), maxLength: 80 })
    .map((text) => reply('-', [text, CRLF], { word: firstWord(text) })),
  fc
    .string({ unit: fc.constantFrom(...'ABC \r\n'), maxLength: 80 })
    .map((text) => sized('!', Buffer.from(text), { word: firstWord(text) })),
);

const { value } = fc.letrec<{ value: Reply; items: Reply[] }>((tie) => ({
  items: fc.array(tie('value'), { maxLength: 4 }),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.tuple(fc.constantFrom('*', '~'), tie('items')).map(([kind, items]) => aggregate(kind, items, items.length)),
    fc
      .array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 })
      .map((pairs) => aggregate('%', pairs.flat(), pairs.length)),
    // An attribute with two pairs, then the value that it decorates.
    fc.tuple(tie('value'), tie('value'), tie('value'), tie('value'), tie('value')).map(([a, b, c, d, decorated]) => ({
      ...decorated,
      bytes: Buffer.concat([aggregate('|', [a, b, c, d], 2).bytes, decorated.bytes]),
    })),
  ),
}));

function aggregate(kind: string, items: Reply[], length: number): Reply {
  return reply(kind, [`${length}\r\n`, ...items.map(({ bytes }) => bytes)], { length });
}

/** As SCAN, HSCAN, SSCAN and ZSCAN answer: the cursor, then what was found. */
const page = fc
  .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.array(value, { maxLength: 3 }))
  .map(([cursor, found]) => ({
    ...aggregate('*', [sized('$', Buffer.from(String(cursor))), aggregate('*', found, found.length)], 2),
    cursor,
  }));
/** RESP3 may put an attribute before it. */
const decoratedPage = fc
  .tuple(value, value, page)
  .map(([a, b, next]) => ({ ...next, bytes: Buffer.concat([aggregate('|', [a, b], 1).bytes, next.bytes]) }));
/** What looks like one at first. */
const almost = fc.constantFrom(
  aggregate('*', [sized('$', Buffer.from('12x')), aggregate('*', [], 0)], 2),
  aggregate('*', [sized('$', Buffer.from('123456789012345678901')), aggregate('*', [], 0)], 2),
  aggregate('*', [sized('$', Buffer.from('7'))], 1),
  aggregate('*', [reply(':', ['7\r\n']), aggregate('*', [], 0)], 2),
  aggregate('*', [aggregate('*', [sized('$', Buffer.from('7')), sized('$', Buffer.from('8'))], 2)], 1),
);

const push = fc.array(leaf, { minLength: 1, maxLength: 3 }).map((items) => aggregate('>', items, items.length));

test('every reply is seen once, ends where it ends, and is what it is, however the stream is split', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { arbitrary: value, weight: 5 },
          { arbitrary: push, weight: 1 },
          { arbitrary: page, weight: 2 },
          { arbitrary: decoratedPage, weight: 1 },
          { arbitrary: almost, weight: 1 },
        ),
        { maxLength: 8 },
      ),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      fc.boolean(),
      (replies, sizes, whole) => {
        const stream = Buffer.concat(replies.map(({ bytes }) => bytes));
        const skipper = new ReplySkipper();
        const seen: (Seen & { end: number })[] = [];
        for (let start = 0; start < stream.length; ) {
          const chunk = stream.subarray(start, whole ? stream.length : start + sizes.next().value);
          const offset = start;
          // The buffer is longer than what was read into it.
          skipper.feed(Buffer.concat([chunk, Buffer.from('-noise\r\n')]), chunk.length, (position) => {
            const { kind, length, nil, errorWord, errorWordLength, cursor } = skipper;
            seen.push({
              kind: String.fromCharCode(kind),
              length,
              nil,
              word: skipper.isError ? errorWord.toString('latin1', 0, errorWordLength) : undefined,
              cursor,
              end: offset + position,
            });
          });
          start += chunk.length;
        }
        let end = 0;
        const expected = replies.flatMap(({ bytes, kind, length, nil, word, cursor }) => {
          end += bytes.length;
          return kind === '>' ? [] : [{ kind, length, nil, word, cursor, end }];
        });
        assert.deepEqual(seen, expected);
      },
    ),
    { numRuns: 500 },
  );
});

test('bytes that are not RESP are refused', () => {
  for (const text of ['HTTP/1.1 400\r\n', '$x\r\n', '*1\r\nfoo\r\n', '\x16\x03\x01'])
    assert.throws(() => new ReplySkipper().feed(Buffer.from(text), text.length, () => {}), /byte 0x/);
});
