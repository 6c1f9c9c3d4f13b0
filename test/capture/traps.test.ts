/** What misleads those who read MONITOR, one test each; on captures of real servers where a server is needed for it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { type PlainOp, readAll, temporaryFile, tokenizeAll } from '../support/capture.ts';

const folder = join(import.meta.dirname, 'torture');
const SERVER = 'redis-7.0.15';
const sidecar: { lines: { line: number; name?: string }[]; steps: { name: string }[] } = JSON.parse(
  gunzipSync(readFileSync(join(folder, `${SERVER}.json.gz`))).toString(),
);
const { ops, capture } = await readAll(join(folder, `${SERVER}.log.gz`));
const byLine = new Map(ops.map((op) => [op.line, op]));

/** Ops of a step of the program that made the capture. */
function step(name: string): PlainOp[] {
  assert.ok(
    sidecar.steps.some((known) => known.name === name),
    `no step ${name}`,
  );
  return sidecar.lines
    .filter((line) => line.name === name && byLine.has(line.line))
    .map(({ line }) => byLine.get(line)!);
}
const words = (some: PlainOp[]) => some.map((op) => op.args.map((arg) => arg.toString('latin1')).join(' '));
const names = (some: PlainOp[]) => some.map((op) => op.args[0]!.toString('latin1').toLowerCase());
const at = (i: number, rest: string) => `1700000000.${String(i).padStart(6, '0')} [0 ${rest}\n`;
const read = (...lines: string[]) => tokenizeAll([Buffer.from(lines.map((line, i) => at(i, line)).join(''), 'latin1')]);
const summaryOf = async (text: string) => (await readAll(temporaryFile('c.log', text))).capture.summary();
const caveats = async (text: string) => (await summaryOf(text)).caveats.map(({ id }) => id);

test('trap 1: any bytes, empty arguments, and values that imitate the format', () => {
  assert.deepEqual(
    step('key and value with every byte 00..ff')[0]!.args[1],
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  );
  assert.deepEqual(step('empty key and value')[0]!.args.slice(1, 3).map(String), ['', '']);
  for (const name of [
    'quote space quote: looks like two args',
    'value imitates a MONITOR line',
    'key imitates a header end',
  ]) {
    assert.equal(step(name)[0]!.args.length, 3, name);
  }
});

test('trap 2: nothing is cut off, however long', () => {
  assert.equal(step('10001 arguments')[0]!.args.length, 10_001);
  assert.equal(step('1 MiB printable value')[0]!.args[2]!.length, 1 << 20);
  assert.deepEqual(step('64 KiB NUL value: 4x expansion')[0]!.args[2], Buffer.alloc(1 << 16));
});

test('trap 3: numbers keep the bytes they were sent with', () => {
  const values = step('integer-like arguments keep their bytes').flatMap((op) => op.args.slice(1).map(String));
  for (const value of ['007', '-0', '+5']) assert.ok(values.includes(value), `${value} in ${values}`);
});

test('trap 4: names of commands come in any case', async () => {
  const [op] = step("command name case is the sender's");
  assert.notEqual(op!.args[0]!.toString(), op!.args[0]!.toString().toLowerCase());
  assert.equal(op!.command, op!.args[0]!.toString().toLowerCase());
});

test('trap 5: inline commands look like any others', () => {
  assert.ok(step('inline command').length > 0);
  assert.ok(step('inline command').every((op) => op.kind === 'command' && op.args.length > 1));
  assert.equal(step('inline empty lines').length, 0);
});

test('trap 6: commands that the server rewrites are shown as they were sent', () => {
  assert.deepEqual(names(step('INCRBYFLOAT (replicated as SET) keeps the original')), ['incrbyfloat']);
  assert.match(words(step('XADD * keeps the star')).join(), / \* /);
  assert.match(words(step('SET with EX (rewritten to PXAT for replicas) keeps the original')).join(), / EX /i);
  assert.deepEqual(names(step('SPOP')).at(-1), 'spop');
});

test('trap 7: the database in the header of SELECT dates the server', async () => {
  assert.equal((await summaryOf(at(1, '1.2.3.4:5] "select" "3"'))).clock, 'start');
  assert.equal((await summaryOf(at(1, '1.2.3.4:5] "select" "3"').replace('[0', '[3'))).clock, 'end');
  assert.deepEqual(
    step('SELECT is logged with the NEW db').map((op) => op.db),
    [15],
  );
});

test('trap 7: a client is in the database that it selected, whatever comes between, in the same batch or a later one', async () => {
  const line = (db: number, client: number, command: string) =>
    `1700000000.000001 [${db} 10.0.0.1:${5000 + client}] ${command}\n`;
  for (const between of [0, 1, 100_000]) {
    const others = line(0, 2, '"get" "k"').repeat(between);
    // A server that prints before it executes shows the new database with the second SELECT of it: no sign of the other kind.
    const again = line(0, 1, '"select" "3"') + others + line(3, 1, '"select" "3"');
    assert.equal((await summaryOf(again)).clock, 'start', `${between} lines between`);
    // One known to have been elsewhere is a sign; one seen for the first time could have been there.
    const elsewhere = line(0, 1, '"get" "k"') + others + line(3, 1, '"select" "3"') + line(0, 3, '"select" "0"');
    assert.equal((await summaryOf(elsewhere)).clock, 'end', `${between} lines between`);
  }
});

test('trap 8: commands that failed while they were executed are logged like others', () => {
  for (const name of ['WRONGTYPE error is logged', 'syntax error is logged', 'EVALSHA NOSCRIPT error is logged']) {
    assert.ok(
      step(name).some((op) => op.kind === 'command'),
      name,
    );
  }
});

test('trap 9: commands that were rejected before are not logged', () => {
  for (const name of ['unknown command', 'wrong arity', 'NOPERM command', 'OOM-rejected write']) {
    assert.deepEqual(words(step(name)), [], name);
  }
});

test('trap 10: queued commands appear before EXEC; discarded and aborted ones never', () => {
  assert.deepEqual(names(step('MULTI..EXEC')).at(0), 'multi');
  assert.deepEqual(names(step('MULTI..EXEC')).at(-1), 'exec');
  assert.ok(step('MULTI..EXEC').length > 2);
  assert.deepEqual(names(step('MULTI..DISCARD: queued command never appears')), ['multi', 'discard']);
  assert.deepEqual(names(step('WATCH abort: commands never appear')), ['multi', 'exec']);
});

test('trap 11: transactions overlap, their bodies do not', () => {
  const some = step('overlapping transactions');
  const body = (client: string) => {
    const exec = some.findIndex((op) => op.command === 'exec' && op.client === client);
    return some
      .slice(0, exec)
      .reverse()
      .find((op) => op.client !== client || op.command === 'multi')!;
  };
  const clients = [...new Set(some.map((op) => op.client))];
  assert.equal(clients.length, 2);
  // What stands before a client's body is a line of another one, or its own MULTI.
  for (const client of clients) assert.ok(['exec', 'multi'].includes(body(client).command), client);
});

test('trap 12: children of a script follow their call, others in between while it is busy', () => {
  const [parent, ...children] = step('EVAL then its commands as lua');
  assert.ok(children.length > 0);
  assert.ok(children.every((op) => op.kind === 'script-child' && op.parentLine === parent!.line));
  const { ops: busy } = read('1.2.3.4:5] "eval" "x" "0"', 'lua] "get" "k"', '1.2.3.4:6] "watch" "k"', 'lua] "get" "k"');
  assert.deepEqual(
    busy.map((op) => op.parentLine),
    [0, 1, 0, 1],
  );
});

test('trap 13: Redis 7.0.0 to 7.0.5 print the children of FCALL without FCALL', async () => {
  const summary = await summaryOf(at(1, '1.2.3.4:5] "get" "k"') + at(2, 'lua] "set" "k" "v"'));
  assert.equal(summary.orphans, 1);
  assert.ok(summary.caveats.some(({ id }) => id === 'script-orphans'));
});

test('trap 14: EVALSHA shows the hash only; the body stands where it was loaded', () => {
  assert.match(words(step('EVALSHA shows only the sha'))[0]!, /^EVALSHA [0-9a-f]{40} /i);
  assert.match(words(step('SCRIPT LOAD shows the body (sha1 of it = the EVALSHA key)'))[0]!, /^SCRIPT LOAD return/i);
});

test('trap 15: children of a module precede their parent, also over the end of a chunk', () => {
  const text = Buffer.from(
    at(1, '] "set" "k" "v"') +
      at(2, '?:0] "expire" "k" "9"') +
      at(3, '1.2.3.4:5] "my.command" "k"') +
      at(4, '] "timer"'),
  );
  for (let cut = 0; cut < text.length; cut++) {
    const { ops: some, tokenizer } = tokenizeAll([text.subarray(0, cut), text.subarray(cut)]);
    assert.deepEqual(
      some.map((op) => [op.kind, op.parentLine]),
      [
        ['module-child', 3],
        ['module-child', 3],
        ['command', 0],
        ['module-child', 0],
      ],
      `cut at ${cut}`,
    );
    assert.equal(tokenizer.lines, 4);
    assert.equal(tokenizer.parsed, 4);
  }
});

test('trap 16: a command that blocks is printed once, when it blocks', () => {
  assert.deepEqual(names(step('BLPOP that blocks: logged when it blocks')), ['blpop']);
  assert.deepEqual(names(step('RPUSH that wakes it: no second BLPOP line')), ['rpush']);
  assert.deepEqual(names(step('BLPOP timeout: one line')), ['blpop']);
});

test('trap 17: a command that waited for CLIENT PAUSE is printed once, when it runs', () => {
  const some = step('CLIENT PAUSE: the postponed command appears when executed, not when received');
  assert.deepEqual(words(some), ['SET paused 1']);
});

test('trap 18: nothing shows that a key expired', () => {
  const [set] = step('SET PX 30');
  const [get] = step('GET of the expired key: no DEL/UNLINK line');
  const between = ops.filter((op) => op.line > set!.line && op.line < get!.line && op.args[1]?.toString() === 'exp');
  assert.deepEqual(between, []);
});

test('trap 19: clients of a Unix socket cannot be told apart, and that is said', async () => {
  assert.ok(step('unix socket client')[0]!.client.startsWith('unix:'));
  const unix = at(1, 'unix:/run/r.sock] "get" "a"') + at(2, 'unix:/run/r.sock] "get" "b"');
  assert.deepEqual(await caveats(unix), ['capture-unix']);
  assert.deepEqual(await caveats(unix + at(3, '1.2.3.4:5] "get" "b"')), []);
});

test('trap 20: an address is one client, whoever uses it', () => {
  const { ops: some } = read(
    '1.2.3.4:5] "get" "k"',
    '1.2.3.4:5] "quit"',
    '1.2.3.4:5] "hello" "3"',
    '1.2.3.4:50] "get" "k"',
  );
  assert.deepEqual(
    some.map((op) => op.client),
    ['1.2.3.4:5', '1.2.3.4:5', '1.2.3.4:5', '1.2.3.4:50'],
  );
});

test('trap 21: who does not want replies is printed all the same', () => {
  assert.deepEqual(words(step('CLIENT REPLY OFF')), ['CLIENT REPLY ON']);
});

test('trap 22: messages are printed once, their deliveries not', () => {
  assert.deepEqual(names(step('SUBSCRIBE')), ['subscribe']);
  assert.deepEqual(names(step('PUBLISH')), ['publish']);
});

test('trap 23: a pause without lines is no damage', async () => {
  const summary = await summaryOf(
    `1700000000.000001 [0 1.2.3.4:5] "get" "k"\n1700003600.000001 [0 1.2.3.4:5] "get" "k"\n`,
  );
  assert.equal(summary.lastUs - summary.firstUs, 3600e6);
  assert.deepEqual(summary.caveats, []);
});

test('trap 24: what redis-cli says in between is told from damage', async () => {
  const lines = Array.from({ length: 20 }, (_, i) => at(i, '1.2.3.4:5] "get" "k"')).join('');
  const warning = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n";
  const summary = await summaryOf(`${warning}OK\n${lines}Error: Server closed the connection\n`);
  assert.deepEqual(summary.rejected, {});
  assert.deepEqual(
    summary.caveats.map(({ id }) => id),
    ['capture-closed'],
  );
});

test('trap 25: the last line may be torn anywhere', () => {
  const line = at(1, '1.2.3.4:5] "set" "k" "a\\"b\\\\\\x00"').trimEnd();
  for (let length = 1; length < line.length; length++) {
    const { ops: some, tokenizer } = tokenizeAll([Buffer.from(at(0, '1.2.3.4:5] "get" "k"') + line.slice(0, length))]);
    assert.equal(tokenizer.rejects.size, 0, line.slice(0, length));
    // It is whole wherever an argument is.
    const whole = /" ?"?$/.test(line.slice(0, length)) && some.length === 2;
    assert.equal(tokenizer.tornLastLine, !whole, line.slice(0, length));
  }
});

test('trap 26: QUIT is printed from 7.0 on, which dates the server', async () => {
  assert.match((await summaryOf(at(1, '1.2.3.4:5] "quit"'))).server, /7\.0 or later/);
});

test('trap 27: recordings one behind the other, or side by side', async () => {
  const burst = (second: number) => `OK\n${second}.000001 [0 1.2.3.4:5] "get" "k"\n`;
  assert.deepEqual(await caveats(burst(1700000000) + burst(1700000100)), ['capture-recordings']);
  assert.deepEqual(await caveats(burst(1700000100) + burst(1700000000)), ['capture-clock-back']);
  const nodes = ['redis-1', 'redis-2'].map((name) => `${name}  | ${at(1, '1.2.3.4:5] "get" "k"')}`).join('');
  assert.deepEqual(await caveats(nodes), ['capture-nodes']);
});

test('trap 28: order is that of the file, whatever the clock says', () => {
  const { ops: some } = tokenizeAll([Buffer.from(at(9, '1.2.3.4:5] "get" "a"') + at(3, '1.2.3.4:5] "get" "b"'))]);
  assert.deepEqual(
    some.map((op) => [op.args[1]!.toString(), op.atUs % 10]),
    [
      ['a', 9],
      ['b', 3],
    ],
  );
});

test('trap 29: credentials in clear go no further', () => {
  const { ops: some } = read(
    '1.2.3.4:5] "AUTH" "hunter2"',
    '1.2.3.4:5] "HELLO" "3" "AUTH" "me" "hunter2"',
    '1.2.3.4:5] "CONFIG" "SET" "requirepass" "hunter2"',
    '1.2.3.4:5] "MIGRATE" "h" "1" "k" "0" "9" "AUTH2" "me" "hunter2"',
    '1.2.3.4:5] "ACL" "SETUSER" "me" ">hunter2"',
  );
  assert.equal(some.length, 5);
  assert.ok(!words(some).join().includes('hunter2'));
});

test('trap 30: what other parsers get wrong', () => {
  const { ops: some } = read(
    String.raw`1.2.3.4:5] "set" "a\nb" "\x41\x00"`,
    String.raw`lua] "set" "k" "x\" \"y"`,
    '[2001:db8::1]:5] "get" "k"',
    'unix:/var/run/my redis/r.sock] "get" "k"',
  );
  assert.deepEqual(
    some.slice(0, 2).map((op) => op.args.slice(1).map(String)),
    [
      ['a\nb', 'A\0'],
      ['k', 'x" "y'],
    ],
  );
  assert.deepEqual(
    some.slice(2).map((op) => op.client),
    ['[2001:db8::1]:5', 'unix:/var/run/my redis/r.sock'],
  );
});

test('the whole of that capture was read', () => {
  assert.deepEqual(capture.summary().rejected, {});
});
