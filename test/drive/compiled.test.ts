/** What V8 has compiled of the generator outlives the collection before each slice: nothing is compiled anew while ops are timed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Driver } from '../../src/drive/driver.ts';
import type { Pacing } from '../../src/drive/thread/pacer.ts';
import { startFakeServer } from '../support/fake-server.ts';
import { sliceOf } from '../support/slice.ts';

const CONNECTIONS = 10;
/** Of a second: enough that all that matters is compiled in the first slices. */
const OPS = 15_000;

/** In a process of its own, which this file is as well. */
async function driveSlices(pacing: Pacing): Promise<void> {
  await using server = await startFakeServer({ delayMs: 0 });
  const address = { host: '127.0.0.1', port: server.port };
  const plan = {
    labels: [{ family: 'k', command: 'get' }],
    connections: Array.from({ length: CONNECTIONS }, () => ({ db: 0 })),
  };
  await using driver = await Driver.open(address, plan, { client: 'raw', workers: 1, pacing });
  const ops = Array.from({ length: OPS }, (_, i) => ({
    args: ['GET', 'k'],
    atUs: (i * 1e6) / OPS,
    connection: i % CONNECTIONS,
  }));
  for (let slice = 0; slice < 4; slice++) {
    console.log('slice', slice);
    await driver.run(sliceOf(ops));
  }
}

/** The generator's own functions that run for each op, whichever way it waits. */
const HOT =
  /<SharedFunctionInfo (#turn|nap|step|#flush|acquire|send|#write|release|nowUs|feed|record|#over|onProgress)>/;

const [, self, pacingOfChild] = process.argv;
if (pacingOfChild) await driveSlices(pacingOfChild as Pacing);
else {
  for (const pacing of ['split', 'nap']) {
    test(`code outlives the collection before a slice: ${pacing}`, async () => {
      const command = ['--trace-opt', '--trace-deopt', self!, pacing];
      const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 1 << 26 });
      // Another thread's line may be half written when this one begins.
      const slices = stdout.split(/slice \d\n/);
      assert.equal(slices.length, 5);
      // V8 still says so in these words.
      assert.match(slices[1]!, /completed optimizing .*JSFunction (step|#flush)/);
      const forgotten = slices.slice(2).flatMap((slice) => slice.match(/^.*embedded weak objects cleared.*$/gm) ?? []);
      assert.deepEqual(
        forgotten.filter((line) => HOT.test(line)),
        [],
      );
    });
  }
}
