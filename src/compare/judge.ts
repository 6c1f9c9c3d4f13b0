/** Turns a rehearsal and a budget into a verdict: pure, the same on every machine, with or without servers. */
import { type Caveat, EXIT_CODES } from '../errors.ts';
import { ARMS, type Arm, type MemoryPhase, type Rehearsal, type Round } from '../measure/rehearsal.ts';
import type { ServerIdentity } from '../servers/server.ts';
import type { Budget } from './budget.ts';
import { clientEffects } from './client-effect.ts';
import { gatherEvidence, type LatencyOf } from './evidence.ts';
import type { JudgedRule, Judgement, MemoryFigures, Verdict } from './judgement.ts';
import { levelAt } from './levels.ts';
import { replayCaveats } from './replay.ts';
import { sentenceOf } from './sentence.ts';
import { meanOf } from './statistics.ts';
import { assessValidity, type Validity } from './validity.ts';
import { judgeRules, roundSecondsOf } from './weigh.ts';

/**
 * Judges the complete rounds of a rehearsal. The verdict is the first that applies:
 * - `invalid`: the generator, the host or the configuration spoiled the measurement;
 * - `fail`: a gating rule is over its margin, Holm's correction over all gating rules included, so that more rules do
 *   not mean more false alarms;
 * - `inconclusive`: too few rounds, a run that was stopped, or a gating rule that cannot be told;
 * - `pass`: every gating rule passes at alpha. No correction: all must pass, so the overall error is at most alpha
 *   (intersection–union test, Berger, Technometrics 24 (1982)).
 * @param path the rehearsal's folder, for the reader.
 */
export function judge(rehearsal: Rehearsal, latencyOf: LatencyOf, budget: Budget, path: string): Judgement {
  const validity = assessValidity(rehearsal);
  const { looks } = rehearsal.settings;
  const level = levelAt(looks, validity.rounds.length, budget.alpha);
  const evidence = gatherEvidence(rehearsal, validity.rounds, latencyOf, { ...budget, alpha: level });
  const { rules, caveats } = judgeRules(evidence);
  const reasons = reasonsOf(validity, rules);
  const verdict = verdictOf(validity, rules, reasons);
  const judgement: Omit<Judgement, 'sentence'> = {
    schema: 'cutover/verdict@1',
    verdict,
    exitCode: EXIT_CODES[verdict === 'inconclusive' ? (budget.onInconclusive ?? verdict) : verdict].code,
    reasons,
    rules,
    caveats: distinct([
      ...rehearsal.caveats,
      ...validity.caveats,
      ...replayCaveats(validity.rounds),
      ...clientEffects(evidence),
      ...caveats,
    ]),
    findings: rehearsal.findings ?? [],
    arms: { baseline: described(rehearsal.arms.baseline), candidate: described(rehearsal.arms.candidate) },
    seed: rehearsal.seed,
    rounds: { planned: rehearsal.settings.rounds, judged: validity.rounds.length },
    alpha: budget.alpha,
    level,
    ...(looks ? { looks } : {}),
    roundSeconds: roundSecondsOf(rehearsal),
    latency: evidence.spectra,
    memory: Object.fromEntries(
      ARMS.flatMap((arm) => {
        const figures = memoryFigures(validity.rounds, arm);
        return figures ? [[arm, figures]] : [];
      }),
    ),
    rehearsal: path,
    command: rehearsal.command,
  };
  return { ...judgement, sentence: sentenceOf(judgement) };
}

const described = ({ product, version, spec, allocator, primaries }: ServerIdentity) => ({
  ...{ product, version, spec, allocator },
  ...(primaries === undefined ? {} : { primaries }),
});

/** What of the verdict no single rule says. */
function reasonsOf({ invalid, cannotPass, rounds }: Validity, rules: JudgedRule[]): string[] {
  if (invalid.length > 0) return invalid;
  const reasons = [...cannotPass];
  if (rounds.length === 0) reasons.push('no round was completed');
  else if (rounds.length === 1) reasons.push('one round cannot give an interval');
  else if (!rules.some(({ level, outcome }) => level === 'error' && outcome !== 'not-judged')) {
    reasons.push('no rule of the budget could be judged');
  }
  return reasons;
}

/** What rules, and reasons that none of them holds, come to; see `judge`. */
export function verdictOf({ invalid }: Pick<Validity, 'invalid'>, rules: JudgedRule[], reasons: string[]): Verdict {
  if (invalid.length > 0) return 'invalid';
  const gating = rules.filter(({ level }) => level === 'error');
  if (gating.some(({ outcome }) => outcome === 'fail')) return 'fail';
  return reasons.length > 0 || gating.some(({ outcome }) => outcome === 'inconclusive') ? 'inconclusive' : 'pass';
}

/** One reason may keep several rules from being judged, and several rules may have stepped down to one percentile. */
const distinct = (caveats: Caveat[]) =>
  caveats.filter(
    ({ id, message }, i) => caveats.findIndex((other) => other.id === id && other.message === message) === i,
  );

/** Means over the judged rounds at the last phase that all of them sampled. */
function memoryFigures(rounds: Round[], arm: Arm): MemoryFigures | undefined {
  const phases: MemoryPhase[] = ['end', 'fill'];
  const phase = phases.find((name) => rounds.length > 0 && rounds.every((round) => round.arms[arm].memory[name]));
  if (!phase) return undefined;
  const samples = rounds.map((round) => round.arms[arm].memory[phase]!);
  const mean = (of: (sample: (typeof samples)[number], k: number) => number) => meanOf(samples.map(of));
  return {
    phase,
    rssBytes: mean(({ rssBytes }) => rssBytes),
    usedBytes: mean(({ usedBytes }) => usedBytes),
    allocatedBytes: mean(({ allocatedBytes }) => allocatedBytes),
    activeBytes: mean(({ activeBytes }) => activeBytes),
    residentBytes: mean(({ residentBytes }) => residentBytes),
    memFragmentationRatio: mean(({ memFragmentationRatio }) => memFragmentationRatio),
    allocatorFragRatio: mean(({ allocatorFragRatio }) => allocatorFragRatio),
    ...(samples.every(({ logicalBytes }) => logicalBytes > 0)
      ? {
          rssPerLogicalByte: mean(
            ({ rssBytes, logicalBytes }, k) =>
              (rssBytes - (rounds[k]!.arms[arm].memory.start?.rssBytes ?? 0)) / logicalBytes,
          ),
        }
      : {}),
  };
}
