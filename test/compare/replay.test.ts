/** What the arms did differently beside latency, on rounds made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replayCaveats } from '../../src/compare/replay.ts';
import type { Arm, Round, SliceResult } from '../../src/measure/rehearsal.ts';

type Counts = Pick<SliceResult, 'messages' | 'transactions' | 'walks'>;
const roundOf = (slices: Record<Arm, Counts>) =>
  ({
    arms: { baseline: { slices: [slices.baseline] }, candidate: { slices: [slices.candidate] } },
  }) as unknown as Round;
const messages = (received: number, refused = 0, interrupted = 0) => ({
  messages: { subscribers: 2, received, refused, interrupted },
});
const transactions = (committed: number, aborted: number) => ({ transactions: { committed, aborted } });
const idsOf = (baseline: Counts, candidate: Counts) =>
  replayCaveats([roundOf({ baseline, candidate })]).map(({ id }) => id);

test('messages that only one arm delivered are said, with the cuts that may explain them', () => {
  assert.deepEqual(idsOf(messages(100), messages(100)), []);
  assert.deepEqual(idsOf({}, {}), []);
  const [caveat] = replayCaveats([roundOf({ baseline: messages(1000), candidate: messages(998, 0, 1) })]);
  assert.equal(caveat!.id, 'messages-differ');
  assert.deepEqual(caveat!.numbers, { baseline: 1000, candidate: 998, interrupted: 1 });
  assert.match(`${caveat!.message} ${caveat!.advice}`, /1,000 .*998 .*cut 1 time/);
  assert.deepEqual(idsOf(messages(10, 1), messages(10, 1)), ['subscriptions-refused']);
});

test('aborts are said where the shares differ by more than chance', () => {
  assert.deepEqual(idsOf(transactions(900, 100), transactions(600, 400)), ['aborts-differ']);
  assert.deepEqual(idsOf(transactions(999_000, 1000), transactions(981_000, 19_000)), ['aborts-differ'], 'rare');
  assert.deepEqual(idsOf(transactions(900, 100), transactions(895, 105)), [], 'too little');
  assert.deepEqual(idsOf(transactions(900_000, 100_000), transactions(880_000, 120_000)), [], 'much the same');
  assert.deepEqual(idsOf(transactions(999_900, 100), transactions(999_100, 900)), [], 'hardly any');
  assert.deepEqual(idsOf(transactions(9990, 10), transactions(9970, 30)), [], 'a burst');
  assert.deepEqual(idsOf(transactions(9, 1), transactions(8, 2)), [], 'chance');
  assert.deepEqual(idsOf(transactions(10, 0), {}), [], 'one arm has none');
});

test('steps of walks that left before their cursor was known are said where they are more than 1 %', () => {
  const walks = (steps: number, ahead: number) => ({ walks: { steps, ahead, ended: 1 } });
  assert.deepEqual(idsOf(walks(1000, 10), walks(1000, 10)), []);
  assert.deepEqual(idsOf(walks(1000, 0), walks(1000, 11)), ['scan-steps-ahead']);
  const [caveat] = replayCaveats([roundOf({ baseline: walks(1000, 300), candidate: walks(1000, 20) })]);
  assert.match(caveat!.message, /1,000 .*300 .*baseline.*1,000 20 .*candidate/);
});
