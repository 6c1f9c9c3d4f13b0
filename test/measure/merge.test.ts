/** Merging: what shards measured, put together, is what one machine would have written down. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRehearsal } from '../../src/measure/folder.ts';
import {
  type LabelledHistograms,
  OpStatus,
  type OpTimes,
  readLatencyLog,
  summarize,
  writeLatencyLog,
} from '../../src/measure/latency-log.ts';
import { mergeShards } from '../../src/measure/merge.ts';
import { ARMS, type Arm, type Rehearsal } from '../../src/measure/rehearsal.ts';
import { rehearse, uniform } from '../support/rehearsal.ts';

const COUNT = 3;
const OPS = 1500;
const LABELS = [
  { family: 'session:{id}', command: 'get' },
  { family: 'session:{id}', command: 'set' },
  { family: '__proto__', command: 'del' },
];

/** Ops of one slice with made-up times: some fail, some are lost, and latencies go over four decades. */
function measured(seed: number) {
  const random = uniform(seed);
  const from = <T extends Uint8Array | Uint16Array | Float64Array>(array: T, of: (op: number) => number): T => {
    for (let op = 0; op < OPS; op++) array[op] = of(op);
    return array;
  };
  const slice = {
    ...{ count: OPS, durationUs: 1e6 },
    intendedUs: from(new Float64Array(OPS), (op) => op * 100),
    connection: from(new Uint16Array(OPS), () => Math.floor(random() * 20)),
    label: from(new Uint16Array(OPS), () => Math.floor(random() * LABELS.length)),
    flags: new Uint8Array(OPS),
  };
  const sentUs = slice.intendedUs.map((us) => us + random() ** 4 * 500);
  const times: OpTimes = {
    sentUs,
    repliedUs: sentUs.map((us) => us + 10 ** (1 + 4 * random())),
    status: from(new Uint8Array(OPS), () => {
      const u = random();
      return u < 0.01 ? OpStatus.error : u < 0.02 ? OpStatus.lost : OpStatus.replied;
    }),
  };
  return { slice, times };
}

/** The ops of the whole that a shard owns. */
function partOf({ slice, times }: ReturnType<typeof measured>, number: number) {
  const own = [...slice.connection.keys()].filter((op) => slice.connection[op]! % COUNT === number - 1);
  return {
    slice: {
      ...{ count: own.length, durationUs: slice.durationUs },
      intendedUs: Float64Array.from(own, (op) => slice.intendedUs[op]!),
      connection: Uint16Array.from(own, (op) => slice.connection[op]!),
      label: Uint16Array.from(own, (op) => slice.label[op]!),
      flags: new Uint8Array(own.length),
    },
    times: {
      sentUs: Float64Array.from(own, (op) => times.sentUs[op]!),
      repliedUs: Float64Array.from(own, (op) => times.repliedUs[op]!),
      status: Uint8Array.from(own, (op) => times.status[op]!),
    },
  };
}

const countsOf = ({ status }: OpTimes) => {
  const count = (value: number) => status.reduce((sum, own) => sum + (own === value ? 1 : 0), 0);
  const errors = count(OpStatus.error);
  return {
    planned: status.length,
    replied: count(OpStatus.replied),
    lost: count(OpStatus.lost),
    errors: errors > 0 ? { OOM: errors } : {},
    errorsByLabel: JSON.parse(`{"__proto__": {"OOM": ${errors}}}`),
  };
};

/** A stored shard, or with number 0 the unsharded run. */
function stored(number: number, change: (rehearsal: Rehearsal) => void = () => {}): StoredRehearsal {
  const { rehearsal } = rehearse(() => ({ ops: 10 }), { rounds: 2 });
  const opsOf = (round: number, arm: Arm, slice: number) => {
    const whole = measured(round * 100 + slice * 10 + ARMS.indexOf(arm));
    return number === 0 ? whole : partOf(whole, number);
  };
  for (const { index, arms } of rehearsal.rounds) {
    for (const arm of ARMS) {
      for (const [i, slice] of arms[arm].slices.entries()) {
        Object.assign(slice, countsOf(opsOf(index, arm, i).times));
        slice.stalls = [{ startUs: 1000 * number, durationUs: 1500, waitUs: 900 + number, lagUs: 5 }];
      }
      if (number > 1) arms[arm].preload = { commands: 0, keys: 0, logicalBytes: 0, seconds: 0, errors: {} };
    }
  }
  if (number > 0) {
    rehearsal.shard = { number, count: COUNT, startAtMs: 1_800_000_000_000, clockOffsetMs: 0, planSha256: 'abc' };
    rehearsal.command += ` --shard ${number}/${COUNT} --shard-gap 3s`;
  }
  change(rehearsal);
  return {
    ...{ path: `folder-${number}`, rehearsal, modelText: 'model', budgetText: 'budget' },
    latencyOf: (round, arm, slice) => {
      const { slice: ops, times } = opsOf(rehearsal.rounds[round]!.index, arm, slice);
      return summarize(ops, times, LABELS);
    },
    timelineOf: () => undefined,
    samplesOf: () => undefined,
  };
}

async function merge(parts: StoredRehearsal[]) {
  const logs = new Map<string, LabelledHistograms[]>();
  const rehearsal = await mergeShards(parts, async (path, text) => void logs.set(path, readLatencyLog(text)));
  return { rehearsal, logs };
}

const text = (entries: LabelledHistograms[]) =>
  entries
    .map(({ family, command, lag, service, response }) =>
      [family, command, lag.encode(), service.encode(), response.encode()].join(' '),
    )
    .sort();

test('shards merged equal the unsharded run: ops, counts, labels, and every bucket of every histogram', async () => {
  const whole = stored(0);
  const { rehearsal, logs } = await merge([stored(3), stored(1), stored(2)]);
  assert.equal(rehearsal.rounds.length, 2);
  for (const [r, { arms, invalid }] of rehearsal.rounds.entries()) {
    assert.equal(invalid, undefined);
    for (const arm of ARMS) {
      const { slices, preload, memory } = whole.rehearsal.rounds[r]!.arms[arm];
      assert.deepEqual([arms[arm].preload, arms[arm].memory], [preload, memory]);
      for (const [s, { planned, replied, lost, errors, errorsByLabel, log, generator }] of arms[arm].slices.entries()) {
        const one = slices[s]!;
        assert.deepEqual([planned, replied, lost, errors], [one.planned, one.replied, one.lost, one.errors]);
        assert.deepEqual(Object.entries(errorsByLabel), Object.entries(one.errorsByLabel));
        assert.equal(planned, OPS);
        assert.deepEqual(text(logs.get(log)!), text(readLatencyLog(writeLatencyLog(whole.latencyOf(r, arm, s), one))));
        assert.equal(generator.plannedRate, COUNT * one.generator.plannedRate);
        assert.ok(generator.lagUs.p99 > 0 && generator.lagUs.max <= 500);
      }
    }
  }
  assert.ok(!('shard' in rehearsal));
  assert.doesNotMatch(rehearsal.command, /shard/);
  assert.equal(rehearsal.settings.workers, COUNT);
  assert.equal(rehearsal.finishedAt, whole.rehearsal.finishedAt);
  assert.equal(rehearsal.caveats[0]!.id, 'merged-shards');
});

test('a stall that several shards saw is one', async () => {
  const { rehearsal } = await merge([stored(1), stored(2), stored(3)]);
  assert.deepEqual(rehearsal.rounds[0]!.arms.baseline.slices[0]!.stalls, [
    { startUs: 1000, durationUs: 3500, waitUs: 903, lagUs: 5 },
  ]);
});

test('what is missing, double or different is named', async () => {
  const refused = (parts: StoredRehearsal[], message: RegExp) =>
    assert.rejects(mergeShards(parts, assert.fail), { code: 'E_NOT_MERGEABLE', message });
  await refused([stored(1), stored(3)], /Of 3 shards, 2 is missing/);
  await refused([stored(2)], /Of 3 shards, 1, 3 are missing/);
  await refused([stored(1), stored(2), stored(2), stored(3)], /Shard 2 of 3 is there twice: folder-2 and folder-2/);
  await refused([stored(1), stored(0)], /folder-0 is no part/);
  const other = (change: (rehearsal: Rehearsal) => void) => [stored(1), stored(2), stored(3, change)];
  const changes: [(rehearsal: Rehearsal) => unknown, RegExp][] = [
    [(r) => (r.shard!.count = 4), /one of 3 shards, folder-3 one of 4/],
    [(r) => (r.seed = '2'), /the seed differs \(1, 2\)/],
    [(r) => (r.settings.rate = 5), /the setting rate differs \(4000, 5\)/],
    [(r) => (r.settings.slicePairs = 1), /the setting slicePairs differs/],
    [(r) => (r.shard!.planSha256 = 'def'), /the plan \(mode, keys or epoch\) differs/],
    [(r) => (r.shard!.startAtMs += 60_000), /the start differs \(2027-01-15T08:00:00.000Z, 2027-01-15T08:01:00.000Z\)/],
    [(r) => (r.budgetSha256 = 'x'), /the budget differs/],
    [(r) => (r.client = 'ioredis'), /the client differs/],
    [(r) => (r.cutover = '9'), /the version of cutover differs/],
    [
      (r) => (r.arms.candidate.spec = 'valkey://\u001b[31mother'),
      /the candidate differs \(process:valkey-server, valkey:[ -~]*\)/,
    ],
    [(r) => (r.arms.baseline.version = '7.2.4'), /the baseline's version differs/],
  ];
  for (const [change, message] of changes) await refused(other(change), message);
  await refused([stored(1), stored(2), { ...stored(3), modelText: 'another' }], /the model differs/);
  await refused(
    other((r) => {
      r.seed = '2';
      r.client = 'ioredis';
    }),
    /the seed differs .*; the client differs/,
  );
});

test('rounds that the shards did not drive together are of no use, and say so', async () => {
  const invalidOf = async (change: (rehearsal: Rehearsal) => void) => {
    const { rehearsal } = await merge([stored(1), stored(2, change), stored(3)]);
    return rehearsal.rounds.map(({ invalid }) => invalid);
  };
  const late = (ms: number) => (r: Rehearsal) => {
    r.rounds[1]!.arms.candidate.slices[0]!.startedAtMs += ms;
  };
  assert.deepEqual(await invalidOf(late(50)), [undefined, undefined]);
  assert.match((await invalidOf(late(900)))[1]!, /began slice \d as much as 900 ms apart/);
  // A clock that is wrong is no shard that is late.
  const skewed = await invalidOf((r) => {
    r.shard!.clockOffsetMs = -5000;
    for (const { arms } of r.rounds)
      for (const arm of ARMS) for (const slice of arms[arm].slices) slice.startedAtMs += 5000;
  });
  assert.deepEqual(skewed, [undefined, undefined]);
  assert.match((await invalidOf((r) => (r.rounds[0]!.invalid = 'late')))[0]!, /^shard 2: late$/);
  assert.match((await invalidOf((r) => (r.rounds[0]!.arms.baseline.slices[1]!.seed = 'x')))[0]!, /sent other seconds/);
});

test('a shard that stopped early leaves the rounds that all have, and that is said', async () => {
  const { rehearsal } = await merge([
    stored(1),
    stored(2, (r) => {
      r.rounds.pop();
      r.stopped = { reason: 'server-died', message: 'the candidate died' };
      delete r.finishedAt;
    }),
    stored(3),
  ]);
  assert.deepEqual(
    rehearsal.rounds.map(({ index }) => index),
    [0],
  );
  assert.deepEqual(rehearsal.stopped, { reason: 'server-died', message: 'shard 2: the candidate died' });
  assert.equal(rehearsal.finishedAt, undefined);
});
