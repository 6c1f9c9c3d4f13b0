/** The shipped captures as they are replayed: the same bytes for ever, as cacheable as captured, more so than a benchmark's. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { fidelityOf } from '../../src/plan/fidelity/fidelity.ts';
import { Synthesis } from '../../src/plan/synthesis/synthesize.ts';

/**
 * Preload, connections and two seconds of the first round, from the same seed. A hash changes when synthesis does: say so
 * in the changelog, for old seeds then give other workloads. UPDATE_GOLDEN=1 writes the new hashes into this file.
 */
const GOLDEN = {
  sessions: '2819a61ebc23e4f2992e0c35cbc849f2cb30846ef3ab1d857ed0df6f7ae66842',
  queue: '95c9d4fdda07965094e0211ebb204613fa6632d1a66890e872d63026df5b911f',
  mixed: 'c5440c28356d2dc36ede6012a1c76eedaa1707635df130b40abcaa79bdb1f686',
};
/** Mean error of the hit ratio curve. */
const MAX_ERROR = 0.02;

for (const [name, golden] of Object.entries(GOLDEN)) {
  test(`${name}: the same model and seed give the same bytes, on this machine and on any other`, async () => {
    const { model } = await buildModel(join(import.meta.dirname, `../../captures/${name}.monitor.gz`));
    const digest = () => {
      const { plan, ...synthesis } = synthesized(model);
      const hash = createHash('sha256').update(JSON.stringify(plan.connections));
      for (const { chunks } of plan.preload.databases) for (const chunk of chunks()) hash.update(chunk);
      for (const part of Object.values(synthesis.slice)) if (ArrayBuffer.isView(part)) hash.update(part as Uint8Array);
      return hash.digest('hex');
    };
    assert.equal(digest(), digest());
    if (process.env.UPDATE_GOLDEN) {
      const file = import.meta.filename;
      writeFileSync(file, readFileSync(file, 'utf8').replace(golden, digest()));
    } else assert.equal(digest(), golden, `golden hash of ${name}`);
  });

  test(`${name}: hit ratios are kept, which independent draws of keys and commands do not`, async () => {
    const { model } = await buildModel(join(import.meta.dirname, `../../captures/${name}.monitor.gz`));
    const row = fidelityOf(model).find(({ metric }) => metric === 'hit ratios, mean error')!;
    assert.ok(row.value! <= MAX_ERROR, `${row.value}`);
    // Units know what fills a miss, and independent draws have the same units: caches are hardly worse for those.
    assert.ok(row.naive! > 2.5 * row.value! && row.naive! > 0.015, `naive ${row.naive}, modelled ${row.value}`);
  });
}

function synthesized(model: ConstructorParameters<typeof Synthesis>[0]) {
  const synthesis = new Synthesis(model, { seed: 'golden', epochSeconds: 1_800_000_000 });
  return { plan: synthesis.plan, slice: synthesis.slice(0, 0, 2) };
}
