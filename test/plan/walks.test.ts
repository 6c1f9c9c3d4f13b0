/** Which calls of SCAN and the like are steps of one walk, in captured and in modelled workloads, whole and in shards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { ExactWorkload } from '../../src/plan/exact/exact.ts';
import { OpFlag, type Slice } from '../../src/plan/plan.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { ShardedWorkload } from '../../src/plan/shard.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { continues, UNKNOWN_CURSOR } from '../../src/plan/walks.ts';
import type { Workload } from '../../src/plan/workload.ts';
import { temporaryFile } from '../support/capture.ts';
import { type Line, modelOf, monitorLine } from '../support/workload.ts';

const T0 = 1_700_000_000e6;
const client = (number: number) => `10.0.0.${number}:1000`;

/** One line each millisecond; the number in front of a call's text is its client's. */
function linesOf(calls: string[]): Line[] {
  return calls.map((text, i) => {
    const [number, ...args] = text.split(' ');
    return { atUs: T0 + i * 1000, client: client(Number(number)), args };
  });
}

async function exact(calls: string[]): Promise<ExactWorkload> {
  const lines = linesOf([...calls, '9 ping', '9 get x']);
  const capture = temporaryFile('capture.log', `OK\n${lines.map(monitorLine).join('')}`);
  const { model, captured } = await buildModel(capture, { keepKeys: true });
  const seconds = calls.length / 1000;
  return ExactWorkload.read({ capture, model, captured: captured!, seed: '1', epochSeconds: 1_800_000_000, seconds });
}

/** Each op that belongs to a walk: its walk, whether it begins it, and its text; the cursor of the others stands at `at`. */
function stepsOf(slice: Slice): string[] {
  const { op: ops, walk, at } = slice.walks ?? { op: [], walk: [], at: [] };
  const marked = [...slice.flags].flatMap((flags, op) => (flags & OpFlag.walk ? [op] : []));
  assert.deepEqual([...ops], marked);
  return Array.from(ops, (op, i) => {
    const start = slice.offset[op]! + at[i]!;
    const cursor = Buffer.from(slice.bytes.subarray(start, start + 20)).toString();
    if (at[i] !== 0) assert.equal(cursor, UNKNOWN_CURSOR);
    const args = readCommand(slice.bytes, slice.offset[op]!).map((arg) => Buffer.from(arg).toString());
    return `${walk[i]} ${at[i] === 0 ? 'begins' : 'goes on'}: ${args.join(' ').replace(UNKNOWN_CURSOR, '…')}`;
  });
}

const whole = (workload: Workload, seconds = 1) => workload.slice(0, 0, seconds);

test('calls of one client over the same are one walk, whatever comes between and however COUNT changes', async () => {
  const workload = await exact([
    '1 scan 0 MATCH a* COUNT 10',
    '2 scan 0 MATCH a* COUNT 10',
    '1 scan 17 MATCH a* COUNT 20',
    '1 hscan h 0',
    '1 scan 0 MATCH b*',
    '2 scan 99 MATCH a* COUNT 10',
    '1 hscan h 5',
    '1 hscan other 0',
    '1 scan 4 MATCH b*',
    '1 scan 21 MATCH a* COUNT 20',
    '1 hscan h 0',
  ]);
  assert.deepEqual(stepsOf(whole(workload)), [
    '0 begins: scan 0 MATCH a* COUNT 10',
    '1 begins: scan 0 MATCH a* COUNT 10',
    '0 goes on: scan … MATCH a* COUNT 20',
    '2 begins: hscan h 0',
    '3 begins: scan 0 MATCH b*',
    '1 goes on: scan … MATCH a* COUNT 10',
    '2 goes on: hscan h …',
    '3 goes on: scan … MATCH b*',
    '0 goes on: scan … MATCH a* COUNT 20',
    // Who has walked begins anew.
    '2 begins: hscan h 0',
  ]);
  assert.deepEqual(workload.caveats, []);
});

test('a walk that began before the capture begins where its first step is; one step is no walk', async () => {
  const workload = await exact(['1 sscan s 0', '1 zscan z 77', '1 zscan z 78', '1 sscan t 0 COUNT 3']);
  assert.deepEqual(stepsOf(whole(workload)), ['0 begins: zscan z …', '0 goes on: zscan z …']);
});

test('a walk goes on when a pool changes the connection', async () => {
  const workload = await exact(['1 scan 0', '2 scan 5', '1 scan 6', '2 scan 7']);
  assert.deepEqual(stepsOf(whole(workload)), [
    '0 begins: scan 0',
    '0 goes on: scan …',
    '0 goes on: scan …',
    '0 goes on: scan …',
  ]);
});

test('what is no cursor stays, and so does what is queued', async () => {
  const workload = await exact(['1 scan x1', '1 multi', '1 scan 12', '1 exec', '1 scan', '1 hscan h']);
  const slice = whole(workload);
  assert.equal(slice.walks, undefined);
  assert.match(Buffer.from(slice.bytes).toString(), /x1.*\$2\r\n12\r\n/s);
});

test('windows and shards have their own part of each walk', async () => {
  const calls = Array.from({ length: 40 }, (_, i) => `${1 + (i % 2)} scan ${i < 2 ? 0 : i} COUNT 10`);
  const workload = await exact(calls);
  const [early, late] = [workload.slice(0, 0, 0.02), workload.slice(0, 0.02, 0.02)];
  assert.deepEqual(
    [...stepsOf(early), ...stepsOf(late)],
    calls.map((_, i) => `${i % 2} ${i < 2 ? 'begins: scan 0' : 'goes on: scan …'} COUNT 10`),
  );
  for (const number of [1, 2]) {
    const shard = new ShardedWorkload(workload, { number, count: 2 });
    const steps = stepsOf(whole(shard));
    assert.equal(steps.length, 20);
    assert.equal(new Set(steps.map((step) => step[0])).size, 1);
  }
});

test('modelled: pages of a key are one walk, pages of the keyspace one for each connection', async () => {
  const model = await modelOf(
    linesOf(
      Array.from({ length: 600 }, (_, i) => {
        const cursor = i % 30 < 3 ? 0 : 16 * i;
        return [`1 hscan h:${i % 5} ${cursor}`, `1 scan ${cursor} COUNT 10`, `1 sscan s:${i % 5} 0`][i % 3]!;
      }),
    ),
  );
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_800_000_000 });
  const slice = whole(synthesis, 2);
  const steps = stepsOf(slice);
  assert.ok(steps.length > 300, `${steps.length}`);
  assert.ok(!steps.some((step) => step.includes('sscan')), 'nobody has gone on with SSCAN');
  const walks = new Map<string, string[]>();
  for (const step of steps) {
    const [walk, ...text] = step.split(' ');
    walks.set(walk!, [...(walks.get(walk!) ?? []), text.join(' ')]);
  }
  assert.equal(walks.size, 5 + 1);
  for (const own of walks.values()) {
    assert.match(own[0]!, /^begins/);
    for (const text of own.slice(1)) assert.equal(text, own[0]!.replace('begins', 'goes on'));
  }
  // The next window goes on with the same walks.
  assert.ok(
    stepsOf(synthesis.slice(0, 2, 1)).every((step) => step.includes('goes on') && walks.has(step.split(' ')[0]!)),
  );
  assert.deepEqual(synthesis.caveats, []);
});

test('a position continues where it has been anything but 0', () => {
  assert.equal(continues({ literals: [['0', 8]] }), false);
  assert.equal(
    continues({
      literals: [
        ['0', 8],
        ['96', 1],
      ],
    }),
    true,
  );
  assert.equal(continues({ integers: [[0, 8]] }), false);
  assert.equal(
    continues({
      integers: [
        [0, 8],
        [3, 1],
      ],
    }),
    true,
  );
  assert.equal(continues({ numbers: [[1.8e19, 1]] }), true);
});
