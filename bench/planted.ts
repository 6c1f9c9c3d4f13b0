/**
 * Faults of known size planted in the candidate → what the verdict makes of them: a table in Markdown, and exit code 1
 * where an expectation is missed. Both arms are the same Redis behind the same proxy. Some ten minutes on a machine that
 * does nothing else; words choose experiments: tail, within, stalls.
 */
import type { JudgedRule } from '../src/compare/judgement.ts';
import { changeOf, figureOf, intervalOf, remarksOn } from '../src/compare/sentence.ts';
import { ARMS, type Arm } from '../src/measure/rehearsal.ts';
import { FAMILIES, failed, type Planted, type PlantedRun, rehearsePlanted } from '../test/support/planted.ts';

interface Experiment extends Planted {
  name: string;
  planted: (run: PlantedRun) => string;
  rule: string;
  /** What is missed, if so. */
  missed: (run: PlantedRun, rule: JudgedRule) => string | undefined;
}

/** One in two hundred requests of a family takes so long: its P99.9 is then this time, whatever the host does. */
const slow = (delayMs: number) => ({ delayShare: 0.005, delayMs, delayed: /^session:/ });
/** P99.9 needs 20,000 requests of the family a round. */
const LONG = ['--rounds', '5', '--rate', '3300', '--slice', '5s', '--warmup', '1s'];
const tailBudget = (maxIncrease: string) => `latency: { p95: { max_increase: 25%, floor: 1ms } }
stalls: { longer_than: 100ms, max_rate_ratio: 2 }
objectives:
${FAMILIES.map((family) => `  - { family: "${family}", latency: { p99.9: { max_increase: ${maxIncrease}, floor: 1ms } } }`).join('\n')}
`;
const only = (rule: string) => (run: PlantedRun) => {
  const names = failed(run.judgement);
  return names.join() === rule ? undefined : `what fails is ${names.join(', ') || 'nothing'}, and not ${rule} alone`;
};
const TAIL = 'latency.p99.9/session:*';

const EXPERIMENTS: Record<string, Experiment> = {
  tail: {
    ...{ name: 'P99.9 of one family +25 % (20 → 25 ms), 10 % allowed', rule: TAIL, planted: () => '+25 %' },
    ...{ faults: { baseline: slow(20), candidate: slow(25) }, budget: tailBudget('10%'), args: LONG },
    missed: only(TAIL),
  },
  within: {
    ...{ name: 'P99.9 of one family +5 % (20 → 21 ms), 20 % allowed', rule: TAIL, planted: () => '+5 %' },
    ...{ faults: { baseline: slow(20), candidate: slow(21) }, budget: tailBudget('20%'), args: LONG },
    missed: ({ judgement }, { outcome, inconclusive }) => {
      if (judgement.verdict === 'fail' || judgement.verdict === 'invalid') return `verdict ${judgement.verdict}`;
      return outcome === 'pass' || inconclusive?.roundsNeeded ? undefined : 'it does not say how long it would need';
    },
  },
  stalls: {
    ...{ name: 'a stall of 50 ms every 10 s, twice as many allowed', rule: 'stalls.rate' },
    planted: ({ stallsPlanted, rehearsal }) => `${stallsPlanted} stalls; ${longStalls(rehearsal, 'candidate')} seen`,
    faults: { candidate: { stallEveryMs: 10_000, stallMs: 50 } },
    budget: `latency: { p95: { max_increase: 25%, floor: 1ms } }
stalls: { longer_than: 20ms, max_rate_ratio: 2 }
`,
    // Twelve stalls against none: by chance, at twice as many, in 0.8 % of runs; of four rules, 1.25 % may be.
    args: ['--rounds', '3', '--rate', '1500', '--slice', '20s', '--warmup', '500ms'],
    missed: only('stalls.rate'),
  },
};

/** Longer than the budget of that experiment tolerates, and the server's own. */
const longStalls = ({ rounds }: PlantedRun['rehearsal'], arm: Arm) =>
  rounds
    .flatMap(({ arms }) => arms[arm].slices)
    .flatMap(({ stalls }) => stalls!)
    .filter(({ waitUs, lagUs }) => waitUs > 20_000 && lagUs <= waitUs / 2).length;

const asked = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(EXPERIMENTS);
const misses: string[] = [];
const details: string[] = [];
console.log(
  '| planted in the candidate | in the slices | baseline | candidate | change | rounds | outcome | verdict | else fails |',
);
console.log('|---|---|--:|--:|--:|--:|---|---|---|');
for (const name of names) {
  const experiment = EXPERIMENTS[name];
  if (!experiment) throw new Error(`no experiment ${name}: ${Object.keys(EXPERIMENTS).join(', ')}`);
  const startedMs = performance.now();
  const run = await rehearsePlanted(experiment);
  const { judgement, spoiled } = run;
  const rule = judgement.rules.find(({ id }) => id === experiment.rule)!;
  const [baseline, candidate] = ARMS.map((arm) => figureOf(rule, rule[arm]));
  const others = failed(judgement).filter((id) => id !== rule.id);
  const change = `${changeOf(rule)} ${intervalOf(rule)}`.trim();
  const cells = [experiment.name, experiment.planted(run), baseline, candidate, change, rule.rounds, rule.outcome];
  console.log(`| ${[...cells, judgement.verdict, others.join(', ') || 'nothing'].join(' | ')} |`);
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const again = spoiled > 0 ? `; ${spoiled} spoiled by the host before` : '';
  details.push(
    `${name}, ${minutes} min${again}: ${judgement.sentence}`,
    ...remarksOn(rule).map((remark) => `  ${remark}`),
  );
  const miss = experiment.missed(run, rule);
  if (miss) misses.push(`${name}: ${miss}`);
}
console.log(`\n${details.join('\n')}`);
for (const miss of misses) console.log(`MISSED ${miss}`);
if (misses.length > 0) process.exitCode = 1;
