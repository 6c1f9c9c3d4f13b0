/** Append-only files: of servers, in all their forms, and torn or damaged ones. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AofDecoder } from '../../src/capture/aof.ts';
import { decodeAll, type PlainOp, readAll, temporaryFile } from '../support/capture.ts';
import { PRODUCTS, startForeignServer } from '../support/servers.ts';

const resp = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg, 'latin1')}\r\n${arg}\r\n`).join('')}`;
const words = (ops: PlainOp[]) => ops.map((op) => op.args.map((arg) => arg.toString('latin1')).join(' '));
const file = (content: string) => temporaryFile('appendonly.aof', Buffer.from(content, 'latin1'));

test('commands with their database, spread over their second', async () => {
  const { ops, capture } = await readAll(
    file(
      `#TS:1700000000\r\n${resp('SELECT', '2')}${resp('set', 'k', '\0\r\n"\u00ff')}${resp('DEL', 'k')}#TS:1700000001\r\n${resp('del', 'x')}${resp('del', 'y')}`,
    ),
  );
  assert.deepEqual(words(ops), ['set k \0\r\n"\u00ff', 'DEL k', 'del x', 'del y']);
  assert.deepEqual(
    ops.map((op) => [op.db, op.client, op.kind, op.atUs - 1_700_000_000e6]),
    [
      [2, 'aof', 'command', 0],
      [2, 'aof', 'command', 1000],
      [2, 'aof', 'command', 1_000_000],
      [2, 'aof', 'command', 1_500_000],
    ],
  );
  const summary = capture.summary();
  assert.equal(summary.input, 'aof');
  assert.deepEqual(
    summary.caveats.map(({ id }) => id),
    ['aof-writes'],
  );
});

test('in any chunks', () => {
  const bytes = Buffer.from(
    `#TS:1700000000\r\n${resp('set', 'k', 'a\r\n*1\r\n')}${resp('del', 'k')}`.repeat(3),
    'latin1',
  );
  const whole = decodeAll(new AofDecoder(bytes, 0), [bytes]);
  assert.equal(whole.length, 6);
  for (let cut = 1; cut < bytes.length; cut++) {
    assert.deepEqual(
      decodeAll(new AofDecoder(bytes, 0), [bytes.subarray(0, cut), bytes.subarray(cut)]),
      whole,
      `cut at ${cut}`,
    );
  }
});

test('a torn tail is left out, damage is counted and passed over', () => {
  const set = resp('set', 'k', 'v');
  const torn = Buffer.from(set + set.slice(0, -1));
  const decoder = new AofDecoder(torn, 0);
  assert.equal(decodeAll(decoder, [torn]).length, 1);
  assert.equal(decoder.tornLastLine, true);
  for (const damage of ['*x\r\n', '*1\r\n$3\r\nabcdef\r\n', '*0\r\n', '*1\r\n+a\r\n', 'junk\r\n']) {
    const bytes = Buffer.from(`${set}${damage}${set}`);
    const damaged = new AofDecoder(bytes, 0);
    assert.equal(decodeAll(damaged, [bytes]).length, 2, damage);
    assert.equal(damaged.rejects.get('no-command')?.count, 1, damage);
  }
});

test('a length that lies does not take memory', () => {
  const bytes = Buffer.from(`*2\r\n$9999999999\r\n${'x'.repeat(1000)}`);
  const decoder = new AofDecoder(bytes, 0);
  assert.deepEqual(decodeAll(decoder, [bytes]), []);
  assert.equal(decoder.tornLastLine, true);
});

for (const product of PRODUCTS) {
  test(`the append-only files that ${product} writes`, async () => {
    using server = await startForeignServer(
      product,
      '--appendonly',
      'yes',
      '--aof-timestamp-enabled',
      'yes',
      '--appendfsync',
      'always',
    );
    server.cli('set', 'before', 'x');
    server.cli('bgrewriteaof');
    while (!/aof_rewrite_in_progress:0/.test(server.cli('info', 'persistence'))) server.cli('ping');
    while (/aof_rewrite_scheduled:1/.test(server.cli('info', 'persistence'))) server.cli('ping');
    // The file gets a time when the second is another than that of the last one.
    await sleep(1100);
    server.cli('-n', '3', 'set', 'k"\r\n', 'v', 'EX', '100');
    server.cli('eval', "redis.call('incr', 'n') redis.call('lpush', 'l', 'a')", '0');
    const folder = join(dirname(server.socket), 'appendonlydir');
    const { ops, capture } = await readAll(folder);
    assert.deepEqual(
      words(ops.slice(-5)).map((text) => text.replace(/ PXAT \d+/, '').toLowerCase()),
      ['set k"\r\n v', 'multi', 'incr n', 'lpush l a', 'exec'],
    );
    // Valkey selects the database behind MULTI, Redis 7.0 before.
    assert.deepEqual(
      ops.slice(-5).map((op) => (op.command === 'multi' ? 0 : op.db)),
      [3, 0, 0, 0, 0],
    );
    assert.ok(Math.abs(ops.at(-1)!.atUs / 1000 - Date.now()) < 60_000);
    const ids = capture.summary().caveats.map(({ id }) => id);
    assert.deepEqual(ids, ['aof-snapshot', 'aof-writes']);

    // One file, as servers before 7.0 have it: a snapshot, and the commands behind it.
    const manifest = readFileSync(join(folder, 'appendonly.aof.manifest'), 'latin1');
    const [base, ...rest] = [...manifest.matchAll(/^file (\S+)/gm)].map((match) =>
      readFileSync(join(folder, match[1]!)),
    );
    const single = temporaryFile('appendonly.aof', Buffer.concat([base!, ...rest]));
    const read = await readAll(single);
    assert.deepEqual(words(read.ops), words(ops));
    assert.deepEqual(
      read.capture.summary().caveats.map(({ id }) => id),
      ['aof-writes', 'aof-snapshot'],
    );
    const damaged = Buffer.from(readFileSync(single));
    damaged[20]! ^= 1;
    writeFileSync(single, damaged);
    await assert.rejects(readAll(single), { code: 'E_CAPTURE_FORMAT', message: /RDB snapshot/ });
    await assert.rejects(readAll(temporaryFile('dump.rdb', base!)), {
      code: 'E_CAPTURE_FORMAT',
      message: /RDB snapshot/,
    });
  });
}

test('a manifest that names no commands', async () => {
  const path = temporaryFile('appendonly.aof.manifest', 'file appendonly.aof.1.base.rdb seq 1 type b\n');
  await assert.rejects(readAll(path), { code: 'E_CAPTURE_FORMAT', message: /names no file of commands/ });
});
