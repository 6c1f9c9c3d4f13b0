/** Whole rehearsals on real servers: equal servers are not called different, planted differences are found and named. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Judgement } from '../../src/compare/judgement.ts';
import type { Rehearsal } from '../../src/measure/rehearsal.ts';
import { cutover } from '../support/cli.ts';
import { FAMILIES, failed, rehearsePlanted } from '../support/planted.ts';
import { temporaryFolder } from '../support/temporary.ts';

const sample = 'captures/mixed.monitor.gz';
const newFolder = () => join(temporaryFolder(), 'rehearsal');

async function rehearse(args: string[]): Promise<Judgement & { code: number | null }> {
  const { code, stdout, stderr } = await cutover(['run', sample, '--json', '--output', newFolder(), ...args]);
  assert.doesNotMatch(stderr, /Error|Warning/);
  return { ...JSON.parse(stdout), code };
}

test('the same server on both sides is not judged fail', async () => {
  const judgement = await rehearse([
    '--baseline',
    'process:redis-server',
    '--candidate',
    'process:redis-server',
    ...['--rounds', '2', '--slice', '1s', '--rate', '2x', '--warmup', '500ms'],
  ]);
  assert.notEqual(judgement.verdict, 'fail', judgement.sentence);
  assert.equal(judgement.code, judgement.exitCode);
  assert.deepEqual(failed(judgement), []);
});

test('Redis against Valkey, through both client libraries: a verdict, and the effect of the client apart', async () => {
  const judgement = await rehearse([
    ...['--baseline', 'process:redis-server', '--candidate', 'process:valkey-server', '--client', 'both'],
    ...['--rounds', '2', '--slice', '1s', '--warmup', '500ms'],
  ]);
  assert.ok(['pass', 'fail', 'inconclusive'].includes(judgement.verdict), judgement.sentence);
  assert.deepEqual(
    failed(judgement).filter((id) => id.startsWith('errors')),
    [],
  );
  assert.ok(
    judgement.caveats.some(({ id }) => id === 'client-effect'),
    judgement.caveats.map(({ id }) => id).join(),
  );
  assert.match(
    judgement.command,
    /^cutover run captures\/mixed\.monitor\.gz --baseline process:redis-server .*--seed 1 /,
  );
  // Of stalls there may be none.
  for (const rule of judgement.rules) assert.ok(rule.samples > 0 || rule.metric === 'stalls', rule.id);
  const { settings, rounds }: Rehearsal = JSON.parse(readFileSync(join(judgement.rehearsal, 'rehearsal.json'), 'utf8'));
  assert.equal(settings.memoryProtocol, 'quick');
  for (const { samples, canDefragment } of rounds.flatMap(({ arms }) => Object.values(arms))) {
    const lines = readFileSync(join(judgement.rehearsal, samples!), 'utf8').trimEnd().split('\n');
    assert.ok(lines.length > 2 && lines.every((line) => JSON.parse(line).rssBytes > 0));
    assert.equal(typeof canDefragment, 'boolean');
  }
  const page = readFileSync(join(judgement.rehearsal, 'report.html'), 'utf8');
  for (const id of ['time-longest', 'family-spectrum-1', 'capture-families', 'memory-rehearsal-parts']) {
    assert.ok(page.includes(`id="${id}"`), id);
  }
});

/** Two in a hundred requests of a family take so long on both arms, so that its P99 is this time whatever the host does. */
const slow = (delayMs: number) => ({ delayShare: 0.02, delayMs, delayed: /^session:/ });
// P99 needs 2,500 answers of the family in each of four rounds: two thirds of the requests, less those refused.
const SHORT = ['--rounds', '4', '--rate', '2000', '--slice', '1500ms', '--warmup', '500ms'];
const budgetOf = (maxIncrease: string) => `latency: { p50: { max_increase: 100%, floor: 5ms } }
stalls: { longer_than: 40ms, max_rate_ratio: 2 }
objectives:
${FAMILIES.map((family) => `  - { family: "${family}", latency: { p99: { max_increase: ${maxIncrease}, floor: 1ms } } }`).join('\n')}
`;

test('P99 of one family half as long again and a tenth of the commands refused: fail, naming both, and no other family', async () => {
  const { judgement } = await rehearsePlanted({
    faults: {
      baseline: slow(20),
      candidate: { ...slow(30), errorShare: 0.1, errorText: 'PLANTED error of the proxy' },
    },
    ...{ budget: budgetOf('10%'), args: SHORT },
  });
  assert.equal(judgement.verdict, 'fail', judgement.sentence);
  assert.equal(judgement.code, 1);
  const latency = failed(judgement).filter((id) => id.startsWith('latency.'));
  assert.deepEqual(latency, ['latency.p99/session:*'], judgement.sentence);
  assert.deepEqual(
    failed(judgement).filter((id) => !id.startsWith('latency.')),
    ['errors.new_prefixes', 'errors.rate'],
  );
  assert.match(JSON.stringify(judgement), /PLANTED/);
});

test('P99 of one family 5 % longer where 20 % are allowed: no fail', async () => {
  const { judgement } = await rehearsePlanted({
    faults: { baseline: slow(20), candidate: slow(21) },
    ...{ budget: budgetOf('20%'), args: SHORT },
  });
  assert.match(judgement.verdict, /^(pass|inconclusive)$/, judgement.sentence);
});

test('a stall of 50 ms twice a second: fail, naming the stalls; as many are seen as were planted', async () => {
  const { judgement, rehearsal, stallsPlanted } = await rehearsePlanted({
    faults: { candidate: { stallEveryMs: 500, stallMs: 50 } },
    budget: 'latency: { p50: { max_increase: 100%, floor: 5ms } }\nstalls: { longer_than: 25ms, max_rate_ratio: 2 }\n',
    args: ['--rounds', '4', '--rate', '1500', '--slice', '1s', '--warmup', '500ms'],
  });
  assert.equal(judgement.verdict, 'fail', judgement.sentence);
  assert.deepEqual(failed(judgement), ['stalls.rate']);
  const seen = rehearsal.rounds
    .flatMap(({ arms }) => arms.candidate.slices)
    .flatMap(({ stalls }) => stalls!.filter(({ waitUs }) => waitUs > 25_000)).length;
  // One that a slice ends or begins in counts or not.
  const slices = 2 * rehearsal.rounds.length;
  assert.ok(Math.abs(seen - stallsPlanted) <= slices, `${seen} of ${stallsPlanted} stalls`);
});
