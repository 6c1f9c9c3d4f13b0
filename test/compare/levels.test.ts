/** Levels of repeated looks, against published constants and against what they are for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelAt } from '../../src/compare/levels.ts';
import { studentQuantile } from '../../src/compare/statistics.ts';
import type { Looks } from '../../src/measure/rehearsal.ts';
import { normal } from '../support/rehearsal.ts';

const near = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);

test('with many rounds the levels are those for known variance', () => {
  // Jennison & Turnbull (2000), tables 2.1 and 2.3, two-sided 0.1 and 0.05: C_P(4) = 2.067, C_P(5) = 2.413; C_B(5) = 2.040.
  const pocock: Looks = { rounds: [100, 200, 300, 400], method: 'pocock' };
  near(levelAt(pocock, 100, 0.05), 0.01937, 0.0006);
  const obf: Looks = { rounds: [100, 200, 300, 400, 500], method: 'obf' };
  // 1 − Φ(2.040·√5) and 1 − Φ(2.040).
  near(levelAt(obf, 100, 0.025), 2.5e-6, 5e-7);
  near(levelAt(obf, 500, 0.025), 0.0207, 0.0009);
});

test('one look, and looks that were not planned, are judged at alpha', () => {
  assert.equal(levelAt(undefined, 5, 0.05), 0.05);
  assert.equal(levelAt({ rounds: [10], method: 'pocock' }, 10, 0.05), 0.05);
  assert.equal(levelAt({ rounds: [6, 10], method: 'fixed' }, 10, 0.05), 0.05);
});

test('Pocock has one level, between looks too; O’Brien and Fleming grow laxer, to the last', () => {
  const pocock: Looks = { rounds: [6, 10, 15, 20], method: 'pocock' };
  near(levelAt(pocock, 6, 0.05), 0.0187, 0.0005);
  assert.equal(levelAt(pocock, 13, 0.05), levelAt(pocock, 6, 0.05));
  const obf: Looks = { rounds: [6, 10, 15, 20], method: 'obf' };
  const levels = [6, 8, 10, 15, 20].map((rounds) => levelAt(obf, rounds, 0.05));
  assert.deepEqual(
    levels,
    levels.toSorted((a, b) => a - b),
  );
  assert.ok(levels[0]! < 0.001 && levels.at(-1)! > 0.035 && levels.at(-1)! < 0.05);
  assert.equal(levelAt(obf, 25, 0.05), levelAt(obf, 20, 0.05));
});

test('looking four times errs as often as alpha says; at alpha each time, more than twice as often', () => {
  const gauss = normal(5);
  const RUNS = 20_000;
  const errorsOf = (looks: Looks, levelOf: (rounds: number) => number) => {
    const thresholds = looks.rounds.map((rounds) => studentQuantile(1 - levelOf(rounds), rounds - 1));
    let errors = 0;
    for (let run = 0; run < RUNS; run++) {
      const data = Array.from({ length: looks.rounds.at(-1)! }, gauss);
      const crosses = looks.rounds.some((rounds, i) => {
        const seen = data.slice(0, rounds);
        const mean = seen.reduce((sum, d) => sum + d, 0) / rounds;
        const variance = seen.reduce((sum, d) => sum + (d - mean) ** 2, 0) / (rounds - 1);
        return mean / Math.sqrt(variance / rounds) > thresholds[i]!;
      });
      if (crosses) errors++;
    }
    return errors / RUNS;
  };
  for (const method of ['pocock', 'obf'] as const) {
    const looks: Looks = { rounds: [6, 10, 15, 20], method };
    near(
      errorsOf(looks, (rounds) => levelAt(looks, rounds, 0.05)),
      0.05,
      0.005,
    );
  }
  assert.ok(errorsOf({ rounds: [6, 10, 15, 20], method: 'fixed' }, () => 0.05) > 0.1);
});
