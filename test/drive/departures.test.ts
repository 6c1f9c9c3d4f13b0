/** Which connections the sending half asks again, and when: one that is down costs nothing until it stands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Departures, type Exit } from '../../src/drive/thread/departures.ts';
import { opsByConnection } from '../../src/drive/thread/lane-ops.ts';
import { createLaneTable } from '../../src/drive/thread/lane-table.ts';
import { sliceOf } from '../support/slice.ts';

/** Three ops on connection 0, two on connection 1, a millisecond apart; `access` says what connection 0 answers. */
function departing(polls: boolean) {
  const slice = sliceOf([0, 1, 0, 1, 0].map((connection, i) => ({ args: ['GET', 'k'], connection, atUs: i * 1000 })));
  const table = createLaneTable(2);
  const times = {
    ...{ sentUs: new Float64Array(5).fill(Number.NaN), repliedUs: new Float64Array(5).fill(Number.NaN) },
    ...{ status: new Uint8Array(5), errorId: new Uint8Array(5), down: new Uint8Array(2) },
  };
  const own = opsByConnection(slice, 2, () => true);
  const state = { access: 'down' as ReturnType<Exit['acquire']>, asked: 0, sent: [] as [number, number, number][] };
  const exit: Exit = {
    polls,
    acquire(connection) {
      if (connection === 0) state.asked++;
      return connection === 0 ? state.access : 'granted';
    },
    send: (...ops) => state.sent.push(ops),
    release: () => true,
  };
  const departures = new Departures({ slice, times, table, own, inFlightCap: 100 }, exit);
  return { departures, state, table };
}

for (const polls of [true, false]) {
  test(`a connection that is down is not asked again until it may stand, and then sends all that was due (${polls ? 'a sender' : 'the event loop'})`, () => {
    const { departures, state, table } = departing(polls);
    for (let us = 0; us <= 10_000; us += 100) departures.step(us);
    assert.equal(state.asked, 1);
    assert.deepEqual([departures.polling, departures.awaitsConnection, departures.nextDueUs], [false, true, Infinity]);
    assert.equal(table.sent[1], 2, 'the other connection does not wait for it');

    // Something rang, though this one is still down.
    departures.retryDown();
    departures.step(11_000);
    assert.deepEqual([state.asked, departures.awaitsConnection], [2, true]);

    state.access = 'granted';
    departures.retryDown();
    departures.step(12_000);
    assert.deepEqual(state.sent.at(-1), [0, 0, 3]);
    assert.deepEqual([departures.polling, departures.awaitsConnection], [false, false]);
  });
}

test('a connection that is busy is asked at each step', () => {
  const { departures, state } = departing(true);
  state.access = 'busy';
  for (let us = 0; us < 1000; us += 100) departures.step(us);
  assert.deepEqual([state.asked, departures.polling, departures.awaitsConnection], [10, true, false]);
  state.access = 'granted';
  departures.step(1000);
  assert.deepEqual(state.sent[0], [0, 0, 1]);
  assert.equal(departures.polling, false);
});
