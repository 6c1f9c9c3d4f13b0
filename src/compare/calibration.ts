/** Turns a run of the baseline against itself into what this host can tell apart, and many such runs into how often it errs. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { CutoverError, messageOf } from '../errors.ts';
import type { Machine, Rehearsal } from '../measure/rehearsal.ts';
import { ALL_FAMILIES, type Budget } from './budget.ts';
import { gatherEvidence, type LatencyOf } from './evidence.ts';
import type { Judgement } from './judgement.ts';
import { levelAt } from './levels.ts';
import { judgeLatency } from './metrics/latency.ts';
import { clopperPearson, detectable, holm, type MarginTest, roundsNeeded, studentCdf } from './statistics.ts';
import { assessValidity } from './validity.ts';
import { percent, plural, quote } from './wording.ts';

export interface Calibration {
  /** Rounds that were judged, and the most that a run is planned to have: its last look. */
  rounds: number;
  plannedRounds: number;
  rules: CalibratedRule[];
  /** Each a clause: the same server is faster in one arm's slots. A run on this host, as it is, is invalid. */
  biased: string[];
}

/** One latency rule of the budget. Changes are shares: 0.25 = 25 %. */
interface CalibratedRule {
  id: string;
  /** Second slot against first, with the one-sided bounds at alpha each. */
  bias: { estimate: number; low: number; high: number };
  /**
   * `biased`: beyond chance, and by more than a quarter of what the budget allows. `unknown`: as much could hide in the
   * noise. Both halves are asked for because at a round-level spread of 15 % every third host would exceed a quarter of
   * an allowance of 25 % by chance alone.
   */
  position: 'even' | 'biased' | 'unknown';
  /** Standard deviation of a round's ln ratio. */
  sd: number;
  /** The change that the budget allows, floor included, and the smallest that the planned rounds find in nine of ten runs. */
  asked: number;
  resolvable: number;
  /** Rounds with which equal servers pass in nine of ten runs; absent beyond reason. */
  roundsNeeded?: number;
  /** `this host can resolve ±12 % at P99.9 in 20 rounds; you asked 10 %: about 31 rounds would do`. */
  message: string;
}

/**
 * What rounds of baseline against baseline, in the slots that a run will use, say of this host.
 * @param rehearsal both arms are the same server.
 * @returns no rules where fewer than two rounds can be judged.
 */
export function calibrate(rehearsal: Rehearsal, latencyOf: LatencyOf, budget: Budget): Calibration {
  const { rounds } = assessValidity(rehearsal);
  const plannedRounds = budget.looks?.rounds.at(-1) ?? rehearsal.settings.rounds;
  if (rounds.length < 2) return { rounds: rounds.length, plannedRounds, rules: [], biased: [] };
  const evidence = gatherEvidence(rehearsal, rounds, latencyOf, budget);
  const tested = judgeLatency(evidence).assessments.flatMap(({ test, ...rule }) => (test ? [{ ...rule, test }] : []));
  // Over all rules: with a dozen of them one is beyond chance by chance.
  const beyondChance = holm(
    tested.map(({ test }) => chanceOfBias(test)),
    budget.alpha,
  );
  const level = levelAt(budget.looks, plannedRounds, budget.alpha);
  const rules = tested.map(({ id, label, family, test }, i): CalibratedRule => {
    const { estimate, low, high, margin } = test;
    const sd = test.sd!;
    const [asked, resolvable] = [Math.expm1(margin), Math.expm1(detectable(sd, plannedRounds, level))];
    const needed = roundsNeeded(sd, margin, level);
    const isLarge = Math.abs(estimate) > margin / 4;
    const within = Math.max(-low, high) <= margin / 4;
    const where = family === ALL_FAMILIES ? label : `${label} of ${quote(family)}`;
    const able = `this host can resolve ±${percent(resolvable)} at ${where} in ${plural(plannedRounds, 'round')}`;
    const cure = needed === undefined ? 'more rounds than is reasonable' : plural(needed, 'round');
    return {
      ...{ id, sd, asked, resolvable },
      bias: { estimate: Math.expm1(estimate), low: Math.expm1(low), high: Math.expm1(high) },
      position: beyondChance[i] && isLarge ? 'biased' : within ? 'even' : 'unknown',
      ...(needed === undefined ? {} : { roundsNeeded: needed }),
      message: resolvable <= asked ? able : `${able}; you asked ${percent(asked)}: that takes ${cure}`,
    };
  });
  const biased = rules.flatMap(({ position, id, bias }) =>
    position === 'biased'
      ? `the same server is ${percent(Math.abs(bias.estimate))} ${bias.estimate > 0 ? 'slower' : 'faster'} as the candidate than as the baseline (${id})`
      : [],
  );
  return { rounds: rounds.length, plannedRounds, rules, biased };
}

/** Two-sided p value of no difference between the slots. */
function chanceOfBias({ estimate, sd, rounds }: MarginTest): number {
  if (estimate === 0) return 1;
  return 2 * studentCdf((-Math.abs(estimate) * Math.sqrt(rounds)) / sd!, rounds - 1);
}

/** One line of the history: what one run of the baseline against itself gave. */
const RecordSchema = z.object({
  schema: z.literal('cutover/calibration@1'),
  at: z.string(),
  machine: z.object({ platform: z.string(), cpu: z.string(), cores: z.number(), memoryBytes: z.number() }),
  /** Product and version. */
  server: z.string(),
  rounds: z.number(),
  verdict: z.literal(['pass', 'fail', 'inconclusive', 'invalid']),
  /** Rules that failed: each a false alarm. */
  failed: z.array(z.string()),
  biased: z.array(z.string()),
  /** By rule. */
  resolvable: z.record(z.string(), z.number()),
});
export type CalibrationRecord = z.output<typeof RecordSchema>;

/** What is kept of a run of the baseline against itself. */
export function recordOf(rehearsal: Rehearsal, judgement: Judgement, calibration: Calibration): CalibrationRecord {
  const { product, version } = rehearsal.arms.baseline;
  const gating = judgement.rules.filter(({ level }) => level === 'error');
  return {
    schema: 'cutover/calibration@1',
    at: rehearsal.startedAt,
    machine: rehearsal.machine,
    server: `${product} ${version}`,
    rounds: calibration.rounds,
    verdict: judgement.verdict,
    failed: gating.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id),
    biased: calibration.biased,
    resolvable: Object.fromEntries(calibration.rules.map(({ id, resolvable }) => [id, resolvable])),
  };
}

/** The line to append to the history file. */
export const formatRecord = (record: CalibrationRecord): string => `${JSON.stringify(record)}\n`;

/**
 * Reads a history file: one record a line. A last line without an end was cut by a kill and is left out.
 * @throws CutoverError E_CALIBRATION (usage) naming the line that cannot be read.
 */
export function parseHistory(text: string, name: string): CalibrationRecord[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      try {
        return RecordSchema.parse(JSON.parse(line));
      } catch (error) {
        const message = error instanceof z.ZodError ? error.issues[0]!.message : messageOf(error);
        throw new CutoverError(
          'usage',
          'E_CALIBRATION',
          `${name}:${i + 1}: not a calibration: ${message}.`,
          'Remove the line, or the file; cutover doctor --calibrate begins a new one.',
        );
      }
    });
}

/** How often identical servers were called different on one machine. */
export interface FalseAlarms {
  /** Runs with a verdict, and those that failed; invalid ones are counted apart: they judged nothing. */
  runs: number;
  fails: number;
  inconclusive: number;
  invalid: number;
  share: number;
  /** Exact 95 % interval (Clopper and Pearson). */
  low: number;
  high: number;
}

export function falseAlarmsOn(machine: Machine, history: CalibrationRecord[]): FalseAlarms {
  const verdicts = history.filter((one) => isDeepStrictEqual(one.machine, machine)).map(({ verdict }) => verdict);
  const number = (verdict: CalibrationRecord['verdict']) => verdicts.filter((one) => one === verdict).length;
  const [fails, inconclusive, invalid] = [number('fail'), number('inconclusive'), number('invalid')];
  const runs = verdicts.length - invalid;
  const bounds = runs === 0 ? { low: 0, high: 1 } : clopperPearson(fails, runs, 0.025);
  return { runs, fails, inconclusive, invalid, share: runs === 0 ? 0 : fails / runs, ...bounds };
}
