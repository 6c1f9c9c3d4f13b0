/**
 * Damaged captures, from a seed: every line is an op or a counted reject; what is an op has exactly the bytes of its line; and
 * neither the pieces that a capture comes in nor the scanner, which takes the common lines, make a difference.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { encodeArgument } from '../../src/capture/encode.ts';
import { REJECT_REASONS } from '../../src/capture/line.ts';
import { Tokenizer } from '../../src/capture/tokenize.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { decodeAll } from '../support/capture.ts';

const ROUNDS = 200;
const LINES = 80;
const random = mulberry32(20_261_123);
const below = (n: number) => Math.floor(random() * n);
const pick = <T>(from: readonly T[]): T => from[below(from.length)]!;

const torture = gunzipSync(readFileSync(join(import.meta.dirname, 'torture/redis-7.0.15.log.gz')));
const line = (args: string, source = '1.2.3.4:5') => `1700000000.000001 [0 ${source}] ${args}`;
const CORPUS = [
  ...torture
    .toString('latin1')
    .split('\n')
    .filter((text) => text.length < 300),
  ...['"get" "k"', String.raw`"set" "k" "\"\\\n\x00"`, '"mget" "" "a" ""'].map((args) => line(args)),
  ...['lua', '', '?:0', '[::1]:5', '[fe80::1%eth0]:65535', 'unix:/a b] "c', 'REPLICATION:0'].map((source) =>
    line('"get" "k"', source),
  ),
  ...['[ proxy4 ] ', 'redis-1  | ', '+', '2026-01-01T00:00:00.000000001Z '].map((prefix) => prefix + line('"get" "k"')),
  ...[
    '1700000000.42 [ns 1.2.3.4:5] "get" "\\v"',
    '1700000000.1 (db 3) "get"',
    '1700000000.1 "get"',
    '1700000000.1234567 [0 lua] "get"',
  ],
  ...[JSON.stringify(line('"get" "k\\"\\\\"')), 'OK', '+OK', '', '"OK"', 'Trying 1.2.3.4...', '{"log":"x\\n"}'],
];
const BYTES = [...'"\\\\  []:.x0a\n\r+({', '\0', '\u001b', '\u00ff', '\u007f'].map((text) => text.charCodeAt(0));

function mutate(text: string): Buffer {
  const bytes = [...Buffer.from(text, 'latin1')];
  for (let times = random() < 0.5 ? 0 : below(4); times > 0; times--) {
    const at = below(bytes.length + 1);
    const what = below(6);
    if (what === 0) bytes[at] = pick(BYTES);
    else if (what === 1) bytes.splice(at, 0, pick(BYTES));
    else if (what === 2) bytes.splice(at, 1 + below(3));
    else if (what === 3 && bytes.length > 0) bytes[at % bytes.length]! ^= 1 << below(8);
    else if (what === 4) bytes.splice(at, 0, ...bytes.slice(below(bytes.length + 1)).slice(0, below(30)));
    else bytes.length = Math.min(at, bytes.length);
  }
  return Buffer.from(bytes);
}

/** What the tokenizer says of a capture, in whatever way it is read. */
function read(tokenizer: Tokenizer, chunks: Buffer[]) {
  const ops = decodeAll(tokenizer, chunks);
  const { lines, parsed, rejects, traits, approximateLines, tornLastLine } = tokenizer;
  return { ops, lines, parsed, rejects: [...rejects], traits, approximateLines, tornLastLine };
}

/** Leaves all lines to the parser. */
function withoutScanner(): Tokenizer {
  const tokenizer = new Tokenizer();
  tokenizer['scanner'].scan = (start: number) => start;
  return tokenizer;
}

/** Wrapped lines, and those that may have escapes of their own. */
const SPECIAL = /^\W*["{]|\\[vf]/;
const SECRETIVE = /^(auth|acl|config|hello|migrate)$/;

test('mutated captures', () => {
  const reasons = new Set<string>();
  let accepted = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const text = Buffer.concat(
      Array.from({ length: LINES }, () =>
        Buffer.concat([mutate(pick(CORPUS)), Buffer.from(random() < 0.9 ? '\n' : '\r\n')]),
      ),
    );
    const whole = read(new Tokenizer(), [text]);
    assert.deepEqual(read(withoutScanner(), [text]), whole, `round ${round}: without the scanner`);
    const cut = below(text.length);
    const { traits: _, ...pieces } = read(new Tokenizer(), [text.subarray(0, cut), text.subarray(cut)]);
    const { traits: __, ...expected } = whole;
    assert.deepEqual(pieces, expected, `round ${round}: cut at ${cut}`);

    const lines = text.toString('latin1').split('\n').slice(0, -1);
    assert.equal(whole.lines, lines.length);
    for (const [reason] of whole.rejects) reasons.add(reason);
    const rejected = whole.rejects.reduce((sum, [, { count }]) => sum + count, 0);
    const { blanks, starts, notices } = whole.traits;
    assert.equal(whole.parsed + rejected + blanks + starts + notices, lines.length, `round ${round}`);
    if (whole.approximateLines > 0) continue;
    for (const op of whole.ops) {
      const raw = lines[op.line - 1]!.replace(/\r+$/, '');
      if (SECRETIVE.test(op.command) || SPECIAL.test(raw)) continue;
      accepted++;
      const again = op.args.map((arg) => `"${encodeArgument(arg)}"`).join(' ');
      assert.equal(raw.slice(-again.length), again, `round ${round}`);
    }
  }
  assert.ok(accepted > 500, `${accepted}`);
  const others = ['too-long', 'too-many-arguments', 'no-command'];
  assert.deepEqual([...reasons].sort(), REJECT_REASONS.filter((reason) => !others.includes(reason)).sort());
});
