/** What the server's clock makes different of a workload that is faster or slower than its capture is said in every mode. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildModel } from '../../src/model/build.ts';
import { fidelityCaveats } from '../../src/plan/fidelity/fidelity.ts';
import { isWholeCapture } from '../../src/plan/length.ts';
import { capturedRateOf, openWorkload } from '../../src/plan/mode.ts';

const source = join(import.meta.dirname, '../../captures/queue.monitor.gz');

test('expiries last as long at any rate, those that scripts set too: every mode says so', async () => {
  const { model, captured } = await buildModel(source, { keepKeys: true });
  for (const mode of ['modelled', 'exact'] as const) {
    const caveatOf = async (speed: number) => {
      const { caveats } = await openWorkload({
        ...{ mode, keys: undefined, source, model, captured, seed: '1', epochSeconds: 1_800_000_000, replica: false },
        ...{ rate: speed * capturedRateOf(mode, model), seconds: 2 },
      });
      return caveats.find(({ id }) => id === 'expiries-real-time');
    };
    assert.equal(await caveatOf(1), undefined);
    // Locks and the limit of a rate, which only scripts know.
    assert.deepEqual((await caveatOf(2))!.numbers, { speed: 2, families: 10, scripts: 10 });
  }
});

test('a workload that is longer than its capture says what nobody knows of it', async () => {
  const { model } = await buildModel(source);
  const caveatOf = async (spans: number, speed: number) => {
    const { caveats } = await openWorkload({
      ...{ mode: 'modelled', keys: undefined, source, model, seed: '1', epochSeconds: 1_800_000_000, replica: false },
      ...{ rate: speed * capturedRateOf('modelled', model), seconds: (spans * model.source.spanSeconds) / speed },
    });
    return caveats.find(({ id }) => id === 'longer-than-captured');
  };
  assert.equal(await caveatOf(1, 2), undefined);
  for (const [spans, speed] of [
    [10, 1],
    [4, 2],
  ] as const)
    assert.equal(Math.round((await caveatOf(spans, speed))!.numbers!.times as number), spans);
});

test('an outcome of another part of the workload is not blamed on the model alone', () => {
  const missed = [{ aspect: 'outcome', metric: 'hit ratio', value: 0.02, target: 0.01 }];
  assert.match(fidelityCaveats(missed, { whole: false })[0]!.advice, /another part of the workload/);
  const model = { source: { spanSeconds: 10 } } as Parameters<typeof isWholeCapture>[0];
  assert.equal(isWholeCapture(model, [0.5, 10]), true);
  assert.equal(isWholeCapture(model, [4, 10]), false);
  assert.equal(isWholeCapture(model, [0, 20]), false);
  assert.equal(isWholeCapture(model, [0, 5]), false);
});

test('an outcome at another rate is not blamed on the model alone', () => {
  const missed = [{ aspect: 'outcome', metric: 'hit ratio', value: 0.02, target: 0.01 }];
  const adviceAt = (speed: number) => fidelityCaveats(missed, { speed })[0]!.advice;
  assert.match(adviceAt(1), /--mode exact/);
  assert.match(adviceAt(2), /--rate 1x/);
});
