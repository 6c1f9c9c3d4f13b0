/** Two clients and two servers: what is planted in one step of the migration is found in that step and not in the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import type { LatencyOf } from '../../src/compare/evidence.ts';
import { judge } from '../../src/compare/judge.ts';
import { ARMS } from '../../src/measure/rehearsal.ts';
import { rehearse } from '../support/rehearsal.ts';

const budget = parseBudget('apiVersion: cutover/budget@1\n', 'default');
const CLIENTS = ['ioredis', 'iovalkey'];

/** Response times of a client and a server are the product of two factors; clients take turns as a run has them. */
function twoByTwo(clientFactor: number, serverFactor: number) {
  const made = [1, clientFactor].map((factor) =>
    rehearse((_, arm) => ({ serviceUs: 400 * factor * (arm === 'candidate' ? serverFactor : 1), lagUs: 0 })),
  );
  const { rehearsal } = made[0]!;
  for (const { arms, index } of rehearsal.rounds)
    for (const arm of ARMS) for (const slice of arms[arm].slices) slice.client = CLIENTS[(slice.pair + index) % 2]!;
  const latencyOf: LatencyOf = (round, arm, slice) => {
    const { client } = rehearsal.rounds[round]!.arms[arm].slices[slice]!;
    return made[CLIENTS.indexOf(client!)]!.latencyOf(round, arm, slice);
  };
  return judge(rehearsal, latencyOf, budget, 'x').caveats.find(({ id }) => id === 'client-effect')!;
}

const close = (value: number | undefined, expected: number) =>
  assert.ok(Math.abs(value! - expected) < 0.02, `${value}, planted ${expected}`);

test('a faster client is the client’s doing', () => {
  const { numbers, message } = twoByTwo(0.8, 1);
  close(numbers!['P50 client'], -0.2);
  close(numbers!['P99 client'], -0.2);
  close(numbers!['P99 server with ioredis'], 0);
  close(numbers!['P99 server with iovalkey'], 0);
  assert.match(message, /P50: ioredis → iovalkey −20 % \[/);
});

test('a slower server is the server’s doing, with either client', () => {
  const { numbers } = twoByTwo(1, 1.3);
  close(numbers!['P50 client'], 0);
  close(numbers!['P50 server with ioredis'], 0.3);
  close(numbers!['P50 server with iovalkey'], 0.3);
});

test('a run with one client says nothing of it', () => {
  const { rehearsal, latencyOf } = rehearse(() => ({}));
  assert.ok(judge(rehearsal, latencyOf, budget, 'x').caveats.every(({ id }) => id !== 'client-effect'));
});
