/** The scorecard is the same, whether this thread or others make it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildHalves, buildModel } from '../../src/model/build.ts';
import { fidelityOf } from '../../src/plan/fidelity/fidelity.ts';
import { fidelityApart } from '../../src/plan/fidelity/fidelity-apart.ts';

test('threads of their own say what one thread says', async () => {
  const capture = join(import.meta.dirname, '../../captures/mixed.monitor.gz');
  const { model } = await buildModel(capture);
  const halves = await buildHalves([capture], model, {});
  const rows = fidelityOf(model, halves);
  assert.ok(rows.some(({ value, naive, noise }) => value !== naive && noise !== undefined));
  assert.deepEqual(await fidelityApart(model, () => halves), rows);
});
