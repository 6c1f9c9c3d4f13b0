/** Faults planted between the load and a real server → what the command line makes of them, on a workload whose families are known. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JudgedRule, Judgement } from '../../src/compare/judgement.ts';
import type { Arm, Rehearsal } from '../../src/measure/rehearsal.ts';
import { mulberry32 } from '../../src/model/random.ts';
import { startServer } from '../../src/servers/index.ts';
import { cutover } from './cli.ts';
import { type Fault, type Proxy as FaultyProxy, startProxy } from './proxy.ts';
import { temporaryFolder } from './temporary.ts';
import { type Line, monitorLine } from './workload.ts';

export interface Planted {
  faults: Partial<Record<Arm, Fault>>;
  budget: string;
  /** Words after `cutover run CAPTURE`. */
  args: string[];
}

export interface PlantedRun {
  judgement: Judgement & { code: number | null };
  rehearsal: Rehearsal;
  /** Stalls of the candidate's proxy that fell into its slices. */
  stallsPlanted: number;
  /** Runs that the host spoiled before this one, and that said so. */
  spoiled: number;
}

const ATTEMPTS = 3;

/** A run that the host spoiled, and that says so, is repeated on fresh servers: it tells nothing of what was planted. */
export async function rehearsePlanted(planted: Planted): Promise<PlantedRun> {
  for (let spoiled = 0; ; spoiled++) {
    const run = await rehearseOnce(planted);
    if (run.judgement.verdict !== 'invalid' || spoiled + 1 === ATTEMPTS) return { ...run, spoiled };
    if (!/rounds? spoiled/.test(run.judgement.sentence)) return { ...run, spoiled };
  }
}

/**
 * The same server behind the same proxy on both arms: what the proxy itself costs cancels. On two cores generator, proxy
 * and server have less than a core each, and a server that wakes up waits up to 4 ms for the generator's time slice.
 * Servers and proxies go first where that is permitted, so that what is planted is not drowned by that.
 */
async function rehearseOnce({ faults, budget, args }: Planted): Promise<Omit<PlantedRun, 'spoiled'>> {
  await using baseline = await startServer('process:redis-server', {});
  await using candidate = await startServer('process:redis-server', {});
  await using plain = await startProxy({ target: baseline.address, ...faults.baseline });
  await using faulty = await startProxy({ target: candidate.address, ...faults.candidate });
  const folder = temporaryFolder();
  const [capture, budgetFile, output] = ['capture.log', 'budget.yaml', 'rehearsal'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(capture, `OK\n${captureOfThreeFamilies().map(monitorLine).join('')}`);
  writeFileSync(budgetFile, `apiVersion: cutover/budget@1\n${budget}`);
  const urls = { baseline: plain.port, candidate: faulty.port };
  schedule(['--reset-on-fork', '--fifo'], 10, process.pid, baseline.identity.pid!, candidate.identity.pid!);
  try {
    const { code, stdout, stderr } = await cutover([
      ...['run', capture, '--json', '--output', output, '--budget', budgetFile, '--memory-protocol', 'off'],
      ...Object.entries(urls).flatMap(([arm, port]) => [`--${arm}`, `redis://127.0.0.1:${port}`]),
      ...args,
    ]);
    if (!stdout.startsWith('{')) throw new Error(`cutover run ended with ${code}: ${stderr}`);
    const judgement: Judgement = JSON.parse(stdout);
    if (!('verdict' in judgement)) throw new Error(`cutover run ended with ${code}: ${stdout}`);
    const rehearsal: Rehearsal = JSON.parse(readFileSync(join(output, 'rehearsal.json'), 'utf8'));
    return { judgement: { ...judgement, code }, rehearsal, stallsPlanted: stallsIn(rehearsal, faulty) };
  } finally {
    schedule(['--other'], 0, process.pid);
  }
}

/** Needs root; without it what is measured depends on how calm the machine is. */
function schedule(policy: string[], priority: number, ...pids: number[]): void {
  for (const pid of pids) spawnSync('chrt', [...policy, '--pid', `${priority}`, `${pid}`], { stdio: 'ignore' });
}

/** In which the proxy stood still for the most part: one that ends with the slice holds up nothing that is measured. */
const stallsIn = ({ rounds }: Rehearsal, { stallsBetween }: FaultyProxy) =>
  rounds
    .flatMap(({ arms }) => arms.candidate.slices)
    .reduce((sum, { startedAtMs, seconds }) => sum + stallsBetween(startedAtMs, startedAtMs + 1000 * seconds), 0);

export const FAMILIES = ['session:*', 'cart:*', 'page:*'];
const CLIENTS = 60;

/** Two thirds of the clients ask for sessions, a sixth each for carts and pages: connections of their own, as services have. */
const prefixOf = (client: number) => (client < 40 ? 'session' : client < 50 ? 'cart' : 'page');

/** Five seconds at 3,000 requests a second: nine reads to a write, of 500 keys a family, values of 200 bytes. */
function captureOfThreeFamilies(): Line[] {
  const random = mulberry32(1);
  let atUs = 1_700_000_000e6;
  return Array.from({ length: 15_000 }, () => {
    atUs += (-Math.log(1 - random()) * 1e6) / 3000;
    const client = Math.floor(random() * CLIENTS);
    const key = `${prefixOf(client)}:${Math.floor(random() * 500)}`;
    const args = random() < 0.1 ? ['SET', key, 'x'.repeat(200)] : ['GET', key];
    return { atUs, client: `10.0.0.1:${1000 + client}`, args };
  });
}

/** What fails the run. */
export const failed = ({ rules }: Judgement): string[] => gating(rules, 'fail').map(({ id }) => id);

const gating = (rules: JudgedRule[], wanted: JudgedRule['outcome']) =>
  rules.filter(({ level, outcome }) => level === 'error' && outcome === wanted);
