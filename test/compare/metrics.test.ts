/** What every listed metric promises: equal arms pass, swapping the arms of a fail does not fail again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBudget } from '../../src/compare/budget.ts';
import { gatherEvidence } from '../../src/compare/evidence.ts';
import { METRICS } from '../../src/compare/metrics/index.ts';
import type { ArmBehaviour } from '../support/rehearsal.ts';
import { rehearse } from '../support/rehearsal.ts';

const budget = parseBudget(
  'apiVersion: cutover/budget@1\nobjectives: [{family: "*", slo: {threshold: 5ms, target: 99%}}]\n',
  'budget.yaml',
);
const WORSE: Record<string, Partial<ArmBehaviour>> = {
  latency: { tail: 20, serviceUs: 900 },
  stalls: { stalls: 3 },
  slo: { tail: 20, serviceUs: 900 },
  memory: { rssPerByte: 2 },
  errors: { errors: { 'session:{id} get': { OOM: 300 } } },
};
const assess = (name: string, behaviour: Partial<ArmBehaviour>, on: 'baseline' | 'candidate') => {
  const { rehearsal, latencyOf } = rehearse((_, arm) => (arm === on ? behaviour : {}));
  return METRICS[name]!(gatherEvidence(rehearsal, rehearsal.rounds, latencyOf, budget)).assessments;
};

for (const name of Object.keys(METRICS)) {
  test(`${name}: equal arms pass every rule`, () => {
    const assessments = assess(name, {}, 'candidate');
    assert.ok(assessments.length > 0);
    for (const { id, test: result } of assessments) assert.equal(result?.outcome, 'pass', id);
    assert.equal(new Set(assessments.map(({ id }) => id)).size, assessments.length);
    for (const { id } of assessments) assert.ok(id.startsWith(`${name}.`), id);
  });

  test(`${name}: a worse candidate fails, a worse baseline does not`, () => {
    assert.ok(assess(name, WORSE[name]!, 'candidate').some(({ test: result }) => result?.outcome === 'fail'));
    assert.ok(assess(name, WORSE[name]!, 'baseline').every(({ test: result }) => result?.outcome === 'pass'));
  });
}
