/** The judge's error rates, by simulation with its own code; `node bench/simulate.ts` prints them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mulberry32 } from '../../src/model/random.ts';
import { faultsOf, SCENARIOS, SliceModel, simulate } from '../support/simulation.ts';

const RUNS = 200;

for (const table of new Set(SCENARIOS.map((scenario) => scenario.table))) {
  test(`errors are as promised: ${table}`, () => {
    for (const scenario of SCENARIOS) {
      const { passAtMost, failAtMost, failAtLeast } = scenario;
      const promises = [passAtMost, failAtMost, failAtLeast].some((share) => share !== undefined);
      if (scenario.table !== table || !promises) continue;
      assert.deepEqual(faultsOf(scenario, scenario.run(RUNS), RUNS), []);
    }
  });
}

test('the simulation finds a judge that errs: looks at alpha each', () => {
  const host = { stallsPerSecond: 0, stallUs: 0, roundSd: 0.05 };
  const looks = { rounds: [6, 10, 15, 20], method: 'pocock' } as const;
  const plan = { rounds: 20, ratio: 1.1, maxIncrease: 0.1, looks: { ...looks, rounds: [...looks.rounds] } };
  const peeking = simulate(host, { ...plan, uncorrected: true }, 500);
  assert.ok(peeking.pass > 0.09, `${peeking.pass} passed`);
  assert.ok(simulate(host, plan, 500).pass < 0.07);
});

test('P99.9 drawn without requests is that of requests', () => {
  const host = { stallsPerSecond: 2, stallUs: 4000, roundSd: 0 };
  const model = new SliceModel(host, mulberry32(3));
  const drawn = Array.from({ length: 200 }, () => Math.log(model.percentile(99.9)));
  const random = mulberry32(4);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const simulated = Array.from({ length: 12 }, () => {
    const latencies = Float64Array.from({ length: 600_000 }, () => 200 * Math.exp(0.5 * normal()));
    const gap = () => -Math.log(1 - random()) / host.stallsPerSecond;
    for (let second = gap(); second < 60; second += gap()) {
      const lengthUs = 8000 * random();
      for (let waitUs = lengthUs, i = Math.floor(second * 10_000); waitUs > 0 && i < 600_000; waitUs -= 100, i++)
        latencies[i] = Math.max(latencies[i]!, waitUs);
    }
    return Math.log(latencies.sort()[599_400]!);
  });
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const sd = (values: number[]) => Math.sqrt(mean(values.map((value) => (value - mean(values)) ** 2)));
  assert.ok(Math.abs(mean(drawn) - mean(simulated)) < 3 * sd(simulated) * Math.sqrt(1 / 12 + 1 / 200));
  assert.ok(sd(drawn) / sd(simulated) > 0.5 && sd(drawn) / sd(simulated) < 2, `${sd(drawn)} and ${sd(simulated)}`);
});
