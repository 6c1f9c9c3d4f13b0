/** Workloads longer than their capture: what was done with begins anew, what expires is followed by others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { lookupsOf } from '../support/lookups.ts';

test('sessions are found as often in the tenth time over as in the first', async () => {
  const { model } = await buildModel(join(import.meta.dirname, '../../captures/sessions.monitor.gz'));
  const captured = model.lookups!.hits / (model.lookups!.hits + model.lookups!.misses);
  for (const [times, rate] of [
    [1, 1],
    [10, 1],
    [3, 2],
  ] as const) {
    const options = { seed: '1', epochSeconds: 1_700_000_000, rate: rate * Synthesis.capturedRate(model) };
    const { ratio } = lookupsOf(new Synthesis(model, options), times * model.source.spanSeconds);
    assert.ok(Math.abs(ratio - captured) <= 0.01, `${ratio} of ${captured}, ${times} times over at ${rate}x`);
  }
});
