/** A capture replayed as it is: what leaves together, on which connection, in which order, at what time. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { writeSidecar } from '../../src/capture/record/sidecar-file.ts';
import { buildModel } from '../../src/model/build.ts';
import { ExactWorkload } from '../../src/plan/exact/exact.ts';
import { monitorLines } from '../../src/plan/monitor-log.ts';
import { OpFlag } from '../../src/plan/plan.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, modelOf, monitorLine } from '../support/workload.ts';

const T0 = 1_700_000_000e6;
const EPOCH = 1_800_000_000;

interface Options {
  rate?: number;
  seconds?: number;
  /** Keys that each database held before, and reads that missed. */
  keyspace?: Record<string, string>;
  misses?: number;
  /** Entries of a model.yaml, by glob. */
  changes?: Record<string, { name?: string; merge?: true; exclude?: true }>;
}

/** Lines at times since T0; the last one only ends the capture. */
async function exact(lines: Line[], { rate, seconds, keyspace, misses, changes = {} }: Options = {}) {
  const end: Line = { atUs: 2e6, client: '10.9.9.9:9', args: ['ping'] };
  const text = [...lines, end].map((line) => monitorLine({ ...line, atUs: T0 + line.atUs })).join('');
  const capture = temporaryFile('capture.log', `OK\n${text}`);
  if (keyspace) {
    const counted = (n: number) => ({ stats: { keyspace_hits: '0', keyspace_misses: String(n) } });
    const lookups = misses === undefined ? [{}, {}] : [counted(0), counted(misses)];
    const before = { keyspace, ...lookups[0] };
    const bursts = [{ startedAt: new Date(T0 / 1000).toISOString(), before, after: lookups[1]! }];
    await writeSidecar(capture, {
      ...{ schema: 'cutover/capture@1', recordedAt: bursts[0]!.startedAt, bursts },
      server: { product: 'redis', version: '7.0.15' },
    });
  }
  const families = Object.entries(changes).map(([match, change]) => ({ match, ...change, by: 'ann', why: 'test' }));
  const overrides = { families };
  const { model, captured } = await buildModel(capture, { keepKeys: true, overrides });
  const span = 2 - lines[0]!.atUs / 1e6;
  return ExactWorkload.read({
    ...{ capture, model, captured: captured!, seed: '1', epochSeconds: EPOCH, seconds: seconds ?? span },
    ...(rate === undefined ? {} : { rate }),
  });
}

/** `connection:command at µs` of each op of the first two seconds. */
function opsOf(workload: ExactWorkload, { fromSeconds = 0, laterSeconds = 0 } = {}) {
  const slice = workload.slice(0, fromSeconds, 1.9 - fromSeconds, laterSeconds);
  return [...monitorLines(workload.plan, slice, 0)].map((line, op) => ({
    text: line.slice(line.indexOf('] ') + 2).replaceAll('"', ''),
    connection: slice.connection[op]!,
    db: workload.plan.connections[slice.connection[op]!]!.db,
    atUs: slice.intendedUs[op]!,
    blocking: slice.flags[op] === OpFlag.blocking,
    label: workload.plan.labels[slice.label[op]!]!,
  }));
}

const textsOf = (workload: ExactWorkload) => opsOf(workload).map(({ text }) => text);
const client = (number: number) => `10.0.0.${number}:1000`;
const idsOf = (workload: { caveats: { id: string }[] }) => workload.caveats.map(({ id }) => id);

test('ops keep order, connection and time; children of scripts and handshakes are left out', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['set', 'a:1', 'x'] },
    { atUs: 1000, client: client(2), args: ['hello', '3'] },
    { atUs: 2000, client: client(2), args: ['eval', "return redis.call('get', KEYS[1])", '1', 'a:1'] },
    { atUs: 2100, client: 'lua', args: ['get', 'a:1'] },
    { atUs: 5000, client: client(1), args: ['get', 'a:1'] },
  ]);
  assert.deepEqual(
    opsOf(workload).map(({ text, connection, atUs }) => [text, connection, atUs]),
    [
      ['set a:1 x', 0, 0],
      [`eval return redis.call('get', KEYS[1]) 1 a:1`, 1, 2000],
      ['get a:1', 0, 5000],
    ],
  );
  assert.deepEqual(opsOf(workload)[2]!.label, { family: 'a:{int}', command: 'get' });
  assert.equal(opsOf(workload)[1]!.label.family, '(script)');
});

test('another rate stretches all times alike, and a window is a window', async () => {
  const lines = Array.from({ length: 10 }, (_, i) => ({ atUs: i * 100_000, args: ['get', `k:${i}`] }));
  const captured = (await exact(lines)).plan.rate;
  const workload = await exact(lines, { rate: captured / 2, seconds: 2 });
  assert.deepEqual(
    opsOf(workload).map(({ atUs }) => Math.round(atUs)),
    lines.map(({ atUs }) => atUs * 2),
  );
  const parts = [0, 0.5, 1, 1.5].map((from) => workload.slice(3, from, 0.5));
  const bytes = Buffer.concat(parts.map((slice) => slice.bytes));
  assert.deepEqual(bytes, Buffer.from(workload.slice(0, 0, 2).bytes));
  assert.ok(parts.every(({ intendedUs }) => intendedUs.every((us) => us >= 0 && us < 500_000)));
});

test('a pipeline leaves as one', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['get', 'a'] },
    { atUs: 10, client: client(1), args: ['get', 'b'] },
    { atUs: 20, client: client(1), args: ['get', 'c'] },
    { atUs: 30, client: client(2), args: ['get', 'd'] },
    { atUs: 5000, client: client(1), args: ['get', 'e'] },
  ]);
  assert.deepEqual(
    opsOf(workload).map(({ atUs }) => atUs),
    [0, 0, 0, 30, 5000],
  );
});

test('a transaction is one unit though MONITOR shows its MULTI early', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['watch', 'a'] },
    { atUs: 500, client: client(1), args: ['multi'] },
    { atUs: 600, client: client(2), args: ['multi'] },
    { atUs: 700, client: client(3), args: ['get', 'x'] },
    { atUs: 900, client: client(1), args: ['set', 'a', '1'] },
    { atUs: 901, client: client(1), args: ['incr', 'b'] },
    { atUs: 902, client: client(1), args: ['exec'] },
    // Aborted, or empty: nothing between.
    { atUs: 1500, client: client(2), args: ['exec'] },
    { atUs: 1600, client: client(2), args: ['multi'] },
    { atUs: 1700, client: client(2), args: ['discard'] },
  ]);
  assert.deepEqual(
    opsOf(workload).map(({ text, connection, atUs }) => `${connection} ${atUs} ${text}`),
    [
      '0 0 watch a',
      '2 700 get x',
      ...['0 900 multi', '0 900 set a 1', '0 900 incr b', '0 900 exec'],
      ...['1 1500 multi', '1 1500 exec', '1 1700 multi', '1 1700 discard'],
    ],
  );
  assert.deepEqual(idsOf(workload), []);
});

test('what only looks like a transaction is none', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['set', 'a', '1'] },
    { atUs: 1, client: client(1), args: ['exec'] },
    { atUs: 100, client: client(2), args: ['multi'] },
    // The client is gone; later another one has its address.
    { atUs: 900, client: client(2), args: ['set', 'b', '1'] },
    { atUs: 1000, client: client(3), args: ['set', 'c', '1'] },
    { atUs: 1900, client: client(2), args: ['get', 'b'] },
  ]);
  assert.deepEqual(textsOf(workload), ['set a 1', 'set b 1', 'set c 1', 'get b']);
  assert.deepEqual(idsOf(workload), ['transactions-torn']);
});

test('an op runs in its database, and connections are as many as were open at once', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['get', 'a'] },
    { atUs: 100, client: client(1), db: 3, args: ['get', 'a'] },
    { atUs: 200, client: client(1), args: ['get', 'b'] },
    ...Array.from({ length: 5 }, (_, i) => [
      { atUs: 1000 + i * 100, client: `10.1.0.${i}:1`, db: 7, args: ['get', 'c'] },
      { atUs: 1050 + i * 100, client: `10.1.0.${i}:1`, db: 7, args: ['get', 'd'] },
    ]).flat(),
  ]);
  assert.deepEqual(workload.plan.connections, [{ db: 0 }, { db: 3 }, { db: 7 }]);
  assert.deepEqual(
    opsOf(workload)
      .slice(0, 3)
      .map(({ db }) => db),
    [0, 3, 0],
  );
});

test('a watched key is not inherited with the connection', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['watch', 'a'] },
    { atUs: 5000, client: client(2), args: ['get', 'a'] },
  ]);
  assert.equal(workload.plan.connections.length, 2);
});

test('blocking ops have a connection of their own', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['get', 'a'] },
    { atUs: 500, client: client(1), args: ['blpop', 'q', '1'] },
    { atUs: 700, client: client(1), args: ['xread', 'BLOCK', '100', 'STREAMS', 's', '$'] },
    { atUs: 900, client: client(1), args: ['xread', 'STREAMS', 's', '0'] },
  ]);
  assert.deepEqual(
    opsOf(workload).map(({ connection, blocking }) => [connection, blocking]),
    [
      [0, false],
      [1, true],
      [1, true],
      [0, false],
    ],
  );
});

const body = "return redis.call('incr', KEYS[1])";
const sha1 = createHash('sha1').update(body).digest('hex');

test('a call that met NOSCRIPT meets it again, though the script is loaded', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['evalsha', sha1, '1', 'n'] },
    { atUs: 400, client: client(1), args: ['eval', body, '1', 'n'] },
    { atUs: 450, client: 'lua', args: ['incr', 'n'] },
    { atUs: 900, client: client(1), args: ['evalsha', sha1, '1', 'n'] },
    { atUs: 950, client: 'lua', args: ['incr', 'n'] },
  ]);
  assert.deepEqual(textsOf(workload), [`evalsha ${'0'.repeat(40)} 1 n`, `eval ${body} 1 n`, `evalsha ${sha1} 1 n`]);
  assert.deepEqual(
    workload.plan.scripts.map((script) => Buffer.from(script.body).toString()),
    [body],
  );
});

test('a script that nobody knows is replaced by what it did', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['evalsha', 'f'.repeat(40), '1', 'n'] },
    { atUs: 50, client: 'lua', args: ['hset', 'n', 'a', '1'] },
    { atUs: 60, client: 'lua', args: ['expire', 'n', '9'] },
    { atUs: 900, client: client(2), args: ['get', 'x'] },
  ]);
  assert.deepEqual(
    opsOf(workload).map(({ text, connection, atUs }) => [text, connection, atUs]),
    [
      ['hset n a 1', 0, 0],
      ['expire n 9', 0, 0],
      ['get x', 0, 900],
    ],
  );
  assert.deepEqual(idsOf(workload), ['scripts-unknown']);
});

test('expiries and stream ids move to the time of the replay, values stay', async () => {
  const seconds = T0 / 1e6;
  const workload = await exact([
    { atUs: 0, args: ['expireat', 'a', `${seconds + 60}`] },
    { atUs: 1000, args: ['pexpireat', 'a', `${seconds * 1000 + 5000}`] },
    { atUs: 2000, args: ['set', 'b', 'v', 'PXAT', `${seconds * 1000 + 5000}`] },
    { atUs: 3000, args: ['zadd', 'z', `${seconds}`, `${seconds}-m`] },
    { atUs: 4000, args: ['xread', 'STREAMS', 's', `${seconds * 1000}-3`] },
    { atUs: 5000, args: ['xadd', 's', 'MAXLEN', '~', '100', `${seconds * 1000}-4`, 'at', `${seconds * 1000}`] },
    { atUs: 6000, args: ['expireat', 'a', '0'] },
  ]);
  assert.deepEqual(textsOf(workload), [
    `expireat a ${EPOCH + 60}`,
    `pexpireat a ${EPOCH * 1000 + 5000}`,
    `set b v PXAT ${EPOCH * 1000 + 5000}`,
    `zadd z ${seconds} ${seconds}-m`,
    `xread STREAMS s ${EPOCH * 1000}-3`,
    `xadd s MAXLEN ~ 100 ${EPOCH * 1000}-4 at ${seconds * 1000}`,
    'expireat a 0',
  ]);
});

test('in a later round, times are as much later, wherever the window begins and whatever was left out before', async () => {
  const seconds = T0 / 1e6;
  const body = "return redis.call('pexpireat', KEYS[1], ARGV[1])";
  const workload = await exact([
    // A MULTI that begins nothing is left out, and the bytes behind it move up.
    { atUs: 0, args: ['multi'] },
    { atUs: 0, client: client(2), args: ['get', 'x'] },
    { atUs: 10, args: ['exec'] },
    { atUs: 1000, args: ['expireat', 'a', `${seconds + 60}`] },
    { atUs: 2000, args: ['xadd', 's', `${seconds * 1000}-4`, 'at', `${seconds * 1000}`] },
    { atUs: 3000, args: ['eval', body, '1', 'k', `${seconds * 1000}`] },
  ]);
  const later = [`xadd s ${(EPOCH + 90) * 1000}-4 at ${seconds * 1000}`, `eval ${body} 1 k ${(EPOCH + 90) * 1000}`];
  const textsIn = (options: Parameters<typeof opsOf>[1]) => opsOf(workload, options).map(({ text }) => text);
  assert.deepEqual(textsIn({ fromSeconds: 0.0015, laterSeconds: 90 }), later);
  assert.deepEqual(textsIn({ laterSeconds: 90 }).slice(-3), [`expireat a ${EPOCH + 150}`, ...later]);
  assert.equal(textsIn({}).at(-1), `eval ${body} 1 k ${EPOCH * 1000}`);
});

test('times in the arguments of scripts move only where the script reads the clock', async () => {
  const now = `${T0 / 1000}`;
  for (const [body, planned] of [
    ["return redis.call('pexpireat', KEYS[1], ARGV[1])", `${EPOCH * 1000}`],
    ["return redis.call('zadd', KEYS[1], ARGV[1], 'm')", now],
  ] as const) {
    const workload = await exact([{ atUs: 0, args: ['eval', body, '1', 'k', now] }]);
    assert.deepEqual(textsOf(workload), [`eval ${body} 1 k ${planned}`]);
  }
});

test('scripts wait for the writes that they followed, plain commands for none of their like', async () => {
  const call = (atUs: number, number: number): Line[] => [
    { atUs, client: client(number), args: ['eval', body, '1', 'n'] },
    { atUs: atUs + 10, client: 'lua', args: ['incr', 'n'] },
    { atUs: atUs + 11, client: 'lua', args: ['pexpire', 'n', '100'] },
  ];
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['incr', 'n'] },
    { atUs: 100, client: client(2), args: ['incr', 'n'] },
    ...call(200, 1),
    ...call(300, 2),
    { atUs: 400, client: client(3), args: ['get', 'n'] },
    { atUs: 500, client: client(3), args: ['set', 'n', '1'] },
    // The key had just expired.
    ...call(101_000, 2),
  ]);
  const { order, count } = workload.slice(0, 0, 1.9);
  const waits = Array.from({ length: count }, (_, op) =>
    [...order!.after.subarray(order!.from[op], order!.from[op + 1])].map(
      (after, i) => [after, order!.delayUs[order!.from[op]! + i]!] as const,
    ),
  );
  assert.deepEqual(waits, [
    [],
    [],
    [[1, 0]],
    [[2, 0]],
    [],
    [[3, 0]],
    [
      [5, 0],
      [3, 101_000],
    ],
  ]);
  // What came before a window is over.
  const later = workload.slice(0, 0.0003, 1);
  assert.deepEqual([...later.order!.after], [0, 2, 0]);
});

test('a guarded transaction waits as a whole, and its end is what others wait for', async () => {
  const workload = await exact([
    { atUs: 0, client: client(1), args: ['set', 'a', '0'] },
    { atUs: 100, client: client(2), args: ['watch', 'a'] },
    { atUs: 200, client: client(2), args: ['multi'] },
    { atUs: 210, client: client(2), args: ['set', 'a', '1'] },
    { atUs: 211, client: client(2), args: ['exec'] },
    { atUs: 400, client: client(1), args: ['set', 'a', '2'] },
  ]);
  const { order } = workload.slice(0, 0, 1.9);
  assert.deepEqual([...order!.from], [0, 0, 1, 2, 2, 2, 3]);
  assert.deepEqual([...order!.after], [0, 0, 4]);
});

test('keys that are read first are there, with what is asked of them', async () => {
  const lines: Line[] = [
    { atUs: 0, args: ['get', 'text:1'] },
    { atUs: 1000, args: ['get', 'cached:1'] },
    { atUs: 2000, args: ['set', 'cached:1', 'x'] },
    { atUs: 3000, args: ['hget', 'profile:1', 'name'] },
    { atUs: 4000, args: ['hincrby', 'profile:1', 'visits', '1'] },
    { atUs: 5000, args: ['set', 'made:1', 'x'] },
    { atUs: 6000, args: ['get', 'made:1'] },
    { atUs: 7000, client: client(2), args: ['eval', "return redis.call('get', KEYS[1])", '1', 'asked:1'] },
    { atUs: 7010, client: 'lua', args: ['get', 'asked:1'] },
    { atUs: 8000, client: client(3), args: ['xread', 'BLOCK', '9', 'STREAMS', 'events:1', '$'] },
  ];
  const { preload } = (await exact(lines)).plan;
  const text = Buffer.concat(preload.databases.flatMap(({ chunks }) => [...chunks()])).toString();
  assert.equal(preload.keys, 2);
  assert.match(text, /set\r\n\$6\r\ntext:1/);
  assert.match(text, /hset\r\n\$9\r\nprofile:1\r\n\$4\r\nname\r\n[\s\S]*\$6\r\nvisits\r\n\$\d\r\n\d+\r\n/);
  assert.equal((await exact(lines, { keyspace: {} })).plan.preload.keys, 0);
  assert.equal((await exact(lines, { keyspace: { db0: 'keys=1,expires=0' } })).plan.preload.keys, 1);
});

test('a hash that is only read has the fields that others of its family are given, with values as long', async () => {
  const profile = (i: number) => ['name', 'n'.repeat(10 + (i % 3)), 'mail', 'm'.repeat(20), 'visits', '0'];
  const lines: Line[] = Array.from({ length: 60 }, (_, i): Line[] => [
    { atUs: 10_000 * i, args: ['hset', `profile:${i}`, ...profile(i)] },
    { atUs: 10_000 * i + 5000, args: ['hgetall', `profile:${100 + i}`] },
  ]).flat();
  const { plan } = await exact(lines);
  const model = await modelOf(lines.map((line) => ({ ...line, atUs: T0 + line.atUs })));
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: EPOCH });
  for (const { preload } of [plan, synthesis.plan]) {
    const text = Buffer.concat(preload.databases.flatMap(({ chunks }) => [...chunks()])).toString();
    const hashes = text.split('\r\nhset\r\n').slice(1);
    assert.ok(preload.keys > 50 && hashes.length === preload.keys, `${hashes.length} of ${preload.keys}`);
    for (const hash of hashes) {
      const [, ...words] = hash.split('\r\n').filter((_, line) => line % 2 === 1);
      const fields = Object.fromEntries([0, 2, 4].map((at) => [words[at]!, words[at + 1]!]));
      assert.deepEqual(Object.keys(fields).sort(), ['mail', 'name', 'visits']);
      assert.match(fields.visits!, /^\d+$/);
      assert.ok(Math.max(fields.mail!.length, fields.name!.length) <= 20, hash);
    }
  }
});

test('keys of which nothing tells are there as often as the like, and those that are known to have been, are', async () => {
  const lines: Line[] = [];
  const ids = Array.from({ length: 40 }, (_, i) => i);
  for (const i of ids) {
    const atUs = i * 40_000;
    // Three of four pages were missed: by one connection, and filled by the next.
    lines.push({ atUs, client: client(1 + (i % 2)), args: ['get', `page:${i}`] });
    if (i % 4 !== 0) lines.push({ atUs: atUs + 2000, client: client(2), args: ['set', `page:${i}`, 'v'] });
    lines.push({ atUs: atUs + 10_000, client: client(3), args: ['exists', `page:${100 + i}`] });
    // Nothing but the server's count tells of these, but for every second one, which is renewed.
    lines.push({ atUs: atUs + 20_000, client: client(4), args: ['get', `user:${i}`] });
    if (i % 2 === 0) lines.push({ atUs: atUs + 22_000, client: client(4), args: ['expire', `user:${i}`, '60'] });
  }
  const preloaded = async (options: Options) => {
    const { preload } = (await exact(lines, options)).plan;
    const text = Buffer.concat(preload.databases.flatMap(({ chunks }) => [...chunks()])).toString('latin1');
    const names = new Set(text.match(/\b(?:page|user):\d+/g));
    const count = (name: (i: number) => string | false) => ids.filter((i) => names.has(name(i) || '')).length;
    return {
      filled: count((i) => i % 4 !== 0 && `page:${i}`),
      found: count((i) => i % 4 === 0 && `page:${i}`),
      asked: count((i) => `page:${100 + i}`),
      renewed: count((i) => i % 2 === 0 && `user:${i}`),
      users: count((i) => i % 2 === 1 && `user:${i}`),
    };
  };
  const known = { filled: 0, found: 10, renewed: 20 };
  assert.deepEqual(await preloaded({}), { ...known, asked: 10, users: 20 });
  const keyspace = { db0: 'keys=90,expires=0' };
  // Fills are 30 misses, and as large a share of the pages that are only asked for was not there: 30 more. The rest is users.
  assert.deepEqual(await preloaded({ keyspace, misses: 70 }), { ...known, asked: 10, users: 10 });
  // The server has the last word: with 15 besides the fills, more pages were there than of those that are filled.
  assert.deepEqual(await preloaded({ keyspace, misses: 45 }), { ...known, asked: 25, users: 20 });
});

test('families have the names and the keys that overrides give them', async () => {
  const labelsOf = async (changes: NonNullable<Options['changes']>) => {
    const labels = opsOf(await exact(lines, { changes })).map(({ label }) => `${label.family} ${label.command}`);
    return [...new Set(labels)];
  };
  const users = ['ann', 'ben', 'eve', 'joe'];
  const lines = users.flatMap((user, i): Line[] => [
    ...[0, 1, 2].map((n) => ({ atUs: i * 9000 + n * 1000, args: ['get', `user-${user}-cart`] })),
    { atUs: i * 9000 + 5000, args: ['incr', `visits:${100 + i}`] },
  ]);
  assert.deepEqual(await labelsOf({}), ['{word} get', 'visits:{int} incr']);
  const changes = { 'user-*-cart': { merge: true, name: 'carts' }, 'visits:*': { name: 'seen' } } as const;
  assert.deepEqual(await labelsOf(changes), ['carts get', 'seen incr']);
});

test('what overrides leave out is neither sent nor there, wherever it stands; scripts are called whole', async () => {
  const script = "return redis.call('incr', KEYS[1])";
  const lines: Line[] = [
    { atUs: 0, args: ['get', 'tmp:1'] },
    { atUs: 1000, args: ['get', 'page:1'] },
    // A pipeline and a transaction keep the rest; of a transaction of nothing else nothing is left.
    { atUs: 2000, client: client(1), args: ['set', 'tmp:2', 'x'] },
    { atUs: 2001, client: client(1), args: ['set', 'page:2', 'x'] },
    { atUs: 3000, client: client(2), args: ['multi'] },
    { atUs: 3010, client: client(2), args: ['set', 'tmp:3', 'x'] },
    { atUs: 3011, client: client(2), args: ['set', 'page:3', 'x'] },
    { atUs: 3012, client: client(2), args: ['exec'] },
    { atUs: 4000, client: client(2), args: ['multi'] },
    { atUs: 4010, client: client(2), args: ['set', 'tmp:4', 'x'] },
    { atUs: 4011, client: client(2), args: ['exec'] },
    { atUs: 5000, client: client(2), args: ['multi'] },
    { atUs: 5010, client: client(2), args: ['exec'] },
    { atUs: 6000, client: client(3), args: ['mget', 'page:4', 'tmp:5'] },
    { atUs: 7000, client: client(3), args: ['eval', script, '1', 'tmp:6'] },
    { atUs: 7010, client: 'lua', args: ['incr', 'tmp:6'] },
  ];
  const workload = await exact(lines, { changes: { 'tmp:*': { exclude: true } } });
  assert.deepEqual(textsOf(workload), [
    'get page:1',
    'set page:2 x',
    ...['multi', 'set page:3 x', 'exec', 'multi', 'exec'],
    `eval ${script} 1 tmp:6`,
  ]);
  const preloaded = Buffer.concat(workload.plan.preload.databases.flatMap(({ chunks }) => [...chunks()])).toString();
  assert.match(preloaded, /page:1/);
  assert.doesNotMatch(preloaded, /tmp/);
});

test('a capture that is too short is refused with its length', async () => {
  const lines = [{ atUs: 0, args: ['get', 'a'] }];
  await assert.rejects(exact(lines, { seconds: 5 }), {
    code: 'E_CAPTURE_SHORT',
    message: /holds 2 s of workload; 5 s/,
  });
  const captured = (await exact(lines)).plan.rate;
  await assert.rejects(exact(lines, { seconds: 2, rate: captured * 4 }), {
    message: /holds 0\.5 s of workload at 4 times its rate/,
  });
});
