/** Workloads longer than their capture: what was done with begins anew, what expires is followed by others. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { readCommand } from '../../src/plan/planned-ops.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';
import { lookupsOf } from '../support/lookups.ts';
import { type Line, modelOf, zipfRanks } from '../support/workload.ts';

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

test('of ten times the length, there are about as many keys as such a workload has then', async () => {
  const [part, times] = [3000, 10];
  const ranks = zipfRanks(1, 100_000, part * times, 7);
  const lines = Array.from({ length: part }, (_, i): Line[] => {
    const atUs = 1_700_000_000e6 + 10_000 * i;
    const once = { atUs: atUs + 4000, client: '10.0.0.2:2000', args: ['set', `order:${100_000 + i}`, 'x'] };
    const page = `page:${1000 + ranks[i]!}`;
    const fill = ranks.indexOf(ranks[i]!) === i ? [{ atUs: atUs + 1000, args: ['set', page, 'x'] }] : [];
    return [{ atUs, args: ['get', page] }, ...fill, ...(i % 3 === 0 ? [once] : [])];
  });
  const model = await modelOf(lines.flat());
  const synthesis = new Synthesis(model, { seed: '1', epochSeconds: 1_700_000_000 });
  const slice = synthesis.slice(0, 0, times * model.source.spanSeconds);
  const keys = { page: new Set<string>(), order: new Set<string>() };
  for (let i = 0; i < slice.count; i++) {
    const key = Buffer.from(readCommand(slice.bytes, slice.offset[i]!)[1]!).toString();
    keys[key.startsWith('page') ? 'page' : 'order'].add(key);
  }
  const share = keys.page.size / new Set(ranks).size;
  assert.ok(Math.abs(share - 1) < 0.15, `${keys.page.size} pages, ${share.toFixed(2)} of the truth`);
  assert.ok(Math.abs(keys.order.size / ((part / 3) * times) - 1) < 0.1, `${keys.order.size} orders, each another one`);
});
