/**
 * By how much real-time priority lowers the noise that a verdict has to be told from: the standard deviation between rounds
 * of ln(candidate / baseline) at P99 and P99.9, the same server on both arms, rounds at either priority in turn.
 * Options: --rounds N of each (10), --slice 3s, --rate 2x. About 25 s a round.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { logRatios, type Pair } from '../src/compare/assessment.ts';
import { parseBudget } from '../src/compare/budget.ts';
import { gatherEvidence, PERCENTILES } from '../src/compare/evidence.ts';
import { meanOf } from '../src/compare/statistics.ts';
import { assessValidity } from '../src/compare/validity.ts';
import { loadFolder } from '../src/measure/folder.ts';
import { cutover } from '../test/support/cli.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    slice: { type: 'string', default: '3s' },
    rate: { type: 'string', default: '2x' },
  },
});
const PRIORITIES = ['normal', 'realtime'] as const;
const JUDGED = [99, 99.9];
const CAPTURE = 'captures/mixed.monitor.gz';

/** One round of a server against itself → per percentile of `JUDGED` its ln ratio; undefined where the round was spoiled. */
async function roundAt(priority: (typeof PRIORITIES)[number], seed: number): Promise<number[] | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'cutover-priority-'));
  try {
    const output = join(folder, 'rehearsal');
    const { code, stderr } = await cutover([
      ...['run', CAPTURE, '--baseline', 'process:redis-server', '--candidate', 'process:redis-server'],
      ...['--rounds', '1', '--slice', options.slice, '--rate', options.rate, '--memory-protocol', 'off'],
      ...['--priority', priority, '--seed', `${seed}`, '--output', output],
    ]);
    if (code !== 4 && code !== 5) throw new Error(`cutover run ended with ${code}: ${stderr}`);
    const { rehearsal, latencyOf, budgetText } = await loadFolder(output);
    const [round] = assessValidity(rehearsal).rounds;
    if (!round) return undefined;
    const evidence = gatherEvidence(rehearsal, [round], latencyOf, parseBudget(budgetText, 'budget'));
    return JUDGED.map((percentile) => {
      const at = PERCENTILES.indexOf(percentile);
      const pairs = evidence.latency.get('*')![0]!.map(
        ({ baseline, candidate }): Pair => ({
          baseline: baseline.response.us[at]!,
          candidate: candidate.response.us[at]!,
        }),
      );
      return logRatios(pairs).reduce((sum, ratio) => sum + ratio / pairs.length, 0);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ratios = { normal: [] as number[][], realtime: [] as number[][] };
const spoiled = { normal: 0, realtime: 0 };
for (let round = 1; round <= Number(options.rounds); round++) {
  // Which comes first changes, so that a machine that becomes busier favours neither.
  for (const priority of round % 2 === 0 ? PRIORITIES : PRIORITIES.toReversed()) {
    const one = await roundAt(priority, round);
    if (one) ratios[priority].push(one);
    else spoiled[priority]++;
  }
}
/** Equal servers: the mean is known to be zero. */
const spread = (values: number[]) => Math.sqrt(meanOf(values.map((value) => value ** 2)));

console.log('| priority | rounds | spoiled | sd of ln P99 | sd of ln P99.9 |');
console.log('|---|--:|--:|--:|--:|');
for (const priority of PRIORITIES) {
  const sds = JUDGED.map((_, i) => spread(ratios[priority].map((round) => round[i]!)).toFixed(3));
  console.log(`| ${[priority, ratios[priority].length, spoiled[priority], ...sds].join(' | ')} |`);
}
