/** How often the judge is wrong, by simulation with its own code: a table in Markdown. `--long`: more runs, some minutes. */
import { faultsOf, SCENARIOS } from '../test/support/simulation.ts';

const RUNS = process.argv.includes('--long') ? 5000 : 400;
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

const started = performance.now();
const faults: string[] = [];
let table = '';
for (const scenario of SCENARIOS) {
  const { pass, fail, inconclusive, rounds } = scenario.run(RUNS);
  faults.push(...faultsOf(scenario, { pass, fail }, RUNS));
  if (scenario.table !== table) {
    table = scenario.table;
    console.log(`\n| ${table} | truth | pass | fail | inconclusive | mean rounds |`);
    console.log('|---|---|--:|--:|--:|--:|');
  }
  const cells = [scenario.name, scenario.truth, ...[pass, fail, inconclusive].map(percent), rounds?.toFixed(1) ?? ''];
  console.log(`| ${cells.join(' | ')} |`);
}
console.log(`\n${RUNS.toLocaleString('en')} runs each, ${Math.round((performance.now() - started) / 1000)} s.`);
for (const fault of faults) console.log(`Out of bounds: ${fault}`);
if (faults.length > 0) process.exitCode = 1;
