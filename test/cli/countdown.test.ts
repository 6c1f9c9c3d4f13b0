/** The time that is left of a run: exact where everything goes as planned, learnt where it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Countdown } from '../../src/cli/countdown.ts';

const ROUNDS = 3;
const LOAD_SECONDS = 14;
const planned = () => LOAD_SECONDS;

/** One round from `startSeconds`: `setUpSeconds` of preparation, then warm-ups and slices as planned. */
function play(countdown: Countdown, round: number, startSeconds: number, setUpSeconds: number): number {
  countdown.begin(round, 0, startSeconds * 1000);
  let at = startSeconds + setUpSeconds;
  for (const load of [1, 1, 3, 3, 3, 3]) {
    countdown.begin(round, load, at * 1000);
    at += load;
  }
  return at;
}

test('after one round, the others take as long; it counts down second by second', () => {
  const countdown = new Countdown(ROUNDS, planned, 0);
  const end = play(countdown, 0, 0, 6);
  countdown.begin(1, 0, end * 1000);
  for (const second of [0, 1, 5]) {
    assert.equal(Math.round(countdown.at((end + second) * 1000).leftSeconds), 2 * (LOAD_SECONDS + 6) - second);
  }
});

test('a stage that takes longer than planned stops the clock, and does not turn it back', () => {
  const countdown = new Countdown(ROUNDS, planned, 0);
  let before = Number.POSITIVE_INFINITY;
  const end = play(countdown, 0, 0, 2);
  for (let late = 0; late < 5; late++) {
    const { leftSeconds } = countdown.at((end + late) * 1000);
    // In the first round nothing else is known: later ones will be as late.
    assert.ok(leftSeconds >= 2 * LOAD_SECONDS);
    if (late === 0) before = leftSeconds;
    else assert.ok(leftSeconds >= before);
  }
});

test('a resumed run counts its own rounds only', () => {
  const countdown = new Countdown(ROUNDS, planned, 0);
  const end = play(countdown, 1, 0, 4);
  countdown.begin(2, 0, end * 1000);
  assert.equal(Math.round(countdown.at(end * 1000).leftSeconds), LOAD_SECONDS + 4);
});

test('it never falls below zero', () => {
  const countdown = new Countdown(1, planned, 0);
  const end = play(countdown, 0, 0, 2);
  assert.equal(countdown.at((end + 100) * 1000).leftSeconds, 0);
});

test('what only the first rounds have is counted from the beginning, and no more when it is over', () => {
  // Two of three rounds end in a memory protocol of 50 s, 45 of them planned.
  const countdown = new Countdown(ROUNDS, (round) => LOAD_SECONDS + (round < 2 ? 45 : 0), 0);
  countdown.begin(0, 0, 0);
  assert.equal(countdown.at(0).leftSeconds, 3 * (LOAD_SECONDS + 2) + 2 * 45);
  let end = 0;
  for (const round of [0, 1]) {
    end = play(countdown, round, end, 1);
    countdown.begin(round, 0, end * 1000);
    for (const idle of [0, 1, 2]) countdown.begin(round, 15, (end + 5 + 15 * idle) * 1000);
    end += 50;
    countdown.begin(round + 1, 0, end * 1000);
    // 1 s of preparation and 5 s of the protocol were learnt in each.
    const left = (2 - round) * (LOAD_SECONDS + 6) + (1 - round) * 45;
    assert.equal(Math.round(countdown.at(end * 1000).leftSeconds), left);
  }
});
