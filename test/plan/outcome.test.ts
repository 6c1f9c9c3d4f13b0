/** What a server did in a rehearsal, beside what the captured one did: rows from counts made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addServerCounts, countsSince, serverCounts } from '../../src/capture/server-counts.ts';
import type { Model } from '../../src/model/model.ts';
import { fidelityCaveats } from '../../src/plan/fidelity/fidelity.ts';
import { type Done, outcomeOf } from '../../src/plan/fidelity/outcome.ts';

type Counted = NonNullable<Model['counted']>;
const CALLS = { get: 9000, incr: 500, evalsha: 500 };

function rowsOf(counted: Counted | undefined, done: Partial<Done>) {
  const model = {
    commands: { get: { count: 9000 }, incr: { count: 500 }, evalsha: { count: 500 } },
    scriptCommands: {},
    transactions: { committed: 0, empty: 0 },
    counted,
  } as unknown as Model;
  const rows = outcomeOf(model, { calls: CALLS, hits: 0, misses: 0, committed: 0, aborted: 0, ...done });
  return Object.fromEntries(
    rows.slice(1).map(({ metric, ...row }) => [metric.replace(/ (errors|calls)? ?per.*/, ''), row]),
  );
}
const missedOf = (rows: ReturnType<typeof rowsOf>) =>
  Object.keys(rows).filter((metric) => rows[metric]!.value > rows[metric]!.target);

test('errors are counted by word and by call, between two readings', () => {
  const before = serverCounts(
    { cmdstat_get: 'calls=5,usec=9,rejected_calls=0,failed_calls=1' },
    { errorstat_WRONGTYPE: 'count=1' },
  );
  const stats = {
    cmdstat_get: 'calls=8,usec=9,usec_per_call=1.10,rejected_calls=7,failed_calls=3',
    'cmdstat_xgroup|create': 'calls=2,usec=1,rejected_calls=0,failed_calls=1',
    'cmdstat_xgroup|destroy': 'calls=1,usec=1,rejected_calls=0,failed_calls=0',
  };
  const after = serverCounts(stats, {
    errorstat_WRONGTYPE: 'count=3',
    errorstat_BUSYGROUP: 'count=1',
    errorstat_u7: 'count=2',
  });
  const counts = countsSince(before, after)!;
  assert.deepEqual(counts, {
    calls: { get: 3, xgroup: 3 },
    failed: { get: 2, xgroup: 1 },
    // What a script makes up may name somebody.
    errors: { WRONGTYPE: 2, BUSYGROUP: 1, '(other)': 2 },
  });
  assert.deepEqual(addServerCounts([counts, counts]).errors, { WRONGTYPE: 4, BUSYGROUP: 2, '(other)': 4 });
  assert.equal(countsSince(after, before), undefined, 'counters were reset');
  assert.equal(serverCounts(stats).errors, undefined, 'nobody asked');
  assert.equal(serverCounts({ cmdstat_get: 'calls=5,usec=9' }, {}).errors, undefined, 'before Redis 6.2');
  assert.equal(serverCounts(stats, { errorstat_ERRORSTATS_OVERFLOW: 'count=8' }).errors, undefined, 'too many words');
  assert.equal(addServerCounts([counts, { calls: {}, failed: {} }]).errors, undefined, 'one of them does not tell');
});

test('failed calls and errors by word stand beside the captured ones', () => {
  const captured: Counted = {
    calls: CALLS,
    failed: { get: 200, evalsha: 103 },
    // Set-up that a server does not know is ERR, too; and scripts are loaded before a round.
    errors: { WRONGTYPE: 200, QUOTA: 100, NOSCRIPT: 3, ERR: 4000, NOAUTH: 900 },
  };
  const same = rowsOf(captured, { failed: { get: 200, evalsha: 100 }, errors: { WRONGTYPE: 200, QUOTA: 100 } });
  assert.deepEqual(Object.keys(same), ['failed', 'failed script', 'WRONGTYPE', 'QUOTA']);
  assert.deepEqual([same.failed!.captured, same.failed!.replayed, same.failed!.value], [30, 30, 0]);
  assert.deepEqual([same['failed script']!.captured, same['failed script']!.value], [200, 0]);
  assert.deepEqual([same.WRONGTYPE!.captured, same.QUOTA!.replayed], [20, 10]);

  const fewer = rowsOf(captured, { failed: { get: 200 }, errors: { WRONGTYPE: 200, OOM: 1 } });
  assert.deepEqual(missedOf(fewer), ['failed script', 'QUOTA'], 'an error that is gone');
  assert.equal(fewer.OOM!.captured, 0);
  const more = rowsOf(captured, {
    failed: { get: 200, evalsha: 100 },
    errors: { WRONGTYPE: 200, QUOTA: 100, OOM: 300 },
  });
  assert.deepEqual(missedOf(more), ['OOM'], 'an error that is new');
});

test('what chance does to few errors is no difference', () => {
  const captured: Counted = { calls: CALLS, failed: { get: 10 }, errors: { WRONGTYPE: 10 } };
  const few = { calls: { get: 900, incr: 50, evalsha: 50 } };
  assert.deepEqual(missedOf(rowsOf(captured, { ...few, failed: {}, errors: {} })), []);
  assert.deepEqual(missedOf(rowsOf(captured, { ...few, failed: { get: 5 }, errors: { WRONGTYPE: 5 } })), [], 'a burst');
  assert.deepEqual(missedOf(rowsOf(captured, { ...few, failed: { get: 50 }, errors: { WRONGTYPE: 50 } })), [
    'failed',
    'WRONGTYPE',
  ]);
  const million = { calls: { get: 1e6 }, failed: { get: 1000 } };
  assert.deepEqual(missedOf(rowsOf(million, { ...million, failed: { get: 1900 } })), [], 'hardly any more');
  assert.deepEqual(missedOf(rowsOf(million, { ...million, failed: { get: 2100 } })), ['failed']);
});

test('only what both servers counted is compared', () => {
  const failed = { get: 20 };
  assert.deepEqual(Object.keys(rowsOf(undefined, { failed, errors: {} })), []);
  assert.deepEqual(Object.keys(rowsOf({ calls: CALLS, failed, errors: {} }, {})), []);
  assert.deepEqual(Object.keys(rowsOf({ calls: CALLS, failed }, { failed, errors: { OOM: 5 } })), [
    'failed',
    'failed script',
  ]);
});

test('a caveat says both figures, and that refused commands are not in a capture', () => {
  const row = { aspect: 'candidate', metric: 'OOM errors per 1,000 calls', value: 8, target: 1 };
  const [caveat] = fidelityCaveats([{ ...row, captured: 8, replayed: 0 }]);
  assert.match(caveat!.message, /OOM errors per 1,000 calls: captured 8\.000, candidate 0\.000 \(target: 1 apart\)/);
  assert.match(caveat!.advice, /refused before they ran/);
  const [other] = fidelityCaveats([{ ...row, captured: 0, replayed: 8 }]);
  assert.doesNotMatch(other!.advice, /refused/);
});
