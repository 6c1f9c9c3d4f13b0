/** Redaction: the log keeps commands, sizes, families and identity, and nothing of the values. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { COMMANDS, commandInfo, keyPositions } from '../../../src/capture/commands.ts';
import { encodeArgument } from '../../../src/capture/encode.ts';
import { Pseudonyms } from '../../../src/capture/record/pseudonym.ts';
import { type Redaction, Redactor } from '../../../src/capture/record/redact.ts';
import { buildModel } from '../../../src/model/build.ts';
import { readAll, temporaryFile } from '../../support/capture.ts';
import { root } from '../../support/cli.ts';

const secret = Buffer.from('a secret of this test and of no other');
const pseudonyms = new Pseudonyms(secret);
const HEADER = '1700000000.000001 [0 127.0.0.1:5000]';

function redact(log: Uint8Array, how: Partial<Redaction> = {}, chunkBytes = 65_536): string {
  const redactor = new Redactor({ values: 'noise', keys: 'keep', secret, ...how }, pseudonyms);
  let text = '';
  for (let at = 0; at < log.length; at += chunkBytes) {
    text += redactor.push(log.subarray(at, at + chunkBytes)).toString('latin1');
  }
  assert.equal(redactor.rejected, 0);
  return text;
}

const line = (...args: (string | Uint8Array)[]) =>
  `${HEADER} ${args.map((arg) => `"${encodeArgument(Buffer.from(arg as Uint8Array))}"`).join(' ')}\n`;
/** The arguments of one call after redaction, as MONITOR text. */
const after = (args: (string | Uint8Array)[], how?: Partial<Redaction>) =>
  redact(Buffer.from(`+${line(...args).replace('\n', '\r\n')}`), how).slice(HEADER.length + 1, -1);

const names = [...COMMANDS.keys()].filter((name) => !name.includes('|'));
const bytes = fc.uint8Array({ maxLength: 40 });
/** Long enough that the same bytes cannot come out by chance. */
const text = fc.string({ minLength: 6, maxLength: 300, unit: fc.constantFrom(...'0123456789-_."{}\\\n xyzé') });

test('whatever is sent, the log is valid, and every argument is as long as it was', async () => {
  const calls = fc.array(
    fc.tuple(
      fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: bytes }),
      fc.array(
        fc.oneof(bytes, text, fc.nat().map(String), fc.constantFrom('EX', 'FIELDS', 'MATCH', 'GET', '*', 'STREAMS')),
        {
          maxLength: 8,
        },
      ),
    ),
    { minLength: 1, maxLength: 30 },
  );
  const how = fc.record({
    values: fc.constantFrom('noise' as const, 'keep' as const),
    keys: fc.constantFrom('hash' as const, 'keep' as const),
  });
  await fc.assert(
    fc.asyncProperty(calls, how, fc.integer({ min: 1, max: 500 }), async (list, options, chunkBytes) => {
      const log = Buffer.from(list.map(([name, args]) => line(name as string, ...(args as string[]))).join(''));
      const before = await readAll(temporaryFile('before.log', Buffer.concat([Buffer.from('OK\n'), log])));
      const redacted = await readAll(temporaryFile('after.log', `OK\n${redact(log, options, chunkBytes)}`));
      assert.deepEqual(
        redacted.ops.map(({ args }) => args.map((arg) => arg.length)),
        before.ops.map(({ args }) => args.map((arg) => arg.length)),
      );
      for (const [i, { args }] of redacted.ops.entries()) {
        assert.deepEqual(args[0], before.ops[i]!.args[0]);
        if (options.values === 'keep' && options.keys === 'keep') assert.deepEqual(args, before.ops[i]!.args);
      }
    }),
    { numRuns: 80 },
  );
});

/** Places of values, in calls of every type. */
const VALUES: ((value: Uint8Array) => (string | Uint8Array)[])[] = [
  (value) => ['SET', 'k', value, 'EX', '60'],
  (value) => ['set', 'k', 'v', 'IFEQ', value],
  (value) => ['SETEX', 'k', '60', value],
  (value) => ['MSET', 'a', value, 'b', value],
  (value) => ['MSETEX', '1', 'a', value, 'EX', '5'],
  (value) => ['HSET', 'k', value, value],
  (value) => ['HGET', 'k', value],
  (value) => ['HEXPIRE', 'k', '5', 'NX', 'FIELDS', '1', value],
  (value) => ['ZADD', 'k', 'NX', 'CH', '1.5', value, '2', value],
  (value) => ['ZRANGEBYLEX', 'k', Buffer.concat([Buffer.from('['), value]), '+'],
  (value) => ['GEOADD', 'k', '13.36', '38.11', value],
  (value) => ['GEOSEARCH', 'k', 'FROMMEMBER', value, 'BYRADIUS', '5', 'km', 'ASC'],
  (value) => ['LPUSH', 'k', value, value],
  (value) => ['LPOS', 'k', value, 'RANK', '1'],
  (value) => ['SMOVE', 'a', 'b', value],
  (value) => ['XADD', 'k', 'MAXLEN', '~', '100', '*', value, value],
  (value) => ['XADD', 'k', '*', 'MAXLEN', value],
  (value) => ['XREADGROUP', 'GROUP', value, value, 'STREAMS', 'k', '>'],
  (value) => ['PUBLISH', 'channel', value],
  (value) => ['EVAL', 'return 1', '1', 'k', value],
  (value) => ['HSCAN', 'k', '0', 'MATCH', value, 'COUNT', '5'],
  (value) => ['CLIENT', 'SETNAME', value],
  (value) => ['PING', value],
  (value) => ['JSON.SET', 'doc', '$', value],
  (value) => ['VADD', 'k', 'VALUES', '1', '0.5', value],
];

test('no part of a value remains', () => {
  for (const call of VALUES) {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (value) => {
        const redacted = after(call(value));
        // A digit comes out as another one, or by chance as itself: only of text that is no number nothing may remain.
        fc.pre(!/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(Buffer.from(value).toString('latin1')));
        for (let at = 0; at + 6 <= value.length; at++) {
          const part = encodeArgument(value.subarray(at, at + 6));
          assert.ok(!redacted.includes(part), `${part} of ${encodeArgument(value)} in ${redacted}`);
        }
      }),
      { numRuns: 15 },
    );
  }
});

test('structure stays: options, numbers that are no values, ids, scripts, patterns of keys', () => {
  for (const kept of [
    ['SET', 'user:1', 'PX', '2000', 'NX'],
    ['ZADD', 'board', 'GT', '17.5'],
    ['ZRANGEBYSCORE', 'z', '(1.5', '+inf', 'WITHSCORES', 'LIMIT', '0', '10'],
    ['XREAD', 'COUNT', '5', 'BLOCK', '0', 'STREAMS', 'a', 'b', '$', '1700000000000-0'],
    ['SCAN', '1234', 'MATCH', 'user:*', 'COUNT', '100', 'TYPE', 'hash'],
    ['BITFIELD', 'k', 'INCRBY', 'u8', '#2', '1', 'OVERFLOW', 'SAT'],
    ['EVAL', 'return redis.call("GET", KEYS[1])', '1', 'k', '500'],
    ['SCRIPT', 'LOAD', 'return 1'],
    ['EVALSHA', 'f61131c5adf0baa801b67991331cc28981e03ffc', '1', 'k'],
    ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'],
    ['OBJECT', 'ENCODING', 'k'],
    ['SORT', 'k', 'BY', 'weight_*', 'LIMIT', '0', '5', 'GET', 'object_*', 'ALPHA', 'DESC'],
    ['SUBSCRIBE', 'news:sport'],
    ['LRANGE', 'k', '0', '-1'],
    ['INCRBY', 'k', '5'],
    ['EXPIRE', 'k', '60', 'NX'],
  ]) {
    const args = kept[0] === 'SET' ? ['SET', 'user:1', 'PX', 'PX', '2000', 'NX'] : kept;
    const redacted = after(args);
    const expected = args.map((arg) => `"${encodeArgument(Buffer.from(arg))}"`);
    if (kept[0] === 'SET') assert.match(redacted, /^"SET" "user:1" "[A-Za-z]{2}" "PX" "2000" "NX"$/);
    else assert.equal(redacted, expected.join(' '));
  }
});

test('credentials never come through, whatever is kept and however they are spelled', () => {
  for (const how of [{}, { values: 'keep', keys: 'keep' }, { keys: 'hash' }] as const) {
    const calls = [
      ['AUTH', 'hunter2'],
      ['auth', 'hunter2', 'hunter2'],
      ['HELLO', '3', 'AUTH', 'hunter2', 'hunter2', 'SETNAME', 'x'],
      ['MIGRATE', 'host', '6379', 'k', '0', '100', 'AUTH2', 'hunter2', 'hunter2'],
      ['CONFIG', 'SET', 'requirepass', 'hunter2'],
      ['ACL', 'SETUSER', 'hunter2', '>hunter2'],
    ];
    for (const call of calls) assert.doesNotMatch(after(call, how), /hunter2/);
    assert.doesNotMatch(redact(Buffer.from(`${HEADER} "a\\x75th" "hunter2"\n`), how), /hunter2/);
  }
});

test('what Valkey 8.1.0 and 8.1.1 leave unescaped is escaped', () => {
  const raw = `${HEADER} "SET" "k" "{"a":"b\\c"}"\n`.repeat(50);
  const lines = redact(Buffer.from(raw), { values: 'keep' }).trimEnd().split('\n');
  assert.equal(lines.at(-1), `${HEADER} "SET" "k" "{\\"a\\":\\"b\\\\c\\"}"`);
});

for (const name of ['sessions', 'queue', 'mixed']) {
  test(`${name}: commands, keys, sizes and families are those of the original`, async () => {
    const log = gunzipSync(readFileSync(join(root, 'captures', `${name}.monitor.gz`)));
    const original = temporaryFile('original.log', log);
    const { ops } = await readAll(original);
    for (const keys of ['keep', 'hash'] as const) {
      const path = temporaryFile(`${keys}.log`, `OK\n${redact(log, { keys })}`);
      const redacted = (await readAll(path)).ops;
      assert.equal(redacted.length, ops.length);
      const standIns = new Map<string, string>();
      for (const [i, { args, atUs, db, client, kind }] of ops.entries()) {
        const twin = redacted[i]!;
        assert.deepEqual(
          [twin.atUs, twin.db, twin.client, twin.kind, twin.args[0], twin.args.map((arg) => arg.length)],
          [atUs, db, client, kind, args[0], args.map((arg) => arg.length)],
        );
        const command = args[0]!.toString().toLowerCase();
        const info = commandInfo(command, args[1]?.toString());
        for (const { index } of info ? keyPositions(info, args.length, (n) => args[n]!.toString('latin1')) : []) {
          const [key, standIn] = [args[index]!.toString('latin1'), twin.args[index]!.toString('latin1')];
          if (keys === 'keep') assert.equal(standIn, key);
          assert.equal(standIns.get(key) ?? standIn, standIn);
          standIns.set(key, standIn);
        }
      }
      // Different keys stay different.
      assert.equal(new Set(standIns.values()).size, standIns.size);
      const [before, afterwards] = [(await buildModel(original)).model, (await buildModel(path)).model];
      assert.deepEqual(
        Object.entries(afterwards.commands).map(([command, { count }]) => [command, count]),
        Object.entries(before.commands).map(([command, { count }]) => [command, count]),
      );
      const families = (model: typeof before) =>
        model.families.map(({ keys: n, requests }) => `${n} ${requests}`).sort();
      assert.deepEqual(families(afterwards), families(before));
      if (keys === 'keep') {
        assert.deepEqual(
          afterwards.families.map(({ template }) => template),
          before.families.map(({ template }) => template),
        );
      }
    }
  });
}
