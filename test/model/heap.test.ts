/** A thread that runs out of memory gets more, until the machine has none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { withSmallHeap } from '../../src/model/heap.ts';

/** Some 400 MB of small objects. */
const HUNGRY = `
  const all = [];
  for (let i = 0; i < 8_000_000; i++) all.push({ i });
  require('node:worker_threads').parentPort.postMessage(all.length);`;

async function run(resourceLimits: ResourceLimits): Promise<number> {
  const [count] = await once(new Worker(HUNGRY, { eval: true, resourceLimits }), 'message');
  return count;
}

test('more memory for who needs it', async () => {
  assert.equal(await withSmallHeap('this test', run), 8_000_000);
});

test('no more than the machine has: what to do is said', async () => {
  await assert.rejects(
    withSmallHeap('app.log', run, 512 << 20),
    (error: Error & { code?: string; suggestions?: string[] }) =>
      error.code === 'E_MODEL_MEMORY' && /app\.log/.test(error.message) && /split/.test(error.suggestions![0]!),
  );
});
