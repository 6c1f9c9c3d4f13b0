/** What scripts and other commands do to the same keys fits together in a synthesized workload, however long it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeModels } from '../../src/model/merge.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { type Line, modelOf } from '../support/workload.ts';

const START_US = 1_700_000_000e6;
const UNLOCK = 'if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0';

/** Locks on a few orders and on many, taken and released by two clients that do several things at once. */
function locking(): Line[] {
  const random = mulberry32(1);
  const lines: Line[] = [];
  for (let i = 0; i < 600; i++) {
    const atUs = START_US + i * 20_000;
    const client = `10.0.0.1:${1000 + (i % 2)}`;
    const key = i % 2 === 0 ? `lock:order:${i % 12}` : `lock:invoice:${100_000 + i}`;
    const token = Math.floor(random() * 2 ** 48)
      .toString(16)
      .padStart(12, '0');
    lines.push({ atUs, client, args: ['set', key, token, 'PX', '2000', 'NX'] });
    lines.push({ atUs: atUs + 5_000, client, args: ['get', `page:${i % 50}`] });
    const heldUs = 50_000 + Math.floor(random() * 40_000);
    lines.push({ atUs: atUs + heldUs, client, args: ['eval', UNLOCK, '1', key, token] });
  }
  return lines.sort((a, b) => a.atUs - b.atUs);
}

test('a script that releases a lock names the key and the token of the SET that took it, also in repeats', async () => {
  const model = await modelOf(locking());
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 });
  const slice = synthesis.slice(0, 0, 3 * model.source.spanSeconds);
  const held = new Map<string, string>();
  const names = new Set<string>();
  let [calls, owned, taken] = [0, 0, 0];
  for (let i = 0; i < slice.count; i++) {
    const [command, ...args] = readCommand(slice.bytes, slice.offset[i]!).map((word) => Buffer.from(word).toString());
    if (command === 'set') {
      if (!held.has(args[0]!)) taken++;
      held.set(args[0]!, args[1]!);
    } else if (command === 'evalsha' || command === 'eval') {
      calls++;
      names.add(args[2]!);
      if (held.get(args[2]!) === args[3]) owned++;
      held.delete(args[2]!);
    }
  }
  assert.ok(calls > 1500, `${calls} calls`);
  // The first lock is taken before anything tells that scripts will ask for it.
  assert.ok(owned / calls > 0.98, `${owned} of ${calls} calls found their lock`);
  assert.ok(Math.abs(taken - owned) / calls < 0.02);
  assert.ok(names.size > 3 * 300, 'each time over is about other orders and invoices');
});

test('other commands use the keys that scripts use, under the same names', async () => {
  const random = mulberry32(2);
  const lines: Line[] = [];
  for (let i = 0; i < 900; i++) {
    const queue = `queue:${['mails', 'images', 'reports'][i % 3]}:jobs`;
    const args =
      random() < 0.5 ? ['eval', 'return redis.call("LPUSH", KEYS[1], ARGV[1])', '1', queue, `${i}`] : ['llen', queue];
    lines.push({ atUs: START_US + i * 10_000, client: '10.0.0.1:1000', args });
  }
  const model = await modelOf(lines);
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 });
  const slice = synthesis.slice(0, 0, 3 * model.source.spanSeconds);
  const filled = new Set<string>();
  let [asked, found] = [0, 0];
  for (let i = 0; i < slice.count; i++) {
    const [command, ...args] = readCommand(slice.bytes, slice.offset[i]!).map((word) => Buffer.from(word).toString());
    if (command === 'llen') {
      asked++;
      if (filled.has(args[0]!)) found++;
    } else filled.add(args[2]!);
  }
  assert.ok(filled.size > 3, 'scripts that come again have other queues');
  assert.ok(found / asked > 0.98, `${found} of ${asked} found what scripts had made`);
});

const ADD = `local id = redis.call("INCR", KEYS[1] .. ":id") redis.call("HSET", KEYS[1] .. ":" .. id, "at", ARGV[1])
if id > tonumber(ARGV[2]) then redis.call("DEL", KEYS[1] .. ":" .. id - ARGV[2]) end`;

/** Calls of a script that adds jobs to two queues, which keep the last of them, what a server shows of that, and other commands. */
function adding(keep: number): Line[] {
  return Array.from({ length: 600 }, (_, i): Line[] => {
    const [queue, id] = [`queue:${['mails', 'images'][i % 2]}`, Math.floor(i / 2) + 1];
    const atUs = START_US + i * 10_000;
    const child = (...args: string[]): Line => ({ atUs, client: 'lua', args });
    return [
      { atUs, client: '10.0.0.1:1000', args: ['eval', ADD, '1', queue, `${i}`, `${keep}`] },
      child('INCR', `${queue}:id`),
      child('HSET', `${queue}:${id}`, 'at', `${i}`),
      ...(id > keep ? [child('DEL', `${queue}:${id - keep}`)] : []),
      ...(i % 20 < 2 ? [{ atUs: atUs + 5000, client: '10.0.0.1:1000', args: ['hset', queue, 'paused', '0'] }] : []),
    ];
  }).flat();
}

test('jobs that a queue keeps are as many however often the stretch comes again; only a queue that keeps all has more', async () => {
  for (const [keep, least, most] of [
    [25, 52, 58],
    [100_000, 2900, 3100],
  ] as const) {
    const model = await modelOf(adding(keep));
    const slice = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 }).slice(
      0,
      0,
      5 * model.source.spanSeconds,
    );
    const ids = new Map<string, number>();
    const jobs = new Set<string>();
    let [calls, removals] = [0, 0];
    for (let i = 0; i < slice.count; i++) {
      const [command, ...args] = readCommand(slice.bytes, slice.offset[i]!).map((word) => Buffer.from(word).toString());
      if (command === 'unlink') {
        removals++;
        for (const name of args) jobs.delete(name);
        continue;
      }
      if (command === 'hset') {
        jobs.add(args[0]!);
        continue;
      }
      calls++;
      const [, , queue, , kept] = args as [string, string, string, string, string];
      const id = (ids.get(queue) ?? 0) + 1;
      ids.set(queue, id);
      jobs.add(`${queue}:${id}`);
      jobs.delete(`${queue}:${id - Number(kept)}`);
    }
    assert.ok(Math.abs(calls - 3000) <= 30, `${calls} calls`);
    assert.ok(jobs.size >= least && jobs.size <= most, `${jobs.size} of ${keep}`);
    assert.ok(removals <= calls / 100, `${removals} removals`);
  }
});

test('parts of a capture leave what they left together, one behind the other or side by side', async () => {
  const lines = adding(100_000);
  const middle = lines.findIndex(({ atUs }) => atUs >= START_US + 300 * 10_000);
  const parts = [await modelOf(lines.slice(0, middle)), await modelOf(lines.slice(middle))];
  const { left } = mergeModels(parts).stretch;
  // Queues have a counter each, in both parts: words are disguised for each on its own.
  assert.deepEqual([left!.keys.length, left!.counts], [604, [152, 302, 604]]);
  const beside = lines.map((line) => ({ ...line, atUs: line.atUs + 1 }));
  const both = mergeModels([await modelOf(lines), await modelOf(beside)]).stretch.left!;
  assert.deepEqual([both.keys.length, both.counts], [1204, [304, 604, 1204]]);
});

test('locks in hash tags are released, and what shares their tags goes on sharing them', async () => {
  const lines = locking().map(({ args, ...line }): Line => {
    const named = args.map((arg) => String(arg).replace(/^lock:(order|invoice):(\d+)$/, '{$1:$2}:lock'));
    return { ...line, args: named };
  });
  // Whoever takes the lock of an order also reads both what is in its cart and what it costs.
  const others = lines.flatMap(({ atUs, client, args }): Line[] => {
    const tag = args[0] === 'set' ? /^\{order:\d+\}/.exec(String(args[1]))?.[0] : undefined;
    return tag ? [{ atUs: atUs + 2_000, client: client!, args: ['mget', `${tag}:cart`, `${tag}:price`] }] : [];
  });
  const model = await modelOf([...lines, ...others].sort((a, b) => a.atUs - b.atUs));
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 });
  const slice = synthesis.slice(0, 0, 2 * model.source.spanSeconds);
  const held = new Map<string, string>();
  const locked = new Set<string>();
  const tagOf = (key: string) => /^\{([^}]+)\}/.exec(key)![1]!;
  let [calls, owned, reads, ofLocked] = [0, 0, 0, 0];
  for (let i = 0; i < slice.count; i++) {
    const [command, ...args] = readCommand(slice.bytes, slice.offset[i]!).map((word) => Buffer.from(word).toString());
    if (command === 'set') {
      held.set(args[0]!, args[1]!);
      locked.add(tagOf(args[0]!));
    } else if (command === 'mget') {
      reads++;
      assert.equal(tagOf(args[0]!), tagOf(args[1]!));
      if (locked.has(tagOf(args[0]!))) ofLocked++;
    } else if (command!.startsWith('eval')) {
      calls++;
      if (held.get(args[2]!) === args[3]) owned++;
      held.delete(args[2]!);
    }
  }
  assert.ok(calls > 1000, `${calls} calls`);
  assert.ok(owned / calls > 0.98, `${owned} of ${calls} calls found their lock`);
  assert.ok(ofLocked / reads > 0.9, `${ofLocked} of ${reads} carts are of orders that have a lock`);
});

test('a job that is due after a delay is taken when it is due, as often as jobs came', async () => {
  const random = mulberry32(4);
  const lines: Line[] = [];
  let atUs = START_US;
  for (let job = 1000; job < 1200; job++) {
    atUs += -Math.log(1 - random()) * 50_000;
    const client = `10.0.0.1:${1000 + (job % 4)}`;
    const call = (args: string[]) => ['eval', 'return redis.call("EXISTS", KEYS[1])', '1', `job:${job}`, ...args];
    lines.push({ atUs, client, args: call(['1']) });
    lines.push({ atUs: atUs + 400_000, client: '10.0.0.2:2000', args: call(['2']) });
    // What the same clients do besides must not decide when jobs are due.
    for (const other of [client, '10.0.0.2:2000'])
      lines.push({ atUs: atUs + random() * 50_000, client: other, args: ['get', `page:${job % 20}`] });
  }
  const model = await modelOf(lines.sort((a, b) => a.atUs - b.atUs));
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 });
  const slice = synthesis.slice(0, 0, 2 * model.source.spanSeconds);
  const added = new Map<string, number>();
  const waits: number[] = [];
  for (let i = 0; i < slice.count; i++) {
    const [, , , job, what] = readCommand(slice.bytes, slice.offset[i]!).map((word) => Buffer.from(word).toString());
    if (what === '1') added.set(job!, slice.intendedUs[i]!);
    else if (what === '2') waits.push(slice.intendedUs[i]! - added.get(job!)!);
  }
  assert.ok(added.size > 350 && waits.length > 350, `${added.size} jobs, ${waits.length} taken`);
  assert.ok(
    waits.every((waitUs) => Math.abs(waitUs - 400_000) < 20_000),
    `${Math.min(...waits)} to ${Math.max(...waits)} µs`,
  );
});

test('calls of a capture that is one moment come with the arrivals', async () => {
  const call = (key: string): Line => ({
    ...{ atUs: START_US, client: '10.0.0.1:1000' },
    args: ['eval', 'return redis.call("EXISTS", KEYS[1])', '1', key],
  });
  const synthesis = new Synthesis(await modelOf([call('a'), call('b')]), { seed: '1', epochSeconds: 0, rate: 10 });
  const { count } = synthesis.slice(0, 0, 10);
  assert.ok(count > 80 && count < 120, `${count} calls`);
});
