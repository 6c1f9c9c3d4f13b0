/** When units arrive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mulberry32 } from '../../src/model/random.ts';
import { ArrivalProcess } from '../../src/plan/synthesis/arrivals.ts';

test('a bin has its arrivals though the process is silent for longer than that', () => {
  // A burst a day, of which the rate curve knows better.
  const process = new ArrivalProcess(
    10,
    { binSeconds: 1, factors: [1, 1] },
    { kind: 'switching', factors: [100, 0], endsPerSecond: [1e-3, 1e-5] },
    mulberry32(1),
  );
  let before = 0;
  for (let i = 0; i < 200; i++) {
    assert.ok(process.nextSeconds >= before);
    before = process.nextSeconds;
    process.advance();
  }
  assert.ok(before > 18 && before < 22, `200 arrivals at 10 a second take ${before} s`);
});
